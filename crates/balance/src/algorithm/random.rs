//! The algorithms that leave it to chance, whole or in part.

use super::{Candidates, least::is_less};

/// Any candidate but `except`, each as likely as its weight says.
pub(super) fn weighted(
    candidates: &impl Candidates,
    random: &mut fastrand::Rng,
    except: Option<usize>,
) -> Option<usize> {
    let eligible = || candidates.eligible().filter(|index| Some(*index) != except);
    let weight = |index: usize| u64::from(candidates.weight(index).get());
    let sum: u64 = eligible().map(weight).sum();
    let mut left = if sum > 0 { random.u64(..sum) } else { return None };
    eligible().find(|index| {
        let found = left < weight(*index);
        left = left.saturating_sub(weight(*index));
        found
    })
}

/// Of two candidates at random the one with fewer requests in flight for its weight: almost as even as looking at all of them,
/// and many choosers do not all choose the same one.
pub(super) fn better_of_two(candidates: &impl Candidates, random: &mut fastrand::Rng) -> Option<usize> {
    let first = weighted(candidates, random, None)?;
    let Some(second) = weighted(candidates, random, Some(first)) else { return Some(first) };
    let load = |index: usize| (candidates.in_flight(index), candidates.weight(index).get());
    Some(if is_less(load(second), load(first)) { second } else { first })
}
