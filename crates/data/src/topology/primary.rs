//! Statements on a shard's primary, whichever server that is.
//!
//! Invariant: what may have been done is never repeated. A statement is sent again only where [`AccessError::verdict`] says
//! that it was not run, and always to the server that is the primary by then.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use phalanx_telemetry::clock;

use super::{member::Member, shared::Shared, state::ShardState};
use crate::{AccessError, Again, ShardId};

/// Between two attempts: a primary that drops connections is not hammered, and one that is back is found soon.
const PAUSE_FIRST: Duration = Duration::from_millis(5);
const PAUSE_MAX: Duration = Duration::from_millis(100);

/// The attempts at one statement. Its caller asks for the primary, sends the statement there, and tells the failure; not a
/// closure that is run, because the compiler cannot prove that the future of such a call may go to another thread.
pub(crate) struct Attempts<'a> {
    shared: &'a Shared,
    shard: ShardId,
    begun: Instant,
    pause: Duration,
    last: Option<(Arc<ShardState>, Arc<Member>)>,
}

impl<'a> Attempts<'a> {
    pub(crate) fn new(shared: &'a Shared, shard: ShardId) -> Self {
        Self::since(shared, shard, clock::now())
    }

    /// Those of a call that began earlier, on another shard perhaps.
    pub(crate) fn since(shared: &'a Shared, shard: ShardId, begun: Instant) -> Self {
        Self { shared, shard, begun, pause: PAUSE_FIRST, last: None }
    }

    /// The primary, as soon as there is one.
    pub(crate) async fn primary(&mut self) -> Result<Arc<Member>, AccessError> {
        loop {
            let state =
                self.shared.shards.load().state(self.shard).cloned().ok_or(AccessError::Unreachable)?;
            if let Some(primary) = primary_until(&state, self.deadline()).await {
                self.last = Some((state, Arc::clone(&primary)));
                return Ok(primary);
            }
            if !state.retired.is_cancelled() || clock::now() >= self.deadline() {
                let waited = clock::now().saturating_duration_since(self.begun);
                return Err(AccessError::NoPrimary { shard: self.shard.0, waited });
            }
        }
    }

    /// Returns when the statement that failed at the last primary may be sent again; the failure where it may not.
    pub(crate) async fn failed(&mut self, error: AccessError) -> Result<(), AccessError> {
        let Some((state, primary)) = self.last.take() else { return Err(error) };
        if !is_worth_another(&state, &primary, &error) {
            return Err(error);
        }
        // One more after the deadline if there is another primary: whoever waited in vain for a connection to the one that
        // died has spent all the time on it.
        let has_moved = is_another_than(&primary, &state);
        let left = self.deadline().saturating_duration_since(clock::now());
        if left.is_zero() && !has_moved {
            return Err(error);
        }
        tokio::time::sleep(self.pause.min(left)).await;
        self.pause = (self.pause * 2).min(PAUSE_MAX);
        Ok(())
    }

    /// Whether another server than the last that was asked is the primary by now.
    pub(crate) fn has_moved(&self) -> bool {
        self.last.as_ref().is_some_and(|(state, primary)| is_another_than(primary, state))
    }

    fn deadline(&self) -> Instant {
        self.begun + self.shared.settings.primary_wait_max
    }
}

fn is_another_than(primary: &Arc<Member>, state: &ShardState) -> bool {
    state.view().primary.as_ref().is_some_and(|known| !Arc::ptr_eq(known, primary))
}

/// Tells what is learnt from a failure, and whether the statement may be sent again.
fn is_worth_another(state: &ShardState, primary: &Arc<Member>, error: &AccessError) -> bool {
    match error.verdict().again {
        Again::Primary => {
            state.refused_writes(primary);
            true
        }
        Again::Elsewhere => {
            state.look_at(primary);
            true
        }
        // The server left the topology between the choice and the statement, which was not sent.
        Again::Never if matches!(error, AccessError::Closed) => state.retired.is_cancelled(),
        Again::Never => {
            if matches!(error, AccessError::OutcomeUnknown { .. }) {
                state.look_at(primary);
            }
            false
        }
        Again::Transaction | Again::Map => false,
    }
}

/// The primary, as soon as there is one; `None` at the deadline, or when the state has been replaced.
async fn primary_until(state: &ShardState, deadline: Instant) -> Option<Arc<Member>> {
    if let Some(primary) = &state.view().primary {
        return Some(Arc::clone(primary));
    }
    let mut views = state.views();
    tokio::select! {
        found = views.wait_for(|view| view.primary.is_some()) => found.ok()?.primary.clone(),
        () = state.retired.cancelled() => None,
        () = tokio::time::sleep_until(deadline.into()) => None,
    }
}
