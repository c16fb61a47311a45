//! What others see of a life, and what it waits for.

use std::time::Instant;

use super::{CRASH_LOOP_FROM, Life, PROGRESS_FIRST, Phase, Record, Then, Traffic};
use crate::state::Standing;

impl Life {
    /// When [`Event::Due`](super::Event::Due) is to come; `None`: only another event leads on.
    pub(crate) fn due_at(&self) -> Option<Instant> {
        match self.phase {
            Phase::Starting { started, checks, progress_after } => {
                earlier(checks.due_at(), Some(started + progress_after))
            }
            Phase::Running { started, vitals, traffic: Traffic::NotYet { progress_after } } => {
                earlier(vitals.due_at(), Some(started + progress_after))
            }
            Phase::Running { vitals, .. } => vitals.due_at(),
            Phase::Draining { until, readiness } => earlier(readiness.due_at(), Some(until)),
            Phase::Terminating { until, .. } | Phase::Pausing { until } => Some(until),
            Phase::Queued | Phase::Spawning | Phase::Killing { .. } | Phase::Stopped => None,
        }
    }

    /// Whether [`Event::Placed`](super::Event::Placed) is awaited.
    pub(crate) fn wants_place(&self) -> bool {
        matches!(self.phase, Phase::Queued)
    }

    /// What its last run says of the next one.
    pub(crate) fn record(&self) -> Record {
        if self.failures_before_ready == 0 { Record::Clear } else { Record::FailedBeforeReady }
    }

    /// Whether it still needs the place it got. Places bound how many programs boot at once; one that takes long waits for
    /// something rather than computes, and shall not keep the others from starting.
    pub(crate) fn holds_place(&self) -> bool {
        match self.phase {
            Phase::Spawning => true,
            Phase::Starting { progress_after, .. }
            | Phase::Running { traffic: Traffic::NotYet { progress_after }, .. } => {
                progress_after == PROGRESS_FIRST
            }
            _ => false,
        }
    }

    /// Whether [`Event::Drained`](super::Event::Drained) is awaited.
    pub(crate) fn is_draining(&self) -> bool {
        matches!(self.phase, Phase::Draining { .. })
    }

    /// Whether [`Event::Stop`](super::Event::Stop) would change anything.
    pub(crate) fn heeds_stop(&self) -> bool {
        !matches!(
            self.phase,
            Phase::Draining { .. }
                | Phase::Terminating { then: Then::Stop, .. }
                | Phase::Killing { then: Then::Stop }
                | Phase::Stopped
        )
    }

    /// Whether [`Event::StopNow`](super::Event::StopNow) would change anything.
    pub(crate) fn heeds_stop_now(&self) -> bool {
        !matches!(self.phase, Phase::Killing { then: Then::Stop } | Phase::Stopped)
    }

    /// Whether this life is over.
    pub(crate) fn is_over(&self) -> bool {
        matches!(self.phase, Phase::Stopped)
    }

    /// The phase as others see it.
    pub(crate) fn standing(&self) -> Standing {
        match self.phase {
            Phase::Queued
            | Phase::Spawning
            | Phase::Starting { .. }
            | Phase::Running { traffic: Traffic::NotYet { .. }, .. } => Standing::Starting,
            Phase::Running { traffic: Traffic::Admitted, .. } => Standing::Ready,
            Phase::Running { traffic: Traffic::Withdrawn, .. } => Standing::NotReady,
            Phase::Draining { .. } => Standing::Draining,
            Phase::Terminating { .. } | Phase::Killing { .. } => Standing::Stopping,
            Phase::Pausing { until } if self.failures_before_ready >= CRASH_LOOP_FROM => {
                Standing::CrashLoop { until }
            }
            Phase::Pausing { until } => Standing::BackingOff { until },
            Phase::Stopped => Standing::Stopped,
        }
    }
}

fn earlier(one: Option<Instant>, other: Option<Instant>) -> Option<Instant> {
    one.into_iter().chain(other).min()
}
