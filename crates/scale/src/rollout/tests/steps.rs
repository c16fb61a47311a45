//! Single steps, worked by hand.

use proptest::{collection::vec, prelude::*};

use super::{history::tests::version, *};

fn check(mut rollout: Rollout<char>, replicas: &str, expected: &str) {
    let observed = observed(&rollout, replicas);
    let (plan, reasons) = rollout.plan(&observed, LATER);
    assert_eq!(format!("{}: {}", shown(&rollout, plan.actions()), reasons.reason), expected, "{replicas}");
}

#[test]
fn the_new_version_starts_up_to_the_surge() {
    let defaults = Policy::default();
    check(rollout(defaults, 4, "AB"), "AAAA", "+1B: start 1, at most 5");
    check(rollout(defaults, 10, "AB"), "AAAAAAAAAA", "+3B: start 3, at most 13");
    check(rollout(defaults, 3, "A"), "", "+3A: start 3, at most 4");
}

#[test]
fn old_replicas_go_while_enough_are_available() {
    check(rollout(Policy::default(), 4, "AB"), "AAAAb", "-4: stop 1 old");
    check(
        rollout(Policy::default(), 4, "AB"),
        "AAAbb",
        "hold: held: 2 new not available, at least 3 must be",
    );
    check(rollout(Policy::default(), 4, "AB"), "AAABb", "-3: stop 1 old");
    check(rollout(pace("0", "2"), 4, "AB"), "AAAA", "-4 -3: stop 2 old");
}

#[test]
fn old_replicas_that_serve_nobody_go_first() {
    check(rollout(pace("1", "1"), 4, "AB"), "AaAA.b", "-4: stop 1 old unhealthy");
    check(rollout(pace("1", "2"), 4, "AB"), "AAA?Ab", "-3 -4: stop 1 old unhealthy and 1 old");
}

/// Of ten with 2 unavailable and a surge of 3, five new ones crash. Were they not subtracted, five old ones could go.
#[test]
fn new_replicas_that_crash_never_eat_the_old_ones() {
    check(
        rollout(pace("3", "2"), 10, "AB"),
        "AAAAAAAAb.b.b.b.b.",
        "hold: held: 5 new not available, at least 8 must be",
    );
    check(
        rollout(pace("3", "2"), 10, "AB"),
        "AAAAAAA.A.b.b.b.b.b.",
        "hold: held: 5 new not available, at least 8 must be",
    );
}

#[test]
fn a_replica_counts_once_it_was_ready_for_long_enough() {
    let patience = Patience::new(MIN_READY, Some(600 * SECOND)).unwrap();
    let policy = Policy { patience, ..pace("1", "0") };
    check(rollout(policy, 2, "AB"), "AAB'", "hold: held: 1 new not available, at least 2 must be");
    let mut rollout = rollout(policy, 2, "AB");
    let observed = observed(&rollout, "AAB'");
    let (early, _) = rollout.plan(&observed, LATER);
    assert_eq!(early.wakes_at(), Some(LATER + MIN_READY));
    let (due, reasons) = rollout.plan(&observed, LATER + MIN_READY);
    assert_eq!((shown(&rollout, due.actions()).as_str(), reasons.counts.new_available), ("-2", 1));
}

#[test]
fn those_that_drain_count_where_memory_does() {
    check(rollout(pace("1", "0"), 2, "AB"), "AA-B", "+1B: start 1, at most 3");
    let counted = Policy { ceiling: Ceiling::LiveAndDraining, ..pace("1", "0") };
    check(rollout(counted, 2, "AB"), "AA-B", "hold: held: 1 draining, at most 3");
    let mut scaled = rollout(counted, 2, "AB");
    scaled.scale(6);
    check(scaled, "AA-A-A-A-A-B", "hold: held: 5 draining, at most 7");
}

#[test]
fn what_is_too_many_goes_in_the_order_of_kubernetes() {
    let policy = Policy { patience: Patience::new(MIN_READY, None).unwrap(), ..Policy::default() };
    check(rollout(policy, 1, "A"), "AaA'A.A?Aa", "-4 -7 -2 -5 -3 -6: stop 6 too many");
    let mut crashed = rollout(policy, 2, "A");
    let mut replicas = observed(&crashed, "AAA");
    replicas.replicas[0].restarts = 1;
    let (plan, _) = crashed.plan(&replicas, LATER);
    assert_eq!(shown(&crashed, plan.actions()), "-1");
}

#[test]
fn growth_in_the_middle_of_a_rollout_is_shared() {
    let rescaled = |from, to, versions| {
        let mut rollout = rollout(pace("25%", "25%"), from, versions);
        rollout.scale(to);
        rollout
    };
    check(rescaled(4, 8, "AB"), "AAAb.b.", "+3A +2B: start 5, at most 10");
    check(rescaled(4, 8, "AB"), "AAAA", "+4A: start 4, at most 10");
    check(rescaled(4, 8, "AB"), "", "+8B: start 8, at most 10");
}

#[test]
fn growth_goes_on_in_proportion_when_there_was_room_for_a_part_of_it() {
    let mut rollout = rollout(Policy { ceiling: Ceiling::LiveAndDraining, ..pace("25%", "25%") }, 4, "AB");
    rollout.scale(8);
    let mut walk = Vec::new();
    for replicas in ["AAAb.b.A-A-A-", "AAAAb.b.b.", "AAAAAAb.b.b.b."] {
        let observed = observed(&rollout, replicas);
        let (plan, _) = rollout.plan(&observed, LATER);
        let actions = rollout.admit(plan).unwrap();
        walk.push(shown(&rollout, &actions));
    }
    assert_eq!(walk, ["+1A +1B", "+2A +1B", "hold"]);
}

