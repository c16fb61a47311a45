//! What holds for all algorithms, and what each alone promises.

mod beginning;
mod closed_loop;

use std::{cell::Cell, num::NonZeroU32};

use proptest::prelude::*;

use super::*;

/// A list of endpoints as a test lays it down.
#[derive(Clone, Debug)]
struct List(Vec<Endpoint>);

#[derive(Clone, Copy, Debug)]
struct Endpoint {
    weight: u16,
    sixty_fourths: u32,
    in_flight: u32,
    response_nanos: u64,
    is_eligible: bool,
    identity: u64,
}

impl Endpoint {
    fn of_weight(weight: u16, identity: u64) -> Self {
        Self { weight, sixty_fourths: 64, in_flight: 0, response_nanos: 0, is_eligible: true, identity }
    }
}

impl List {
    fn of_weights(weights: &[u16]) -> Self {
        Self(
            weights
                .iter()
                .zip(1..)
                .map(|(weight, identity)| Endpoint::of_weight(*weight, identity))
                .collect(),
        )
    }

    fn weights(&self) -> impl Iterator<Item = Weight> {
        self.0.iter().map(|endpoint| Weight::try_from(endpoint.weight).unwrap())
    }

    fn every_algorithm(&self, seed: u64) -> Vec<Algorithm> {
        vec![
            Algorithm::round_robin(self.weights(), 0),
            Algorithm::least_connections(self.weights(), 0),
            Algorithm::least_response_time(self.weights(), 0),
            Algorithm::power_of_two(seed),
            Algorithm::Hash,
            Algorithm::BoundedHash,
            Algorithm::random(seed),
        ]
    }
}

impl Candidates for List {
    fn count(&self) -> usize {
        self.0.len()
    }

    fn is_eligible(&self, index: usize) -> bool {
        self.0[index].is_eligible
    }

    fn base_weight(&self, index: usize) -> Weight {
        Weight::try_from(self.0[index].weight).unwrap()
    }

    fn weight(&self, index: usize) -> Share {
        let endpoint = &self.0[index];
        Share::from(NonZeroU32::new(u32::from(endpoint.weight) * endpoint.sixty_fourths).unwrap())
    }

    fn in_flight(&self, index: usize) -> u32 {
        self.0[index].in_flight
    }

    fn response_nanos(&self, index: usize) -> u64 {
        self.0[index].response_nanos
    }

    fn identity(&self, index: usize) -> u64 {
        self.0[index].identity
    }
}

fn endpoint() -> impl Strategy<Value = Endpoint> {
    (1_u16..10, 1_u32..=64, 0_u32..20, 0_u64..1_000, any::<bool>(), any::<u64>()).prop_map(
        |(weight, sixty_fourths, in_flight, response_nanos, is_eligible, identity)| Endpoint {
            weight,
            sixty_fourths,
            in_flight,
            response_nanos,
            is_eligible,
            identity,
        },
    )
}

/// How often each endpoint is picked in `count` choices with nothing in flight.
fn shares(list: &List, algorithm: &mut Algorithm, count: u64) -> Vec<u64> {
    let mut shares = vec![0; list.0.len()];
    for key in 0..count {
        shares[algorithm.pick(list, hash(&key.to_le_bytes())).unwrap()] += 1;
    }
    shares
}

#[test]
fn every_algorithm_gives_everyone_a_share_by_weight() {
    const CHOICES: u64 = 60_000;
    let list = List::of_weights(&[3, 1, 2]);
    for mut algorithm in list.every_algorithm(7) {
        let shares = shares(&list, &mut algorithm, CHOICES);
        for (share, weight) in shares.iter().zip([3, 1, 2]) {
            let fair = CHOICES * weight / 6;
            assert!(share.abs_diff(fair) * 50 <= fair, "{algorithm:?}: {shares:?}");
        }
    }
}

#[test]
fn least_connections_is_the_naive_minimum() {
    proptest!(|(endpoints in prop::collection::vec(endpoint(), 1..8))| {
        let list = List(endpoints);
        let picked = Algorithm::least_connections(list.weights(), 0).pick(&list, 0);
        let ratio = |index: usize| f64::from(list.in_flight(index)) / f64::from(list.weight(index).get());
        let least = list.eligible().map(ratio).min_by(f64::total_cmp);
        prop_assert_eq!(picked.map(ratio), least);
    });
}

/// Endpoints whose counts grow whenever they are looked at, as other workers make them grow.
struct Busy(Cell<u32>);

impl Candidates for Busy {
    fn count(&self) -> usize {
        2
    }

    fn is_eligible(&self, _: usize) -> bool {
        true
    }

