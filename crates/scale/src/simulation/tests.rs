use expect_test::{Expect, expect};
use proptest::prelude::*;

use super::*;
use crate::{
    fast::{self, Aim},
    group::Startup,
    metric::{Metric, Resource, Scope, Target},
    policy::{Policy, Wanted},
    tolerance::Tolerance,
};

fn plan(target: Target, min: u32) -> Plan {
    let wanted = Wanted {
        min,
        max: 8,
        metrics: vec![Metric { name: "load".to_owned(), target }],
        tolerance: Tolerance::default(),
        startup: Startup::default(),
        downscale_window: Duration::from_secs(60),
        behavior: None,
    };
    Plan::new(Mode::Kubernetes(Policy::try_from(wanted).unwrap()), Duration::from_secs(15)).unwrap()
}

const PER_REPLICA: Target = Target::PodsAverage { milli: 80_000 };
const SERVICE: Service = Service { capacity_milli: 100_000, start_up: Duration::from_secs(20), replicas: 2 };

fn trace(points: &[(u64, i64)]) -> Trace {
    let point = |(at, load): &(u64, i64)| (Duration::from_secs(*at), load * 1_000);
    Trace::new(points.iter().map(point).collect()).unwrap()
}

fn check(plan: &Plan, points: &[(u64, i64)], expected: &Expect) {
    let Outcome { changes, totals, .. } = simulate(plan, &SERVICE, &trace(points));
    let changes = changes.iter().map(|change| format!("{:?} {}\n", change.at, change.reasons));
    let Totals { under_capacity, over_capacity, requests_unserved, replica_time, replicas_most } = totals;
    expected.assert_eq(&format!(
        "{}under {under_capacity:?} over {over_capacity:?} unserved {requests_unserved} time {replica_time:?} most {replicas_most}\n",
        changes.collect::<String>(),
    ));
}

