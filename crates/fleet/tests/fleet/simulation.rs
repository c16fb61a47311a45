//! A fleet of real processes to which everything happens at once, in an order that a seed chooses: orders of people and of an
//! autoscaler, processes that are killed or stand still, programs that never get ready, exit, ignore TERM or start others.
//!
//! Whatever happens, after each step:
//!
//! * there are never more replicas than there should be, and as many as a rollout may add, and no two of one name;
//! * every process that runs is one that the fleet shows, or ends soon; every process that it shows runs, or is soon not shown;
//! * none of its processes stays a zombie.
//!
//! And whenever it may come to rest, and at the end: it does what it was told, its process table is that of `/proc`, the
//! balancer knows the replicas that are ready and nobody else, and as many ports are leased as processes run.
//!
//! A trial is told by its seed; the interleaving of processes is not, so a seed that has failed is worth several runs.
//! `PHALANX_SIMULATION_SEED` chooses the first seed, `PHALANX_SIMULATION_SEEDS` how many trials follow each other.

mod processes;
mod program;
mod step;
mod trial;

use std::env;

use self::trial::Trial;

/// What every run of the tests tries. Others are for those who change the fleet.
const FIRST_SEED: u64 = 1;
const SEEDS: u64 = 12;
const STEPS: u32 = 24;

#[tokio::test]
async fn whatever_happens_processes_replicas_and_ports_are_what_they_should_be() {
    let (first, seeds) =
        (number("PHALANX_SIMULATION_SEED", FIRST_SEED), number("PHALANX_SIMULATION_SEEDS", SEEDS));
    for seed in first..first + seeds {
        println!("seed {seed}");
        let mut trial = Trial::begin(seed).await;
        for _ in 0..STEPS {
            trial.goes_on().await;
        }
        trial.ends().await;
    }
}

fn number(variable: &str, otherwise: u64) -> u64 {
    env::var(variable).map_or(otherwise, |number| number.parse().unwrap())
}
