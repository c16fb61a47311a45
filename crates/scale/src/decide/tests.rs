//! Decisions in a few words: what is wanted and observed, pass by pass, against the line of reasons.

use expect_test::{Expect, expect};

use super::*;
use crate::{
    behavior::{Amount, Rate, Rules, Select},
    group::Startup,
    host::{Footprint, Host, host_limit},
    metric::{Goal, Metric, MetricError, Target},
    pod::{Leaving, Phase, Pod, Readiness, Sample},
    policy::Wanted,
    tolerance::Tolerance,
};

fn external(name: &str) -> Metric {
    Metric { name: name.to_owned(), target: Target::External(Goal::AverageValue(1_000)) }
}

fn policy(behavior: Option<Behavior>) -> Policy {
    let wanted = Wanted {
        min: 2,
        max: 10,
        metrics: vec![external("load"), external("queue")],
        tolerance: Tolerance::default(),
        startup: Startup::default(),
        downscale_window: Duration::from_secs(60),
        behavior,
    };
    Policy::try_from(wanted).unwrap()
}

fn observed(replicas: u32, values: &[Option<i64>]) -> Observed {
    let reading = |value: &Option<i64>| {
        value.map_or(Reading::Failed("timeout".to_owned()), |value| Reading::Values(vec![value * 1_000]))
    };
    Observed {
        replicas,
        replicas_existing: replicas,
        crashing: 0,
        pods: Vec::new(),
        readings: values.iter().map(reading).collect(),
    }
}

/// Carries out every decision, fifteen seconds apart: each pass is what the metrics ask for.
fn check(behavior: Option<Behavior>, mut replicas: u32, passes: &[[Option<i64>; 2]], expected: &Expect) {
    let policy = policy(behavior);
    let mut state = State::resumed(Vec::new(), Changes::default());
    let mut lines = String::new();
    for (pass, values) in (0_u64..).zip(passes) {
        let now = Duration::from_secs(1_000 + 15 * pass);
        let decision = decide(&policy, &mut state, &observed(replicas, values), now);
        assert_eq!((decision.reasons.from, decision.reasons.to), (replicas, decision.replicas));
        state.changed(&policy, replicas, decision.replicas, now);
        replicas = decision.replicas;
        lines.push_str(&format!("{}\n", decision.reasons));
    }
    expected.assert_eq(&lines);
}

