//! What is decided, step by step.

use expect_test::{Expect, expect};

use super::*;
use crate::host::{Footprint, Host, host_limit};

/// A service under fast decisions whose replicas are ready at once.
struct World {
    policy: Policy,
    state: State,
    replicas: u32,
    told: String,
}

impl World {
    fn new(wanted: Wanted, replicas: u32) -> Self {
        Self { policy: policy(wanted), state: State::default(), replicas, told: String::new() }
    }

    /// Decides every 2 s from `from` until before `until`; of equal decisions in a row the first is told.
    fn pass(&mut self, from: u64, until: u64, reading: Option<i64>) -> &mut Self {
        self.pass_with_ready(from, until, reading, None)
    }

    fn pass_with_ready(
        &mut self,
        from: u64,
        until: u64,
        reading: Option<i64>,
        ready: Option<u32>,
    ) -> &mut Self {
        for second in (from..until).step_by(2) {
            let traffic = match reading {
                Some(0) => Traffic::None,
                Some(_) => Traffic::Some,
                None => Traffic::Unknown,
            };
            let observed = Observed {
                replicas: self.replicas,
                ready: ready.unwrap_or(self.replicas),
                crashing: 0,
                readings: vec![reading.map(|value| value * 1_000)],
                traffic,
            };
            let decision = decide(&self.policy, &mut self.state, &observed, at(second));
            assert_eq!(decision.replicas, decision.reasons.to);
            if decision.replicas != self.replicas || second == from {
                self.told.push_str(&format!("{second}s {}\n", decision.reasons));
            }
            self.replicas = decision.replicas;
        }
        self
    }

    fn check(&self, expected: &Expect) {
        expected.assert_eq(&self.told);
    }
}

