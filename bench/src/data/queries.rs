//! `SELECT` by primary key: sqlx with a pool, and `phalanx-data` with its shared connections, on the machine of the server.

use std::time::Duration;

use anyhow::{Context, ensure};

use super::{client::Kind, load::Load, timeline::Span};
use crate::database::{Database, ROWS};
use crate::load::{SETTLE, Schedule, rotated};

/// Who is compared.
pub(super) const KINDS: [Kind; 3] = [Kind::Sqlx, Kind::SqlxUntested, Kind::Phalanx];

/// One client in one round.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Window {
    pub(super) round: u32,
    pub(super) kind: Kind,
    /// What the client did.
    pub(super) span: Span,
    /// What the server's processes used meanwhile, the client's warm-up included.
    pub(super) database_cpu: Duration,
    /// Queries in that time.
    pub(super) database_queries: u64,
}

/// Measures all rounds.
pub(super) async fn measure(schedule: Schedule, tasks: u32) -> anyhow::Result<Vec<Window>> {
    let database = Database::start().await?;
    database.fill_items().await?;
    database.checkpoint().await?;
    let mut windows = Vec::new();
    for round in 1..=schedule.rounds {
        for &kind in rotated(&KINDS, round) {
            let window = measure_window(&database, kind, schedule, tasks, round).await;
            let window = window.with_context(|| format!("measure {kind} in round {round}"))?;
            eprintln!(
                "round {round} of {}: queries {kind:<40} {:6.2} µs/query {:8.0} queries/s {} errors",
                schedule.rounds,
                window.span.cpu_microseconds_per_query(),
                window.span.rate(),
                window.span.failed,
            );
            windows.push(window);
        }
    }
    Ok(windows)
}

async fn measure_window(
    database: &Database,
    kind: Kind,
    schedule: Schedule,
    tasks: u32,
    round: u32,
) -> anyhow::Result<Window> {
    let warmup = Duration::from_secs(schedule.warmup_seconds.into());
    let length = warmup + Duration::from_secs(schedule.window_seconds.into());
    let load = Load { kind, target: &database.url(), tasks, rows: ROWS, length };
    let before = database.cpu()?;
    let readings = load.run().await?;
    tokio::time::sleep(SETTLE).await;
    let database_cpu = database.cpu()?.saturating_sub(before);
    let span = Span::after(&readings, warmup).context("the client did not outlive its warm-up")?;
    let fault = || readings.iter().find_map(|reading| reading.fault.as_deref()).unwrap_or("nothing was said");
    ensure!(span.done > 0, "no query was answered: {}", fault());
    let database_queries = readings.last().map_or(0, |last| last.done);
    Ok(Window { round, kind, span, database_cpu, database_queries })
}
