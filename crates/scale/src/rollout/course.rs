//! What a rollout is about, and whether it gets there.

use std::time::Duration;

use super::{observed::Counts, progress::Progress, reasons::Status};

/// What the current version is about.
#[derive(Clone, Copy, Debug)]
pub(super) enum Course {
    /// It is on its way, and was not complete since it was ordered.
    Underway { progress: Progress, origin: Origin },
    /// It was complete. Replicas that are lost after that are for whoever runs them to bring back, without a deadline.
    Arrived,
    /// It waits.
    Paused,
}

/// Who has ordered a version.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Origin {
    /// Somebody.
    Ordered,
    /// A stall. Should this version stall too, it stays: to go on turning back could end anywhere.
    RolledBack,
}

/// What came of looking at the replicas.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Finding {
    /// Nothing to act on.
    Nothing,
    /// The version is complete.
    Proven,
    /// The version that was ordered has stalled.
    Failed,
}

/// What a course is measured by.
#[derive(Clone, Copy, Debug)]
pub(super) struct Measure {
    pub(super) desired: u32,
    pub(super) deadline: Option<Duration>,
    pub(super) counts: Counts,
    pub(super) now: Duration,
}

impl Course {
    pub(super) fn begun(origin: Origin, now: Duration) -> Self {
        Self::Underway { progress: Progress::from(now), origin }
    }

    pub(super) fn is_paused(&self) -> bool {
        matches!(self, Self::Paused)
    }

    /// Takes note of how far it is.
    pub(super) fn on(&mut self, measure: Measure) -> Finding {
        let Self::Underway { progress, origin } = self else { return Finding::Nothing };
        progress.on(measure.counts, measure.now);
        let origin = *origin;
        match self.status(measure) {
            Status::Complete if measure.desired == 0 => {
                // Nothing has run that could prove anything, and no time is lost before something does.
                *self = Self::begun(origin, measure.now);
                Finding::Nothing
            }
            Status::Complete => {
                *self = Self::Arrived;
                Finding::Proven
            }
            Status::Stalled { .. } if origin == Origin::Ordered => Finding::Failed,
            Status::Stalled { .. } | Status::Progressing { .. } | Status::Adjusting | Status::Paused => {
                Finding::Nothing
            }
        }
    }

    pub(super) fn status(&self, measure: Measure) -> Status {
        let Measure { desired, counts, now, .. } = measure;
        match self {
            Self::Paused => Status::Paused,
            Self::Underway { .. } | Self::Arrived if counts.is_complete(desired) => Status::Complete,
            Self::Arrived => Status::Adjusting,
            Self::Underway { progress, .. } => {
                let last = progress.last();
                let is_late = progress.stalls_at(measure.deadline).is_some_and(|stalls_at| stalls_at <= now);
                if is_late { Status::Stalled { last } } else { Status::Progressing { last } }
            }
        }
    }

    /// When it stalls unless something happens.
    pub(super) fn stalls_at(&self, deadline: Option<Duration>) -> Option<Duration> {
        match self {
            Self::Underway { progress, .. } => progress.stalls_at(deadline),
            Self::Arrived | Self::Paused => None,
        }
    }

    /// Measures by what is there after this, since another number is desired.
    pub(super) fn rebase(&mut self, from: u32, to: u32) {
        if let Self::Underway { progress, .. } = self {
            progress.rebase(from, to);
        }
    }
}
