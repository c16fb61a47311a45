//! How many connections to one primary many replicas of the reference API hold while a gateway before them is saturated.

use std::time::Duration;

use anyhow::{Context, ensure};
use sqlx::{Connection as _, PgConnection, Row as _};

use super::users;
use crate::{
    cores::Core,
    database::{Database, ROWS},
    load::Schedule,
    service::{Service, Site},
    wrk::Served,
};

const TEMPLATE: &str = include_str!("../../configs/data.phalanx.toml");
const SAMPLE_PERIOD: Duration = Duration::from_millis(50);
const COUNT: &str = "SELECT count(*) FROM pg_stat_activity \
                     WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()";

/// One round.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Window {
    pub(super) round: u32,
    pub(super) replicas: u32,
    pub(super) served: Served,
    /// The most connections that were seen at once under load.
    pub(super) connections: i64,
    /// The same since the first replica was started.
    pub(super) connections_since_start: i64,
}

/// Measures all rounds.
pub(super) async fn measure(
    site: Site<'_>,
    schedule: Schedule,
    connections: u32,
    replicas: u32,
) -> anyhow::Result<Vec<Window>> {
    let database = Database::start().await?;
    let mut watch = PgConnection::connect(&database.url()).await.context("connect to the database")?;
    let fleet = start(site, &database, replicas);
    let (fleet, mut most) = while_counting(&mut watch, fleet).await?;
    let fleet = fleet?;
    database.fill_accounts().await?;
    database.checkpoint().await?;
    let gateway = site.start_gateway("gateway-data", TEMPLATE, &fleet, &[]).await?;
    let wrk = users::wrk(site, ROWS)?;
    let mut windows = Vec::new();
    for round in 1..=schedule.rounds {
        let warmup = wrk.run(gateway.address, "/", connections, schedule.warmup_seconds);
        let (warmed, counted) = while_counting(&mut watch, warmup).await?;
        warmed.context("warm up")?;
        most = most.max(counted);
        let load = wrk.run(gateway.address, "/", connections, schedule.window_seconds);
        let (served, counted) = while_counting(&mut watch, load).await?;
        let served = served.with_context(|| format!("load in round {round}"))?;
        ensure!(served.requests > 0, "no request was answered: {:?}", served.errors);
        most = most.max(counted);
        eprintln!(
            "round {round} of {}: {replicas} replicas {:8.0} requests/s {counted} connections {} errors",
            schedule.rounds,
            served.requests as f64 / served.elapsed.as_secs_f64(),
            served.errors.total(),
        );
        windows.push(Window { round, replicas, served, connections: counted, connections_since_start: most });
    }
    // Whoever is asked ends after whoever asks.
    drop(gateway);
    Ok(windows)
}

/// Starts the first replica alone, which migrates the database, and then the others at once.
async fn start(site: Site<'_>, database: &Database, replicas: u32) -> anyhow::Result<Vec<Service>> {
    let placement = site.placement;
    let cores = [placement.proxy, placement.origin, placement.load];
    let start =
        |(number, core): (u32, &Core)| site.start_api(&format!("api-{number}"), &database.url(), &[], *core);
    let mut numbered = (1..=replicas).zip(cores.iter().cycle());
    let mut fleet = Vec::new();
    for first in numbered.by_ref().take(1) {
        let mut service = start(first)?;
        service.until_answers().await.context("start the first replica")?;
        fleet.push(service);
    }
    for next in numbered {
        fleet.push(start(next)?);
    }
    for service in &mut fleet {
        service.until_answers().await.context("start a replica")?;
    }
    Ok(fleet)
}

/// The outcome of `work`, and the most connections that were seen while it was under way.
async fn while_counting<T>(
    watch: &mut PgConnection,
    work: impl Future<Output = T>,
) -> anyhow::Result<(T, i64)> {
    let mut work = std::pin::pin!(work);
    let mut most = 0;
    let mut samples = tokio::time::interval(SAMPLE_PERIOD);
    loop {
        tokio::select! {
            done = &mut work => return Ok((done, most)),
            _ = samples.tick() => (),
        }
        let row = sqlx::query(COUNT).fetch_one(&mut *watch).await.context("count connections")?;
        most = most.max(row.try_get::<i64, _>(0)?);
    }
}
