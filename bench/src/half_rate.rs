//! Every proxy at the same fixed rate, half of what the slowest of them took: how long requests take in service.
//!
//! At saturation a latency tells the length of the queue that the load generator keeps up, and the faster a proxy the more it
//! is asked for. Here all get the same rate, which none of them has trouble with.
//! Rounds are interleaved like those at saturation (`crate::load`), after which these come, since they give the rate.

use std::{collections::BTreeMap, fmt, num::NonZeroU32, time::Duration};

use anyhow::{Context, ensure};
use hdrhistogram::Histogram;
use phalanx_telemetry::clock;
use rustix::process::getpid;

use crate::{
    cores::Placement,
    fixed_rate::{Fault, FixedRate, Target},
    load::{Loader, SETTLE, Window, rotated},
    proxy::{Kind, Proxy},
    scenario::Scenario,
    spread::Spread,
    usage::{self, CpuReading, CpuTime},
};

/// After the last request was due: a proxy at half of its rate that needs longer is at fault.
const PATIENCE: Duration = Duration::from_secs(5);

/// One proxy under one scenario in one round.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct PacedWindow {
    /// From 1.
    pub(crate) round: u32,
    pub(crate) scenario: Scenario,
    pub(crate) proxy: Kind,
    pub(crate) requests_per_second: NonZeroU32,
    /// Requests that were answered as they should be.
    pub(crate) answered: u64,
    /// From when a request was due to the last byte of its answer.
    pub(crate) latency: Latency,
    /// How late the load generator was in letting requests go, which is part of the latencies: 99 of 100 within it.
    pub(crate) lateness_p99: Duration,
    /// The share of the window in which the core of the load was busy with it, or with the origin where that is there too.
    pub(crate) load_core_share: f64,
    /// What the proxy used.
    pub(crate) cpu: CpuTime,
    /// Connections opened to the origin meanwhile, one of them ours.
    pub(crate) origin_connections: u64,
    /// Requests that failed, by kind.
    pub(crate) faults: BTreeMap<Fault, u64>,
}

/// Within which time how many of the answers came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Latency {
    pub(crate) p50: Duration,
    pub(crate) p99: Duration,
    pub(crate) p999: Duration,
}

impl Latency {
    pub(crate) fn of(nanoseconds: &Histogram<u64>) -> Self {
        let at = |quantile| Duration::from_nanos(nanoseconds.value_at_quantile(quantile));
        Self { p50: at(0.5), p99: at(0.99), p999: at(0.999) }
    }
}

impl PacedWindow {
    pub(crate) fn cpu_microseconds_per_request(&self) -> f64 {
        self.cpu.used.as_secs_f64() * 1e6 / self.answered as f64
    }

    /// Requests that failed in whatever way.
    pub(crate) fn errors(&self) -> u64 {
        self.faults.values().sum()
    }
}

/// Fails when a request failed in any of the windows: they have been reported, and are no comparison.
pub(crate) fn ensure_faultless(windows: &[PacedWindow]) -> anyhow::Result<()> {
    let faults = windows.iter().flat_map(|window| {
        let each = window.faults.iter();
        each.map(|(fault, count)| format!("{} at {}: {count} × {fault}", window.proxy, window.scenario))
    });
    let faults: Vec<String> = faults.collect();
    ensure!(faults.is_empty(), "requests failed at a fixed rate: {}", faults.join("; "));
    Ok(())
}

/// What the windows share.
#[derive(Clone, Copy, Debug)]
pub(crate) struct HalfRate<'a> {
    pub(crate) loader: &'a Loader,
    pub(crate) placement: Placement,
    pub(crate) window_seconds: u32,
}

