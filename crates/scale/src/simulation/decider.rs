//! Decides for the model, by either way, and remembers what that way remembers.

use std::time::Duration;

use super::model::{Fleet, clock};
use crate::{Mode, Policy, State, Why, decide::decide, fast};

pub(super) enum Decider<'a> {
    Kubernetes { policy: &'a Policy, state: State },
    Fast { policy: &'a fast::Policy, state: fast::State },
}

impl<'a> Decider<'a> {
    pub(super) fn new(mode: &'a Mode) -> Self {
        match mode {
            Mode::Kubernetes(policy) => Self::Kubernetes { policy, state: State::default() },
            Mode::Fast(policy) => Self::Fast { policy, state: fast::State::default() },
        }
    }

    pub(super) fn decide(
        &mut self,
        fleet: &Fleet<'_>,
        load_milli: i64,
        interval: Duration,
        at: Duration,
    ) -> Why {
        match self {
            Self::Kubernetes { policy, state } => {
                let observed = fleet.observed(policy, load_milli, interval, at);
                Why::Kubernetes(decide(policy, state, &observed, clock(at)).reasons)
            }
            Self::Fast { policy, state } => {
                let observed = fleet.observed_fast(policy, load_milli, at);
                Why::Fast(fast::decide(policy, state, &observed, clock(at)).reasons)
            }
        }
    }

    /// Remembers a change that was made.
    pub(super) fn changed(&mut self, from: u32, to: u32, at: Duration) {
        if let Self::Kubernetes { policy, state } = self {
            state.changed(policy, from, to, clock(at));
        }
    }
}
