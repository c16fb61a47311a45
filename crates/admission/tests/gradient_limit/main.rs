//! The gradient limit before a simulated server: what it lets through, how long answers take, and what it makes of trouble.
//!
//! Response times are told in mean service times. They are exponentially distributed, so the 99th percentile of an unloaded server is
//! ln 100 ≈ 4.6.

mod model;

use std::{num::NonZeroU32, time::Duration};

use model::{Load, Measured, Setup, Simulation};
use phalanx_admission::gradient_limit::Policy;

const SLOTS: u32 = 16;
const MEAN: Duration = Duration::from_millis(20);
const SECOND: Duration = Duration::from_secs(1);
const UNLOADED_P99: f64 = 4.6;

const LOADS: [Load; 8] = [
    Load::Open(0.5),
    Load::Open(1.0),
    Load::Open(2.0),
    Load::Open(10.0),
    Load::Closed(SLOTS / 2),
    Load::Closed(SLOTS),
    Load::Closed(2 * SLOTS),
    Load::Closed(10 * SLOTS),
];

/// The defaults of `adaptive_concurrency`.
fn policy() -> Policy {
    let one = NonZeroU32::MIN;
    Policy { min: one.saturating_add(7), max: one.saturating_add(999), tolerance: 1.5 }
}

fn setup(load: Load, workers: u32) -> Setup {
    Setup { slots: SLOTS, mean: MEAN, load, workers, policy: Some(policy()) }
}

/// What throughput may be asked for.
fn capacity(load: Load) -> f64 {
    match load {
        Load::Open(factor) => factor.min(1.0),
        Load::Closed(clients) => (f64::from(clients) / f64::from(SLOTS)).min(1.0),
    }
}

fn assert_settled(measured: &Measured, load: Load, seed: u64) {
    assert!(measured.throughput >= 0.9 * capacity(load), "seed {seed}, {load:?}: {measured:?}");
    assert!(measured.p99 <= 3.0 * UNLOADED_P99, "seed {seed}, {load:?}: {measured:?}");
}

#[test]
fn one_worker_settles_at_what_the_server_can_do() {
    settles(1);
}

#[test]
fn four_workers_settle_at_what_the_server_can_do() {
    settles(4);
}

fn settles(workers: u32) {
    for seed in 0..8 {
        for load in LOADS {
            let mut simulation = Simulation::new(seed, setup(load, workers));
            simulation.run(2 * SECOND);
            assert_settled(&simulation.run(4 * SECOND), load, seed);
        }
    }
}

#[test]
fn without_a_limit_answers_take_ever_longer() {
    let mut simulation = Simulation::new(1, Setup { policy: None, ..setup(Load::Open(2.0), 1) });
    simulation.run(2 * SECOND);
    let p99s = [(); 3].map(|()| simulation.run(2 * SECOND).p99);
    assert!(p99s[0] > 10.0 * UNLOADED_P99 && p99s[1] > 1.4 * p99s[0] && p99s[2] > 1.2 * p99s[1], "{p99s:?}");
}

/// Where a long average of all response times would take overload for normal, and where each worker that measured alone would take
/// the load of the others for normal.
#[test]
fn the_limit_does_not_drift_while_the_server_is_overloaded() {
    for (seed, workers) in [(1, 1), (2, 4), (3, 8)] {
        let load = Load::Open(1.5);
        let mut simulation = Simulation::new(seed, setup(load, workers));
        simulation.run(10 * SECOND);
        for _ in 0..10 {
            assert_settled(&simulation.run(30 * SECOND), load, seed);
            let limit = simulation.limit();
            assert!((16..80).contains(&limit), "seed {seed}, {workers} workers: {limit}");
        }
    }
}

/// Ten times slower for ten seconds: a second after it is over all is as before.
#[test]
fn a_slow_while_is_over_when_it_is_over() {
    for seed in 0..3 {
        for workers in [1, 4] {
            for load in [Load::Open(0.5), Load::Open(2.0), Load::Closed(2 * SLOTS), Load::Closed(10 * SLOTS)]
            {
                let mut simulation = Simulation::new(seed, setup(load, workers));
                simulation.run(2 * SECOND);
                simulation.slowness = 10.0;
                simulation.run(10 * SECOND);
                // Answers take ten times as long without any load, and hardly more than that with it.
                let slow = simulation.run(2 * SECOND);
                assert!(slow.p99 <= 10.0 * 2.0 * UNLOADED_P99, "seed {seed}, {load:?}: {slow:?}");
                simulation.slowness = 1.0;
                simulation.run(SECOND);
                assert_settled(&simulation.run(2 * SECOND), load, seed);
            }
        }
    }
}

/// A server that was overloaded gets twice the slots: the limit follows.
#[test]
fn more_capacity_is_used() {
    for seed in 0..4 {
        let mut simulation = Simulation::new(seed, setup(Load::Open(10.0), 1));
        simulation.run(2 * SECOND);
        simulation.double_slots();
        simulation.run(SECOND);
        assert_settled(&simulation.run(2 * SECOND), Load::Open(5.0), seed);
    }
}

/// After an hour with little to do, the limit is where it was, and nobody is refused.
#[test]
fn an_idle_hour_costs_nothing() {
    for seed in 0..4 {
        let mut simulation = Simulation::new(seed, setup(Load::Open(0.9), 1));
        simulation.run(20 * SECOND);
        simulation.set_load(Load::Open(0.002));
        // The last window of busy times ends with the first answers of idle ones.
        simulation.run(60 * SECOND);
        let before = simulation.limit();
        simulation.run(3_600 * SECOND);
        assert_eq!(simulation.limit(), before, "seed {seed}");
        simulation.set_load(Load::Open(0.5));
        let burst = simulation.run(2 * SECOND);
        assert_eq!(burst.refused, 0, "seed {seed}: {burst:?}");
    }
}
