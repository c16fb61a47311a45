//! What holds of every decision, whatever is wanted, remembered and observed.

#![expect(clippy::unwrap_used, reason = "this crate is a test, its helpers included")]

use std::time::Duration;

use phalanx_scale::{
    Decision, Observed, Policy, State, Tolerance, Wanted,
    behavior::{Amount, Behavior, Rate, Rules, Select},
    decide,
    group::Startup,
    metric::{Goal, Metric, Reading, Resource, Scope, Target},
    pod::{Leaving, Phase, Pod, Readiness, Sample},
    rate::Changes,
    reasons::Course,
    stabilize::{Recommendation, Windows, both_ways, down_only},
};
use proptest::{collection::vec, option, prelude::*};

/// When decisions begin; everything that is remembered lies before.
const BEGIN: Duration = Duration::from_secs(10_000);
const DOWNSCALE_WINDOW: Duration = Duration::from_secs(300);

fn seconds(range: std::ops::Range<u64>) -> impl Strategy<Value = Duration> {
    range.prop_map(Duration::from_secs)
}

fn values() -> impl Strategy<Value = i64> {
    prop_oneof![8 => 0..3_000_i64, 1 => any::<i64>()]
}

fn rules() -> impl Strategy<Value = Rules> {
    let amount = prop_oneof![(1..20_u32).prop_map(Amount::Replicas), (1..300_u32).prop_map(Amount::Percent)];
    let rate = (amount, seconds(1..120)).prop_map(|(amount, period)| Rate { amount, period });
    let select = prop_oneof![4 => Just(Select::Max), 2 => Just(Select::Min), 1 => Just(Select::Disabled)];
    (seconds(0..400), select, vec(rate, 1..4), option::of(0.0..0.5))
        .prop_map(|(window, select, rates, tolerance)| Rules { window, select, rates, tolerance })
}

fn behavior() -> impl Strategy<Value = Behavior> {
    (rules(), rules()).prop_map(|(up, down)| Behavior { up, down })
}

fn target() -> impl Strategy<Value = Target> {
    let resource = || prop_oneof![Just(Resource::Cpu), Just(Resource::Other("memory".to_owned()))];
    let scope = Scope::Pod;
    let goal =
        || prop_oneof![(1..2_000_i64).prop_map(Goal::Value), (1..2_000_i64).prop_map(Goal::AverageValue)];
    prop_oneof![
        (resource(), 1..200_u32).prop_map(move |(resource, percent)| Target::Utilization {
            resource,
            scope,
            percent
        }),
        (resource(), 1..2_000_i64).prop_map(move |(resource, milli)| Target::ResourceAverage {
            resource,
            scope,
            milli
        }),
        (1..2_000_i64).prop_map(|milli| Target::PodsAverage { milli }),
        goal().prop_map(Target::Object),
        goal().prop_map(Target::External),
        Just(Target::Unknown),
    ]
}

fn policy() -> impl Strategy<Value = Policy> {
    let metrics = vec(target(), 1..4).prop_map(|targets| {
        let named = |(index, target)| Metric { name: format!("metric {index}"), target };
        targets.into_iter().enumerate().map(named).collect()
    });
    (0..6_u32, 1..30_u32, metrics, option::of(behavior())).prop_map(|(min, more, metrics, behavior)| {
        let wanted = Wanted {
            min,
            max: min + more,
            metrics,
            tolerance: Tolerance::default(),
            startup: Startup::default(),
            downscale_window: DOWNSCALE_WINDOW,
            behavior,
        };
        Policy::try_from(wanted).unwrap()
    })
}

fn pod() -> impl Strategy<Value = Pod> {
    let phase = prop_oneof![
        6 => Just(Phase::Running),
        1 => Just(Phase::Pending),
        1 => Just(Phase::Failed),
        1 => Just(Phase::Succeeded),
        1 => Just(Phase::Unknown)
    ];
    let leaving = prop_oneof![9 => Just(Leaving::No), 1 => Just(Leaving::Yes)];
    let readiness = prop_oneof![
        4 => seconds(0..10_100).prop_map(|since| Some(Readiness::Ready { since })),
        1 => seconds(0..10_100).prop_map(|since| Some(Readiness::Unready { since })),
        1 => Just(None)
    ];
    (phase, leaving, option::of(seconds(0..10_100)), readiness).prop_map(
        |(phase, leaving, started, readiness)| Pod {
            name: String::new(),
            phase,
            leaving,
            started,
            readiness,
        },
    )
}

/// A reading that fits the target, of pods that are named by their number.
fn reading(target: &Target, samples: &[Option<i64>], totals: &[i64], fails: bool) -> Reading {
    let sample = |value_milli: i64| Sample { value_milli, taken: BEGIN, window: Duration::from_secs(15) };
    let samples = samples.iter().enumerate();
    let samples = samples.filter_map(|(pod, value)| Some((pod.to_string(), sample((*value)?)))).collect();
    match target {
        _ if fails => Reading::Failed("timeout".to_owned()),
        Target::Utilization { .. } | Target::ResourceAverage { .. } => {
            let requests = (0..PODS_MAX).map(|pod| (pod.to_string(), 500)).collect();
            Reading::Resource { samples, requests }
        }
        Target::PodsAverage { .. } | Target::Unknown => Reading::Pods(samples),
        Target::Object(_) => Reading::Values(totals.iter().take(1).copied().collect()),
        Target::External(_) => Reading::Values(totals.to_vec()),
    }
}

