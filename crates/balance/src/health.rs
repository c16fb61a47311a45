//! Whether an endpoint may get requests: what active checks and failed attempts make of its standing.
//!
//! Time is the time since the owner began, as a [`Duration`]; the owner says what it is with every event. A standing changes
//! only in [`Health::on`], and every change is returned, so the owner knows when to publish another table.
//!
//! Elsewhere: sending checks and noticing failed attempts (`phalanx-gateway::health`); replicas that Phalanx runs are judged by
//! their readiness probe instead (`phalanx-fleet`).

use std::{num::NonZeroU32, time::Duration};

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
    /// Failed attempts have taken it out for a while.
    Ejected {
        /// When it serves again.
        until: Duration,
    },
    /// Failed checks have taken it out until checks pass.
    Failing,
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
    /// Checks in a row that speak against the standing.
    checks_against: u32,
}

impl Health {
    /// An endpoint that is believed until something speaks against it.
    #[must_use]
    pub fn new(policy: Policy) -> Self {
        Self { policy, standing: Standing::Serving, window: None, checks_against: 0 }
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
            Standing::Ejected { until } => Some(until),
            Standing::Serving | Standing::Failing => None,
        }
    }

    /// Takes in what happened at `now`; the standing, when that changed it.
    pub fn on(&mut self, event: Event, now: Duration) -> Option<Standing> {
        let before = self.standing;
        let is_over = matches!(before, Standing::Ejected { until } if now >= until);
        if is_over {
            self.become_standing(Standing::Serving);
        }
        match event {
            Event::CheckPassed => self.check_passed(),
            Event::CheckFailed => self.check_failed(),
            Event::AttemptFailed { others_serving } => self.attempt_failed(others_serving, now),
            Event::Tick => {}
        }
        (self.standing != before).then_some(self.standing)
    }

    fn check_passed(&mut self) {
        match self.standing {
            Standing::Failing => {
                self.checks_against += 1;
                if self.checks_against >= self.policy.rise.get() {
                    self.become_standing(Standing::Serving);
                }
            }
            // A check asks for less than a request does, so it does not end an ejection early.
            Standing::Serving | Standing::Ejected { .. } => self.checks_against = 0,
        }
    }

    fn check_failed(&mut self) {
        match self.standing {
            Standing::Failing => self.checks_against = 0,
            Standing::Serving | Standing::Ejected { .. } => {
                self.checks_against += 1;
                if self.checks_against >= self.policy.fall.get() {
                    self.become_standing(Standing::Failing);
                }
            }
        }
    }

    fn attempt_failed(&mut self, others_serving: usize, now: Duration) {
        let (Standing::Serving, Some(fails_max)) = (self.standing, self.policy.fails_max) else {
            return;
        };
        let (began, fails) = match self.window {
            Some((began, fails)) if now < began + self.policy.fail_timeout => (began, fails + 1),
            _ => (now, 1),
        };
        self.window = Some((began, fails));
        if fails >= fails_max.get() && others_serving > 0 {
            let bad_checks = self.checks_against;
            self.become_standing(Standing::Ejected { until: now + self.policy.fail_timeout });
            // Checks that failed before go on counting: both may be about the same fault.
            self.checks_against = bad_checks;
        }
    }

    fn become_standing(&mut self, standing: Standing) {
        self.standing = standing;
        self.window = None;
        self.checks_against = 0;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const COUNT: fn(u32) -> NonZeroU32 = |count| NonZeroU32::new(count).unwrap();
    const SECOND: Duration = Duration::from_secs(1);

    fn policy() -> Policy {
        Policy { fails_max: Some(COUNT(2)), fail_timeout: 10 * SECOND, rise: COUNT(2), fall: COUNT(3) }
    }

    fn failed() -> Event {
        Event::AttemptFailed { others_serving: 1 }
    }

    /// Runs `events`, one letter each at one second each, and writes the standings: `S`erving, `E`jected, `F`ailing.
    fn run(events: &str) -> String {
        let mut health = Health::new(policy());
        events
            .chars()
            .zip(0_u32..)
            .map(|(letter, second)| {
                let event = match letter {
                    '+' => Event::CheckPassed,
                    '-' => Event::CheckFailed,
                    'x' => failed(),
                    'l' => Event::AttemptFailed { others_serving: 0 },
                    '.' => Event::Tick,
                    _ => panic!("{letter} is no event"),
                };
                health.on(event, second * SECOND);
                match health.standing() {
                    Standing::Serving => 'S',
                    Standing::Ejected { .. } => 'E',
                    Standing::Failing => 'F',
                }
            })
            .collect()
    }

    #[test]
    fn checks_take_out_after_fall_and_bring_back_after_rise() {
        assert_eq!(run("--+---"), "SSSSSF");
        assert_eq!(run("---+-++"), "SSFFFFS");
    }

    #[test]
    fn failed_attempts_take_out_for_a_while() {
        assert_eq!(run("xx.........."), "SEEEEEEEEEES");
        assert_eq!(run("x..........x"), "SSSSSSSSSSSS");
    }

    #[test]
    fn the_last_endpoint_stays_whatever_fails() {
        assert_eq!(run("llll"), "SSSS");
    }

    /// Every standing × every event.
    #[test]
    fn every_event_in_every_standing() {
        for (before, event, after) in [
            ("", '+', 'S'),
            ("", '-', 'S'),
            ("", 'x', 'S'),
            ("", '.', 'S'),
            ("--", '-', 'F'),
            ("x", 'x', 'E'),
            ("x", 'l', 'S'),
            ("xx", '+', 'E'),
            ("xx", '-', 'E'),
            ("xx--", '-', 'F'),
            ("xx", 'x', 'E'),
            ("xx", '.', 'E'),
            ("---", '+', 'F'),
            ("---+", '+', 'S'),
            ("---", '-', 'F'),
            ("---", 'x', 'F'),
            ("---", '.', 'F'),
        ] {
            let events = format!("{before}{event}");
            assert_eq!(run(&events).chars().last(), Some(after), "{events}");
        }
    }

    proptest! {
        #[test]
        fn an_ejection_always_ends(events in prop::collection::vec(0_u8..4, 0..200)) {
            let mut health = Health::new(policy());
            let mut now = Duration::ZERO;
            for event in events {
                now += SECOND;
                let event = [Event::CheckPassed, Event::Tick, failed(), Event::AttemptFailed { others_serving: 0 }][usize::from(event)];
                let changed = health.on(event, now);
                prop_assert!(changed.is_none_or(|standing| standing == health.standing()));
            }
            if let Some(until) = health.wakes_at() {
                prop_assert!(until <= now + policy().fail_timeout);
                prop_assert_eq!(health.on(Event::Tick, until), Some(Standing::Serving));
            }
            prop_assert_eq!(health.standing(), Standing::Serving);
        }
    }
}
