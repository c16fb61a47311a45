use expect_test::{Expect, expect};

use super::*;
use crate::{
    group::Startup,
    metric::{Metric, Resource, Scope, Target},
    policy::Wanted,
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
    Plan::new(Policy::try_from(wanted).unwrap(), Duration::from_secs(15)).unwrap()
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