impl HalfRate<'_> {
    /// Measures all rounds.
    pub(crate) async fn measure(
        &self,
        proxies: &[Proxy],
        saturated: &[Window],
    ) -> anyhow::Result<Vec<PacedWindow>> {
        let cases = Case::of(saturated)?;
        let rounds = self.loader.schedule.rounds;
        let mut windows = Vec::new();
        for round in 1..=rounds {
            for &case in &cases {
                for proxy in rotated(proxies, round) {
                    let window = self.measure_window(proxy, case, round).await;
                    let window = window
                        .with_context(|| format!("measure {} at {case} in round {round}", proxy.kind))?;
                    eprintln!(
                        "round {round} of {rounds}: {case} {:<8} {:6.2} µs/request p99 {:.3} ms {} errors",
                        window.proxy,
                        window.cpu_microseconds_per_request(),
                        window.latency.p99.as_secs_f64() * 1e3,
                        window.errors(),
                    );
                    windows.push(window);
                }
            }
        }
        Ok(windows)
    }

    async fn measure_window(&self, proxy: &Proxy, case: Case, round: u32) -> anyhow::Result<PacedWindow> {
        let Case { scenario, requests_per_second } = case;
        let Loader { origin, schedule, .. } = self.loader;
        let target = Target {
            address: proxy.address,
            path: scenario.body.path().to_owned(),
            fields: String::new(),
            body_bytes: scenario.body.text().len() as u64,
            patience: PATIENCE,
        };
        // The load is made by this program, which has one thread and nothing else to do meanwhile.
        let _pinned = self.placement.load.pin().context("move to the core of the load")?;
        let mut load = FixedRate::connect(&target, scenario.connections).await.context("connect")?;
        let seconds = |seconds: u32| Duration::from_secs(seconds.into());
        let warmup =
            load.offer(requests_per_second, seconds(schedule.warmup_seconds)).await.context("warm up")?;
        tokio::time::sleep(SETTLE).await;
        let accepted_before = origin.connections_accepted().await?;
        let cpu_before = CpuReading::of(proxy.pid())?;
        let load_cpu_before = self.load_cpu()?;
        let start = clock::now();
        let offered = load.offer(requests_per_second, seconds(self.window_seconds)).await?;
        let elapsed = clock::now() - start;
        let load_cpu = self.load_cpu()?.since(&load_cpu_before);
        tokio::time::sleep(SETTLE).await;
        let cpu = CpuReading::of(proxy.pid())?.since(&cpu_before);
        let origin_connections = origin.connections_accepted().await? - accepted_before;
        let mut faults = warmup.faults;
        for (fault, count) in offered.faults {
            *faults.entry(fault).or_default() += count;
        }
        ensure!(!offered.latency.is_empty(), "no request was answered: {faults:?}");
        Ok(PacedWindow {
            round,
            scenario,
            proxy: proxy.kind,
            requests_per_second,
            answered: offered.latency.len(),
            latency: Latency::of(&offered.latency),
            lateness_p99: Latency::of(&offered.lateness).p99,
            load_core_share: load_cpu.used.as_secs_f64() / elapsed.as_secs_f64(),
            cpu,
            origin_connections,
            faults,
        })
    }

    /// What the core of the load was used for.
    fn load_cpu(&self) -> anyhow::Result<CpuReading> {
        let Placement { origin, load, .. } = self.placement;
        let origin = if origin == load { usage::tree(self.loader.origin.pid())? } else { Vec::new() };
        CpuReading::of_each(origin.into_iter().chain([getpid()]))
    }
}

/// A scenario, and the rate that all proxies get under it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Case {
    scenario: Scenario,
    requests_per_second: NonZeroU32,
}

impl fmt::Display for Case {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{:<12} {} requests/s", self.scenario, self.requests_per_second)
    }
}

impl Case {
    /// In the order of the first window of each scenario.
    fn of(saturated: &[Window]) -> anyhow::Result<Vec<Self>> {
        let mut cases: Vec<Self> = Vec::new();
        for scenario in saturated.iter().map(|window| window.scenario) {
            if cases.iter().all(|case| case.scenario != scenario) {
                cases.push(Self { scenario, requests_per_second: half_of_lowest(saturated, scenario)? });
            }
        }
        Ok(cases)
    }
}

