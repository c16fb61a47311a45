//! The replicas of one service as the loop counts them: who has which place, and how a rollout sees them.
//!
//! Invariant: a place is free once the task of whoever had it has ended, so no two living replicas have one name.
//! Elsewhere: what a replica goes through, which it puts on the board itself (`crate::replica`).

#[cfg(test)]
mod tests;

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use phalanx_scale::rollout::{self, ReplicaId, Version};
use tokio_util::sync::CancellationToken;

use crate::{
    life::Failures,
    state::{ReplicaState, Standing},
};

/// A replica that has a place.
#[derive(Debug)]
pub(crate) struct Member {
    pub(crate) id: ReplicaId,
    pub(crate) version: Version,
    /// Tells it to stop.
    pub(crate) stop: CancellationToken,
    /// Since when its task runs.
    pub(crate) since: Instant,
    /// How often in a row its task was lost to a fault.
    pub(crate) losses: Failures,
    pub(crate) stage: Stage,
}

/// What the task of a member does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stage {
    /// It lives the life of a replica.
    Living,
    /// It clears up after one that was lost, before the next.
    Recovering,
}

impl Member {
    /// Whether it was told to stop.
    pub(crate) fn is_leaving(&self) -> bool {
        self.stop.is_cancelled()
    }
}

/// By ordinal.
#[derive(Debug, Default)]
pub(crate) struct Members {
    by_ordinal: BTreeMap<u32, Member>,
    next_id: u32,
}

impl Members {
    /// Gives the lowest free place to a replica of `version`.
    pub(crate) fn enlist(&mut self, version: Version, now: Instant) -> u32 {
        let ordinal =
            (1..).zip(self.by_ordinal.keys()).find(|(free, taken)| free != *taken).map(|(free, _)| free);
        let ordinal =
            ordinal.unwrap_or_else(|| self.by_ordinal.keys().next_back().map_or(1, |last| last + 1));
        let id = ReplicaId(self.next_id);
        self.next_id = self.next_id.wrapping_add(1);
        let stop = CancellationToken::new();
        let member =
            Member { id, version, stop, since: now, losses: Failures::default(), stage: Stage::Living };
        self.by_ordinal.insert(ordinal, member);
        ordinal
    }

    /// Frees the place of a replica that is gone.
    pub(crate) fn dismiss(&mut self, ordinal: u32) {
        self.by_ordinal.remove(&ordinal);
    }

    pub(crate) fn get(&self, ordinal: u32) -> Option<&Member> {
        self.by_ordinal.get(&ordinal)
    }

    pub(crate) fn get_mut(&mut self, ordinal: u32) -> Option<&mut Member> {
        self.by_ordinal.get_mut(&ordinal)
    }

    /// Whether a replica was told to stop; one that is gone has.
    pub(crate) fn is_leaving(&self, ordinal: u32) -> bool {
        self.get(ordinal).is_none_or(Member::is_leaving)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.by_ordinal.is_empty()
    }

    /// Tells a replica to stop; its ordinal, if that is news to it.
    pub(crate) fn tell_to_stop(&self, id: ReplicaId) -> Option<u32> {
        let (ordinal, member) =
            self.by_ordinal.iter().find(|(_, member)| member.id == id && !member.is_leaving())?;
        member.stop.cancel();
        Some(*ordinal)
    }

    /// Tells all of them to stop.
    pub(crate) fn tell_all_to_stop(&self) {
        self.by_ordinal.values().for_each(|member| member.stop.cancel());
    }

    /// How many of a version there are that were not told to stop.
    pub(crate) fn count(&self, version: Version) -> u32 {
        let those =
            self.by_ordinal.values().filter(|member| member.version == version && !member.is_leaving());
        u32::try_from(those.count()).unwrap_or(u32::MAX)
    }

    /// How a rollout sees them, with what they have put on the board; its clock began at `began`.
    pub(crate) fn observed(&self, board: &[ReplicaState], began: Instant) -> Vec<rollout::Replica> {
        let observed = self.by_ordinal.iter().map(|(ordinal, member)| {
            let at = board.binary_search_by_key(ordinal, |state| state.ordinal).ok();
            let state = at.and_then(|at| board.get(at));
            rollout::Replica {
                id: member.id,
                version: member.version,
                standing: if member.is_leaving() {
                    rollout::Standing::Draining
                } else {
                    state.map_or(rollout::Standing::Waiting, |state| standing(state, began))
                },
                restarts: state.map_or(0, |state| state.restarts),
            }
        });
        observed.collect()
    }
}

/// Where a replica that was not told to stop is, as far as it matters to a rollout.
fn standing(state: &ReplicaState, began: Instant) -> rollout::Standing {
    match state.standing {
        Standing::Starting if state.process.is_some() => rollout::Standing::Starting,
        // It waits for a place among those that start, for its next start, or for the end of a process that has failed.
        Standing::Starting
        | Standing::BackingOff { .. }
        | Standing::CrashLoop { .. }
        | Standing::Stopping => rollout::Standing::Waiting,
        Standing::Ready => rollout::Standing::Ready {
            since: state.since.checked_duration_since(began).unwrap_or(Duration::ZERO),
        },
        Standing::NotReady => rollout::Standing::NotReady,
        // Nobody of the loop has told it to: the fleet ends at once.
        Standing::Draining | Standing::Stopped => rollout::Standing::Draining,
    }
}
