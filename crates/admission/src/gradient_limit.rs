//! How many requests a service gets at a time: as many as it answers without getting slower.
//!
//! The limit follows the ratio of the usual response time to the recent one, as in Netflix's concurrency-limits (`Gradient2Limit`):
//! `limit × gradient + headroom`, smoothed, where the gradient is `tolerance × usual / recent`, at most 1. The headroom √limit and the
//! way in which the usual time is measured are those of Envoy's adaptive concurrency (its `minRTT`).
//!
//! `Gradient2Limit` takes a long average for the usual time, and to it a service that is overloaded for long enough is merely slow:
//! the limit grows for ever. Here only answers count for the usual time that came while no more than the minimum was in flight.
//! Where there are none because the limit is in use, it falls to the minimum for a moment, every half minute or more rarely
//! (`schedule`).
//!
//! A service has one limit, which all workers of a gateway share. Where several limits stand before one service, one that measures
//! while the others go on measures their load, takes it for the service's nature, and allows more of it: given the same seed, they
//! hold back at the same time. (Several gateways before one service do see each other's load: while it is overloaded their limits
//! drift upwards, in simulations by a third an hour with four of them.)
//!
//! Invariant: the limit stays within [`Policy::min`] and [`Policy::max`], and grows only while at least half of it is in use.
//! Elsewhere: counting what is in flight, and which requests are exempt (`phalanx-gateway`).

mod schedule;
mod window;

use std::{num::NonZeroU32, time::Duration};

use schedule::Schedule;
use window::Window;

/// Answers after which the limit is set anew, or as many as were in flight: fewer are chance, and an answer that was on its way when
/// the limit changed says nothing about the change.
const WINDOW_ANSWERS: u32 = 30;
/// Answers at the start from which the first usual time is taken.
const FIRST_ANSWERS: u32 = 30;
/// The usual time is an average over about so many answers.
const USUAL_ANSWERS: f64 = 200.0;
/// Below this share of the usual time, what was recent is not chance but news: the service has become faster.
const FASTER: f64 = 0.7;
/// No single answer counts for more than this many times the usual time, and one that never came counts for as much.
const SLOWNESS_MAX: f64 = 10.0;
/// However slow the service is, the limit does not fall faster.
const GRADIENT_MIN: f64 = 0.5;
/// How far the limit goes at once to where it should be.
const SMOOTHING: f64 = 0.5;

/// What the limit may be.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Policy {
    /// Never fewer.
    pub min: NonZeroU32,
    /// Never more.
    pub max: NonZeroU32,
    /// How many times its usual response time a service may take before it gets fewer requests; 1 or more.
    pub tolerance: f64,
}

/// Whether a request gets in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Admission {
    /// It does.
    Admitted,
    /// As many are in flight as may be: it waits, or is turned away.
    Refused,
}

/// Whether somebody was refused since the last probe: otherwise the limit is not in anyone's way and needs no probe.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Demand {
    Met,
    Unmet,
}

/// The limit of one service, or of one of several owners that share it. Time is the time since the owner began.
#[derive(Clone, Debug)]
pub struct GradientLimit {
    policy: Policy,
    schedule: Schedule,
    limit: f64,
    phase: Phase,
    /// The answers since the phase began or the limit was last set.
    window: Window,
    demand: Demand,
}

#[derive(Clone, Copy, Debug)]
enum Phase {
    /// Nothing is known: the minimum is in flight. The first answers are the quick ones, and so many more are let pass.
    Starting { unsettled: u32 },
    /// The limit follows the gradient, until a probe is due.
    Following { usual_seconds: f64, probe_at: Duration },
    /// The minimum is in flight, in order to see how long an answer takes then.
    Probing { usual_seconds: f64, began: Duration },
}

impl GradientLimit {
    /// A limit that begins at the minimum, until the usual response time is known. Limits of one service have the same `seed`.
    #[must_use]
    pub fn new(policy: Policy, seed: u64) -> Self {
        Self {
            policy,
            schedule: Schedule::new(seed),
            limit: f64::from(policy.min.get()),
            phase: Phase::Starting { unsettled: policy.min.get() },
            window: Window::default(),
            demand: Demand::Met,
        }
    }

