//! What becomes of versions that lie beside each other when the desired number changes.
//!
//! Growth is shared in proportion to what they have, as a Deployment's controller shares it, so that no larger part than before
//! depends on a version that may turn out to be bad. Shrinking takes those replicas first that serve nobody, then the oldest.
//! There a Deployment keeps the proportion too and can stop replicas that are available although too few others are: here
//! `min_available` holds instead.
//!
//! A version that is alone follows the desired number, also one that is about to be replaced: what serves is to suffice first.

use std::{cmp::Reverse, collections::BTreeMap, num::NonZeroU32};

use super::{
    history::Version,
    observed::{Replica, View},
    order::{in_stop_order, oldest_version_first},
    plan::{Actions, Start},
    reasons::Reason,
    step::{Aim, Step, size},
};

/// The versions that have replicas, and how many.
pub(super) type Sizes = BTreeMap<Version, u32>;

pub(super) fn sizes(view: &View<'_>) -> Sizes {
    let mut sizes = Sizes::new();
    for replica in view.live() {
        let size = sizes.entry(replica.version).or_default();
        *size = size.saturating_add(1);
    }
    sizes
}

/// Brings the versions to `target` replicas together; nothing, if there are as many.
pub(super) fn share(aim: &Aim, view: &View<'_>, sizes: &Sizes, target: u32) -> Option<Step> {
    let live = view.counts.live();
    if live > target {
        return Some(shrink(view, live - target));
    }
    let missing = NonZeroU32::new(target - live)?.get();
    let max_total = aim.posts.max_total;
    let count = missing.min(aim.room(&view.counts));
    if count == 0 {
        let draining = view.counts.draining;
        return Some((Actions::default(), Reason::AwaitDrained { draining, max_total }));
    }
    let start = grown(sizes, live, count)
        .into_iter()
        .filter_map(|(version, count)| Some(Start { version, count: NonZeroU32::new(count)? }))
        .collect();
    Some((Actions::starting(start), Reason::Start { count, max_total }))
}

/// How `added` replicas are shared by the `live` ones, the largest version first and between equals the newest. That one also
/// gets what rounding leaves.
fn grown(sizes: &Sizes, live: u32, added: u32) -> Vec<(Version, u32)> {
    let mut sizes: Vec<_> = sizes.iter().rev().map(|(&version, &size)| (version, size)).collect();
    sizes.sort_by_key(|&(_, size)| Reverse(size));
    let mut left = added;
    let mut shares: Vec<_> = sizes
        .into_iter()
        .map(|(version, size)| {
            let share = part(size, live, added).min(left);
            left -= share;
            (version, share)
        })
        .collect();
    if let Some((_, largest)) = shares.first_mut() {
        *largest += left;
    }
    shares
}

/// The part of `added` for `size` out of `live`, rounded to the nearest.
fn part(size: u32, live: u32, added: u32) -> u32 {
    let (size, live, added) = (u128::from(size), u128::from(live.max(1)), u128::from(added));
    u32::try_from((2 * size * added + live) / (2 * live)).unwrap_or(u32::MAX)
}

fn shrink(view: &View<'_>, surplus: u32) -> Step {
    let is_available = |replica: &&Replica| view.is_available(replica);
    let (old_standing, old_failing): (Vec<_>, Vec<_>) = view.old.iter().copied().partition(is_available);
    let (new_standing, new_failing): (Vec<_>, Vec<_>) = view.new.iter().copied().partition(is_available);
    let stop = oldest_version_first(old_failing)
        .into_iter()
        .chain(in_stop_order(new_failing))
        .chain(oldest_version_first(old_standing))
        .chain(in_stop_order(new_standing))
        .map(|replica| replica.id)
        .take(size(surplus))
        .collect();
    (Actions::stopping(stop), Reason::StopSurplus { count: surplus })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rollout::history::tests::version;

    #[test]
    fn growth_keeps_the_proportion_and_rounding_favours_the_largest() {
        for (sizes, added, shares) in [
            // The example of Kubernetes' documentation: 10 replicas, a surge of 3, and 15 are wanted.
            (&[8, 5][..], 5, &[3, 2][..]),
            (&[3, 2], 5, &[3, 2]),
            (&[4, 1], 2, &[2, 0]),
            (&[1, 1, 1], 1, &[0, 0, 1]),
            (&[1, 1, 1], 7, &[2, 2, 3]),
            (&[2, 2], 1, &[0, 1]),
            (&[1, 2, 2], 3, &[1, 1, 1]),
            (&[0], 4, &[4]),
            (&[u32::MAX - 1], 1, &[1]),
            (&[], 1, &[]),
        ] {
            let sizes: Sizes = (1..).map(version).zip(sizes.iter().copied()).collect();
            let mut grown = grown(&sizes, sizes.values().sum(), added);
            grown.sort();
            let grown: Vec<_> = grown.into_iter().map(|(_, share)| share).collect();
            assert_eq!(grown, shares, "{added} more for {sizes:?}");
        }
    }
}