const PODS_MAX: usize = 12;

/// A policy and what is observed at several times, one after the other.
fn run() -> impl Strategy<Value = (Policy, State, Vec<(Duration, Observed)>)> {
    let reading_parts =
        (vec(option::weighted(0.8, values()), PODS_MAX), vec(values(), 0..4), prop::bool::weighted(0.1));
    let pass = (0..40_u32, vec(pod(), 0..PODS_MAX), vec(reading_parts, 4), seconds(1..60));
    (policy(), state(), vec(pass, 1..8)).prop_map(|(policy, state, passes)| {
        let mut now = BEGIN;
        let observed = passes.into_iter().map(|(replicas, mut pods, parts, later)| {
            now += later;
            for (index, pod) in pods.iter_mut().enumerate() {
                pod.name = index.to_string();
            }
            let targets = policy.wanted().metrics.iter().map(|metric| &metric.target);
            let readings = targets.zip(&parts).map(|(target, (samples, totals, fails))| {
                reading(target, &samples[..pods.len()], totals, *fails)
            });
            let readings = readings.collect();
            (now, Observed { replicas, replicas_existing: replicas, crashing: 0, pods, readings })
        });
        let observed = observed.collect();
        (policy, state, observed)
    })
}

fn log() -> impl Strategy<Value = Vec<Recommendation>> {
    let recommendation =
        (0..40_u32, seconds(9_000..10_000)).prop_map(|(replicas, at)| Recommendation { replicas, at });
    vec(recommendation, 0..10)
}

fn state() -> impl Strategy<Value = State> {
    prop_oneof![Just(State::default()), log().prop_map(|log| State::resumed(log, Changes::default()))]
}

