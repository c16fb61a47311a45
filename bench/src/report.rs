//! The measurements as Markdown: medians over the rounds, with the extremes beside them, and ratios of the medians.
//!
//! Elsewhere: every single window (`crate::raw`).

mod half_rate;

use std::collections::BTreeSet;

use crate::{
    gateway::Measurements, idle::IdleMemory, load::Window, machine::Machine, proxy::Kind, scenario::Scenario,
    spread::Spread, syscalls::SyscallCount, usage::CpuSource,
};

/// Below it the proxy waited for others, so its rate and p99 are not its own.
const SATURATED_SHARE_MIN: f64 = 0.95;
/// Above it the proxy does not keep its connections to the origin, which is another comparison than this one.
const DIALS_PER_REQUEST_MAX: f64 = 0.02;
/// System calls rarer than this are left out of the breakdown.
const SHOWN_CALLS_PER_REQUEST_MIN: f64 = 0.005;

/// The whole report.
pub(crate) fn markdown(machine: &Machine, measurements: &Measurements) -> String {
    let mut lines = heading(machine, measurements);
    lines.extend(windows(&measurements.windows));
    lines.extend(ratios(&measurements.windows));
    if !measurements.paced.is_empty() {
        lines.extend(half_rate::table(&measurements.paced));
    }
    if !measurements.syscalls.is_empty() {
        lines.extend(syscalls(&measurements.syscalls));
    }
    if !measurements.idle.is_empty() {
        lines.extend(idle(&measurements.idle));
    }
    lines.push(String::new());
    lines.join("\n")
}

fn heading(machine: &Machine, measurements: &Measurements) -> Vec<String> {
    let schedule = measurements.schedule;
    let all = measurements.windows.len();
    let fine = measurements.windows.iter().filter(|window| window.cpu.source == CpuSource::Schedstat).count();
    let mut lines = vec!["## Gateways side by side".to_owned(), String::new()];
    lines.extend(machine.lines());
    lines.extend([
        format!(
            "* rounds: {}, interleaved; each window {} s after {} s of warm-up; medians, extremes in brackets",
            schedule.rounds, schedule.window_seconds, schedule.warmup_seconds
        ),
        format!(
            "* CPU is user and system time of all threads of the proxy: {fine} of {all} windows by `schedstat` (1 ns), \
             {} by clock ticks ({} ms)",
            all - fine,
            1000 / procfs::ticks_per_second(),
        ),
        "* p99 beside requests/s is that at saturation; p99 at half of it stands in a table of its own".to_owned(),
    ]);
    if machine.placement.is_crowded() {
        lines.push("* **one core for all: requests a second and p99 tell little**".to_owned());
    }
    lines
}

fn windows(windows: &[Window]) -> Vec<String> {
    let mut lines = vec![
        String::new(),
        "| body × connections | proxy | CPU µs/request | requests/s | p99 ms | core busy | errors |"
            .to_owned(),
        "|---|---|--:|--:|--:|--:|--:|".to_owned(),
    ];
    let mut flaws = BTreeSet::new();
    for scenario in scenarios(windows) {
        for proxy in proxies(windows) {
            let summary = Summary::of(windows, scenario, proxy);
            let found = summary.flaws();
            let marks: String = found.iter().map(|flaw| format!(" {}", flaw.mark())).collect();
            lines.push(format!(
                "| {scenario} | {proxy}{marks} | {:.2} ({:.2}–{:.2}) | {:.0} | {:.2} | {:.0} % | {} |",
                summary.cpu.median,
                summary.cpu.least,
                summary.cpu.most,
                summary.requests_per_second.median,
                summary.p99.median,
                summary.core_share.median * 100.0,
                summary.errors,
            ));
            flaws.extend(found);
        }
    }
    for flaw in flaws {
        lines.extend([String::new(), format!("{} {}", flaw.mark(), flaw.meaning())]);
    }
    lines
}

fn ratios(windows: &[Window]) -> Vec<String> {
    let proxies = proxies(windows);
    let rivals: Vec<Kind> = proxies.iter().copied().filter(|proxy| *proxy != Kind::Phalanx).collect();
    if rivals.len() == proxies.len() || rivals.is_empty() {
        return Vec::new();
    }
    let mut lines = vec![
        String::new(),
        "| body × connections | Phalanx ÷ | CPU/request | requests/s | p99 |".to_owned(),
        "|---|---|--:|--:|--:|".to_owned(),
    ];
    for scenario in scenarios(windows) {
        let phalanx = Summary::of(windows, scenario, Kind::Phalanx);
        for &rival in &rivals {
            let other = Summary::of(windows, scenario, rival);
            lines.push(format!(
                "| {scenario} | {rival} | {:.2} | {:.2} | {:.2} |",
                phalanx.cpu.median / other.cpu.median,
                phalanx.requests_per_second.median / other.requests_per_second.median,
                phalanx.p99.median / other.p99.median,
            ));
        }
    }
    lines
}

