//! The table of latencies at a fixed rate, with the ratio of each p99 to nginx's.

use super::{DIALS_PER_REQUEST_MAX, Flaw};
use crate::{
    half_rate::{Latency, PacedWindow},
    proxy::Kind,
    spread::Spread,
};

/// Above it requests queue for the core of the load more than for the proxy.
const LOAD_CORE_SHARE_MAX: f64 = 0.9;

pub(super) fn table(windows: &[PacedWindow]) -> Vec<String> {
    let mut lines = vec![
        String::new(),
        "At a fixed rate, half of what the slowest of the proxies took when saturated and the same for all. Requests are due at"
            .to_owned(),
        "even intervals, and a latency counts from then, whatever kept the request from being sent. \"Late\" is how late the"
            .to_owned(),
        "load generator itself let 99 of 100 requests go, which is part of their latencies; \"load busy\" is the share of time in"
            .to_owned(),
        "which its core ran it, or the origin where that is on the same core.".to_owned(),
        String::new(),
        "| body × connections | proxy | requests/s | p50 ms | p99 ms | p99 ÷ nginx | p99.9 ms | late p99 ms | load busy | CPU µs/request | errors |"
            .to_owned(),
        "|---|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|".to_owned(),
    ];
    let mut flaws = Vec::new();
    for group in groups(windows) {
        let summary = Summary::of(&group);
        let nginx = windows
            .iter()
            .filter(|window| window.scenario == summary.window.scenario && window.proxy == Kind::Nginx);
        let nginx: Vec<&PacedWindow> = nginx.collect();
        let ratio = match &*nginx {
            [] => "–".to_owned(),
            nginx => format!("{:.2}", summary.p99.median / Summary::of(nginx).p99.median),
        };
        let found = summary.flaws();
        let marks: String = found.iter().map(|flaw| format!(" {}", flaw.mark())).collect();
        lines.push(summary.line(&marks, &ratio));
        flaws.extend(found);
    }
    flaws.sort();
    flaws.dedup();
    for flaw in flaws {
        lines.extend([String::new(), format!("{} {}", flaw.mark(), flaw.meaning())]);
    }
    lines
}

/// The rounds of each proxy under each scenario: scenarios in the order of their first window, proxies in theirs.
fn groups(windows: &[PacedWindow]) -> Vec<Vec<&PacedWindow>> {
    let mut scenarios = Vec::new();
    for window in windows {
        if !scenarios.contains(&window.scenario) {
            scenarios.push(window.scenario);
        }
    }
    let place = |window: &PacedWindow| {
        (scenarios.iter().position(|scenario| *scenario == window.scenario), window.proxy)
    };
    let mut sorted: Vec<&PacedWindow> = windows.iter().collect();
    sorted.sort_by_key(|window| place(window));
    sorted.chunk_by(|left, right| place(left) == place(right)).map(<[_]>::to_vec).collect()
}

/// All rounds of one proxy under one scenario.
struct Summary<'a> {
    /// Any of them.
    window: &'a PacedWindow,
    p50: Spread,
    p99: Spread,
    p999: Spread,
    lateness_p99: Spread,
    load_core_share: Spread,
    cpu: Spread,
    dials_per_request: Spread,
    errors: u64,
}

impl<'a> Summary<'a> {
    /// # Panics
    /// Of no rounds.
    fn of(rounds: &[&'a PacedWindow]) -> Self {
        let spread =
            |measure: fn(&PacedWindow) -> f64| Spread::of(rounds.iter().map(|window| measure(window)));
        Self {
            window: rounds[0],
            p50: spread(|PacedWindow { latency: Latency { p50, .. }, .. }| p50.as_secs_f64() * 1e3),
            p99: spread(|PacedWindow { latency: Latency { p99, .. }, .. }| p99.as_secs_f64() * 1e3),
            p999: spread(|PacedWindow { latency: Latency { p999, .. }, .. }| p999.as_secs_f64() * 1e3),
            lateness_p99: spread(|window| window.lateness_p99.as_secs_f64() * 1e3),
            load_core_share: spread(|window| window.load_core_share),
            cpu: spread(PacedWindow::cpu_microseconds_per_request),
            dials_per_request: spread(|window| window.origin_connections as f64 / window.answered as f64),
            errors: rounds.iter().map(|window| window.errors()).sum(),
        }
    }

    fn line(&self, marks: &str, ratio: &str) -> String {
        let PacedWindow { scenario, proxy, requests_per_second, .. } = self.window;
        format!(
            "| {scenario} | {proxy}{marks} | {requests_per_second} | {:.3} | {:.3} ({:.3}–{:.3}) | {ratio} | {:.3} | {:.3} | {:.0} % | {:.2} | {} |",
            self.p50.median,
            self.p99.median,
            self.p99.least,
            self.p99.most,
            self.p999.median,
            self.lateness_p99.median,
            self.load_core_share.median * 100.0,
            self.cpu.median,
            self.errors,
        )
    }

    fn flaws(&self) -> Vec<Flaw> {
        let found = [
            (Flaw::Failures, self.errors > 0),
            (Flaw::Dials, self.dials_per_request.median > DIALS_PER_REQUEST_MAX),
            (Flaw::LoadBound, self.load_core_share.median > LOAD_CORE_SHARE_MAX),
        ];
        found.into_iter().filter_map(|(flaw, is_found)| is_found.then_some(flaw)).collect()
    }
}