#[test]
fn a_step_is_reached_within_one_interval_and_the_start_up_time() {
    check(
        &plan(PER_REPLICA, 1),
        &[(0, 150), (30, 300), (120, 300)],
        &expect![[r#"
            45s 2 → 4: load 150 > 80 asks 4
            under 35s over 165s unserved 3500 time 750s most 4
        "#]],
    );
}

#[test]
fn processor_time_never_exceeds_what_there_is() {
    let target = Target::Utilization { resource: Resource::Cpu, scope: Scope::Pod, percent: 50 };
    check(
        &plan(target, 1),
        &[(0, 1_000), (60, 1_000)],
        &expect![[r#"
            0ns 2 → 4: load 100% > 50% asks 4
            45s 4 → 8: load 100% > 50% asks 8
            under 120s over 0ns unserved 54000 time 780s most 8
        "#]],
    );
}

#[test]
fn what_is_not_needed_goes_after_the_window_and_costs_until_then() {
    check(
        &plan(PER_REPLICA, 1),
        &[(0, 150), (30, 10), (120, 10)],
        &expect![[r#"
            105s 2 → 1: load 5 < 80 asks 1
            under 0ns over 75s unserved 0 time 315s most 2
        "#]],
    );
}

#[test]
fn points_that_are_no_trace_are_refused() {
    let new = |points: &[(u64, i64)]| {
        Trace::new(points.iter().map(|(at, load)| (Duration::from_secs(*at), *load)).collect()).map(|_| ())
    };
    assert_eq!(new(&[]), Err(TraceError::Empty));
    assert_eq!(new(&[(0, 1), (0, 1)]), Err(TraceError::NotLater { index: 1 }));
    assert_eq!(new(&[(5, 1), (4, 1)]), Err(TraceError::NotLater { index: 1 }));
    assert_eq!(new(&[(0, 1), (1, -1)]), Err(TraceError::Negative { index: 1 }));
    assert_eq!(new(&[(0, 1), (u64::MAX, 1)]), Err(TraceError::TooLong));
    assert_eq!(new(&[(u64::MAX, 1)]), Ok(()));
}

#[test]
fn numbers_at_the_ends_of_their_range_do_not_overflow() {
    let service = Service { capacity_milli: 0, start_up: Duration::MAX, replicas: 0 };
    let trace = Trace::new(vec![(Duration::ZERO, i64::MAX)]).unwrap();
    let outcome = simulate(&plan(PER_REPLICA, 0), &service, &trace);
    assert_eq!(outcome.totals.under_capacity, Duration::from_secs(60));
    assert_eq!(outcome.totals.replicas_most, 0, "without a replica nothing is measured of any");
}

fn fast_plan(each_milli: i64, min: u32, max: u32) -> Plan {
    let wanted = fast::Wanted {
        min,
        max,
        aims: vec![Aim { signal: Signal::Requests, milli: each_milli }],
        stable_window: fast::STABLE_WINDOW_DEFAULT,
        panic_window: fast::PANIC_WINDOW_DEFAULT,
        panic_threshold_milli: fast::PANIC_THRESHOLD_DEFAULT,
        idle: fast::STABLE_WINDOW_DEFAULT + fast::IDLE_BEYOND_WINDOW,
    };
    let policy = fast::Policy::try_from(wanted).unwrap();
    Plan::new(Mode::Fast(policy), Duration::from_secs(2)).unwrap()
}

#[test]
fn a_burst_is_followed_at_the_next_fast_decision_and_kept_for_a_window() {
    check(
        &fast_plan(50_000, 1, 20),
        &[(0, 90), (61, 700), (121, 90), (301, 90)],
        &expect![[r#"
            62s 2 → 14: requests 110.333/50 asks 3, lately 700/50 asks 14; panic, so never down for 60s
            142s 14 → 10: requests 476.333/50 asks 10, lately 90/50 asks 2
            146s 10 → 9: requests 435.666/50 asks 9, lately 90/50 asks 2
            150s 9 → 8: requests 395/50 asks 8, lately 90/50 asks 2
            156s 8 → 7: requests 334/50 asks 7, lately 90/50 asks 2
            160s 7 → 6: requests 293.333/50 asks 6, lately 90/50 asks 2
            166s 6 → 5: requests 232.333/50 asks 5, lately 90/50 asks 2
            170s 5 → 4: requests 191.666/50 asks 4, lately 90/50 asks 2
            176s 4 → 3: requests 130.666/50 asks 3, lately 90/50 asks 2
            180s 3 → 2: requests 90/50 asks 2, lately 90/50 asks 2
            under 21s over 480s unserved 10500 time 2090s most 14
        "#]],
    );
}

#[test]
fn a_service_nobody_asks_for_ends_and_comes_back_with_the_first_request() {
    check(
        &fast_plan(50_000, 0, 20),
        &[(0, 40), (31, 0), (301, 40), (331, 40)],
        &expect![[r#"
        60s 2 → 1: requests 20/50 asks 1, lately 0/50 asks 0
        120s 1 → 0: requests 0/50 asks 0, lately 0/50 asks 0
        302s 0 → 1: requests 1.333/50 asks 1, lately 40/50 asks 1
        under 21s over 120s unserved 840 time 239s most 2
    "#]],
    );
}

#[test]
fn what_a_load_does_not_tell_is_not_simulated() {
    for (metric, signal) in
        [(Metric::memory_percent(80), Signal::Memory), (Metric::in_flight(1_000), Signal::InFlight)]
    {
        let wanted = Wanted { metrics: vec![metric], ..kubernetes_wanted(1, 4, 1_000) };
        let mode = Mode::Kubernetes(Policy::try_from(wanted).unwrap());
        assert_eq!(Plan::new(mode, SECOND).unwrap_err(), PlanError::NotModelled { signal });
    }
    let many =
        Mode::Kubernetes(Policy::try_from(kubernetes_wanted(1, REPLICAS_SIMULATED_MAX + 1, 1_000)).unwrap());
    assert_eq!(Plan::new(many, SECOND).unwrap_err(), PlanError::TooManyReplicas);
}

fn kubernetes_wanted(min: u32, max: u32, each_milli: i64) -> Wanted {
    Wanted {
        min,
        max,
        metrics: vec![Metric::requests_per_second(each_milli)],
        tolerance: Tolerance::default(),
        startup: Startup::default(),
        downscale_window: Duration::from_secs(300),
        behavior: None,
    }
}

/// How long there is too little after a step, whatever its size, from the first second of an interval on.
fn under_capacity(plan: &Plan, service: Service, interval: u64, before: i64, after: i64) -> Duration {
    let step = 10 * interval + 1;
    let points = [(0, before), (step, after), (step + 600, after)];
    simulate(plan, &service, &trace(&points)).totals.under_capacity
}

proptest! {
    /// A load that goes up and down by a tenth, within a stabilization window, makes at most one change in any such window.
    #[test]
    fn a_load_that_oscillates_changes_the_number_once(
        replicas in 1_u32..30, load in 50_i64..3_000, half_period in 7_u64..280,
    ) {
        let points: Vec<_> = (0..60)
            .map(|turn| (turn * half_period, if turn % 2 == 0 { load * 11 / 10 } else { load * 9 / 10 }))
            .collect();
        let service = Service { replicas, ..SERVICE };
        let policy = Policy::try_from(kubernetes_wanted(1, 200, 80_000)).unwrap();
        let plan = Plan::new(Mode::Kubernetes(policy), Duration::from_secs(15)).unwrap();
        let changes = simulate(&plan, &service, &trace(&points)).changes;
        // The first changes go to where the load is; what there is at the beginning says nothing about it.
        let settled = changes.iter().skip_while(|change| change.at < Duration::from_secs(300));
        let times: Vec<_> = settled.map(|change| change.at).collect();
        prop_assert!(
            times.windows(2).all(|pair| pair[1] - pair[0] >= Duration::from_secs(300)), "{changes:?}"
        );
    }

    /// What a step needs is there within the time of a start and one interval, where the policy leaves room for the step: the
    /// threshold of a panic times the target is no more than a replica can do, and `max` is enough.
    #[test]
    fn a_step_is_served_after_one_fast_interval_and_a_start(
        replicas in 1_u32..20, share in 0_i64..100, after in 1_i64..5_000, start_up in 0_u64..60,
    ) {
        let service = Service {
            capacity_milli: 100_000,
            start_up: Duration::from_secs(start_up),
            replicas,
        };
        let before = i64::from(replicas) * share / 2;
        let under = under_capacity(&fast_plan(50_000, 1, 200), service, 2, before, after);
        prop_assert!(under <= service.start_up + Duration::from_secs(2), "{under:?}");
    }

    /// The same for Kubernetes' rules, for a step that no rate stretches: without rules the number doubles at most.
    #[test]
    fn a_step_is_served_after_one_interval_and_a_start(
        replicas in 1_u32..20, share in 60_i64..100, after_share in 60_i64..200, start_up in 0_u64..60,
    ) {
        let service = Service {
            capacity_milli: 100_000,
            start_up: Duration::from_secs(start_up),
            replicas,
        };
        // Within the tolerance of the target a replica does all that it is asked for.
        let policy = Policy::try_from(kubernetes_wanted(1, 200, 90_000)).unwrap();
        let plan = Plan::new(Mode::Kubernetes(policy), Duration::from_secs(15)).unwrap();
        let (before, after) = (i64::from(replicas) * share * 9 / 10, i64::from(replicas) * after_share * 9 / 10);
        let under = under_capacity(&plan, service, 15, before, after);
        prop_assert!(under <= service.start_up + Duration::from_secs(15), "{under:?}");
    }
}
