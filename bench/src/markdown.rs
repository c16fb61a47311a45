//! What the reports over services have in common: where and how it was measured, tables, and figures with their extremes.

use std::time::Duration;

use crate::{load::Schedule, machine::Machine, spread::Spread};

/// The facts above the tables: `title`, what ran on which cores (`placed`), and what all windows share (`load`).
pub(crate) fn heading(
    title: &str,
    machine: &Machine,
    placed: &str,
    schedule: Schedule,
    load: &str,
) -> Vec<String> {
    let Machine { cpu, cores, kernel, command, date, .. } = machine;
    let Schedule { rounds, warmup_seconds, window_seconds } = schedule;
    let mut lines = vec![
        format!("## {title}"),
        String::new(),
        format!("* {cpu}, {cores} cores, Linux {kernel}"),
        format!("* {placed}"),
    ];
    lines.extend(machine.versions.iter().map(|version| format!("* {version}")));
    lines.extend([
        format!("* `{command}`, {date}"),
        format!(
            "* rounds: {rounds}, interleaved; each window {window_seconds} s after {warmup_seconds} s of warm-up; medians, extremes in brackets"
        ),
        format!("* {load}"),
    ]);
    lines
}

/// The lines of a table before its rows.
pub(crate) fn table(title: &str, head: &str, rule: &str) -> Vec<String> {
    ["", title, "", head, rule].map(str::to_owned).into()
}

/// What each of the requests took of it, in microseconds.
pub(crate) fn micros_each(used: Duration, requests: u64) -> f64 {
    used.as_secs_f64() * 1e6 / requests as f64
}

/// Without decimals.
pub(crate) fn whole(spread: Spread) -> String {
    format!("{:.0} ({:.0}–{:.0})", spread.median, spread.least, spread.most)
}

/// With two decimals.
pub(crate) fn hundredths(spread: Spread) -> String {
    format!("{:.2} ({:.2}–{:.2})", spread.median, spread.least, spread.most)
}
