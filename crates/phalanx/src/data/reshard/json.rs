//! What `--json` prints: a line whenever something has changed, with names that scripts may rely on.

use phalanx_data::reshard::{Report, TableProgress, Verified};
use phalanx_shard::{plan, reshard::Direction};
use serde::Serialize;

use crate::terminal;

/// Prints reports, those that say nothing else than the last one left out.
#[derive(Default)]
pub(super) struct Lines {
    last: Option<String>,
}

impl Lines {
    pub(super) fn report(&mut self, report: &Report) {
        let line = text(&Line::of(report));
        if self.last.as_ref() != Some(&line) {
            terminal::say(&line);
            self.last = Some(line);
        }
    }
}

/// The last line.
pub(super) fn outcome(outcome: &'static str) {
    terminal::say(&text(&Ended { outcome }));
}

/// What would move.
pub(super) fn plan(moves: &[plan::Move]) {
    terminal::say(&text(&Plan { moves: moves.iter().map(Move::of).collect() }));
}

fn text(value: &impl Serialize) -> String {
    serde_json::to_string(value).expect("texts, numbers and lists of them are JSON")
}

#[derive(Serialize)]
struct Ended {
    outcome: &'static str,
}

#[derive(Serialize)]
struct Plan {
    moves: Vec<Move>,
}

#[derive(Serialize)]
struct Line {
    stage: &'static str,
    direction: &'static str,
    reason: String,
    tables: Vec<Table>,
    lag_bytes: u64,
    paused_seconds: f64,
    verified: VerifiedRows,
    rows_deleted: u64,
    /// Whole, so that a soak prints a line a second.
    soak_left_seconds: u64,
    fault: Option<String>,
    trouble: Option<String>,
}

#[derive(Serialize)]
struct Move {
    source: u16,
    target: u16,
    buckets: String,
}

#[derive(Serialize)]
struct Table {
    table: String,
    source: u16,
    target: u16,
    rows_copied: u64,
    rows_all: u64,
}

#[derive(Serialize)]
struct VerifiedRows {
    buckets: u64,
    buckets_all: u64,
    rows: u64,
    rows_again: u64,
    rows_restless: u64,
    rows_read: u64,
}

impl Line {
    fn of(report: &Report) -> Self {
        Self {
            stage: report.stage.name(),
            direction: match report.direction {
                Direction::Onward => "onward",
                Direction::Back => "back",
            },
            reason: report.reason.to_string(),
            tables: report.tables.iter().map(Table::of).collect(),
            lag_bytes: report.lag_bytes,
            paused_seconds: report.paused.as_secs_f64(),
            verified: VerifiedRows::of(report.verified),
            rows_deleted: report.rows_deleted,
            soak_left_seconds: report.soak_left.as_secs(),
            fault: report.fault.as_ref().map(ToString::to_string),
            trouble: report.trouble.clone(),
        }
    }
}

impl Move {
    fn of(step: &plan::Move) -> Self {
        Self { source: step.source.get(), target: step.target.get(), buckets: step.buckets.to_string() }
    }
}

impl Table {
    fn of(progress: &TableProgress) -> Self {
        let TableProgress { table, source, target, rows_copied, rows_all } = progress;
        Self {
            table: table.clone(),
            source: source.get(),
            target: target.get(),
            rows_copied: *rows_copied,
            rows_all: *rows_all,
        }
    }
}

impl VerifiedRows {
    fn of(verified: Verified) -> Self {
        let Verified { buckets, buckets_all, rows, rows_again, rows_restless, rows_read } = verified;
        Self { buckets, buckets_all, rows, rows_again, rows_restless, rows_read }
    }
}