fn syscalls(counts: &[SyscallCount]) -> Vec<String> {
    let mut lines = vec![
        String::new(),
        "System calls, counted by strace in a run of their own:".to_owned(),
        String::new(),
        "| body × connections | proxy | calls/request | of which |".to_owned(),
        "|---|---|--:|---|".to_owned(),
    ];
    for count in counts {
        let requests = count.requests.max(1) as f64;
        let mut calls: Vec<(&str, f64)> =
            count.calls.iter().map(|(name, calls)| (name.as_str(), *calls as f64 / requests)).collect();
        calls.sort_by(|left, right| right.1.total_cmp(&left.1));
        let all: f64 = calls.iter().map(|(_, per_request)| per_request).sum();
        let shown = calls.iter().filter(|(_, per_request)| *per_request >= SHOWN_CALLS_PER_REQUEST_MIN);
        let shown: Vec<String> =
            shown.map(|(name, per_request)| format!("{name} {per_request:.2}")).collect();
        lines.push(format!("| {} | {} | {all:.2} | {} |", count.scenario, count.proxy, shown.join(", ")));
    }
    lines
}

fn idle(memories: &[IdleMemory]) -> Vec<String> {
    let mut lines = vec![
        String::new(),
        "Idle keep-alive connections, each after one request. PSS of the proxy's processes: what the kernel holds for the"
            .to_owned(),
        "sockets is about the same for all and not in here, tables reserved at the start are in \"before\".".to_owned(),
        String::new(),
        "| proxy | connections | bytes/connection | before KiB | after KiB |".to_owned(),
        "|---|--:|--:|--:|--:|".to_owned(),
    ];
    lines.extend(memories.iter().map(|memory| {
        format!(
            "| {} | {} | {:.0} | {} | {} |",
            memory.proxy,
            memory.connections,
            memory.bytes_per_connection(),
            memory.bytes_before / 1024,
            memory.bytes_after / 1024,
        )
    }));
    lines
}

/// In the order of their first window.
fn scenarios(windows: &[Window]) -> Vec<Scenario> {
    let mut found = Vec::new();
    for window in windows {
        if !found.contains(&window.scenario) {
            found.push(window.scenario);
        }
    }
    found
}

fn proxies(windows: &[Window]) -> Vec<Kind> {
    let mut found: Vec<Kind> = windows.iter().map(|window| window.proxy).collect();
    found.sort();
    found.dedup();
    found
}

/// All rounds of one proxy under one scenario.
struct Summary {
    cpu: Spread,
    requests_per_second: Spread,
    p99: Spread,
    core_share: Spread,
    dials_per_request: Spread,
    errors: u64,
}

/// Why a line is less than it seems.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Flaw {
    Failures,
    Dials,
    Unsaturated,
    LoadBound,
}

impl Flaw {
    fn mark(self) -> char {
        match self {
            Self::Failures => '⚠',
            Self::Dials => '‡',
            Self::Unsaturated => '†',
            Self::LoadBound => '§',
        }
    }

    fn meaning(self) -> &'static str {
        match self {
            Self::Failures => "Requests failed: these figures are no comparison.",
            Self::Dials => "Connections to the origin were not kept: these figures are no comparison.",
            Self::Unsaturated => {
                "The proxy waited: the origin, wrk or another process was the bottleneck, so requests/s and p99 are not its own."
            }
            Self::LoadBound => {
                "The core of the load had hardly a pause: the latencies are its own, not the proxy's."
            }
        }
    }
}

impl Summary {
    fn of(windows: &[Window], scenario: Scenario, proxy: Kind) -> Self {
        let rounds: Vec<&Window> =
            windows.iter().filter(|window| window.scenario == scenario && window.proxy == proxy).collect();
        let spread = |measure: fn(&Window) -> f64| Spread::of(rounds.iter().map(|window| measure(window)));
        Self {
            cpu: spread(Window::cpu_microseconds_per_request),
            requests_per_second: spread(Window::requests_per_second),
            p99: spread(|window| window.served.latency_p99.as_secs_f64() * 1e3),
            core_share: spread(Window::core_share),
            dials_per_request: spread(|window| {
                window.origin_connections as f64 / window.served.requests as f64
            }),
            errors: rounds.iter().map(|window| window.served.errors.total()).sum(),
        }
    }

    fn flaws(&self) -> Vec<Flaw> {
        let found = [
            (Flaw::Failures, self.errors > 0),
            (Flaw::Dials, self.dials_per_request.median > DIALS_PER_REQUEST_MAX),
            (Flaw::Unsaturated, self.core_share.median < SATURATED_SHARE_MIN),
        ];
        found.into_iter().filter_map(|(flaw, is_found)| is_found.then_some(flaw)).collect()
    }
}

#[cfg(test)]
mod tests;