/// Half of the lowest saturated rate: of the medians of the proxies, since one bad round is not what a proxy can do.
fn half_of_lowest(saturated: &[Window], scenario: Scenario) -> anyhow::Result<NonZeroU32> {
    let mut rates: BTreeMap<Kind, Vec<f64>> = BTreeMap::new();
    for window in saturated.iter().filter(|window| window.scenario == scenario) {
        rates.entry(window.proxy).or_default().push(window.requests_per_second());
    }
    let lowest =
        rates.into_values().map(|rates| Spread::of(rates.into_iter()).median).fold(f64::MAX, f64::min);
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a rate is positive, and no machine answers four billion requests a second"
    )]
    let half = (lowest / 2.0) as u32;
    NonZeroU32::new(half).with_context(|| format!("{lowest} requests a second have no half at {scenario}"))
}

#[cfg(test)]
mod tests {
    use std::{num::NonZeroU32, time::Duration};

    use super::{Case, Kind, Scenario, Window, ensure_faultless};
    use crate::{
        fixed_rate::Fault,
        half_rate::PacedWindow,
        scenario::Body,
        usage::{CpuSource, CpuTime},
        wrk::{Errors, Served},
    };

    const CPU: CpuTime = CpuTime { used: Duration::from_secs(1), source: CpuSource::Schedstat };
    const SMALL: Scenario = Scenario { body: Body::Json, connections: 64 };
    const LARGE: Scenario = Scenario { body: Body::SixteenKib, connections: 64 };

    fn saturated(proxy: Kind, scenario: Scenario, requests: u64) -> Window {
        let (elapsed, latency_p99) = (Duration::from_secs(2), Duration::from_millis(1));
        let served = Served { requests, elapsed, latency_p99, errors: Errors::default() };
        Window { round: 1, scenario, proxy, served, cpu: CPU, origin_connections: 1 }
    }

    #[test]
    fn everybody_gets_half_of_the_lowest_median() {
        let windows = [
            saturated(Kind::Nginx, SMALL, 80_000),
            saturated(Kind::Phalanx, SMALL, 120_000),
            saturated(Kind::Nginx, LARGE, 30_001),
            saturated(Kind::Phalanx, LARGE, 20_003),
            // One bad round of three does not lower the rate.
            saturated(Kind::Nginx, SMALL, 10_000),
            saturated(Kind::Nginx, SMALL, 90_000),
        ];
        let case = |scenario, rate| Case { scenario, requests_per_second: NonZeroU32::new(rate).unwrap() };
        assert_eq!(Case::of(&windows).unwrap(), [case(SMALL, 20_000), case(LARGE, 5_000)]);
        assert_eq!(
            Case::of(&[saturated(Kind::Nginx, SMALL, 2)]).unwrap_err().to_string(),
            "1 requests a second have no half at 100 B × 64"
        );
    }

    #[test]
    fn a_fault_in_any_window_fails_the_run_with_its_kind() {
        let window = |faults: &[(Fault, u64)]| PacedWindow {
            round: 1,
            scenario: SMALL,
            proxy: Kind::Haproxy,
            requests_per_second: NonZeroU32::MIN,
            answered: 10,
            latency: super::Latency { p50: Duration::ZERO, p99: Duration::ZERO, p999: Duration::ZERO },
            lateness_p99: Duration::ZERO,
            load_core_share: 0.5,
            cpu: CPU,
            origin_connections: 1,
            faults: faults.iter().copied().collect(),
        };
        ensure_faultless(&[window(&[])]).unwrap();
        let failed = [window(&[]), window(&[(Fault::Status(502), 3), (Fault::Unanswered, 1)])];
        assert_eq!(
            ensure_faultless(&failed).unwrap_err().to_string(),
            "requests failed at a fixed rate: HAProxy at 100 B × 64: 3 × status 502; HAProxy at 100 B × 64: 1 × no answer"
        );
    }
}