#[test]
fn the_largest_proposal_wins() {
    check(
        None,
        4,
        &[[Some(6), Some(5)], [Some(6), Some(8)]],
        &expect![[r#"
            4 → 6: load 1.5 > 1 asks 6, queue 1.25 > 1 asks 5; load wins
            6 → 8: load 1 = 1 asks 6, queue 1.334 > 1 asks 8; queue wins
        "#]],
    );
}

#[test]
fn without_rules_it_doubles_at_most_and_holds_before_it_goes_down() {
    check(
        None,
        2,
        &[
            [Some(9), Some(1)],
            [Some(20), Some(1)],
            [Some(3), Some(1)],
            [Some(3), Some(1)],
            [Some(0), Some(0)],
        ],
        &expect![[r#"
            2 → 4: load 4.5 > 1 asks 9, queue 0.5 < 1 asks 1; load wins; limited by doubling (ScaleUpLimit)
            4 → 8: load 5 > 1 asks 20, queue 0.25 < 1 asks 1; load wins; limited by doubling (ScaleUpLimit)
            8 → 10: load 0.375 < 1 asks 3, queue 0.125 < 1 asks 1; load wins; stabilized at 20 (ScaleDownStabilized); limited by max 10 (TooManyReplicas); held for 45s
            held at 10: load 0.3 < 1 asks 3, queue 0.1 < 1 asks 1; load wins; stabilized at 20 (ScaleDownStabilized); limited by max 10 (TooManyReplicas); held for 30s
            held at 10: load 0 < 1 asks 0, queue 0 < 1 asks 0; load wins; stabilized at 20 (ScaleDownStabilized); limited by max 10 (TooManyReplicas); held for 15s
        "#]],
    );
}

#[test]
fn with_a_metric_that_fails_it_never_goes_down() {
    check(
        None,
        4,
        &[[Some(2), None], [Some(4), None], [Some(6), None], [None, None]],
        &expect![[r#"
            held at 4: load 0.5 < 1 asks 2, queue failed: timeout (FailedGetExternalMetric); never down while a metric fails
            held at 4: load 1 = 1 asks 4, queue failed: timeout (FailedGetExternalMetric); load wins
            4 → 6: load 1.5 > 1 asks 6, queue failed: timeout (FailedGetExternalMetric); load wins
            held at 6: load failed: timeout (FailedGetExternalMetric), queue failed: timeout (FailedGetExternalMetric); never down while a metric fails
        "#]],
    );
}

#[test]
fn rates_let_go_again_when_their_period_is_over() {
    let rules = |amount, seconds| Rules {
        window: Duration::ZERO,
        select: Select::Max,
        rates: vec![Rate { amount, period: Duration::from_secs(seconds) }],
        tolerance: None,
    };
    let behavior = Behavior { up: rules(Amount::Replicas(2), 30), down: rules(Amount::Percent(50), 15) };
    check(
        Some(behavior),
        3,
        &[[Some(9), Some(1)], [Some(9), Some(1)], [Some(9), Some(1)], [Some(0), Some(1)], [Some(0), Some(1)]],
        &expect![[r#"
            3 → 5: load 3 > 1 asks 9, queue 0.334 < 1 asks 1; load wins; limited by policy 2/30s (ScaleUpLimit); more in 30s
            held at 5: load 1.8 > 1 asks 9, queue 0.2 < 1 asks 1; load wins; limited by policy 2/30s (ScaleUpLimit); more in 15s
            5 → 7: load 1.8 > 1 asks 9, queue 0.2 < 1 asks 1; load wins; limited by policy 2/30s (ScaleUpLimit); more in 30s
            7 → 3: load 0 < 1 asks 0, queue 0.143 < 1 asks 1; queue wins; limited by policy 50%/15s (ScaleDownLimit); more in 15s
            3 → 2: load 0 < 1 asks 0, queue 0.334 < 1 asks 1; queue wins; limited by min 2 (TooFewReplicas)
        "#]],
    );
}

#[test]
fn a_disabled_direction_stays() {
    let disabled = |rules: Rules| Rules { select: Select::Disabled, ..rules };
    let behavior =
        Behavior { up: disabled(Rules::up_default()), down: disabled(Rules::down_default(Duration::ZERO)) };
    check(
        Some(behavior),
        5,
        &[[Some(9), Some(9)], [Some(0), Some(0)]],
        &expect![[r#"
            held at 5: load 1.8 > 1 asks 9, queue 1.8 > 1 asks 9; load wins; limited by scaling up being disabled (ScaleUpLimit)
            held at 5: load 0 < 1 asks 0, queue 0 < 1 asks 0; load wins; limited by scaling down being disabled (ScaleDownLimit)
        "#]],
    );
}

#[test]
fn what_is_out_of_bounds_is_brought_back_whatever_the_metrics_say() {
    for (replicas, expected) in [
        (0, expect!["held at 0: paused while there are no replicas (ScalingDisabled)"]),
        (1, expect!["1 → 2: there were fewer than min 2"]),
        (11, expect!["11 → 10: there were more than max 10"]),
    ] {
        let mut state = State::default();
        let decision = decide(&policy(None), &mut state, &observed(replicas, &[None, None]), Duration::ZERO);
        expected.assert_eq(&decision.reasons.to_string());
        assert_eq!(state.recommendations().unwrap()[0].replicas, replicas);
    }
}

#[test]
fn a_fresh_state_holds_the_number_found() {
    let mut state = State::default();
    let decision =
        decide(&policy(None), &mut state, &observed(6, &[Some(3), Some(3)]), Duration::from_secs(9));
    assert_eq!(decision.replicas, 6);
    let cooldown = decision.reasons.cooldown().unwrap();
    assert_eq!((cooldown.until, cooldown.left), (Duration::from_secs(69), Duration::from_secs(60)));
}

#[test]
fn a_reading_too_few_counts_as_not_read() {
    let mut state = State::resumed(Vec::new(), Changes::default());
    let decision = decide(&policy(None), &mut state, &observed(4, &[Some(2)]), Duration::ZERO);
    assert_eq!(decision.replicas, 4);
    assert_eq!(decision.reasons.first_failure().unwrap().1, &MetricError::NotRead);
}

/// Replicas that have been ready for long, by what each has of `metrics`, in thousandths.
fn measured(replicas: u32, crashing: u32, metrics: &[Metric], values: &[&[i64]]) -> (Policy, Observed) {
    let now = Duration::from_secs(10_000);
    let names: Vec<_> = (0..values[0].len()).map(|index| index.to_string()).collect();
    let pod = |name: &String| Pod {
        name: name.clone(),
        phase: Phase::Running,
        leaving: Leaving::No,
        started: Some(Duration::ZERO),
        readiness: Some(Readiness::Ready { since: Duration::from_secs(1) }),
    };
    let reading = |metric: &Metric, values: &&[i64]| {
        let sample =
            |value: &i64| Sample { value_milli: *value, taken: now, window: Duration::from_secs(15) };
        let samples = names.iter().cloned().zip(values.iter().map(sample)).collect();
        match metric.target {
            Target::Utilization { .. } => Reading::Resource {
                samples,
                requests: names.iter().map(|name| (name.clone(), 1_000)).collect(),
            },
            _ => Reading::Pods(samples),
        }
    };
    let observed = Observed {
        replicas,
        replicas_existing: replicas,
        crashing,
        pods: names.iter().map(pod).collect(),
        readings: metrics.iter().zip(values).map(|(metric, values)| reading(metric, values)).collect(),
    };
    let wanted = Wanted { max: 200, metrics: metrics.to_vec(), ..policy(None).wanted().clone() };
    (Policy::try_from(wanted).unwrap(), observed)
}

fn line(policy: &Policy, observed: &Observed) -> String {
    let mut state = State::resumed(Vec::new(), Changes::default());
    decide(policy, &mut state, observed, Duration::from_secs(10_000)).reasons.to_string()
}

#[test]
fn replicas_that_crash_are_no_capacity() {
    let metrics = [Metric::requests_per_second(100_000)];
    for (crashing, values, expected) in [
        // Three have to serve what two do, and two crash besides.
        (2, &[150_000, 150_000][..], expect!["4 → 5: requests 150 > 100 asks 5; 2 not counted, crashing"]),
        (2, &[100_000, 100_000], expect!["held at 4: requests 100 = 100 asks 4; 2 not counted, crashing"]),
        (2, &[20_000, 20_000], expect!["4 → 2: requests 20 < 100 asks 2; 2 not counted, crashing"]),
        // As many again as are needed, and no more, however many crash.
        (3, &[190_000], expect!["held at 4: requests 190 > 100 asks 4; 3 not counted, crashing"]),
    ] {
        let (policy, observed) = measured(4, crashing, &metrics, &[values]);
        expected.assert_eq(&line(&policy, &observed));
    }
}

#[test]
fn requests_in_flight_win_where_the_processor_is_idle() {
    let metrics = [Metric::cpu_percent(70), Metric::in_flight(20_000)];
    // What waits for others uses no processor time: the slower the answers, the more idle it looks.
    let (policy, observed) = measured(3, 0, &metrics, &[&[100, 80, 120], &[40_000, 50_000, 60_000]]);
    expect!["3 → 6: cpu 10% < 70% asks 1, in_flight 50 > 20 asks 8; in_flight wins; limited by doubling (ScaleUpLimit)"].assert_eq(&line(&policy, &observed));
}

#[test]
fn a_small_machine_is_a_reason() {
    let metrics = [Metric::requests_per_second(1_000)];
    let (policy, mut observed) = measured(4, 0, &metrics, &[&[50_000, 50_000, 50_000, 50_000]]);
    let host = Host { cpu_milli: 2_000, memory_bytes: None };
    let policy = policy.on(host_limit(host, Footprint::default()));
    expect!["4 → 8: requests 50 > 1 asks 200; limited by max 8: 2 cores (TooManyReplicas)"]
        .assert_eq(&line(&policy, &observed));
    observed.replicas = 12;
    expect!["12 → 8: there were more than max 8: 2 cores"].assert_eq(&line(&policy, &observed));
}
