//! The rounds: every proxy under every scenario, in turn.
//!
//! Rounds are interleaved and each begins with another proxy, so that a machine that gets slower or faster meanwhile
//! favours none of them.

use std::time::Duration;

use anyhow::{Context, ensure};

use crate::{
    origin::Origin,
    proxy::{Kind, Proxy},
    scenario::Scenario,
    usage::{CpuReading, CpuTime},
    wrk::{Served, Wrk},
};

/// After a run, until the proxy has closed what wrk left behind and is idle.
pub(crate) const SETTLE: Duration = Duration::from_millis(100);

/// How long, and how often.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Schedule {
    /// How often everything is measured.
    pub(crate) rounds: u32,
    /// Load before each window, not measured.
    pub(crate) warmup_seconds: u32,
    /// Length of each window.
    pub(crate) window_seconds: u32,
}

/// One proxy under one scenario in one round.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Window {
    /// From 1.
    pub(crate) round: u32,
    pub(crate) scenario: Scenario,
    pub(crate) proxy: Kind,
    pub(crate) served: Served,
    /// What the proxy used from before the first to after the last connection.
    pub(crate) cpu: CpuTime,
    /// Connections opened to the origin meanwhile, one of them ours.
    pub(crate) origin_connections: u64,
}

impl Window {
    /// The measure of all: what a request costs the proxy.
    pub(crate) fn cpu_microseconds_per_request(&self) -> f64 {
        self.cpu.used.as_secs_f64() * 1e6 / self.served.requests as f64
    }

    pub(crate) fn requests_per_second(&self) -> f64 {
        self.served.requests as f64 / self.served.elapsed.as_secs_f64()
    }

    /// The share of the window in which the proxy ran; well below 1, something else was the bottleneck.
    pub(crate) fn core_share(&self) -> f64 {
        self.cpu.used.as_secs_f64() / self.served.elapsed.as_secs_f64()
    }
}

/// What puts proxies under load, and looks at them.
#[derive(Debug)]
pub(crate) struct Loader {
    pub(crate) wrk: Wrk,
    pub(crate) origin: Origin,
    pub(crate) schedule: Schedule,
}

impl Loader {
    /// Measures all rounds.
    pub(crate) async fn measure(
        &self,
        proxies: &[Proxy],
        scenarios: &[Scenario],
    ) -> anyhow::Result<Vec<Window>> {
        let mut windows = Vec::new();
        for round in 1..=self.schedule.rounds {
            for &scenario in scenarios {
                for proxy in rotated(proxies, round) {
                    let window = self.measure_window(proxy, scenario, round).await;
                    let window = window
                        .with_context(|| format!("measure {} at {scenario} in round {round}", proxy.kind))?;
                    eprintln!(
                        "round {round} of {}: {scenario:<12} {:<8} {:6.2} µs/request {:8.0} requests/s {} errors",
                        self.schedule.rounds,
                        window.proxy,
                        window.cpu_microseconds_per_request(),
                        window.requests_per_second(),
                        window.served.errors.total(),
                    );
                    windows.push(window);
                }
            }
        }
        Ok(windows)
    }

    async fn measure_window(&self, proxy: &Proxy, scenario: Scenario, round: u32) -> anyhow::Result<Window> {
        let load = |seconds| self.wrk.run(proxy.address, scenario.body.path(), scenario.connections, seconds);
        load(self.schedule.warmup_seconds).await.context("warm up")?;
        tokio::time::sleep(SETTLE).await;
        let accepted_before = self.origin.connections_accepted().await?;
        let cpu_before = CpuReading::of(proxy.pid())?;
        let served = load(self.schedule.window_seconds).await?;
        tokio::time::sleep(SETTLE).await;
        let cpu = CpuReading::of(proxy.pid())?.since(&cpu_before);
        let origin_connections = self.origin.connections_accepted().await? - accepted_before;
        ensure!(served.requests > 0, "no request was answered: {:?}", served.errors);
        Ok(Window { round, scenario, proxy: proxy.kind, served, cpu, origin_connections })
    }
}

/// The proxies in the order of this round.
pub(crate) fn rotated<T>(proxies: &[T], round: u32) -> impl Iterator<Item = &T> {
    let first = round as usize % proxies.len().max(1);
    proxies.iter().cycle().skip(first).take(proxies.len())
}

#[cfg(test)]
mod tests {
    use super::rotated;

    #[test]
    fn every_proxy_begins_a_round_in_turn() {
        let order = |round| rotated(&["a", "b", "c"], round).copied().collect::<String>();
        assert_eq!([order(1), order(2), order(3), order(4)], ["bca", "cab", "abc", "bca"]);
    }
}