#[test]
fn a_steady_load_is_kept_and_a_smaller_one_followed_by_halves() {
    World::new(wanted(1), 4).pass(0, 120, Some(400)).pass(120, 240, Some(60)).check(&expect![[r#"
        0s held at 4: in_flight 400/100 asks 4, lately 400/100 asks 4
        120s held at 4: in_flight 388.666/100 asks 4, lately 286.666/100 asks 3
        136s 4 → 3: in_flight 298/100 asks 3, lately 60/100 asks 1
        154s 3 → 2: in_flight 196/100 asks 2, lately 60/100 asks 1
        172s 2 → 1: in_flight 94/100 asks 1, lately 60/100 asks 1
    "#]]);
}

#[test]
fn a_burst_panics_and_nothing_goes_down_until_a_window_has_passed() {
    World::new(wanted(1), 2)
        .pass(0, 120, Some(150))
        .pass(120, 130, Some(790))
        .pass(130, 260, Some(150))
        .check(&expect![[r#"
            0s held at 2: in_flight 150/100 asks 2, lately 150/100 asks 2
            120s 2 → 8: in_flight 171.333/100 asks 2, lately 790/100 asks 8; panic, so never down for 60s
            130s held at 8: in_flight 256.666/100 asks 3, lately 576.666/100 asks 6; panic, so never down for 50s
            182s 8 → 4: in_flight 214/100 asks 3, lately 150/100 asks 2; limited to half at once (ScaleDownLimit)
            184s 4 → 2: in_flight 192.666/100 asks 2, lately 150/100 asks 2
        "#]]);
}

#[test]
fn a_panic_is_renewed_by_every_further_reason() {
    World::new(wanted(1), 2)
        .pass(0, 60, Some(150))
        .pass(60, 62, Some(500))
        .pass(62, 110, Some(150))
        .pass(110, 112, Some(1_000))
        .pass(112, 180, Some(150))
        .check(&expect![[r#"
            0s held at 2: in_flight 150/100 asks 2, lately 150/100 asks 2
            60s 2 → 5: in_flight 161.666/100 asks 2, lately 500/100 asks 5; panic, so never down for 60s
            62s held at 5: in_flight 161.666/100 asks 2, lately 266.666/100 asks 3; panic, so never down for 58s
            110s 5 → 10: in_flight 190/100 asks 2, lately 1000/100 asks 10; panic, so never down for 60s
            112s held at 10: in_flight 190/100 asks 2, lately 433.333/100 asks 5; panic, so never down for 58s
            172s 10 → 5: in_flight 150/100 asks 2, lately 150/100 asks 2; limited to half at once (ScaleDownLimit)
            174s 5 → 2: in_flight 150/100 asks 2, lately 150/100 asks 2
        "#]]);
}

#[test]
fn replicas_that_do_not_get_ready_are_no_capacity() {
    // Four are asked for and crash. Twice the load that one can take is a panic, though four could take it.
    World::new(wanted(1), 4)
        .pass_with_ready(0, 2, Some(200), Some(0))
        .pass_with_ready(2, 4, Some(300), Some(1))
        .check(&expect![[r#"
            0s held at 4: in_flight 200/100 asks 2, lately 200/100 asks 2; panic, so never down for 60s
            2s held at 4: in_flight 250/100 asks 3, lately 300/100 asks 3; panic, so never down for 60s
        "#]]);
}

#[test]
fn missing_values_take_nothing_down_and_begin_the_window_anew() {
    World::new(wanted(1), 4)
        .pass(0, 100, Some(400))
        .pass(100, 102, None)
        .pass(102, 200, Some(90))
        .check(&expect![[r#"
            0s held at 4: in_flight 400/100 asks 4, lately 400/100 asks 4
            100s held at 4: in_flight is missing; never down while nothing is known
            102s held at 4: in_flight 389.31/100 asks 4, lately 245/100 asks 3
            162s 4 → 2: in_flight 90/100 asks 1, lately 90/100 asks 1; limited to half at once (ScaleDownLimit)
            164s 2 → 1: in_flight 90/100 asks 1, lately 90/100 asks 1
        "#]]);
}

#[test]
fn the_last_replica_ends_after_a_while_and_comes_back_for_who_waits() {
    World::new(wanted(0), 1).pass(0, 30, Some(40)).pass(30, 200, Some(0)).pass(200, 202, Some(1)).check(
        &expect![[r#"
            0s held at 1: in_flight 40/100 asks 1, lately 40/100 asks 1
            30s held at 1: in_flight 37.5/100 asks 1, lately 26.666/100 asks 1
            118s 1 → 0: in_flight 0/100 asks 0, lately 0/100 asks 0
            200s 0 → 1: in_flight 0.033/100 asks 1, lately 1/100 asks 1
        "#]],
    );
}

#[test]
fn somebody_who_waits_brings_a_replica_though_nothing_can_be_measured() {
    let mut state = State::default();
    let policy = policy(wanted(0));
    let mut observed =
        Observed { replicas: 0, ready: 0, crashing: 0, readings: vec![None], traffic: Traffic::Some };
    let decision = decide(&policy, &mut state, &observed, at(1));
    expect!["0 → 1: in_flight is missing; a request waits for the first replica"]
        .assert_eq(&decision.reasons.to_string());
    // The same where the value is read, and is none: what waits is not counted in every signal.
    observed.readings = vec![Some(0)];
    let decision = decide(&policy, &mut state, &observed, at(3));
    expect!["0 → 1: in_flight 0/100 asks 0, lately 0/100 asks 0; a request waits for the first replica"]
        .assert_eq(&decision.reasons.to_string());
}

#[test]
fn bounds_have_the_last_word_and_say_why() {
    World::new(wanted(2), 25).pass(0, 2, Some(100)).check(&expect![[r#"
        0s 25 → 20: there were more than max 20
    "#]]);
    World::new(wanted(2), 1).pass(0, 2, Some(100)).check(&expect![[r#"
        0s 1 → 2: there were fewer than min 2
    "#]]);
    World::new(wanted(2), 2).pass(0, 2, Some(5_000)).check(&expect![[r#"
        0s 2 → 20: in_flight 5000/100 asks 50, lately 5000/100 asks 50; panic, so never down for 60s; limited by max 20 (TooManyReplicas)
    "#]]);
    let mut small = World::new(Wanted { max: 200, ..wanted(1) }, 2);
    let host = Host { cpu_milli: 2_000, memory_bytes: None };
    small.policy = small.policy.on(host_limit(host, Footprint::default()));
    small.pass(0, 2, Some(20_000)).check(&expect![[r#"
        0s 2 → 8: in_flight 20000/100 asks 200, lately 20000/100 asks 200; panic, so never down for 60s; limited by max 8: 2 cores (TooManyReplicas)
    "#]]);
}

#[test]
fn the_metric_that_asks_for_most_wins_and_a_missing_one_only_holds() {
    let aims = vec![
        Aim { signal: Signal::InFlight, milli: 100_000 },
        Aim { signal: Signal::Requests, milli: 50_000 },
    ];
    let policy = policy(Wanted { aims, ..wanted(1) });
    let mut state = State::default();
    let mut told = String::new();
    for (second, readings) in [
        (0, vec![Some(100_000), Some(140_000)]),
        (2, vec![Some(900_000), None]),
        (4, vec![None, None]),
        (6, Vec::new()),
    ] {
        let observed = Observed { replicas: 2, ready: 2, crashing: 0, readings, traffic: Traffic::Some };
        let decision = decide(&policy, &mut state, &observed, at(second));
        told.push_str(&format!("{second}s {}\n", decision.reasons));
    }
    expect![[r#"
        0s 2 → 3: in_flight 100/100 asks 1, lately 100/100 asks 1, requests 140/50 asks 3, lately 140/50 asks 3
        2s 2 → 9: in_flight 500/100 asks 5, lately 900/100 asks 9, requests is missing; panic, so never down for 60s
        4s held at 2: in_flight is missing, requests is missing; panic, so never down for 58s; never down while nothing is known
        6s held at 2: in_flight is missing, requests is missing; panic, so never down for 56s; never down while nothing is known
    "#]].assert_eq(&told);
}

/// Every state that a service can be in, with everything that can be observed in it.
#[test]
fn every_state_and_every_event() {
    let mut told = String::new();
    for (state, replicas) in [("new", 2), ("calm", 2), ("panic", 2), ("calm", 1), ("calm", 0)] {
        for (event, reading, traffic) in [
            ("nothing", Some(0), Traffic::None),
            ("less", Some(20), Traffic::Some),
            ("as much", Some(150), Traffic::Some),
            ("more", Some(290), Traffic::Some),
            ("a burst", Some(900), Traffic::Some),
            ("missing", None, Traffic::Unknown),
            ("missing, with traffic", None, Traffic::Some),
        ] {
            let policy = policy(wanted(0));
            let mut memory = State::default();
            let mut observe = |reading: Option<i64>, traffic, second| {
                let readings = vec![reading.map(|value| value * 1_000)];
                let observed = Observed { replicas, ready: replicas, crashing: 0, readings, traffic };
                decide(&policy, &mut memory, &observed, at(second)).replicas
            };
            let before = match state {
                "new" => 0,
                _ => 200,
            };
            for second in (0..before).step_by(2) {
                observe(Some(0), Traffic::None, second);
            }
            if state == "panic" {
                observe(Some(900), Traffic::Some, before);
            }
            let decided = observe(reading, traffic, before + 10);
            told.push_str(&format!("{state} with {replicas}, {event}: {decided}\n"));
        }
    }
    expect![[r#"
        new with 2, nothing: 2
        new with 2, less: 2
        new with 2, as much: 2
        new with 2, more: 3
        new with 2, a burst: 9
        new with 2, missing: 2
        new with 2, missing, with traffic: 2
        calm with 2, nothing: 1
        calm with 2, less: 1
        calm with 2, as much: 2
        calm with 2, more: 2
        calm with 2, a burst: 9
        calm with 2, missing: 2
        calm with 2, missing, with traffic: 2
        panic with 2, nothing: 2
        panic with 2, less: 2
        panic with 2, as much: 2
        panic with 2, more: 3
        panic with 2, a burst: 9
        panic with 2, missing: 2
        panic with 2, missing, with traffic: 2
        calm with 1, nothing: 0
        calm with 1, less: 1
        calm with 1, as much: 2
        calm with 1, more: 3
        calm with 1, a burst: 9
        calm with 1, missing: 1
        calm with 1, missing, with traffic: 1
        calm with 0, nothing: 0
        calm with 0, less: 1
        calm with 0, as much: 2
        calm with 0, more: 3
        calm with 0, a burst: 9
        calm with 0, missing: 0
        calm with 0, missing, with traffic: 1
    "#]]
    .assert_eq(&told);
}
