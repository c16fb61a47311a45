//! What Phalanx uses while its replicas do nothing: the probes, the looks at their usage, and no request.

use std::{env, fmt, time::Duration};

use anyhow::Context;
use phalanx_telemetry::clock;

use super::place::Place;
use crate::{
    load::{Schedule, rotated},
    service::Site,
    usage::{self, CpuReading},
};

/// How many replicas there are, and how they are asked whether they are ready.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Row {
    /// One, so that what Phalanx itself takes can be told apart.
    One,
    /// All of them, by a connection to each.
    Connect,
    /// All of them, by a `GET`.
    Http,
}

pub(super) const ROWS: [Row; 3] = [Row::One, Row::Connect, Row::Http];

impl fmt::Display for Row {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(match self {
            Self::One => "one replica, probed by `GET`",
            Self::Connect => "all replicas, probed by a connection",
            Self::Http => "all replicas, probed by `GET`",
        })
    }
}

/// One of them in one round.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Window {
    pub(super) row: Row,
    /// CPU time of Phalanx, without its replicas.
    pub(super) cpu: Duration,
    pub(super) elapsed: Duration,
    /// Memory of Phalanx, without its replicas.
    pub(super) memory_bytes: u64,
}

impl Window {
    pub(super) fn percent_of_core(&self) -> f64 {
        100.0 * self.cpu.as_secs_f64() / self.elapsed.as_secs_f64()
    }
}

/// Measures all rounds.
pub(super) async fn measure(
    site: Site<'_>,
    schedule: Schedule,
    replicas: u32,
) -> anyhow::Result<Vec<Window>> {
    let mut windows = Vec::new();
    for round in 1..=schedule.rounds {
        for &row in rotated(&ROWS, round) {
            let window = window(site, schedule, replicas, row).await;
            let window = window.with_context(|| format!("measure {row} in round {round}"))?;
            eprintln!(
                "round {round} of {}: {row:<38} {:.2} % of a core, {:.1} MB",
                schedule.rounds,
                window.percent_of_core(),
                window.memory_bytes as f64 / 1e6,
            );
            windows.push(window);
        }
    }
    Ok(windows)
}

async fn window(site: Site<'_>, schedule: Schedule, replicas: u32, row: Row) -> anyhow::Result<Window> {
    let program = env::current_exe().context("find this program")?;
    let replicas = if row == Row::One { 1 } else { replicas };
    let probe = if row == Row::Connect { "" } else { "path = '/ready', " };
    let service = format!(
        "command = ['{}', 'service']\nreplicas = {replicas}\nprobes.readiness = {{ {probe}period = '1s' }}",
        program.display()
    );
    let place = Place::start(site, "idle", &service).await?;
    place.until_serving(replicas).await?;
    tokio::time::sleep(Duration::from_secs(schedule.warmup_seconds.into())).await;
    let (before, began) = (CpuReading::of_each([place.pid()])?, clock::now());
    tokio::time::sleep(Duration::from_secs(schedule.window_seconds.into())).await;
    let (after, elapsed) = (CpuReading::of_each([place.pid()])?, began.elapsed());
    let memory_bytes = usage::memory_bytes_of_each([place.pid()])?;
    Ok(Window { row, cpu: after.since(&before).used, elapsed, memory_bytes })
}
