//! How long a decision for 1000 pods takes: `make bench-scale`. The aim is less than a millisecond.
//!
//! Measured is `decide` alone, with its reasons as a line: two metrics of every pod (CPU as a share of requests, requests per
//! second), one pod in ten without a sample and one in ten still starting, rules for both directions, logs that are full.

#![expect(clippy::unwrap_used, reason = "what is measured here is known to be sound")]

use std::time::{Duration, Instant};

use phalanx_scale::{
    Observed, Policy, State, Tolerance, Wanted,
    behavior::{Behavior, Rules},
    decide,
    group::Startup,
    metric::{Metric, Reading, Resource, Scope, Target},
    pod::{Leaving, Phase, Pod, Readiness, Requests, Sample, Samples},
};

const PODS: u32 = 1_000;
const DECISIONS: u32 = 1_000;
const INTERVAL: Duration = Duration::from_secs(15);
/// Long after the start of those that are not starting.
const BEGIN: Duration = Duration::from_secs(24 * 3600);

fn main() {
    let policy = policy();
    let mut state = State::default();
    let mut took = Vec::new();
    let mut line_bytes = 0;
    for pass in 0..DECISIONS {
        let now = BEGIN + INTERVAL * pass;
        let observed = observed(pass, now);
        let begin = clock();
        let decision = decide(&policy, &mut state, &observed, now);
        let line = decision.reasons.to_string();
        took.push(clock() - begin);
        // The number stays as it is, so that each decision is about 1000 pods.
        state.changed(&policy, PODS, decision.replicas, now);
        line_bytes += line.len();
    }
    took.sort_unstable();
    let at = |share: usize| took[(took.len() - 1) * share / 100];
    println!(
        "{DECISIONS} decisions for {PODS} pods and 2 metrics{}: median {:?}, p99 {:?}, longest {:?} ({} bytes of reasons each)",
        if cfg!(debug_assertions) { ", not optimised" } else { "" },
        at(50),
        at(99),
        at(100),
        line_bytes / took.len(),
    );
}

#[expect(
    clippy::disallowed_methods,
    reason = "a measurement needs a clock, and this is no part of the crate"
)]
fn clock() -> Instant {
    Instant::now()
}

fn policy() -> Policy {
    let cpu = Target::Utilization { resource: Resource::Cpu, scope: Scope::Pod, percent: 70 };
    let metric = |name: &str, target| Metric { name: name.to_owned(), target };
    let wanted = Wanted {
        min: 1,
        max: 2_000,
        metrics: vec![metric("cpu", cpu), metric("requests", Target::PodsAverage { milli: 100_000 })],
        tolerance: Tolerance::default(),
        startup: Startup::default(),
        downscale_window: Duration::from_secs(300),
        behavior: Some(Behavior {
            up: Rules::up_default(),
            down: Rules::down_default(Duration::from_secs(3600)),
        }),
    };
    Policy::try_from(wanted).unwrap()
}

fn observed(pass: u32, now: Duration) -> Observed {
    let pods = (0..PODS).map(|index| pod(index, now));
    // Above the target in one pass and below it in the next.
    let load = if pass.is_multiple_of(2) { 400 } else { 300 };
    let samples = |factor: i64| -> Samples {
        let measured = (0..PODS).filter(|index| index % 10 != 0);
        let sample = |index: u32| Sample {
            value_milli: (load + i64::from(index % 50)) * factor,
            taken: now,
            window: INTERVAL,
        };
        measured.map(|index| (name(index), sample(index))).collect()
    };
    let requests: Requests = (0..PODS).map(|index| (name(index), 500)).collect();
    Observed {
        replicas: PODS,
        replicas_existing: PODS,
        crashing: 0,
        pods: pods.collect(),
        readings: vec![Reading::Resource { samples: samples(1), requests }, Reading::Pods(samples(300))],
    }
}

fn pod(index: u32, now: Duration) -> Pod {
    let starting = index % 10 == 1;
    let since = if starting { now } else { Duration::ZERO };
    Pod {
        name: name(index),
        phase: Phase::Running,
        leaving: Leaving::No,
        started: Some(since),
        readiness: Some(if starting { Readiness::Unready { since } } else { Readiness::Ready { since } }),
    }
}

fn name(index: u32) -> String {
    format!("api-7c9d8f6b5-{index:04}")
}
