//! A gateway and its endpoints, by seed: workers that choose and retry, a gate that they share, which limits and queues, a main thread
//! that judges and publishes, and endpoints that crash, hang, get slow, reset, err, flap, leave and recover.
//!
//! Whatever happens, every request ends once, counts of what is in flight are true and return to zero, nothing goes to an endpoint that
//! is out, drains or was tried, retries stay within their budget, nobody is served late or overtaken, and all is well again in the end.
//!
//! `PHALANX_SEED=7` runs that seed alone. A failure prints its seed and what happened last.

mod agenda;
mod control;
mod endpoint;
mod gate;
mod promises;
mod request;
mod setup;
mod simulation;
mod worker;

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

use promises::Seen;
use request::Ending;
use simulation::Simulation;

const SEEDS: u64 = 210;

#[test]
fn whatever_happens_every_promise_is_kept() {
    if let Ok(seed) = std::env::var("PHALANX_SEED") {
        println!("{:#?}", run(seed.parse().expect("PHALANX_SEED is a number")));
        return;
    }
    let mut seen = Seen::default();
    for seed in 0..SEEDS {
        seen.add(&run(seed));
    }
    assert_everything_happened(&seen);
}

#[test]
fn a_seed_is_the_same_run_each_time() {
    for seed in 0..7 {
        assert_eq!(run(seed), run(seed), "seed {seed}");
    }
}

fn run(seed: u64) -> Seen {
    let mut simulation = Simulation::new(seed);
    if let Err(panic) = catch_unwind(AssertUnwindSafe(|| simulation.run())) {
        println!("what happened last with PHALANX_SEED={seed}:");
        simulation.agenda.print_notes();
        resume_unwind(panic);
    }
    simulation.seen
}

/// Promises about what never happened would be kept easily.
fn assert_everything_happened(seen: &Seen) {
    println!("{seen:#?}");
    for ending in [
        Ending::Answered,
        Ending::Erred,
        Ending::Failed,
        Ending::NobodyServes,
        Ending::BreakerOpen,
        Ending::Shed,
        Ending::Late,
        Ending::CutShort,
        Ending::ClientLeft,
    ] {
        assert!(seen.endings.get(&ending).is_some_and(|count| *count >= 100), "{ending:?}: {seen:?}");
    }
    for count in [
        seen.retries,
        seen.refused_retries,
        seen.called,
        seen.trials,
        seen.panics,
        seen.outliers,
        seen.openings,
    ] {
        assert!(count >= 100, "{seen:?}");
    }
}
