//! What a client under load counted, tick by tick, and what follows from that: the cost of a query, and how a fault was borne.
//!
//! Pure: ticks in, figures out.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// How long a tick is meant to be. Its real length is in the readings.
pub(super) const TICK: Duration = Duration::from_millis(100);
/// Ticks whose median is the rate before a fault, and that at the end.
const RATE_TICKS: usize = 20;
/// The share of the rate before a fault at which the rate counts as recovered.
const RECOVERED_SHARE_MIN: f64 = 0.9;

/// What a client has done since its start, as one line of its output.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Reading {
    /// On the machine's monotonic clock, which all processes share.
    pub(super) at_us: u64,
    /// Queries that were answered as expected.
    pub(super) done: u64,
    /// Queries that were not.
    pub(super) failed: u64,
    /// User and system time of the client's process.
    pub(super) cpu_us: u64,
    /// What the last query that failed since the reading before said.
    pub(super) fault: Option<String>,
}

/// What happened between two readings.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Span {
    pub(super) done: u64,
    pub(super) failed: u64,
    pub(super) elapsed: Duration,
    pub(super) cpu: Duration,
}

impl Span {
    /// From one reading to a later one of the same client.
    fn between(from: &Reading, to: &Reading) -> Self {
        Self {
            done: to.done - from.done,
            failed: to.failed - from.failed,
            elapsed: Duration::from_micros(to.at_us - from.at_us),
            cpu: Duration::from_micros(to.cpu_us - from.cpu_us),
        }
    }

    /// All that was measured after `warmup`; `None` where nothing was.
    pub(super) fn after(readings: &[Reading], warmup: Duration) -> Option<Self> {
        let begin = readings.first()?.at_us + micros(warmup);
        let from = readings.iter().find(|reading| reading.at_us >= begin)?;
        let to = readings.last().filter(|last| last.at_us > from.at_us)?;
        Some(Self::between(from, to))
    }

    /// Queries a second that were answered.
    pub(super) fn rate(&self) -> f64 {
        self.done as f64 / self.elapsed.as_secs_f64()
    }

    /// What a query costs the client.
    pub(super) fn cpu_microseconds_per_query(&self) -> f64 {
        self.cpu.as_secs_f64() * 1e6 / self.done as f64
    }
}

/// One tick, placed by its end.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Tick {
    /// Whole ticks after the fault; the one in which it happened is 0, those before are negative.
    pub(super) index: i64,
    pub(super) span: Span,
}

/// How a load went on around a fault.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Timeline {
    pub(super) ticks: Vec<Tick>,
}

impl Timeline {
    /// Around the moment of the fault, on the clock of the readings.
    pub(super) fn around(readings: &[Reading], fault_at_us: u64) -> Self {
        let tick = |pair: &[Reading]| {
            let offset = i128::from(pair[1].at_us) - i128::from(fault_at_us);
            let index = offset.div_euclid(i128::from(micros(TICK)));
            let index = i64::try_from(index).expect("a run does not last for centuries");
            Tick { index, span: Span::between(&pair[0], &pair[1]) }
        };
        Self { ticks: readings.windows(2).map(tick).collect() }
    }

    /// The median rate of the last ticks before the fault.
    pub(super) fn rate_before(&self) -> f64 {
        let before: Vec<&Tick> = self.ticks.iter().filter(|tick| tick.index < 0).collect();
        median_rate(&before[before.len().saturating_sub(RATE_TICKS)..])
    }

    /// The median rate of the last ticks of all.
    pub(super) fn rate_at_end(&self) -> f64 {
        let after: Vec<&Tick> = self.ticks.iter().filter(|tick| tick.index >= 0).collect();
        median_rate(&after[after.len().saturating_sub(RATE_TICKS)..])
    }

    /// From the fault to the end of the last tick in which a query failed.
    pub(super) fn last_failure(&self) -> Option<Duration> {
        let failed = |tick: &&Tick| tick.index >= 0 && tick.span.failed > 0;
        self.ticks.iter().rfind(failed).map(|tick| ticks(tick.index + 1))
    }

