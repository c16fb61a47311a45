//! The ticks around the loss of a database, side by side for all runs.

use crate::data::{restart::Run, timeline::TICK};

/// From half a second before,
const FIRST: i64 = -5;
/// to a second and a half after the last of them was back.
const TICKS_AFTER: i64 = 15;

/// One line for each tick.
pub(super) fn table(runs: &[Run]) -> Vec<String> {
    let heads: Vec<String> = runs.iter().map(|run| format!("{}, {}", run.load, run.interruption)).collect();
    let mut lines = vec![
        String::new(),
        "What was answered in each tenth of a second, and after the cross what failed:".to_owned(),
        String::new(),
        format!("| from s | {} |", heads.join(" | ")),
        format!("|--:|{}", "--:|".repeat(runs.len())),
    ];
    let away = runs.iter().map(|run| run.away).max().unwrap_or_default();
    let away = i64::try_from(away.as_millis().div_ceil(TICK.as_millis())).unwrap_or(0);
    for index in FIRST..away + TICKS_AFTER {
        let cells: Vec<String> = runs.iter().map(|run| cell(run, index)).collect();
        lines.push(format!("| {:.1} | {} |", index as f64 / 10.0, cells.join(" | ")));
    }
    lines
}

/// Empty where the client was not heard.
fn cell(run: &Run, index: i64) -> String {
    run.timeline.at(index).map_or_else(String::new, |tick| match tick.span.failed {
        0 => tick.span.done.to_string(),
        failed => format!("{} ✗{failed}", tick.span.done),
    })
}
