//! Clients that send their next request when the last one is answered, to endpoints that take exponentially distributed times.

use std::{cmp::Reverse, collections::BinaryHeap, time::Duration};

use super::*;
use crate::ResponseTime;

const REQUESTS: usize = 3_000;

/// A way to make an algorithm over a list, with a seed.
type Make = fn(&List, u64) -> Algorithm;

const LEAST_RESPONSE_TIME: Make = |list, _| Algorithm::least_response_time(list.weights(), 0);
const POWER_OF_TWO: Make = |_, seed| Algorithm::power_of_two(seed);

/// Sends requests for so many clients to endpoints that take `seconds` on average; the share of each.
fn simulate(make: Make, seed: u64, clients: usize, seconds: &[f64]) -> Vec<f64> {
    let mut random = fastrand::Rng::with_seed(seed);
    let mut list = List::of_weights(&vec![1; seconds.len()]);
    let mut times = vec![ResponseTime::default(); seconds.len()];
    let mut algorithm = make(&list, seed);
    let mut sent = vec![0_u32; seconds.len()];
    let mut ends = BinaryHeap::new();
    let mut now = Duration::ZERO;
    for _ in 0..REQUESTS {
        if ends.len() == clients {
            let Reverse((at, index, elapsed)) = ends.pop().unwrap();
            now = at;
            let (index, elapsed): (usize, Duration) = (index, elapsed);
            list.0[index].in_flight -= 1;
            times[index].observe(elapsed, now);
        }
        for (endpoint, time) in list.0.iter_mut().zip(&times) {
            endpoint.response_nanos = time.nanos(now);
        }
        let index = algorithm.pick(&list, 0).unwrap();
        let elapsed = Duration::from_secs_f64(-seconds[index] * (1.0 - random.f64()).ln());
        list.0[index].in_flight += 1;
        sent[index] += 1;
        ends.push(Reverse((now + elapsed, index, elapsed)));
    }
    sent.iter().map(|count| f64::from(*count) / REQUESTS as f64).collect()
}

#[test]
fn least_response_time_gives_five_equal_endpoints_a_fifth_each() {
    for seed in 0..20 {
        for clients in [1, 16, 64] {
            let shares = simulate(LEAST_RESPONSE_TIME, seed, clients, &[0.005; 5]);
            assert!(
                shares.iter().all(|share| (0.18..=0.22).contains(share)),
                "seed {seed}, {clients} clients: {shares:?}"
            );
        }
    }
}

#[test]
fn an_endpoint_a_hundred_times_slower_gets_little_and_never_nothing() {
    for (make, clients) in [
        (LEAST_RESPONSE_TIME, 1),
        (LEAST_RESPONSE_TIME, 16),
        (LEAST_RESPONSE_TIME, 64),
        (POWER_OF_TWO, 16),
        (POWER_OF_TWO, 64),
    ] {
        for seed in 0..20 {
            let shares = simulate(make, seed, clients, &[0.5, 0.005, 0.005, 0.005]);
            assert!((0.000_1..0.05).contains(&shares[0]), "seed {seed}, {clients} clients: {shares:?}");
        }
    }
}
