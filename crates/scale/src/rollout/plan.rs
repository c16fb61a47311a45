//! What is to be done, and the proof that it still may be.

use std::{num::NonZeroU32, time::Duration};

use super::{history::Version, observed::ReplicaId};

/// How often the orders of a rollout, or its replicas by a plan, have changed. A plan is good for the generation that it was
/// made in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Generation(u64);

impl Generation {
    pub(super) fn advance(&mut self) {
        // Would it not wrap, an old plan could never be told from a current one again.
        self.0 = self.0.wrapping_add(1);
    }
}

/// What should be done. Only [`super::Rollout::admit`] turns it into what may be done.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use]
pub struct Plan {
    pub(super) generation: Generation,
    pub(super) actions: Actions,
    pub(super) sharing: Sharing,
    pub(super) wakes_at: Option<Duration>,
}

impl Plan {
    /// The generation it is good for.
    #[must_use]
    pub fn generation(&self) -> Generation {
        self.generation
    }

    /// What it would do.
    #[must_use]
    pub fn actions(&self) -> &Actions {
        &self.actions
    }

    /// When another plan could differ from this one although nothing has happened.
    #[must_use]
    pub fn wakes_at(&self) -> Option<Duration> {
        self.wakes_at
    }
}

/// Whether versions that lie beside each other have to share another desired number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sharing {
    /// It has changed, and not all of them follow it yet.
    Due,
    /// They have followed it, once the plan that says so is carried out.
    Done,
}

/// What is done to replicas. None of it waits for another part of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Actions {
    /// Replicas that come.
    pub start: Vec<Start>,
    /// Replicas that go, the most dispensable first.
    pub stop: Vec<ReplicaId>,
}

impl Actions {
    pub(super) fn starting(start: Vec<Start>) -> Self {
        Self { start, stop: Vec::new() }
    }

    pub(super) fn stopping(stop: Vec<ReplicaId>) -> Self {
        Self { start: Vec::new(), stop }
    }

    /// Whether nothing is done.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.start.is_empty() && self.stop.is_empty()
    }
}

/// Replicas that come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Start {
    /// What they run.
    pub version: Version,
    /// How many.
    pub count: NonZeroU32,
}

/// A plan for a generation that is over: it was carried out already, another one was, or an order came in between. The replicas
/// are looked at again, and another plan is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the plan is for generation {}, and it is {}", planned.0, reached.0)]
pub struct StalePlan {
    /// What the plan is good for.
    pub planned: Generation,
    /// How it is.
    pub reached: Generation,
}
