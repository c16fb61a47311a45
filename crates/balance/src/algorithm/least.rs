//! The algorithms that look at load: requests in flight, and response times.

use super::{Candidates, weight_if_eligible};
use crate::weighted::SmoothWeighted;

/// The candidate with the fewest requests in flight for its weight; among equals whose turn it is.
pub(super) fn connections(candidates: &impl Candidates, turns: &mut SmoothWeighted) -> Option<usize> {
    let load = |index: usize| (candidates.in_flight(index), candidates.weight(index).get());
    let (least_index, least) = candidates
        .eligible()
        .map(|index| (index, load(index)))
        .reduce(|least, other| if is_less(other.1, least.1) { other } else { least })?;
    let picked = turns
        .pick(|index| if is_less(least, load(index)) { 0.0 } else { weight_if_eligible(candidates, index) });
    // Counts move while they are read: another chooser may have loaded everyone since.
    picked.or(Some(least_index))
}

/// Whether `a` has fewer requests for its weight than `b`. Compared crosswise, because a quotient would round.
pub(super) fn is_less(a: (u32, u32), b: (u32, u32)) -> bool {
    u64::from(a.0) * u64::from(b.1) < u64::from(b.0) * u64::from(a.1)
}

/// Response times are told apart from here on: below, differences between equal endpoints are chance. With answers that take
/// exponentially distributed times, the peaks of five equal endpoints differ by up to that much.
const NOISE: f64 = 2.0;

/// Everyone in turn, in proportion to how fast each would answer now.
///
/// Choosing the fastest outright would send everything to one of equals as long as chance favours it, and nothing to one that was
/// slow once. Shares in proportion even out, and a slow endpoint is still asked, by as much as it is slower less often.
pub(super) fn response_time(candidates: &impl Candidates, turns: &mut SmoothWeighted) -> Option<usize> {
    let fastest =
        candidates.eligible().map(|index| candidates.response_nanos(index)).filter(|nanos| *nanos > 0).min();
    turns.pick(|index| {
        if !candidates.is_eligible(index) {
            return 0.0;
        }
        // One of which nothing is known counts as fast, so that it is tried.
        let slowness = match (candidates.response_nanos(index), fastest) {
            (nanos @ 1.., Some(fastest)) => (nanos as f64 / fastest as f64 / NOISE).max(1.0),
            (0, _) | (_, None) => 1.0,
        };
        let queue = f64::from(candidates.in_flight(index)) + 1.0;
        f64::from(candidates.weight(index).get()) / (slowness * queue)
    })
}
