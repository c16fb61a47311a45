//! Smooth weighted round robin, as nginx balances by default: each endpoint gets its share, and a heavy one gets it spread
//! out instead of in a burst.
//!
//! Each pick shares one credit among the eligible candidates in proportion to what they weigh, takes the one with the most, and
//! charges it that one credit. So the credit of a candidate is what its share has come to, less how often it was picked, also
//! when weights change and candidates come and go: what was owed for a weight of a thousand is not paid back at a weight of one.
//! With weights that stay, over a full turn (the sum of the weights) everyone is picked exactly as often as its weight says.
//!
//! Cannot fail: no eligible candidate yields `None`.

use crate::Weight;

/// Credits that differ by less are equal: a sum of fractions is not exact, and real differences between weights are larger.
const TIE: f64 = 1e-9;

/// The balancing state over one list of endpoints, which are known by their index.
#[derive(Clone, Debug)]
pub struct SmoothWeighted {
    candidates: Vec<Candidate>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Candidate {
    /// Picks that it is owed, or has had ahead of its share.
    credit: f64,
    /// What it weighs in the choice that is being made.
    weight: f64,
}

impl SmoothWeighted {
    /// A state in which `turns` picks have been made: workers that begin at different turns do not all send their first
    /// request to the same endpoint. Only these picks go by `weights`.
    pub(crate) fn new(weights: impl IntoIterator<Item = Weight>, turns: usize) -> Self {
        let weights: Vec<Weight> = weights.into_iter().collect();
        let mut state = Self { candidates: vec![Candidate::default(); weights.len()] };
        // A whole round changes nothing, so only the rest of one is walked.
        let round: usize = weights.iter().map(|weight| usize::from(weight.get())).sum();
        for _ in 0..turns.checked_rem(round).unwrap_or(0) {
            state.pick(|index| f64::from(weights[index].get()));
        }
        state
    }

    /// The index of the endpoint whose turn it is, where each has this `weight` at the moment: zero if it is not eligible, and
    /// never less.
    pub(crate) fn pick(&mut self, weight: impl Fn(usize) -> f64) -> Option<usize> {
        let mut sum = 0.0;
        for (index, candidate) in self.candidates.iter_mut().enumerate() {
            // Asked once, since the answer may be another a moment later.
            candidate.weight = weight(index);
            sum += candidate.weight;
        }
        let chosen = earn(&mut self.candidates, sum.recip())?;
        self.candidates[chosen].credit -= 1.0;
        Some(chosen)
    }
}

/// Gives each candidate `credit` for each unit that it weighs; the index of the one that then has most, if anyone weighs anything.
fn earn(candidates: &mut [Candidate], credit: f64) -> Option<usize> {
    let mut most = f64::NEG_INFINITY;
    let mut chosen = None;
    for (index, candidate) in
        candidates.iter_mut().enumerate().filter(|(_, candidate)| candidate.weight > 0.0)
    {
        candidate.credit += candidate.weight * credit;
        // Of equals the first, so that a round is the same for everyone who reads a log.
        if candidate.credit > most + TIE {
            most = candidate.credit;
            chosen = Some(index);
        }
    }
    chosen
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn state(count: usize) -> SmoothWeighted {
        SmoothWeighted::new(vec![Weight::ONE; count], 0)
    }

    fn pick(state: &mut SmoothWeighted, weights: &[u16]) -> Option<usize> {
        state.pick(|index| f64::from(weights[index]))
    }

    fn picks(weights: &[u16], count: usize) -> Vec<usize> {
        let mut state = state(weights.len());
        (0..count).map(|_| pick(&mut state, weights).unwrap()).collect()
    }

    fn letters(weights: &[u16], count: usize) -> String {
        picks(weights, count).iter().map(|pick| char::from(b'a' + u8::try_from(*pick).unwrap())).collect()
    }

    #[test]
    fn a_heavy_endpoint_is_spread_out() {
        assert_eq!(letters(&[5, 1, 1], 7), "aabacaa");
        assert_eq!(letters(&[1, 1, 1], 6), "abcabc");
        assert_eq!(letters(&[4, 2], 6), "abaaba");
    }

    #[test]
    fn nobody_eligible_is_nobody_picked() {
        assert_eq!(pick(&mut state(0), &[]), None);
        assert_eq!(pick(&mut state(2), &[0, 0]), None);
    }

    #[test]
    fn workers_that_start_at_different_turns_start_at_different_endpoints() {
        let first = |turns| pick(&mut SmoothWeighted::new([Weight::ONE; 3], turns), &[1; 3]);
        assert_eq!([first(0), first(1), first(2), first(3)], [Some(0), Some(1), Some(2), Some(0)]);
    }

    #[test]
    fn a_round_stays_the_same_round_for_long() {
        let round = picks(&[7, 3, 3, 1], 14);
        assert!(picks(&[7, 3, 3, 1], 14 * 10_000).chunks(14).all(|other| *other == round));
    }

    #[test]
    fn what_is_owed_for_a_large_weight_is_not_paid_back_at_a_small_one() {
        let mut state = state(2);
        assert_eq!(pick(&mut state, &[64_000, 64_000]), Some(0));
        let after = (0..6).map(|_| pick(&mut state, &[64, 64]).unwrap()).collect::<Vec<_>>();
        assert_eq!(after, [1, 0, 1, 0, 1, 0]);
    }

    proptest! {
        #[test]
        fn over_one_round_everyone_gets_exactly_their_weight(weights in prop::collection::vec(1_u16..20, 1..8)) {
            let round: usize = weights.iter().map(|weight| usize::from(*weight)).sum();
            for round in picks(&weights, 3 * round).chunks(round) {
                let mut counts = vec![0_u16; weights.len()];
                for index in round {
                    counts[*index] += 1;
                }
                prop_assert_eq!(&counts, &weights);
            }
        }

        #[test]
        fn no_endpoint_waits_longer_than_its_share_allows(weights in prop::collection::vec(1_u16..20, 2..8)) {
            let round: usize = weights.iter().map(|weight| usize::from(*weight)).sum();
            let picks = picks(&weights, 2 * round);
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
            let mut state = state(weights.len());
            for mask in eligibility {
                let eligible = |index: usize| mask >> index & 1 == 1;
                let expected = (0..weights.len()).any(eligible);
                let picked = state.pick(|index| if eligible(index) { f64::from(weights[index]) } else { 0.0 });
                prop_assert_eq!(picked.is_some(), expected);
                prop_assert!(picked.is_none_or(eligible));
            }
        }

        #[test]
        fn with_changing_weights_everyone_stays_close_to_what_its_shares_come_to(
            schedule in prop::collection::vec(prop::collection::vec(0_u16..=1_000, 6), 1..300),
        ) {
            let mut state = state(6);
            let mut owed = [0.0; 6];
            for weights in schedule {
                let Some(picked) = pick(&mut state, &weights) else { continue };
                let sum: f64 = weights.iter().copied().map(f64::from).sum();
                for (owed, weight) in owed.iter_mut().zip(weights) {
                    *owed += f64::from(weight) / sum;
                }
                owed[picked] -= 1.0;
                // Ahead by less than one pick; behind by about the logarithm of how many there are, as whenever the largest of
                // several piles is cut down.
                prop_assert!(owed.iter().all(|owed| (-1.0..1.0 + f64::from(6).ln()).contains(owed)), "{:?}", owed);
            }
        }
    }
}