    fn base_weight(&self, _: usize) -> Weight {
        Weight::ONE
    }

    fn weight(&self, _: usize) -> Share {
        Weight::ONE.into()
    }

    fn in_flight(&self, _: usize) -> u32 {
        self.0.set(self.0.get() + 100);
        self.0.get()
    }

    fn response_nanos(&self, _: usize) -> u64 {
        0
    }

    fn identity(&self, index: usize) -> u64 {
        index as u64
    }
}

#[test]
fn somebody_is_picked_although_counts_move_while_they_are_read() {
    let weights = || [Weight::ONE; 2];
    for mut algorithm in [
        Algorithm::least_connections(weights(), 0),
        Algorithm::least_response_time(weights(), 0),
        Algorithm::power_of_two(1),
        Algorithm::BoundedHash,
    ] {
        for key in 0..100 {
            assert!(algorithm.pick(&Busy(Cell::new(0)), key).is_some(), "{algorithm:?}");
        }
    }
}

#[test]
fn power_of_two_never_takes_the_most_loaded_of_many() {
    let mut list = List::of_weights(&[1; 4]);
    list.0[2].in_flight = 9;
    assert_eq!(shares(&list, &mut Algorithm::power_of_two(1), 1_000)[2], 0);
}

#[test]
fn a_key_stays_when_others_go_and_when_they_return() {
    proptest!(|(weights in prop::collection::vec(1_u16..10, 2..8), gone in any::<prop::sample::Index>(), key in any::<u64>())| {
        let mut list = List::of_weights(&weights);
        let before = Algorithm::Hash.pick(&list, key).unwrap();
        let gone = gone.index(weights.len());
        list.0[gone].is_eligible = false;
        let without = Algorithm::Hash.pick(&list, key).unwrap();
        prop_assert!(before == gone || before == without);
        // The order of the list does not matter either.
        list.0[gone].is_eligible = true;
        list.0.reverse();
        let reversed = Algorithm::Hash.pick(&list, key).unwrap();
        prop_assert_eq!(weights.len() - 1 - reversed, before);
    });
}

#[test]
fn the_keys_of_one_that_goes_are_shared_by_weight() {
    const KEYS: u64 = 60_000;
    let mut list = List::of_weights(&[3, 1, 2]);
    let pick = |list: &List, key: u64| Algorithm::Hash.pick(list, hash(&key.to_le_bytes())).unwrap();
    let before: Vec<usize> = (0..KEYS).map(|key| pick(&list, key)).collect();
    list.0[0].is_eligible = false;
    let mut moved = [0; 3];
    for (key, before) in (0..KEYS).zip(before) {
        let after = pick(&list, key);
        moved[after] += u64::from(after != before);
    }
    for (moved, fair) in moved.iter().zip([0, KEYS / 6, KEYS / 3]) {
        assert!(moved.abs_diff(fair) * 20 <= fair, "{moved} and {fair}");
    }
}

#[test]
fn the_hash_is_frozen() {
    // Keys stay with their endpoints over versions only as long as these hold.
    for (key, expected) in
        [("", 0xF52A_15E9_A9B5_E89B_u64), ("a", 0x02C0_BDBF_4814_20F8), ("192.0.2.1", 0x4D0E_1BC6_8452_59F5)]
    {
        assert_eq!(hash(key.as_bytes()), expected, "{key}");
    }
}

#[test]
fn a_bounded_hash_passes_on_what_is_too_much() {
    let mut list = List::of_weights(&[1; 4]);
    let key = hash(b"popular");
    let mut picked = Vec::new();
    for _ in 0..100 {
        let index = Algorithm::BoundedHash.pick(&list, key).unwrap();
        list.0[index].in_flight += 1;
        picked.push(index);
    }
    let loads: Vec<u32> = list.0.iter().map(|endpoint| endpoint.in_flight).collect();
    assert!(loads.iter().all(|load| *load <= 32), "at most 1.25 × 25 and one: {loads:?}");
    assert_eq!(picked[0], Algorithm::Hash.pick(&list, key).unwrap());
}

proptest! {
    #[test]
    fn only_the_eligible_are_picked_and_one_if_there_is_any(
        endpoints in prop::collection::vec(endpoint(), 0..8),
        keys in prop::collection::vec(any::<u64>(), 1..20),
        seed in any::<u64>(),
    ) {
        let list = List(endpoints);
        for mut algorithm in list.every_algorithm(seed) {
            for key in &keys {
                let picked = algorithm.pick(&list, *key);
                prop_assert_eq!(picked.is_some(), list.eligible().next().is_some(), "{:?}", algorithm);
                prop_assert!(picked.is_none_or(|index| list.is_eligible(index)));
            }
        }
    }
}
