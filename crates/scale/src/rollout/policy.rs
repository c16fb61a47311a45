//! How a rollout goes about it. What is of one of these types has been checked.

use std::time::Duration;

use super::{
    amount::IntOrPercent,
    fenceposts::{Fenceposts, fenceposts},
};

/// How replicas are replaced. [`Policy::default`] is what Kubernetes does with a Deployment that says nothing about it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Policy {
    /// How many at a time.
    pub pace: Pace,
    /// How long each of them, and all of them, may take.
    pub patience: Patience,
    /// Which replicas count towards the most there may be.
    pub ceiling: Ceiling,
    /// What is done about a rollout that does not get on.
    pub on_stall: OnStall,
}

/// How many replicas are replaced at a time; never none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pace {
    max_surge: IntOrPercent,
    max_unavailable: IntOrPercent,
}

impl Pace {
    /// # Errors
    /// When no replica could ever be replaced, or more than all may be unavailable.
    pub fn new(max_surge: IntOrPercent, max_unavailable: IntOrPercent) -> Result<Self, PaceError> {
        match max_unavailable {
            IntOrPercent::Percent(percent @ 101..) => Err(PaceError::MoreThanAll { percent }),
            _ if max_surge.is_zero() && max_unavailable.is_zero() => Err(PaceError::Standstill),
            _ => Ok(Self { max_surge, max_unavailable }),
        }
    }

    /// The bounds it means for so many replicas.
    #[must_use]
    pub fn fenceposts(self, desired: u32) -> Fenceposts {
        fenceposts(desired, self.max_surge, self.max_unavailable)
    }
}

impl Default for Pace {
    fn default() -> Self {
        Self { max_surge: IntOrPercent::Percent(25), max_unavailable: IntOrPercent::Percent(25) }
    }
}

/// Why nothing can be rolled out at a pace.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PaceError {
    /// There is room for neither a replica more nor a replica less.
    #[error("`max_surge` and `max_unavailable` are both 0: no replica could ever be replaced")]
    Standstill,
    /// More replicas may be unavailable than there are.
    #[error("`max_unavailable` is {percent}%: no more than 100% of the replicas can be unavailable")]
    MoreThanAll {
        /// What was given.
        percent: u32,
    },
}

/// How long a rollout may take: a replica can become available before the deadline passes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Patience {
    min_ready: Duration,
    deadline: Option<Duration>,
}

impl Patience {
    /// A replica is available once it was ready for `min_ready`. A rollout stalls once it has made no progress for `deadline`;
    /// without one it never does.
    ///
    /// # Errors
    /// When every rollout would stall while it waits for its first replica.
    pub fn new(min_ready: Duration, deadline: Option<Duration>) -> Result<Self, NoPatience> {
        match deadline {
            Some(deadline) if deadline <= min_ready => Err(NoPatience { min_ready, deadline }),
            _ => Ok(Self { min_ready, deadline }),
        }
    }

    /// How long a replica must be ready until it counts as available.
    #[must_use]
    pub fn min_ready(self) -> Duration {
        self.min_ready
    }

    /// How long a rollout may make no progress.
    #[must_use]
    pub fn deadline(self) -> Option<Duration> {
        self.deadline
    }
}

impl Default for Patience {
    fn default() -> Self {
        Self { min_ready: Duration::ZERO, deadline: Some(Duration::from_secs(600)) }
    }
}

/// A deadline that no replica could meet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "a rollout that may stand still for {deadline:?} cannot wait {min_ready:?} for a replica to be available"
)]
pub struct NoPatience {
    /// How long a replica must be ready.
    pub min_ready: Duration,
    /// How long nothing may change.
    pub deadline: Duration,
}

/// Which replicas count towards the most there may be.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Ceiling {
    /// Those that are not told to stop. Processes that drain come on top, as in Kubernetes.
    #[default]
    Live,
    /// Those that drain as well: they still hold their memory, and on one machine nobody else has more of it.
    LiveAndDraining,
}

/// What is done about a rollout that has stalled.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnStall {
    /// It is said, and the rollout goes on as soon as it can, as in Kubernetes.
    #[default]
    Hold,
    /// The last version that was complete is rolled out again.
    RollBack,
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn a_pace_moves() {
        let pace =
            |surge: &str, unavailable: &str| Pace::new(surge.parse().unwrap(), unavailable.parse().unwrap());
        for (surge, unavailable) in [("0", "0"), ("0%", "0"), ("0", "0%"), ("0%", "0%")] {
            assert_eq!(pace(surge, unavailable), Err(PaceError::Standstill));
        }
        assert_eq!(pace("25%", "101%"), Err(PaceError::MoreThanAll { percent: 101 }));
        assert_eq!(pace("25%", "25%"), Ok(Pace::default()));
        assert!(pace("300%", "100%").is_ok() && pace("0", "1").is_ok() && pace("1", "0").is_ok());
    }

    #[test]
    fn a_deadline_leaves_time_to_become_available() {
        assert_eq!(
            Patience::new(SECOND, Some(SECOND)),
            Err(NoPatience { min_ready: SECOND, deadline: SECOND })
        );
        assert!(Patience::new(SECOND, Some(2 * SECOND)).is_ok());
        assert!(Patience::new(Duration::MAX, None).is_ok());
    }
}
