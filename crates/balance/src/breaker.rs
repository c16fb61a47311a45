//! Whether a service gets requests at all: one that fails most of them gets none for a while.
//!
//! The owner feeds it a few times a second with what has been answered in total, over all workers, and publishes every
//! [`State`] that comes back. While the breaker is half open the owner hands out the permits; how those requests ended shows in the
//! totals, so nothing is reported one by one.
//!
//! Invariant: a service with fewer requests than [`Policy::volume`] in the window never loses them all to a few failures.
//! Elsewhere: answering 503 while it is open, and counting permits (`phalanx-gateway`); single endpoints ([`crate::health`]).
//!
//! A request that was sent before the breaker opened and fails while it is half open counts as a failed trial: totals do not
//! tell them apart, and a service that still lets requests run into their timeout is not well.

mod window;

use std::{num::NonZeroU32, time::Duration};

use window::Window;

/// Requests that are let through on trial: few enough to do no harm, and one that passes by luck is not believed.
pub const TRIALS: u32 = 3;
/// Beyond this many times [`Policy::open`], waiting longer would only hide that the service is back.
const OPEN_FACTOR_MAX: u32 = 8;

/// When a breaker opens, and for how long.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Policy {
    /// The share of failures that opens it, 0 to 1.
    pub error_rate: f64,
    /// Requests within the window below which it never opens.
    pub volume: NonZeroU32,
    /// The time over which is counted.
    pub window: Duration,
    /// How long it stays open the first time; each time in a row twice as long, up to eight times.
    pub open: Duration,
}

/// What a service has answered since its owner began.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// Requests that have ended, well or not.
    pub requests: u64,
    /// Those of them that failed.
    pub failures: u64,
}

/// Which requests may go to the service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// All.
    Closed,
    /// None.
    Open {
        /// When some are let through on trial.
        until: Duration,
    },
    /// Some, on trial.
    HalfOpen {
        /// How many, from the moment of this change on.
        permits: u32,
        /// When permits are renewed because too few of the requests that got one have ended.
        until: Duration,
    },
}

/// The circuit breaker of one service. Time is the time since the owner began.
#[derive(Clone, Debug)]
pub struct CircuitBreaker {
    policy: Policy,
    phase: Phase,
    /// How often it has opened since it was last closed.
    openings: u32,
    /// The totals of the event before; none before the first.
    seen: Option<Totals>,
}

/// A [`State`] with what leads out of it.
#[derive(Clone, Debug)]
enum Phase {
    Closed(Window),
    Open { until: Duration },
    HalfOpen { passed: u64, until: Duration },
}

impl CircuitBreaker {
    /// A closed breaker. What was counted before its first event does not matter to it.
    #[must_use]
    pub fn new(policy: Policy) -> Self {
        Self { policy, phase: Phase::Closed(Window::new(policy.window)), openings: 0, seen: None }
    }

    /// The state after the last event.
    #[must_use]
    pub fn state(&self) -> State {
        match self.phase {
            Phase::Closed(_) => State::Closed,
            Phase::Open { until } => State::Open { until },
            Phase::HalfOpen { until, .. } => State::HalfOpen { permits: TRIALS, until },
        }
    }

    /// Takes in the totals at `now`; the state, when that changed it or renewed its permits.
    pub fn on(&mut self, totals: Totals, now: Duration) -> Option<State> {
        let before = self.state();
        let news = self.news(totals);
        match &mut self.phase {
            Phase::Closed(window) => {
                window.add(news, now);
                if exceeds(&self.policy, window.sum()) {
                    self.open(now);
                }
            }
            // What ends meanwhile was sent before, and has been judged by the company it came with.
            Phase::Open { until } => {
                if now >= *until {
                    self.phase = Phase::HalfOpen { passed: 0, until: now + self.policy.open };
                }
            }
            Phase::HalfOpen { passed, until } => {
                *passed += news.requests;
                if news.failures > 0 {
                    self.open(now);
                } else if *passed >= u64::from(TRIALS) {
                    self.close();
                } else if now >= *until {
                    // Those who hold the permits hang, or their clients have gone: others may try.
                    *until = now + self.policy.open;
                }
            }
        }
        let after = self.state();
        (after != before).then_some(after)
    }

    /// What has ended since the event before.
    fn news(&mut self, totals: Totals) -> Totals {
        let since = |seen: Totals| {
            let requests = totals.requests.checked_sub(seen.requests)?;
            let failures = totals.failures.checked_sub(seen.failures)?;
            Some(Totals { requests, failures: failures.min(requests) })
        };
        // Totals shrink when an endpoint goes with its counts. What the others did meanwhile cannot be told then, and the next event
        // comes soon.
        let news = self.seen.and_then(since).unwrap_or_default();
        self.seen = Some(totals);
        news
    }

    fn open(&mut self, now: Duration) {
        let factor = 2_u32.saturating_pow(self.openings).min(OPEN_FACTOR_MAX);
        self.openings = self.openings.saturating_add(1);
        self.phase = Phase::Open { until: now + self.policy.open.saturating_mul(factor) };
    }

    fn close(&mut self) {
        self.openings = 0;
        self.phase = Phase::Closed(Window::new(self.policy.window));
    }
}

fn exceeds(policy: &Policy, counted: Totals) -> bool {
    counted.requests >= u64::from(policy.volume.get())
        && counted.failures as f64 >= policy.error_rate * counted.requests as f64
}

#[cfg(test)]
mod tests;
