//! Why a plan is what it is, for logs, metrics and people.

use std::{fmt, time::Duration};

use super::{history::Revision, observed::Counts};

/// Why a plan is what it is. Shown as one line: `revision 2: start 1, at most 5; 1/4 new available, 3 old; progressing`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reasons {
    /// What is rolled out.
    pub revision: Revision,
    /// How many replicas are desired.
    pub desired: u32,
    /// What there was.
    pub counts: Counts,
    /// Why this is the next step.
    pub reason: Reason,
    /// Where the rollout is.
    pub status: Status,
    /// What this plan has turned back from.
    pub rolled_back_from: Option<Revision>,
}

/// Why this is the next step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// Everything is as it should be.
    Settled,
    /// There is room.
    Start {
        /// How many come.
        count: u32,
        /// How many there may be.
        max_total: u32,
    },
    /// There are more than should be.
    StopSurplus {
        /// How many go.
        count: u32,
    },
    /// Enough others are available.
    StopOld {
        /// How many go that are not available.
        unhealthy: u32,
        /// How many go that are.
        available: u32,
    },
    /// Replicas of the new version are to become available first.
    AwaitAvailable {
        /// How many are not.
        unavailable: u32,
        /// How many must be, of any version.
        min_available: u32,
    },
    /// Replicas that were told to stop are to end first.
    AwaitDrained {
        /// How many have not.
        draining: u32,
        /// How many there may be.
        max_total: u32,
    },
    /// Nothing is rolled out for the time being.
    Paused,
    /// The replicas were looked at before the last change.
    Outdated,
}

/// Where a rollout is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// Replicas are being replaced.
    Progressing {
        /// When it last came further.
        last: Duration,
    },
    /// Nothing has come further for longer than allowed. It goes on by itself as soon as it can.
    Stalled {
        /// When it last came further.
        last: Duration,
    },
    /// Every desired replica is of the version and available, and there are no others.
    Complete,
    /// The version was complete, and its replicas come, go or are not available. This can take as long as it likes.
    Adjusting,
    /// It waits for an order to resume.
    Paused,
}

impl fmt::Display for Reasons {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { revision, desired, counts, reason, status, rolled_back_from } = self;
        write!(formatter, "revision {revision}")?;
        if let Some(from) = rolled_back_from {
            write!(formatter, " (rolled back from {from})")?;
        }
        write!(formatter, ": {reason}; {}/{desired} new available", counts.new_available)?;
        if counts.old > 0 {
            write!(formatter, ", {} old", counts.old)?;
        }
        if counts.draining > 0 {
            write!(formatter, ", {} draining", counts.draining)?;
        }
        write!(formatter, "; {status}")
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Settled => formatter.write_str("settled"),
            Self::Start { count, max_total } => write!(formatter, "start {count}, at most {max_total}"),
            Self::StopSurplus { count } => write!(formatter, "stop {count} too many"),
            Self::StopOld { unhealthy: 0, available } => write!(formatter, "stop {available} old"),
            Self::StopOld { unhealthy, available: 0 } => write!(formatter, "stop {unhealthy} old unhealthy"),
            Self::StopOld { unhealthy, available } => {
                write!(formatter, "stop {unhealthy} old unhealthy and {available} old")
            }
            Self::AwaitAvailable { unavailable, min_available } => {
                write!(formatter, "held: {unavailable} new not available, at least {min_available} must be")
            }
            Self::AwaitDrained { draining, max_total } => {
                write!(formatter, "held: {draining} draining, at most {max_total}")
            }
            Self::Paused => formatter.write_str("held: paused"),
            Self::Outdated => formatter.write_str("held: replicas were looked at before the last change"),
        }
    }
}

impl fmt::Display for Status {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Progressing { .. } => "progressing",
            Self::Stalled { .. } => "stalled",
            Self::Complete => "complete",
            Self::Adjusting => "adjusting",
            Self::Paused => "paused",
        })
    }
}
