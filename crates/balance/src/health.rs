//! Whether an endpoint may get requests: what active checks, failed attempts, comparison with others and orders make of its
//! standing.
//!
//! Time is the time since the owner began, as a [`Duration`]; the owner says what it is with every event. A standing changes
//! only in [`Health::on`], and every change is returned, so the owner knows when to publish another table.
//!
//! Elsewhere: sending checks and noticing attempts (`phalanx-gateway::health`); finding outliers ([`crate::outlier`]); what the
//! standings of a service's endpoints come to together ([`crate::selection`]); replicas that Phalanx runs are judged by their
//! readiness probe instead (`phalanx-fleet`).

mod checks;
#[cfg(test)]
mod tests;

use std::{num::NonZeroU32, time::Duration};

use checks::{Checks, Opinion};

/// When an endpoint is taken out, and when it returns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Policy {
    /// Failed attempts within [`Self::fail_timeout`] that take it out; `None`: attempts are not judged.
    pub fails_max: Option<NonZeroU32>,
    /// The window in which failed attempts count together, and the time for which they take it out.
    pub fail_timeout: Duration,
    /// Passed checks in a row until it serves again.
    pub rise: NonZeroU32,
    /// Failed checks in a row that take it out.
    pub fall: NonZeroU32,
}

/// What an endpoint may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// It gets requests.
    Serving,
    /// It was out for failed attempts and gets one request, which decides. That it is one is up to whoever sends it: a request
    /// that ends undecided, since its client has left, is followed by another.
    Trial,
    /// It is out for a while.
    Ejected {
        /// When that is over.
        until: Duration,
        /// What took it out.
        cause: Cause,
    },
    /// Failed checks have taken it out until checks pass.
    Failing,
    /// It was asked to leave and gets no new requests, whatever else is known of it, until it is asked to resume.
    Draining,
}

/// What takes an endpoint out for a while.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// Attempts failed; it returns on [trial](Standing::Trial).
    Attempts,
    /// It did much worse than the others, which one request would not disprove: it returns to serve.
    Outlier,
}

/// What happened to an endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// An active check was answered as it should be.
    CheckPassed,
    /// An active check was not.
    CheckFailed,
    /// A request could not be sent to it, or got no answer.
    AttemptFailed {
        /// How many other endpoints serve: the last one is never taken out for failed attempts, since a bad endpoint is
        /// better than none.
        others_serving: usize,
    },
    /// It answered a request. Only of interest while it is on [trial](Standing::Trial).
    AttemptSucceeded,
    /// It does much worse than the others, as [`crate::outlier`] finds.
    FoundOutlying {
        /// Until when it is out for that.
        until: Duration,
    },
    /// It is asked to leave.
    Drain,
    /// It is asked to serve again.
    Resume,
    /// Time has passed.
    Tick,
}

/// The health of one endpoint.
#[derive(Clone, Debug)]
pub struct Health {
    policy: Policy,
    standing: Standing,
    /// When the first of the failed attempts that count together was, and how many there are.
    window: Option<(Duration, u32)>,
    /// Counted in every standing: they are the first to know how an endpoint is that gets no requests.
    checks: Checks,
}

impl Health {
    /// An endpoint that is believed until something speaks against it.
    #[must_use]
    pub fn new(policy: Policy) -> Self {
        Self { policy, standing: Standing::Serving, window: None, checks: Checks::new() }
    }

    /// The standing after the last event.
    #[must_use]
    pub fn standing(&self) -> Standing {
        self.standing
    }

    /// When a [`Event::Tick`] would change the standing.
    #[must_use]
    pub fn wakes_at(&self) -> Option<Duration> {
        match self.standing {
            Standing::Ejected { until, .. } => Some(until),
            Standing::Serving | Standing::Trial | Standing::Failing | Standing::Draining => None,
        }
    }

    /// Takes in what happened at `now`; the standing, when that changed it.
    pub fn on(&mut self, event: Event, now: Duration) -> Option<Standing> {
        let before = self.standing;
        self.end_ejection(now);
        match event {
            Event::CheckPassed => self.checked(Opinion::Healthy, self.policy.rise),
            Event::CheckFailed => self.checked(Opinion::Failing, self.policy.fall),
            Event::AttemptFailed { others_serving } => self.attempt_failed(before, others_serving, now),
            Event::AttemptSucceeded => self.attempt_succeeded(before),
            Event::FoundOutlying { until } => self.found_outlying(until),
            Event::Drain => self.become_standing(Standing::Draining),
            Event::Resume => self.resume(),
            Event::Tick => {}
        }
        (self.standing != before).then_some(self.standing)
    }

    fn end_ejection(&mut self, now: Duration) {
        match self.standing {
            Standing::Ejected { until, .. } if now < until => {}
            Standing::Ejected { cause: Cause::Attempts, .. } => self.become_standing(Standing::Trial),
            Standing::Ejected { cause: Cause::Outlier, .. } => self.become_standing(Standing::Serving),
            Standing::Serving | Standing::Trial | Standing::Failing | Standing::Draining => {}
        }
    }

    fn checked(&mut self, result: Opinion, needed: NonZeroU32) {
        self.checks.count(result, needed);
        match (self.standing, self.checks.opinion()) {
            (Standing::Serving | Standing::Trial | Standing::Ejected { .. }, Opinion::Failing) => {
                self.become_standing(Standing::Failing);
            }
            // Whatever it was out for before its checks failed: it has been down since, and is another now.
            (Standing::Failing, Opinion::Healthy) => self.become_standing(Standing::Serving),
            // A check asks for less than a request does, so one that passes does not end an ejection or a trial.
            (Standing::Serving | Standing::Trial | Standing::Ejected { .. }, Opinion::Healthy)
            | (Standing::Failing, Opinion::Failing)
            | (Standing::Draining, _) => {}
        }
    }

    fn attempt_failed(&mut self, before: Standing, others_serving: usize, now: Duration) {
        match before {
            Standing::Serving => self.count_failure(others_serving, now),
            Standing::Trial => self.eject_for_attempts(now),
            // What ends only now began before it was let back, and decides nothing.
            Standing::Ejected { .. } | Standing::Failing | Standing::Draining => {}
        }
    }

    fn count_failure(&mut self, others_serving: usize, now: Duration) {
        let Some(fails_max) = self.policy.fails_max else { return };
        let (began, fails) = match self.window {
            Some((began, fails)) if now < began + self.policy.fail_timeout => (began, fails + 1),
            _ => (now, 1),
        };
        self.window = Some((began, fails));
        if fails >= fails_max.get() && others_serving > 0 {
            self.eject_for_attempts(now);
        }
    }

    fn eject_for_attempts(&mut self, now: Duration) {
        let until = now + self.policy.fail_timeout;
        self.become_standing(Standing::Ejected { until, cause: Cause::Attempts });
    }

    fn attempt_succeeded(&mut self, before: Standing) {
        if before == Standing::Trial {
            self.become_standing(Standing::Serving);
        }
    }

    fn found_outlying(&mut self, until: Duration) {
        // Whoever is out or on trial is not compared with the others: this is about what it did before.
        if self.standing == Standing::Serving {
            self.become_standing(Standing::Ejected { until, cause: Cause::Outlier });
        }
    }

    fn resume(&mut self) {
        if self.standing == Standing::Draining {
            self.become_standing(match self.checks.opinion() {
                Opinion::Healthy => Standing::Serving,
                Opinion::Failing => Standing::Failing,
            });
        }
    }

    fn become_standing(&mut self, standing: Standing) {
        self.standing = standing;
        self.window = None;
    }
}