    /// How many requests may be in flight.
    #[must_use]
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "it is within two positive u32"
    )]
    pub fn limit(&self) -> u32 {
        match self.phase {
            Phase::Following { .. } => self.limit as u32,
            Phase::Starting { .. } | Phase::Probing { .. } => self.policy.min.get(),
        }
    }

    /// Whether another request may be sent while so many are in flight.
    pub fn admits(&mut self, in_flight: u32) -> Admission {
        if in_flight < self.limit() {
            return Admission::Admitted;
        }
        self.demand = Demand::Unmet;
        Admission::Refused
    }

    /// A request has been answered at `now`, after `response_time`, and so many were in flight with it.
    pub fn answered(&mut self, response_time: Duration, in_flight: u32, now: Duration) {
        // Zero is what a coarse clock says of a very fast answer.
        let seconds = response_time.as_secs_f64().max(1e-9);
        match &mut self.phase {
            Phase::Starting { unsettled } if *unsettled > 0 => *unsettled -= 1,
            Phase::Starting { .. } => {
                self.window.answered(seconds, in_flight);
                if self.window.count() >= FIRST_ANSWERS {
                    self.follow(self.window.mean(), now);
                }
            }
            Phase::Following { usual_seconds, .. } => {
                self.window.answered(seconds.min(*usual_seconds * SLOWNESS_MAX), in_flight);
                self.turn(now);
            }
            Phase::Probing { usual_seconds, began } => {
                if schedule::is_quiet(*usual_seconds, now.saturating_sub(*began)) {
                    self.window.answered(seconds.min(*usual_seconds * SLOWNESS_MAX), in_flight);
                }
                self.turn(now);
            }
        }
    }

    /// A request has failed at `now` because no answer came, or none in time, and so many were in flight with it.
    pub fn dropped(&mut self, in_flight: u32, now: Duration) {
        if let Phase::Following { usual_seconds, .. } = self.phase {
            self.window.dropped(usual_seconds * SLOWNESS_MAX, in_flight);
        }
        self.turn(now);
    }

    /// Time has passed. A probe has to end also where nobody is answered who could end it.
    pub fn tick(&mut self, now: Duration) {
        self.turn(now);
    }

    /// Does what is due at `now`.
    fn turn(&mut self, now: Duration) {
        match self.phase {
            Phase::Starting { .. } => {}
            Phase::Following { usual_seconds, probe_at } => {
                if self.window.count() >= WINDOW_ANSWERS.max(self.window.in_flight_max()) {
                    let window = std::mem::take(&mut self.window);
                    let usual_seconds = self.usual_after(&window, usual_seconds);
                    self.limit = self.limit_after(&window, usual_seconds);
                    self.phase = Phase::Following { usual_seconds, probe_at };
                }
                if now >= probe_at {
                    self.probe(now);
                }
            }
            Phase::Probing { usual_seconds, began } => {
                if schedule::is_over(usual_seconds, now.saturating_sub(began)) {
                    self.follow(self.window.blended_into(usual_seconds, USUAL_ANSWERS), now);
                }
            }
        }
    }

    fn follow(&mut self, usual_seconds: f64, now: Duration) {
        self.window = Window::default();
        self.demand = Demand::Met;
        self.phase = Phase::Following { usual_seconds, probe_at: self.schedule.next(usual_seconds, now) };
    }

    /// Begins a probe, unless nobody was refused.
    fn probe(&mut self, now: Duration) {
        let Phase::Following { usual_seconds, .. } = self.phase else { return };
        if self.demand == Demand::Unmet && schedule::is_bearable(usual_seconds) {
            self.window = Window::default();
            self.phase = Phase::Probing { usual_seconds, began: now };
        } else {
            self.phase = Phase::Following { usual_seconds, probe_at: self.schedule.next(usual_seconds, now) };
        }
    }

    fn usual_after(&self, window: &Window, usual_seconds: f64) -> f64 {
        let is_unhurried = window.in_flight_max() <= self.policy.min.get();
        if is_unhurried {
            window.blended_into(usual_seconds, USUAL_ANSWERS)
        } else if window.mean() < usual_seconds * FASTER {
            f64::midpoint(usual_seconds, window.mean())
        } else {
            usual_seconds
        }
    }

    fn limit_after(&self, window: &Window, usual_seconds: f64) -> f64 {
        let gradient = (self.policy.tolerance * usual_seconds / window.mean()).clamp(GRADIENT_MIN, 1.0);
        let aim = self.limit * gradient + self.limit.sqrt();
        let in_flight_max = f64::from(window.in_flight_max());
        // What is not used was not tried either. And with the minimum in flight, a lower limit would help nobody: it would only be
        // too low when an idle service gets busy.
        let highest = if in_flight_max * 2.0 < self.limit { self.limit } else { f64::INFINITY };
        let lowest = if window.in_flight_max() <= self.policy.min.get() { self.limit } else { 0.0 };
        let limit = self.limit + (aim.clamp(lowest, highest) - self.limit) * SMOOTHING;
        let (min, max) = (f64::from(self.policy.min.get()), f64::from(self.policy.max.get()));
        limit.min(max).max(min)
    }
}

#[cfg(test)]
mod tests;
