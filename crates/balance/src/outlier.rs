//! Finds endpoints that do much worse than the others of their service: answers that are errors, or that take long, which failed
//! attempts and checks do not show.
//!
//! An endpoint is compared with the others only, so what is wrong with all of them, or with what they share, takes nobody out.
//!
//! Invariant: whoever is found, another that was compared with it goes on serving.
//! Elsewhere: what becomes of a verdict ([`crate::health::Event::FoundOutlying`]).

mod comparison;
#[cfg(test)]
mod tests;
mod window;

use std::{collections::HashMap, fmt, num::NonZeroU32, time::Duration};

use comparison::{Judged, worst};
pub use window::Totals;
use window::Window;

use crate::health::{Cause, Standing};

/// How many ejections in a row lengthen the next one.
const IN_A_ROW_MAX: u32 = 10;

/// When an endpoint is an outlier, and for how long it is out for that.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Policy {
    /// The share of failures from which an endpoint is one if the others fail less than half as often.
    pub error_rate: f64,
    /// How many times the median response time of the others it takes to be one.
    pub latency_factor: f64,
    /// Requests within the window below which an endpoint is neither judged nor compared with.
    pub volume: NonZeroU32,
    /// The time over which is counted.
    pub window: Duration,
    /// How long it is out the first time; each time in a row longer by as much, up to ten times.
    pub ejection: Duration,
    /// The share of the endpoints that may be out for this at a time.
    pub max_ejected: f64,
}

/// An endpoint as it is seen at a tick.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Observed {
    /// What stays the same as long as it is the same endpoint; no two have it in common.
    pub identity: u64,
    /// How it stands. Only those that serve are judged.
    pub standing: Standing,
    /// What has been counted for it since somebody began to.
    pub totals: Totals,
}

/// An endpoint was found to be an outlier.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Verdict {
    /// Which one.
    pub identity: u64,
    /// What it does worse.
    pub cause: OutlierCause,
    /// For how long it should be out.
    pub ejected_for: Duration,
}

/// What an endpoint does much worse than the others it was compared with.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum OutlierCause {
    /// It fails more often.
    ErrorRate {
        /// The share of its requests that failed.
        own: f64,
        /// The share of all requests of the others that failed.
        others: f64,
    },
    /// It takes longer.
    Latency {
        /// Its mean response time.
        own: Duration,
        /// The median of the means of the others.
        others: Duration,
    },
}

impl fmt::Display for OutlierCause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ErrorRate { own, others } => {
                write!(f, "fails {:.0} % of its requests, the others {:.0} %", own * 100.0, others * 100.0)
            }
            Self::Latency { own, others } => {
                write!(f, "takes {} ms on average, the others {} ms", own.as_millis(), others.as_millis())
            }
        }
    }
}

/// Looks for outliers among the endpoints of one service.
#[derive(Clone, Debug)]
pub struct Detector {
    policy: Policy,
    records: HashMap<u64, Record>,
}

/// What is remembered of an endpoint from tick to tick.
#[derive(Clone, Debug)]
struct Record {
    last: Totals,
    window: Window,
    ejections_in_a_row: u32,
    /// Since when it has served, as far as that has not been taken off its ejections.
    peace_began: Option<Duration>,
}

impl Detector {
    /// Nothing is known of any endpoint.
    #[must_use]
    pub fn new(policy: Policy) -> Self {
        Self { policy, records: HashMap::new() }
    }

    /// Takes in all endpoints of the service as they are at `now`, and forgets all others; those that are outliers, the worst first.
    pub fn on_tick(&mut self, observed: &[Observed], now: Duration) -> Vec<Verdict> {
        let mut known = std::mem::take(&mut self.records);
        self.records = observed
            .iter()
            .map(|endpoint| {
                let mut record = known
                    .remove(&endpoint.identity)
                    .unwrap_or_else(|| Record::new(endpoint.totals, &self.policy));
                record.take_in(endpoint, &self.policy, now);
                (endpoint.identity, record)
            })
            .collect();

        let mut judged = self.judged(observed, now);
        let mut verdicts = Vec::new();
        for _ in 0..self.room(observed) {
            // Compared anew without those that are found already: they no longer serve.
            let Some((index, cause)) = worst(&judged, &self.policy) else { break };
            let Judged { identity, .. } = judged.swap_remove(index);
            let Some(record) = self.records.get_mut(&identity) else { break };
            verdicts.push(Verdict { identity, cause, ejected_for: record.eject(&self.policy) });
        }
        verdicts
    }

    /// Those that serve and have had enough requests to be compared.
    fn judged(&self, observed: &[Observed], now: Duration) -> Vec<Judged> {
        let serving = observed.iter().filter(|endpoint| endpoint.standing == Standing::Serving);
        let judged = serving.filter_map(|endpoint| {
            let totals = self.records.get(&endpoint.identity)?.window.sum(now);
            (totals.requests >= u64::from(self.policy.volume.get()))
                .then_some(Judged { identity: endpoint.identity, totals })
        });
        judged.collect()
    }

    /// How many more may be out for this.
    fn room(&self, observed: &[Observed]) -> usize {
        // A share such as 0.57 of 100 is a hair less than the 57 that it means.
        let share = self.policy.max_ejected * observed.len() as f64 + 1e-9;
        // Never all of them.
        let may_be_out = (1..observed.len()).take_while(|count| *count as f64 <= share).count();
        let is_out = |endpoint: &&Observed| {
            matches!(endpoint.standing, Standing::Ejected { cause: Cause::Outlier, .. })
        };
        may_be_out.saturating_sub(observed.iter().filter(is_out).count())
    }
}

impl Record {
    fn new(totals: Totals, policy: &Policy) -> Self {
        Self { last: totals, window: Window::new(policy.window), ejections_in_a_row: 0, peace_began: None }
    }

    fn take_in(&mut self, endpoint: &Observed, policy: &Policy, now: Duration) {
        let Some(news) = endpoint.totals.since(&self.last) else {
            // It was forgotten where it is counted: another one, as far as anybody knows.
            *self = Self::new(endpoint.totals, policy);
            return;
        };
        self.last = endpoint.totals;
        if endpoint.standing == Standing::Serving {
            self.window.add(&news, now);
            self.forgive(policy, now);
        } else {
            // It is judged by what it does from its return on.
            self.window.clear();
            self.peace_began = None;
        }
    }

    /// Takes one ejection off for each window that it has served in peace.
    fn forgive(&mut self, policy: &Policy, now: Duration) {
        let began = self.peace_began.get_or_insert(now);
        while self.ejections_in_a_row > 0 && now.saturating_sub(*began) >= policy.window {
            self.ejections_in_a_row -= 1;
            *began += policy.window;
        }
    }

    /// Counts an ejection; for how long it is.
    fn eject(&mut self, policy: &Policy) -> Duration {
        self.ejections_in_a_row = (self.ejections_in_a_row + 1).min(IN_A_ROW_MAX);
        self.peace_began = None;
        self.window.clear();
        policy.ejection.saturating_mul(self.ejections_in_a_row)
    }
}