/// Carries a run out: what is asked for is what there is in the next pass.
fn carry_out(
    policy: &Policy,
    mut state: State,
    passes: &[(Duration, Observed)],
) -> Vec<(Duration, Decision)> {
    let mut replicas = None;
    let mut decisions = Vec::new();
    for (now, observed) in passes {
        let mut observed = observed.clone();
        observed.replicas = replicas.unwrap_or(observed.replicas);
        let decision = decide(policy, &mut state, &observed, *now);
        state.changed(policy, observed.replicas, decision.replicas, *now);
        replicas = Some(decision.replicas);
        decisions.push((*now, decision));
    }
    decisions
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn a_decision_keeps_its_bounds_and_tells_why((policy, state, passes) in run()) {
        let (min, max) = (policy.wanted().min, policy.wanted().max);
        for (_, decision) in carry_out(&policy, state, &passes) {
            let reasons = &decision.reasons;
            let paused = reasons.course == Course::Paused;
            prop_assert_eq!(paused, reasons.from == 0 && min > 0);
            prop_assert!(paused || (min..=max).contains(&decision.replicas), "{}", reasons);
            prop_assert_eq!(reasons.to, decision.replicas);
            prop_assert!(!reasons.to_string().is_empty() && !reasons.to_string().contains('\n'));
            prop_assert!(!reasons.conditions().is_empty());
            if let Some(cooldown) = reasons.cooldown() {
                prop_assert_eq!(cooldown.until, reasons.now + cooldown.left);
            }
        }
    }

    #[test]
    fn the_same_makes_the_same((policy, state, passes) in run()) {
        let once = carry_out(&policy, state.clone(), &passes);
        prop_assert_eq!(once, carry_out(&policy, state, &passes));
    }

    #[test]
    fn while_a_metric_fails_the_number_never_goes_down((policy, state, passes) in run()) {
        for (_, Decision { replicas, reasons }) in carry_out(&policy, state, &passes) {
            let out_of_bounds = reasons.course == Course::AboveMax;
            if reasons.first_failure().is_some() && !out_of_bounds {
                prop_assert!(replicas >= reasons.from, "{}", reasons);
            }
        }
    }

    #[test]
    fn the_number_never_goes_beyond_what_was_proposed((policy, state, passes) in run()) {
        for (_, Decision { replicas, reasons }) in carry_out(&policy, state, &passes) {
            let Course::Measured(pass) = reasons.course else { continue };
            let asked = reasons.metrics.iter().filter_map(|metric| Some(metric.outcome.as_ref().ok()?.replicas)).max();
            prop_assert_eq!(Some(pass.proposed), asked);
            if policy.wanted().behavior.is_some() {
                let (low, high) = (reasons.from.min(pass.proposed), reasons.from.max(pass.proposed));
                let (low, high) = (low.max(policy.wanted().min), high.min(policy.wanted().max));
                prop_assert!((low..=high).contains(&replicas), "{}", reasons);
            }
        }
    }

    /// By a naive model: of all proposals within the window and the one of today, the highest on the way down and the lowest on
    /// the way up.
    #[test]
    fn windows_keep_to_the_most_careful_proposal(
        log in log(), current in 0..40_u32, proposed in 0..40_u32, up in seconds(0..900), down in seconds(0..900),
    ) {
        let within = |window: Duration, edge: bool| {
            let newer = |at: Duration| BEGIN - at < window || (edge && BEGIN - at == window);
            let past: Vec<_> = log.iter().filter(|old| newer(old.at)).map(|old| old.replicas).collect();
            past.into_iter().chain([proposed])
        };
        let (lowest, highest) = (within(up, false).min().unwrap(), within(down, false).max().unwrap());
        let stabilized = both_ways(&mut log.clone(), Windows { up, down }, current, proposed, BEGIN).replicas;
        if stabilized < current {
            prop_assert_eq!(stabilized, highest);
        } else if stabilized > current {
            prop_assert_eq!(stabilized, lowest);
        } else {
            prop_assert!(lowest <= current && current <= highest);
        }
        let held = down_only(&mut log.clone(), down, proposed, BEGIN).replicas;
        prop_assert_eq!(held, within(down, true).max().unwrap());
    }

    /// By a naive model, which has no log of events: what there was when the period began is looked up in the history.
    #[test]
    fn rates_hold_over_every_period(
        rates in (1..6_u32, 2..90_u64, 1..6_u32, 2..90_u64), loads in vec(0..40_i64, 1..60), steps in vec(1..30_u64, 60),
    ) {
        let (up, up_period, down, down_period) = rates;
        let rules = |replicas, period| Rules {
            window: Duration::ZERO,
            select: Select::Max,
            rates: vec![Rate { amount: Amount::Replicas(replicas), period: Duration::from_secs(period) }],
            tolerance: None,
        };
        let policy = follow_the_load(Some(Behavior { up: rules(up, up_period), down: rules(down, down_period) }));
        let (mut state, mut now) = (State::default(), BEGIN);
        let mut history = vec![(Duration::ZERO, 5)];
        for (load, step) in loads.into_iter().zip(steps) {
            now += Duration::from_secs(step);
            let (_, from) = *history.last().unwrap();
            let to = decide(&policy, &mut state, &load_of(load, from), now).replicas;
            state.changed(&policy, from, to, now);
            let before = |period: u64| {
                let begin = now - Duration::from_secs(period);
                history.iter().rfind(|(at, _)| *at <= begin).unwrap().1
            };
            prop_assert!(to <= from.max(before(up_period) + up), "{} > {} + {}", to, before(up_period), up);
            prop_assert!(to >= from.min(before(down_period).saturating_sub(down)));
            history.push((now, to));
        }
    }

    /// As long as there are as many pods as replicas; in a rollout there are more, and more load on them asks for less.
    #[test]
    fn more_load_never_asks_for_fewer(
        kinds in vec(0..3_u8, 1..PODS_MAX), load in 0..3_000_i64, more in 0..3_000_i64, percent in 1..200_u32, milli in 1..2_000_i64,
    ) {
        let name = |pod: usize| pod.to_string();
        let since = Duration::ZERO;
        let pods = kinds.iter().enumerate().map(|(index, kind)| Pod {
            name: name(index),
            phase: if *kind == 0 { Phase::Pending } else { Phase::Running },
            leaving: Leaving::No,
            started: Some(since),
            readiness: Some(Readiness::Ready { since }),
        });
        let pods: Vec<_> = pods.collect();
        let target = Target::Utilization { resource: Resource::Cpu, scope: Scope::Pod, percent };
        for target in [target, Target::PodsAverage { milli }] {
            let proposed = |load: i64| {
                let samples: Vec<_> = kinds.iter().map(|kind| (*kind == 2).then_some(load)).collect();
                let replicas = u32::try_from(pods.len()).unwrap();
                let situation = phalanx_scale::proposal::Situation {
                    replicas,
                    replicas_existing: replicas,
                    pods: &pods,
                    tolerance: Tolerance::default(),
                    startup: Startup::default(),
                    now: BEGIN,
                };
                situation.propose(&target, &reading(&target, &samples, &[], false)).ok()
            };
            if let (Some(less), Some(more)) = (proposed(load), proposed(load + more)) {
                prop_assert!(less.replicas <= more.replicas, "{:?} {:?}", less, more);
            }
        }
    }
}

fn follow_the_load(behavior: Option<Behavior>) -> Policy {
    let target = Target::External(Goal::AverageValue(1));
    let wanted = Wanted {
        min: 0,
        max: 100,
        metrics: vec![Metric { name: "load".to_owned(), target }],
        tolerance: Tolerance { down: 0.0, up: 0.0 },
        startup: Startup::default(),
        downscale_window: DOWNSCALE_WINDOW,
        behavior,
    };
    Policy::try_from(wanted).unwrap()
}

fn load_of(load: i64, replicas: u32) -> Observed {
    Observed {
        replicas,
        replicas_existing: replicas,
        crashing: 0,
        pods: Vec::new(),
        readings: vec![Reading::Values(vec![load])],
    }
}
