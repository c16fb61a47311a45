//! What holds when an endpoint begins to serve, and when a worker begins to choose.

use super::*;

#[test]
fn an_endpoint_that_starts_slowly_gets_its_share_of_the_moment() {
    const CHOICES: u64 = 60_000;
    let mut list = List::of_weights(&[2, 4]);
    list.0[1].sixty_fourths = 8;
    for mut algorithm in list.every_algorithm(3) {
        let shares = shares(&list, &mut algorithm, CHOICES);
        let parts = match algorithm {
            Algorithm::Hash | Algorithm::BoundedHash => [20_000, 40_000],
            _ => [48_000, 12_000],
        };
        for (share, fair) in shares.iter().zip(parts) {
            assert!(share.abs_diff(fair) * 50 <= fair, "{algorithm:?}: {shares:?}");
        }
    }
}

#[test]
fn keys_stay_while_an_endpoint_starts_slowly() {
    proptest!(|(endpoints in prop::collection::vec(endpoint(), 1..8), key in any::<u64>())| {
        let list = List(endpoints);
        let mut warm = list.clone();
        for endpoint in &mut warm.0 {
            endpoint.sixty_fourths = 64;
        }
        prop_assert_eq!(Algorithm::Hash.pick(&list, key), Algorithm::Hash.pick(&warm, key));
    });
}

#[test]
fn a_bounded_hash_gives_less_to_one_that_starts_slowly() {
    let mut list = List::of_weights(&[1; 4]);
    list.0[0].sixty_fourths = 16;
    for key in 0..100_u64 {
        let index = Algorithm::BoundedHash.pick(&list, hash(&key.to_le_bytes())).unwrap();
        list.0[index].in_flight += 1;
    }
    let loads: Vec<u32> = list.0.iter().map(|endpoint| endpoint.in_flight).collect();
    assert!(loads[0] <= 10, "at most 1.25 × 100 × 16 / 208, and one: {loads:?}");
}

/// The difference for each endpoint between what its shares come to and how often it is picked, at its largest.
fn farthest_from_its_shares(algorithm: &mut Algorithm, list: &mut List, schedule: &[Vec<u32>]) -> f64 {
    let mut owed = vec![0.0; list.0.len()];
    let mut farthest = 0.0_f64;
    for sixty_fourths in schedule {
        for (endpoint, sixty_fourths) in list.0.iter_mut().zip(sixty_fourths) {
            endpoint.sixty_fourths = *sixty_fourths;
        }
        let share = |index: usize| f64::from(list.weight(index).get());
        let sum: f64 = (0..owed.len()).map(share).sum();
        owed[algorithm.pick(list, 0).unwrap()] -= 1.0;
        for (index, owed) in owed.iter_mut().enumerate() {
            *owed += share(index) / sum;
            farthest = farthest.max(owed.abs());
        }
    }
    farthest
}

#[test]
fn with_changing_shares_everyone_stays_close_to_what_they_come_to() {
    const ENDPOINTS: usize = 5;
    let schedule = prop::collection::vec(prop::collection::vec(1_u32..=64, ENDPOINTS), 1..200);
    proptest!(|(weights in prop::collection::vec(1_u16..=1_000, ENDPOINTS), schedule in schedule)| {
        let mut list = List::of_weights(&weights);
        for mut algorithm in [
            Algorithm::round_robin(list.weights(), 0),
            Algorithm::least_connections(list.weights(), 0),
            Algorithm::least_response_time(list.weights(), 0),
        ] {
            let farthest = farthest_from_its_shares(&mut algorithm, &mut list, &schedule);
            prop_assert!(farthest < 3.0, "{:?}: {}", algorithm, farthest);
        }
    });
}

/// How often each of `endpoints` is picked when every one of `workers` that begin at once makes one choice.
fn first_picks(make: impl Fn(&List, usize) -> Algorithm, workers: usize, endpoints: usize) -> Vec<u32> {
    let mut list = List::of_weights(&vec![1; endpoints]);
    for worker in 0..workers {
        let index = make(&list, worker).pick(&list, 0).unwrap();
        list.0[index].in_flight += 1;
    }
    list.0.iter().map(|endpoint| endpoint.in_flight).collect()
}

#[test]
fn workers_that_begin_at_once_do_not_begin_with_the_same_endpoint() {
    let in_turn: [fn(&List, usize) -> Algorithm; 3] = [
        |list, worker| Algorithm::round_robin(list.weights(), worker),
        |list, worker| Algorithm::least_connections(list.weights(), worker),
        |list, worker| Algorithm::least_response_time(list.weights(), worker),
    ];
    for make in in_turn {
        for (workers, endpoints) in [(2, 2), (4, 4), (8, 4), (16, 3), (64, 5)] {
            let picks = first_picks(make, workers, endpoints);
            let even = workers.div_ceil(endpoints);
            assert!(picks.iter().all(|picks| *picks as usize <= even + 1), "{workers} workers: {picks:?}");
        }
    }
    let by_chance: [fn(&List, usize) -> Algorithm; 2] =
        [|_, worker| Algorithm::power_of_two(worker as u64), |_, worker| Algorithm::random(worker as u64)];
    for make in by_chance {
        let picks = first_picks(make, 64, 4);
        assert!(picks.iter().all(|picks| (4..=28).contains(picks)), "{picks:?}");
    }
}