#[test]
fn growth_that_is_taken_back_before_it_is_whole_leaves_no_more_than_there_may_be() {
    let mut rollout = rollout(Policy { ceiling: Ceiling::LiveAndDraining, ..pace("3", "1") }, 6, "AB");
    rollout.scale(12);
    let before = observed(&rollout, "AAAAAbbbA-");
    let (plan, _) = rollout.plan(&before, LATER);
    let actions = rollout.admit(plan).unwrap();
    assert_eq!(shown(&rollout, &actions), "+4A +2B");
    rollout.scale(6);
    check(rollout, "AAAAAaaaabbbbb", "-9 -8 -7 -6 -14: stop 5 too many");
}

#[test]
fn shrinking_in_the_middle_of_a_rollout_spares_who_serves() {
    let rescaled = |to| {
        let mut rollout = rollout(pace("3", "2"), 10, "AB");
        rollout.scale(to);
        rollout
    };
    check(rescaled(5), "AAAAAAAAb.b.b.bb", "-11 -10 -9 -13 -12: stop 5 too many");
    check(rescaled(3), "AAAAa.BBBBB", "-5 -4 -3 -2: stop 4 too many");
    check(rescaled(5), "ABBBBB", "-1: stop 1 old");
    check(rescaled(0), "ABb", "-3 -1 -2: stop 3 too many");
}

#[test]
fn a_paused_rollout_replaces_nothing_and_scales() {
    let paused = |from, to, versions| {
        let mut rollout = rollout(pace("1", "1"), from, versions);
        rollout.pause();
        rollout.scale(to);
        rollout
    };
    check(paused(2, 2, "AB"), "AA", "hold: held: paused");
    check(paused(2, 4, "AB"), "AA", "+2A: start 2, at most 5");
    check(paused(2, 1, "AB"), "AA", "-2: stop 1 too many");
    check(paused(4, 4, "AB"), "AAB", "+1A: start 1, at most 5");
    check(paused(2, 2, "AB"), "", "+2B: start 2, at most 3");
}

#[test]
fn one_version_in_place_of_several_old_ones_takes_the_oldest_away_first() {
    check(rollout(pace("1", "2"), 4, "ABC"), "BAABc", "-3 -2: stop 2 old");
    check(rollout(pace("2", "1"), 4, "ABC"), "BAa.a.b.c", "-4 -3: stop 2 old unhealthy");
}

#[test]
fn numbers_that_do_not_fit_saturate() {
    let mut largest = rollout(pace("4294967295", "4294967295"), u32::MAX, "AB");
    check(largest.clone(), "Ab", "+4294967293B: start 4294967293, at most 4294967295");
    largest.scale(1);
    check(largest, "", "+1B: start 1, at most 4294967295");
    let patience = Patience::new(Duration::MAX, None).unwrap();
    let mut patient = rollout(Policy { patience, ..pace("1", "0") }, 1, "A");
    let observed = observed(&patient, "A'");
    assert_eq!(patient.plan(&observed, Duration::MAX).1.counts.new_available, 1);
}

fn standing() -> impl Strategy<Value = Standing> {
    prop_oneof![
        Just(Standing::Waiting),
        Just(Standing::Starting),
        Just(Standing::NotReady),
        Just(Standing::Draining),
        any::<Duration>().prop_map(|since| Standing::Ready { since }),
    ]
}

proptest! {
    #[test]
    fn whatever_is_observed_a_plan_starts_no_more_than_there_may_be_and_spares_who_serves(
        replicas in vec((1_u64..5, standing(), any::<u32>()), 0..30),
        desired in prop_oneof![0_u32..20, any::<u32>()],
        surge in prop_oneof![0_u32..5, any::<u32>()],
        unavailable in prop_oneof![1_u32..5, any::<u32>()],
        was_scaled in any::<bool>(),
        is_paused in any::<bool>(),
        now in any::<Duration>(),
    ) {
        let policy = Policy { pace: Pace::new(surge.into(), unavailable.into()).unwrap(), ..Policy::default() };
        let mut rollout = rollout(policy, if was_scaled { 3 } else { desired }, "ABC");
        rollout.scale(desired);
        if is_paused {
            rollout.pause();
        }
        // Also of a version that nobody knows.
        let replicas = (1..).zip(replicas).map(|(id, (number, standing, restarts))| Replica {
            id: ReplicaId(id),
            version: version(number),
            standing,
            restarts,
        });
        let observed = Observed { generation: rollout.generation(), replicas: replicas.collect() };
        let (plan, reasons) = rollout.plan(&observed, now);

        let posts = policy.pace.fenceposts(desired);
        let starts: u64 = plan.actions().start.iter().map(|start| u64::from(start.count.get())).sum();
        let live = u64::from(reasons.counts.live());
        prop_assert!(plan.actions().start.iter().all(|start| rollout.template(start.version).is_some()));
        prop_assert!(starts == 0 || live + starts <= u64::from(posts.max_total), "{}", reasons);
        let available = |replica: &&Replica| replica.is_available(Duration::ZERO, now);
        let stopped = observed.replicas.iter().filter(|replica| plan.actions().stop.contains(&replica.id));
        let lost = u32::try_from(stopped.filter(available).count()).unwrap();
        prop_assert!(lost == 0 || reasons.counts.available() - lost >= posts.min_available, "{}", reasons);
    }
}
