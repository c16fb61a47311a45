//! What is remembered between decisions.
//!
//! Lives in memory only, as in Kubernetes: after a restart the windows begin empty, and the first decision logs the number
//! found, so that nothing goes down at once.

use std::time::Duration;

use crate::{behavior::Behavior, policy::Policy, rate::Changes, stabilize::Recommendation};

/// What is remembered between decisions.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct State {
    recommendations: Option<Vec<Recommendation>>,
    changes: Changes,
}

impl State {
    /// As it is after these proposals and changes. Without any proposals the log is empty, and not about to begin with the
    /// number found.
    #[must_use]
    pub fn resumed(recommendations: Vec<Recommendation>, changes: Changes) -> Self {
        Self { recommendations: Some(recommendations), changes }
    }

    /// As it is at the beginning, but for changes that are known.
    #[must_use]
    pub fn fresh(changes: Changes) -> Self {
        Self { recommendations: None, changes }
    }

    /// The proposals of the past, if a decision was made before.
    #[must_use]
    pub fn recommendations(&self) -> Option<&[Recommendation]> {
        self.recommendations.as_deref()
    }

    /// The changes of the past.
    #[must_use]
    pub fn changes(&self) -> &Changes {
        &self.changes
    }

    /// Remembers that the number was changed. To be called when a decision has been carried out, and only then: one that could
    /// not be must not use up what a rate allows.
    pub fn changed(&mut self, policy: &Policy, from: u32, to: u32, now: Duration) {
        // Without rules nothing counts changes, so none is kept.
        let Some(Behavior { up, down }) = &policy.wanted().behavior else { return };
        if to > from {
            self.changes.up.store(to - from, up.period_longest(), now);
        } else if to < from {
            self.changes.down.store(from - to, down.period_longest(), now);
        }
    }

    /// The log of proposals, which begins with the number found.
    pub(crate) fn log(&mut self, found: u32, now: Duration) -> &mut Vec<Recommendation> {
        self.recommendations.get_or_insert_with(|| vec![Recommendation { replicas: found, at: now }])
    }
}
