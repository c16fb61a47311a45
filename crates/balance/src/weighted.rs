//! Smooth weighted round robin, as nginx balances by default: each endpoint gets its share, and a heavy one gets it spread
//! out instead of in a burst.
//!
//! Each pick adds every eligible candidate's weight to its credit, takes the one with the most, and charges it the sum of what
//! was added. Over a full turn (the sum of the weights) everyone is picked exactly as often as its weight says.
//!
//! Cannot fail: no eligible candidate yields `None`.

use crate::Weight;

/// The balancing state over one list of endpoints, which are known by their index.
#[derive(Clone, Debug)]
pub struct SmoothWeighted {
    candidates: Vec<Candidate>,
}

#[derive(Clone, Copy, Debug)]
struct Candidate {
    weight: i64,
    credit: i64,
}

impl SmoothWeighted {
    /// A state in which `turns` picks have been made: workers that begin at different turns do not all send their first
    /// request to the same endpoint.
    #[must_use]
    pub fn new(weights: impl IntoIterator<Item = Weight>, turns: usize) -> Self {
        let candidates = weights
            .into_iter()
            .map(|weight| Candidate { weight: i64::from(weight.get()), credit: 0 })
            .collect();
        let mut state = Self { candidates };
        // A whole round changes nothing, so only the rest of one is walked.
        let round: i64 = state.candidates.iter().map(|candidate| candidate.weight).sum();
        let turns = usize::try_from(round).map_or(0, |round| turns.checked_rem(round).unwrap_or(0));
        for _ in 0..turns {
            state.pick(|_| true);
        }
        state
    }

    /// The index of the endpoint whose turn it is among those that are `eligible`.
    pub fn pick(&mut self, eligible: impl Fn(usize) -> bool) -> Option<usize> {
        let mut charged = 0;
        let mut chosen: Option<usize> = None;
        for index in (0..self.candidates.len()).filter(|index| eligible(*index)) {
            let candidate = &mut self.candidates[index];
            candidate.credit += candidate.weight;
            charged += candidate.weight;
            // Of equals the first, so that a round is the same for everyone who reads a log.
            if chosen.is_none_or(|best| self.candidates[best].credit < self.candidates[index].credit) {
                chosen = Some(index);
            }
        }
        self.candidates[chosen?].credit -= charged;
        chosen
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn state(weights: &[u16]) -> SmoothWeighted {
        SmoothWeighted::new(weights.iter().map(|weight| Weight::try_from(*weight).unwrap()), 0)
    }

    fn picks(weights: &[u16], count: usize) -> String {
        let mut state = state(weights);
        (0..count).map(|_| char::from(b'a' + u8::try_from(state.pick(|_| true).unwrap()).unwrap())).collect()
    }

    #[test]
    fn a_heavy_endpoint_is_spread_out() {
        assert_eq!(picks(&[5, 1, 1], 7), "aabacaa");
        assert_eq!(picks(&[1, 1, 1], 6), "abcabc");
        assert_eq!(picks(&[4, 2], 6), "abaaba");
    }

    #[test]
    fn nobody_eligible_is_nobody_picked() {
        assert_eq!(state(&[]).pick(|_| true), None);
        assert_eq!(state(&[1, 2]).pick(|_| false), None);
    }

    #[test]
    fn workers_that_start_at_different_turns_start_at_different_endpoints() {
        let first = |turns| SmoothWeighted::new([Weight::ONE; 3], turns).pick(|_| true);
        assert_eq!([first(0), first(1), first(2), first(3)], [Some(0), Some(1), Some(2), Some(0)]);
    }

    proptest! {
        #[test]
        fn over_one_round_everyone_gets_exactly_their_weight(weights in prop::collection::vec(1_u16..20, 1..8)) {
            let round: usize = weights.iter().map(|weight| usize::from(*weight)).sum();
            let mut state = state(&weights);
            for _ in 0..3 {
                let mut counts = vec![0_u16; weights.len()];
                for _ in 0..round {
                    counts[state.pick(|_| true).unwrap()] += 1;
                }
                prop_assert_eq!(&counts, &weights);
            }
        }

        #[test]
        fn no_endpoint_waits_longer_than_its_share_allows(weights in prop::collection::vec(1_u16..20, 2..8)) {
            let round: usize = weights.iter().map(|weight| usize::from(*weight)).sum();
            let mut state = state(&weights);
            let picks: Vec<usize> = (0..2 * round).map(|_| state.pick(|_| true).unwrap()).collect();
            for (index, weight) in weights.iter().enumerate() {
                let gap = picks.split(|pick| *pick == index).map(<[usize]>::len).max().unwrap();
                // Twice the even distance: what smoothness promises, where a naive expansion of weights waits a whole round.
                prop_assert!(gap <= 2 * round.div_ceil(usize::from(*weight)), "endpoint {} waits {} picks", index, gap);
            }
        }

        #[test]
        fn only_the_eligible_are_picked_whatever_comes_and_goes(
            weights in prop::collection::vec(1_u16..20, 1..8),
            eligibility in prop::collection::vec(any::<u8>(), 1..200),
        ) {
            let mut state = state(&weights);
            for mask in eligibility {
                let eligible = |index: usize| mask >> index & 1 == 1;
                let expected = (0..weights.len()).any(eligible);
                let picked = state.pick(eligible);
                prop_assert_eq!(picked.is_some(), expected);
                prop_assert!(picked.is_none_or(eligible));
            }
        }
    }
}
