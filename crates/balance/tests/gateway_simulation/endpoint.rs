//! An endpoint: what is wrong with it, and what becomes of an attempt there.

use std::time::Duration;

use phalanx_balance::{Weight, outlier::Totals, selection::Role};

use crate::{agenda::exponential, request::Shedding};

/// What an answer takes on average while nothing else is in flight.
const MEAN: Duration = Duration::from_millis(25);
/// With so many in flight it takes twice as long.
const SLOTS: u32 = 3;
const SLOWNESS: u32 = 20;
const FLAP: Duration = Duration::from_millis(400);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Condition {
    Well,
    /// It refuses connections.
    Crashed,
    /// It accepts them, and that is all.
    Hanging,
    Slow,
    /// It resets connections, before or in the middle of an answer.
    Resetting,
    /// It answers 500, mostly.
    Erring,
    /// It comes and goes.
    Flapping,
}

impl Condition {
    pub(crate) const BAD: [Self; 6] =
        [Self::Crashed, Self::Hanging, Self::Slow, Self::Resetting, Self::Erring, Self::Flapping];
}

/// How an attempt ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Outcome {
    /// With an answer.
    Answered,
    /// With an answer of 500.
    Erred,
    /// With no connection, so nothing was sent.
    Refused,
    /// With a reset before anything came back.
    Reset,
    /// With a reset in the middle of an answer.
    CutShort,
    /// Not at all, in time.
    Expired,
}

pub(crate) struct Endpoint {
    pub(crate) role: Role,
    pub(crate) weight: Weight,
    pub(crate) condition: Condition,
    pub(crate) in_flight: u32,
    pub(crate) in_flight_max: u32,
    pub(crate) totals: Totals,
    /// The last trial, by number, that a request was sent for.
    pub(crate) trial_taken: u32,
    /// The request that is on trial.
    pub(crate) trial_request: Option<usize>,
}

impl Endpoint {
    pub(crate) fn has_room(&self, shedding: Shedding) -> bool {
        shedding == Shedding::Exempt || self.in_flight < self.in_flight_max
    }

    /// What is to become of an attempt that begins at `now`, and when; nothing while it hangs.
    pub(crate) fn outcome(&self, now: Duration, random: &mut fastrand::Rng) -> Option<(Duration, Outcome)> {
        let served_in = exponential(random, MEAN * (SLOTS + self.in_flight) / SLOTS);
        let refused_in = Duration::from_micros(random.u64(100..1_000));
        Some(match self.condition {
            Condition::Hanging => return None,
            Condition::Crashed => (refused_in, Outcome::Refused),
            Condition::Flapping if self.is_down(now) => (refused_in, Outcome::Refused),
            Condition::Well | Condition::Flapping => (served_in, Outcome::Answered),
            Condition::Slow => (served_in * SLOWNESS, Outcome::Answered),
            // Mostly before an answer, when many are in flight already: this is what retries are spent on.
            Condition::Resetting => match random.u32(..6) {
                0 => (served_in, Outcome::Answered),
                1 => (served_in, Outcome::CutShort),
                _ => (served_in, Outcome::Reset),
            },
            Condition::Erring if random.u32(..5) == 0 => (served_in, Outcome::Answered),
            Condition::Erring => (served_in, Outcome::Erred),
        })
    }

    /// Whether an active check finds it so.
    pub(crate) fn is_down(&self, now: Duration) -> bool {
        match self.condition {
            Condition::Crashed | Condition::Hanging => true,
            Condition::Flapping => (now.as_nanos() / FLAP.as_nanos()).is_multiple_of(2),
            Condition::Well | Condition::Slow | Condition::Resetting | Condition::Erring => false,
        }
    }
}
