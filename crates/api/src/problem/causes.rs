//! What the errors of the crates below mean to a client, and which of them somebody has to look at.

use phalanx_auth::{HashingError, Refusal, StandingError, StateError};
use phalanx_data::{AccessError, Kind, ScatterError, ShardFault};

use super::Problem;
use crate::accounts::ListError;

impl From<Refusal> for Problem {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

impl From<HashingError> for Problem {
    fn from(error: HashingError) -> Self {
        match error {
            HashingError::Busy => Self::Overloaded,
            _ => Self::internal(&error),
        }
    }
}

impl From<StateError> for Problem {
    fn from(error: StateError) -> Self {
        if error.is_defect() {
            return Self::internal(&error);
        }
        let error: &dyn std::error::Error = &error;
        // The state tells of an outage once.
        tracing::debug!(error, "the shared state did not answer a request");
        Self::StateUnavailable
    }
}

impl From<StandingError> for Problem {
    fn from(error: StandingError) -> Self {
        match error {
            StandingError::Store(error) if error.is_defect() => Self::internal(&error),
            _ => Refusal::StateUnavailable.into(),
        }
    }
}

impl From<AccessError> for Problem {
    fn from(error: AccessError) -> Self {
        if let AccessError::Closed = error {
            return Self::NotReady { detail: "this replica is stopping" };
        }
        let problem = match error.verdict().kind {
            Kind::Overloaded => Self::Overloaded,
            Kind::Unavailable => Self::Unavailable,
            Kind::Unknown => Self::OutcomeUnknown,
            Kind::Timeout => Self::DatabaseTimeout,
            Kind::Full => Self::StorageFull,
            Kind::Duplicate | Kind::Invalid | Kind::Fault => return Self::internal(&error),
        };
        let error: &dyn std::error::Error = &error;
        match problem {
            // Every request says so while it lasts, and the topology has said it once.
            Self::Overloaded | Self::Unavailable => {
                tracing::debug!(error, "the database did not answer a request");
            }
            _ => tracing::error!(error, "a statement failed"),
        }
        problem
    }
}

impl From<ScatterError> for Problem {
    fn from(error: ScatterError) -> Self {
        match error.source {
            ShardFault::Access(error) => error.into(),
            _ => Self::DatabaseTimeout,
        }
    }
}

impl From<ListError> for Problem {
    fn from(error: ListError) -> Self {
        match error {
            ListError::Shard(error) => error.into(),
            ListError::Merge(_) => Self::internal(&error),
        }
    }
}
