//! A policy tried on a load of the past: what it would have decided, and what that would have cost.
//!
//! The service is a model: every replica serves the same number of requests a second, and takes the same time to start. The
//! load is spread evenly over those that are ready. What is measured is what would be: requests where they arrive, though too
//! many; processor time where they are served, so that it never exceeds what there is.
//!
//! Invariant: the same trace, service and policy give the same outcome. Time goes on by whole seconds.
//! Elsewhere: files, tables and charts (`phalanx autoscale simulate`).

mod decider;
mod model;
mod trace;

use std::time::Duration;

use self::{decider::Decider, model::Fleet};
pub use self::{
    model::Service,
    trace::{TRACE_MAX, Trace, TraceError},
};
use crate::{Mode, Signal, Why, number};

/// The most replicas that are simulated: each is remembered.
pub const REPLICAS_SIMULATED_MAX: u32 = 10_000;

/// A policy and how often it is decided by.
#[derive(Clone, Debug, PartialEq)]
pub struct Plan {
    mode: Mode,
    interval: Duration,
}

/// Why a policy cannot be simulated.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PlanError {
    /// More replicas than are remembered.
    #[error("max must be at most {REPLICAS_SIMULATED_MAX} to be simulated")]
    TooManyReplicas,
    /// A trace does not tell it, and nothing else does.
    #[error("a load does not tell of `{signal}`: simulate by cpu or by requests per second")]
    NotModelled {
        /// What.
        signal: Signal,
    },
}

/// What would have happened.
#[derive(Clone, Debug, PartialEq)]
pub struct Outcome {
    /// Every change of the number, with its reasons.
    pub changes: Vec<Change>,
    /// What there was at each decision.
    pub points: Vec<Point>,
    /// What it comes to.
    pub totals: Totals,
}

/// A change of the number.
#[derive(Clone, Debug, PartialEq)]
pub struct Change {
    /// When, since the trace began.
    pub at: Duration,
    /// From what to what, and why.
    pub reasons: Why,
}

/// What there was at a decision.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Point {
    /// When, since the trace began.
    pub at: Duration,
    /// Requests a second, in thousandths.
    pub load_milli: i64,
    /// Replicas that serve.
    pub ready: u32,
    /// Replicas that exist, after the decision.
    pub replicas: u32,
}

/// What it comes to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// How long there were more requests than the replicas could serve.
    pub under_capacity: Duration,
    /// How long there was at least one replica more than the load and `min` needed.
    pub over_capacity: Duration,
    /// Requests that nobody could serve.
    pub requests_unserved: u64,
    /// The time of all replicas added up.
    pub replica_time: Duration,
    /// The most replicas there were.
    pub replicas_most: u32,
}

const SECOND: Duration = Duration::from_secs(1);

impl Plan {
    /// To decide in this way once in `interval`, of which less than a second counts as one.
    ///
    /// # Errors
    /// If it cannot be simulated.
    pub fn new(mode: Mode, interval: Duration) -> Result<Self, PlanError> {
        if mode.max() > REPLICAS_SIMULATED_MAX {
            return Err(PlanError::TooManyReplicas);
        }
        let mut signals = mode.signals().into_iter().flatten();
        match signals.find(|signal| matches!(signal, Signal::Memory | Signal::InFlight)) {
            Some(signal) => Err(PlanError::NotModelled { signal }),
            None => Ok(Self { mode, interval: interval.max(SECOND) }),
        }
    }

    /// By which rules it is decided.
    #[must_use]
    pub fn mode(&self) -> &Mode {
        &self.mode
    }
}

/// Tries a plan on a trace.
#[must_use]
pub fn simulate(plan: &Plan, service: &Service, trace: &Trace) -> Outcome {
    let mut fleet = Fleet::new(service);
    let mut decider = Decider::new(&plan.mode);
    let mut outcome = Outcome { changes: Vec::new(), points: Vec::new(), totals: Totals::default() };
    let mut unserved_milli = 0_i128;
    let mut window = Window::default();
    let mut decide_at = Duration::ZERO;
    let mut loads = trace.cursor();
    let mut at = Duration::ZERO;
    while at < trace.length() {
        let load_milli = loads.at(at);
        window.add(load_milli);
        if at >= decide_at {
            let before = fleet.replicas();
            let reasons = decider.decide(&fleet, window.mean(), plan.interval, at);
            decider.changed(before, reasons.to(), at);
            fleet.scale(reasons.to(), at);
            if reasons.to() != before {
                outcome.changes.push(Change { at, reasons });
            }
            outcome.points.push(Point { at, load_milli, ready: fleet.ready(at), replicas: fleet.replicas() });
            window = Window::default();
            decide_at = at.saturating_add(plan.interval);
        }
        unserved_milli += outcome.totals.count(&fleet, plan.mode.min(), load_milli, at);
        at += SECOND;
    }
    outcome.totals.requests_unserved = u64::try_from(unserved_milli / 1_000).unwrap_or(u64::MAX);
    outcome
}

/// The load since the decision before.
#[derive(Default)]
struct Window {
    sum_milli: i128,
    seconds: i128,
}

impl Window {
    fn add(&mut self, load_milli: i64) {
        self.sum_milli += i128::from(load_milli);
        self.seconds += 1;
    }

    fn mean(&self) -> i64 {
        number::narrow(self.sum_milli / self.seconds.max(1))
    }
}

impl Totals {
    /// Counts one second, and returns the requests that nobody could serve in it, in thousandths.
    fn count(&mut self, fleet: &Fleet<'_>, min: u32, load_milli: i64, at: Duration) -> i128 {
        let capacity_milli = fleet.capacity_milli(at);
        let short = i128::from(load_milli) - capacity_milli;
        if short > 0 {
            self.under_capacity += SECOND;
        }
        let replicas = fleet.replicas();
        if replicas > fleet.needed(load_milli).max(min) {
            self.over_capacity += SECOND;
        }
        self.replica_time = self.replica_time.saturating_add(SECOND.saturating_mul(replicas));
        self.replicas_most = self.replicas_most.max(replicas);
        short.max(0)
    }
}

#[cfg(test)]
mod tests;