    /// From the fault to the end of the first tick after the outage with nine tenths of the rate before; `None` when the
    /// rate did not come back.
    pub(super) fn recovered_after(&self) -> Option<Duration> {
        let enough = self.rate_before() * RECOVERED_SHARE_MIN;
        let after = || self.ticks.iter().filter(|tick| tick.index >= 0);
        // Ticks before the fault shows are as good as any, so the outage has to come first.
        let outage = after().position(|tick| tick.span.rate() < enough / 2.0).unwrap_or(0);
        after().skip(outage).find(|tick| tick.span.rate() >= enough).map(|tick| ticks(tick.index + 1))
    }

    /// Queries that failed from the fault on.
    pub(super) fn failed(&self) -> u64 {
        self.ticks.iter().filter(|tick| tick.index >= 0).map(|tick| tick.span.failed).sum()
    }

    /// The tick at a place, if the client was heard then.
    pub(super) fn at(&self, index: i64) -> Option<&Tick> {
        self.ticks.iter().find(|tick| tick.index == index)
    }
}

fn median_rate(ticks: &[&Tick]) -> f64 {
    let mut rates: Vec<f64> = ticks.iter().map(|tick| tick.span.rate()).collect();
    rates.sort_by(f64::total_cmp);
    match rates.len() {
        0 => 0.0,
        count => f64::midpoint(rates[(count - 1) / 2], rates[count / 2]),
    }
}

fn ticks(count: i64) -> Duration {
    TICK * u32::try_from(count).unwrap_or(0)
}

fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A client that starts at one second, with so many answers and failures in each tick.
    fn readings(ticks: &[(u64, u64)]) -> Vec<Reading> {
        let mut last = Reading { at_us: 1_000_000, done: 0, failed: 0, cpu_us: 500, fault: None };
        let mut all = vec![last.clone()];
        for (done, failed) in ticks {
            last.at_us += micros(TICK);
            last.done += done;
            last.failed += failed;
            last.cpu_us += 2 * done;
            all.push(last.clone());
        }
        all
    }

    #[test]
    fn what_comes_before_the_end_of_the_warmup_does_not_count() {
        let all = readings(&[(7, 1), (100, 0), (300, 2)]);
        let span = Span::after(&all, TICK).unwrap();
        assert_eq!((span.done, span.failed, span.elapsed), (400, 2, 2 * TICK));
        assert_eq!((span.rate(), span.cpu_microseconds_per_query()), (2_000.0, 2.0));
        assert_eq!(Span::after(&all, 3 * TICK), None);
        assert_eq!(Span::after(&[], TICK), None);
    }

    #[test]
    fn an_outage_is_told_from_what_is_around_it() {
        let all = readings(&[
            (100, 0),
            (102, 0),
            (98, 0),
            (40, 9),
            (0, 64),
            (0, 0),
            (0, 3),
            (50, 0),
            (95, 0),
            (99, 0),
        ]);
        // In the middle of the fourth tick, which reaches from 1.3 s to 1.4 s.
        let timeline = Timeline::around(&all, 1_350_000);
        assert_eq!(
            timeline.ticks.iter().map(|tick| tick.index).collect::<Vec<_>>(),
            [-3, -2, -1, 0, 1, 2, 3, 4, 5, 6]
        );
        assert_eq!(timeline.rate_before(), 1_000.0);
        assert_eq!(timeline.last_failure(), Some(4 * TICK));
        assert_eq!(timeline.recovered_after(), Some(6 * TICK));
        assert_eq!(timeline.failed(), 76);
        assert_eq!(timeline.at(1).unwrap().span.failed, 64);
    }

    #[test]
    fn a_rate_that_does_not_come_back_is_none() {
        let timeline =
            Timeline::around(&readings(&[(100, 0), (100, 0), (0, 1), (70, 0), (80, 0)]), 1_200_000);
        assert_eq!((timeline.recovered_after(), timeline.rate_at_end()), (None, 750.0));
    }
}
