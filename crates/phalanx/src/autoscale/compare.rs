//! What several policies would have done, side by side.

use std::{fmt::Write as _, time::Duration};

use phalanx_scale::{
    Thousandths,
    simulation::{Totals, Trace},
};
use serde::Serialize;

use super::simulate::Trial;

const TITLES: [&str; 7] =
    ["POLICY", "UNDER CAPACITY", "UNSERVED", "OVER CAPACITY", "REPLICA-HOURS", "MOST", "CHANGES"];
const GAP: &str = "  ";

/// For people: the changes of each policy with their reasons, then a table of what they come to.
pub(super) fn text(trials: &[Trial], trace: &Trace) -> String {
    let (lowest, highest) = trace.range_milli();
    let mut text = format!(
        "{} points over {}, {} to {} requests/s\n",
        trace.points(),
        clock(trace.length()),
        Thousandths(lowest),
        Thousandths(highest)
    );
    for trial in trials {
        let _ = writeln!(text, "\n{}", trial.name);
        for change in &trial.outcome.changes {
            let _ = writeln!(text, "  {}  {}", clock(change.at), change.reasons);
        }
        if trial.outcome.changes.is_empty() {
            let _ = writeln!(text, "  no change");
        }
    }
    text.push('\n');
    text.push_str(&table(trials));
    text
}

fn table(trials: &[Trial]) -> String {
    let rows: Vec<_> = [TITLES.map(str::to_owned)].into_iter().chain(trials.iter().map(row)).collect();
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or_default();
    let widths: Vec<_> = (0..TITLES.len()).map(width).collect();
    let line = |row: &[String; 7]| {
        let cells = row.iter().zip(&widths).enumerate();
        let cells = cells.map(|(column, (cell, width))| match column {
            0 => format!("{cell:width$}"),
            _ => format!("{cell:>width$}"),
        });
        format!("{}\n", cells.collect::<Vec<_>>().join(GAP))
    };
    rows.iter().map(line).collect()
}

fn row(trial: &Trial) -> [String; 7] {
    let Totals { under_capacity, over_capacity, requests_unserved, replica_time, replicas_most } =
        trial.outcome.totals;
    [
        trial.name.clone(),
        clock(under_capacity),
        requests_unserved.to_string(),
        clock(over_capacity),
        format!("{:.2}", replica_time.as_secs_f64() / 3600.0),
        replicas_most.to_string(),
        trial.outcome.changes.len().to_string(),
    ]
}

/// Hours, minutes and seconds.
pub(super) fn clock(time: Duration) -> String {
    let seconds = time.as_secs();
    format!("{:02}:{:02}:{:02}", seconds / 3600, seconds / 60 % 60, seconds % 60)
}

#[derive(Serialize)]
struct TrialReport<'a> {
    policy: &'a str,
    under_capacity_seconds: u64,
    over_capacity_seconds: u64,
    requests_unserved: u64,
    replica_hours: f64,
    replicas_most: u32,
    changes: Vec<ChangeReport>,
    points: Vec<PointReport>,
}

#[derive(Serialize)]
struct ChangeReport {
    seconds: u64,
    from: u32,
    to: u32,
    reason: String,
}

#[derive(Serialize)]
struct PointReport {
    seconds: u64,
    load_milli: i64,
    ready: u32,
    replicas: u32,
}

/// For programs.
pub(super) fn json(trials: &[Trial]) -> serde_json::Result<String> {
    serde_json::to_string_pretty(&trials.iter().map(TrialReport::of).collect::<Vec<_>>())
}

impl<'a> TrialReport<'a> {
    fn of(trial: &'a Trial) -> Self {
        let totals = trial.outcome.totals;
        let changes = trial.outcome.changes.iter().map(|change| ChangeReport {
            seconds: change.at.as_secs(),
            from: change.reasons.from(),
            to: change.reasons.to(),
            reason: change.reasons.to_string(),
        });
        let points = trial.outcome.points.iter().map(|point| PointReport {
            seconds: point.at.as_secs(),
            load_milli: point.load_milli,
            ready: point.ready,
            replicas: point.replicas,
        });
        Self {
            policy: &trial.name,
            under_capacity_seconds: totals.under_capacity.as_secs(),
            over_capacity_seconds: totals.over_capacity.as_secs(),
            requests_unserved: totals.requests_unserved,
            replica_hours: totals.replica_time.as_secs_f64() / 3600.0,
            replicas_most: totals.replicas_most,
            changes: changes.collect(),
            points: points.collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_hours_minutes_and_seconds() {
        assert_eq!(clock(Duration::from_secs(90_061)), "25:01:01");
    }
}
