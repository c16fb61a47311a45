//! `GET /api/profile` at a fixed rate, with and without a flood of logins at the same replica: hashing fills a core, and must not
//! hold up those who only show a token.

use std::{fmt, num::NonZeroU32, time::Duration};

use anyhow::{Context, ensure};

use super::fleet;
use crate::{
    fixed_rate::{FixedRate, Target},
    half_rate::Latency,
    http::Connection,
    load::{SETTLE, Schedule},
    programs::Program,
    service::{Service, Site},
    wrk::{Served, Wrk},
};

const LOGINS: &str = include_str!("../../configs/logins.lua");
const RATE: NonZeroU32 = NonZeroU32::new(500).expect("500 is not zero");
const CONNECTIONS: u32 = 32;
const FLOOD_CONNECTIONS: u32 = 64;
const PATIENCE: Duration = Duration::from_secs(10);
/// The flood begins before the window and ends after it.
const FLOOD_MARGIN_SECONDS: u32 = 1;

/// Whether logins flood the replica.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Flood {
    None,
    Logins,
}

impl fmt::Display for Flood {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(match self {
            Self::None => "profiles alone",
            Self::Logins => "profiles under a flood of logins",
        })
    }
}

/// One of them in one round.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Window {
    pub(super) round: u32,
    pub(super) flood: Flood,
    pub(super) latency: Latency,
    /// How late the load generator itself was: 99 of 100 within it.
    pub(super) lateness_p99: Duration,
    pub(super) errors: u64,
    /// Logins that were answered; refused ones count as errors of status.
    pub(super) logins: Option<Served>,
}

/// Measures all rounds.
pub(super) async fn measure(site: Site<'_>, schedule: Schedule) -> anyhow::Result<Vec<Window>> {
    let directory = site.subdirectory("flood-data")?;
    let directory = directory.display().to_string();
    let mut api =
        site.start_api_with("api-flood", &[("DATA_DIR", directory.as_str())], site.placement.proxy)?;
    api.until_answers().await.context("start the reference API")?;
    let mut connection = Connection::open(api.address).await?;
    let login = fleet::register(&mut connection, "flood@example.com").await?;
    let profile = connection.get_with(fleet::PROFILE, &login.authorization()).await?;
    ensure!(profile.status == 200, "no profile: status {}", profile.status);
    let target = Target {
        address: api.address,
        path: fleet::PROFILE.to_owned(),
        fields: login.authorization(),
        body_bytes: profile.body.len() as u64,
        patience: PATIENCE,
    };
    let wrk_directory = site.subdirectory("wrk-logins")?;
    let wrk =
        Wrk::prepare_with(site.programs.path(Program::Wrk), &wrk_directory, site.placement.load, LOGINS)?;
    let mut windows = Vec::new();
    for round in 1..=schedule.rounds {
        for flood in [Flood::None, Flood::Logins] {
            let window = window(site, &api, &wrk, &target, schedule, round, flood).await;
            let window = window.with_context(|| format!("measure {flood} in round {round}"))?;
            eprintln!(
                "round {round} of {}: {flood:<34} p50 {:.3} ms p99 {:.3} ms {} errors",
                schedule.rounds,
                window.latency.p50.as_secs_f64() * 1e3,
                window.latency.p99.as_secs_f64() * 1e3,
                window.errors,
            );
            windows.push(window);
        }
    }
    Ok(windows)
}

async fn window(
    site: Site<'_>,
    api: &Service,
    wrk: &Wrk,
    target: &Target,
    schedule: Schedule,
    round: u32,
    flood: Flood,
) -> anyhow::Result<Window> {
    let _pinned = site.placement.load.pin().context("move to the core of the load")?;
    let mut load = FixedRate::connect(target, CONNECTIONS).await.context("connect")?;
    let length = Duration::from_secs(schedule.window_seconds.into());
    let profiles = async {
        let warmup = Duration::from_secs(schedule.warmup_seconds.into());
        load.offer(RATE, warmup).await.context("warm up")?;
        load.offer(RATE, length).await.context("offer")
    };
    let (offered, logins) = match flood {
        Flood::None => (profiles.await?, None),
        Flood::Logins => {
            let seconds = schedule.warmup_seconds + schedule.window_seconds + FLOOD_MARGIN_SECONDS;
            let logins = wrk.run(api.address, "/", FLOOD_CONNECTIONS, seconds);
            let (offered, logins) = tokio::try_join!(profiles, logins)?;
            (offered, Some(logins))
        }
    };
    tokio::time::sleep(SETTLE).await;
    Ok(Window {
        round,
        flood,
        latency: Latency::of(&offered.latency),
        lateness_p99: Latency::of(&offered.lateness).p99,
        errors: offered.faults.values().sum(),
        logins,
    })
}
