//! One step of a rollout: start what there is room for, or else stop what is no longer needed, as a Deployment's controller does.
//!
//! Invariant: an available replica is stopped only while more than `min_available` are, and none is started at `max_total`.
//! Invariant: replicas of the version that is rolled out count against the old ones only once they are available, so a version
//! that crashes stays beside the old one and never takes its place.

use std::num::NonZeroU32;

use super::{
    fenceposts::Fenceposts,
    history::Version,
    observed::{Counts, View},
    order::{in_stop_order, oldest_version_first},
    plan::{Actions, Start},
    policy::Ceiling,
    reasons::Reason,
};

/// What a step aims at.
pub(super) struct Aim {
    pub(super) version: Version,
    pub(super) desired: u32,
    pub(super) posts: Fenceposts,
    pub(super) ceiling: Ceiling,
}

impl Aim {
    /// How many replicas may come.
    pub(super) fn room(&self, counts: &Counts) -> u32 {
        let counted = match self.ceiling {
            Ceiling::Live => counts.live(),
            Ceiling::LiveAndDraining => counts.live().saturating_add(counts.draining),
        };
        self.posts.max_total.saturating_sub(counted)
    }
}

pub(super) type Step = (Actions, Reason);

/// The next step of a rollout.
pub(super) fn roll(aim: &Aim, view: &View<'_>) -> Step {
    let surplus = view.counts.new.saturating_sub(aim.desired);
    if surplus > 0 {
        return stop_surplus(surplus, view);
    }
    let missing = aim.desired - view.counts.new;
    match NonZeroU32::new(missing.min(aim.room(&view.counts))) {
        Some(count) => start(aim, count),
        None => stop_old(aim, view),
    }
}

fn start(aim: &Aim, count: NonZeroU32) -> Step {
    let start = Actions::starting(vec![Start { version: aim.version, count }]);
    (start, Reason::Start { count: count.get(), max_total: aim.posts.max_total })
}

fn stop_surplus(surplus: u32, view: &View<'_>) -> Step {
    let stop = in_stop_order(view.new.iter().copied()).into_iter().map(|replica| replica.id);
    let stop = stop.take(size(surplus)).collect();
    (Actions::stopping(stop), Reason::StopSurplus { count: surplus })
}

/// Stops old replicas, those that are not available first: nobody is served by them. Still as many old ones and available new
/// ones stay as must be available, since an old one that fails may well be back before a new one that never was.
fn stop_old(aim: &Aim, view: &View<'_>) -> Step {
    let counts = &view.counts;
    let min_available = aim.posts.min_available;
    let dispensable = counts.old.saturating_add(counts.new_available).saturating_sub(min_available);
    let unhealthy = dispensable.min(counts.old - counts.old_available);
    let available = counts.available().saturating_sub(min_available).min(counts.old_available);
    if unhealthy == 0 && available == 0 {
        return (Actions::default(), hold(aim, counts));
    }
    let (standing, failing): (Vec<_>, Vec<_>) =
        view.old.iter().copied().partition(|replica| view.is_available(replica));
    let failing = oldest_version_first(failing).into_iter().take(size(unhealthy));
    let standing = oldest_version_first(standing).into_iter().take(size(available));
    let stop = failing.chain(standing).map(|replica| replica.id).collect();
    (Actions::stopping(stop), Reason::StopOld { unhealthy, available })
}

fn hold(aim: &Aim, counts: &Counts) -> Reason {
    let unavailable = counts.new - counts.new_available;
    if counts.old == 0 && counts.new == aim.desired && unavailable == 0 {
        Reason::Settled
    } else if counts.new < aim.desired && counts.live() < aim.posts.max_total {
        Reason::AwaitDrained { draining: counts.draining, max_total: aim.posts.max_total }
    } else {
        Reason::AwaitAvailable { unavailable, min_available: aim.posts.min_available }
    }
}

/// A number as one of things in memory.
pub(super) fn size(count: u32) -> usize {
    usize::try_from(count).unwrap_or(usize::MAX)
}
