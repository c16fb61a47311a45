//! A database that goes away in the middle of the load, and comes back: what clients see, tick by tick.

use std::{fmt, time::Duration};

use anyhow::Context;

use super::{
    client::{Kind, monotonic_us},
    load::Load,
    timeline::Timeline,
};
use crate::{
    database::{Database, ROWS},
    service::Site,
};

/// Load before the fault: half of it is what the rate afterwards is compared with.
const BEFORE: Duration = Duration::from_secs(4);
/// Load after it.
const AFTER: Duration = Duration::from_secs(8);
/// The loads: two clients of the database, and one of the reference API.
const LOADS: [Kind; 3] = [Kind::SqlxUntested, Kind::Phalanx, Kind::Http];

/// How the database goes away.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Interruption {
    /// Stopped in order, and started.
    Restart,
    /// Every process killed, and started: it recovers first.
    Kill,
}

impl fmt::Display for Interruption {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(match self {
            Self::Restart => "restart",
            Self::Kill => "kill -9",
        })
    }
}

/// One load through one interruption.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Run {
    pub(super) load: Kind,
    pub(super) interruption: Interruption,
    /// From the interruption until the database took connections again.
    pub(super) away: Duration,
    pub(super) timeline: Timeline,
    /// What the last query that failed said.
    pub(super) fault: Option<String>,
}

/// Runs all loads through all interruptions.
pub(super) async fn measure(site: Site<'_>, tasks: u32) -> anyhow::Result<Vec<Run>> {
    let database = Database::start().await?;
    let mut api = site.start_api("api-restart", &database.url(), &[], site.placement.proxy)?;
    api.until_answers().await.context("start the reference API")?;
    database.fill_items().await?;
    database.fill_accounts().await?;
    let (url, address) = (database.url(), api.address.to_string());
    let mut runs = Vec::new();
    for load in LOADS {
        for interruption in [Interruption::Restart, Interruption::Kill] {
            // What a recovery has to replay is not what is compared.
            database.checkpoint().await?;
            let target = if load == Kind::Http { &address } else { &url };
            let run = measure_run(&database, target, load, interruption, tasks).await;
            let run = run.with_context(|| format!("measure {load} through {interruption}"))?;
            eprintln!(
                "{interruption} under {load}: away {:?}, {} failed, the last after {:?}, recovered after {:?}",
                run.away,
                run.timeline.failed(),
                run.timeline.last_failure(),
                run.timeline.recovered_after(),
            );
            runs.push(run);
        }
    }
    Ok(runs)
}

async fn measure_run(
    database: &Database,
    target: &str,
    load: Kind,
    interruption: Interruption,
    tasks: u32,
) -> anyhow::Result<Run> {
    let client = Load { kind: load, target, tasks, rows: ROWS, length: BEFORE + AFTER };
    let interrupting = async {
        tokio::time::sleep(BEFORE).await;
        let begun = monotonic_us();
        match interruption {
            Interruption::Restart => database.restart().await,
            Interruption::Kill => database.crash().await,
        }?;
        anyhow::Ok((begun, Duration::from_micros(monotonic_us() - begun)))
    };
    let (readings, interrupted) = tokio::join!(client.run(), interrupting);
    let (readings, (at, away)) = (readings?, interrupted?);
    let fault = readings.iter().rev().find_map(|reading| reading.fault.clone());
    let timeline = Timeline::around(&readings, at);
    Ok(Run { load, interruption, away, timeline, fault })
}
