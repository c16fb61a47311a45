//! What a fleet can be ordered to do, and what comes of it.
//!
//! An order is taken by the loop of the fleet, which answers once its effect stands on the board: whoever waits for the outcome
//! reads the board as a level and cannot mistake what was there before for it.
//! Fails with [`OrderError`], and then nothing has changed.

use phalanx_config::{Replicas, ReplicasLimit, ServiceName};
use phalanx_scale::rollout::{Paused, UndoError};
use tokio::sync::oneshot;

use crate::state::{AutoscaleState, RolledBack, RolloutStatus, ServiceState};

/// Orders on their way to the loop, which takes microseconds for each.
pub(crate) const ORDERS_QUEUED_MAX: usize = 64;

/// An order, and where its answer goes.
#[derive(Debug)]
pub(crate) struct Order {
    pub(crate) service: ServiceName,
    pub(crate) request: Request,
    pub(crate) answer: oneshot::Sender<Result<Accepted, OrderError>>,
}

/// What is ordered.
#[derive(Debug)]
pub(crate) enum Request {
    /// Another number of replicas.
    Scale(u32),
    /// What the autoscaler has decided.
    Autoscale(AutoscaleState),
    /// Another replica in place of each.
    Restart,
    /// An earlier revision: this one, or the one before.
    Undo(Option<u64>),
    /// Nothing is replaced.
    Pause,
    /// Replicas are replaced again.
    Resume,
    /// What the file says of the service by now.
    RollTo(Box<Replicas>),
}

/// An order that was accepted, for [`crate::FleetHandle::outcome`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Accepted {
    /// The service.
    pub service: ServiceName,
    /// What is rolled out by this order, or was when it came.
    pub revision: u64,
    /// How many replicas there should be.
    pub desired: u32,
    pub(crate) goal: Goal,
}

/// What an order is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Goal {
    /// This many replicas.
    Number,
    /// Replicas of this revision.
    Revision,
    /// None: it is there at once.
    Reached,
}

/// What has come of an order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OrderOutcome {
    /// Every replica that should be there is, and is available.
    Complete,
    /// Nothing has come further for too long. It goes on by itself if it can.
    Stalled {
        /// The planner's words.
        why: String,
    },
    /// It stalled, and an earlier revision was rolled out again.
    RolledBack {
        /// The revision that was given up.
        from: u64,
        /// Why.
        why: String,
    },
    /// Another order has taken its place.
    Superseded,
}

/// Why an order is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum OrderError {
    /// The fleet runs no such service.
    #[error("no service `{service}` is run here, only {}", names(.known))]
    UnknownService {
        /// The one that was named.
        service: String,
        /// Those there are.
        known: Vec<ServiceName>,
    },
    /// A paused rollout begins nothing.
    #[error("the rollout is paused: resume it first")]
    Paused,
    /// There was only one revision.
    #[error("there is no earlier revision")]
    NoEarlierRevision,
    /// It is not in the history.
    #[error("there is no revision {revision} in the history, only {}", numbers(.known))]
    UnknownRevision {
        /// The one that was asked for.
        revision: u64,
        /// Those there are.
        known: Vec<u64>,
    },
    /// It is there.
    #[error("revision {revision} is the current one")]
    CurrentRevision {
        /// The one that was asked for.
        revision: u64,
    },
    /// More replicas than may be.
    #[error("{replicas} replicas are too many: {limit}")]
    TooMany {
        /// How many were asked for.
        replicas: u32,
        /// How many there may be, and why.
        limit: ReplicasLimit,
    },
    /// The fleet stops.
    #[error("the fleet is stopping")]
    Stopping,
    /// The fleet has ended.
    #[error("the fleet has ended")]
    Ended,
}

impl From<Paused> for OrderError {
    fn from(Paused: Paused) -> Self {
        Self::Paused
    }
}

impl OrderError {
    /// Why there is no way back; `known` are the revisions of the history.
    pub(crate) fn of_undo(error: UndoError, known: Vec<u64>) -> Self {
        match error {
            UndoError::NoEarlier => Self::NoEarlierRevision,
            UndoError::Unknown { revision } => Self::UnknownRevision { revision: revision.get(), known },
            UndoError::Current { revision } => Self::CurrentRevision { revision: revision.get() },
            UndoError::Paused => Self::Paused,
        }
    }
}

fn names(known: &[ServiceName]) -> String {
    if known.is_empty() {
        return "none".to_owned();
    }
    known.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
}

fn numbers(known: &[u64]) -> String {
    known.iter().map(u64::to_string).collect::<Vec<_>>().join(", ")
}

/// What has come of an order by the time of this state; `None`: nothing yet.
pub(crate) fn outcome(accepted: &Accepted, state: &ServiceState) -> Option<OrderOutcome> {
    let rollout = &state.rollout;
    match accepted.goal {
        Goal::Reached => return Some(OrderOutcome::Complete),
        Goal::Number if state.desired != accepted.desired => return Some(OrderOutcome::Superseded),
        Goal::Revision if rollout.revision != accepted.revision => {
            return Some(match &rollout.rolled_back {
                Some(RolledBack { from, why }) if *from == accepted.revision => {
                    OrderOutcome::RolledBack { from: *from, why: why.clone() }
                }
                _ => OrderOutcome::Superseded,
            });
        }
        Goal::Number | Goal::Revision => {}
    }
    match rollout.status {
        RolloutStatus::Complete => Some(OrderOutcome::Complete),
        RolloutStatus::Stalled => Some(OrderOutcome::Stalled { why: rollout.reason.clone() }),
        // The number of replicas is followed also while nothing is replaced. There may be more of them: what the rollout had begun
        // before it was paused stays, and is neither ended nor waited for.
        RolloutStatus::Paused if accepted.goal == Goal::Number && rollout.available >= state.desired => {
            Some(OrderOutcome::Complete)
        }
        RolloutStatus::Waiting
        | RolloutStatus::Progressing
        | RolloutStatus::Adjusting
        | RolloutStatus::Paused => None,
    }
}
