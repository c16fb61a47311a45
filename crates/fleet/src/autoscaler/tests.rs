//! Decisions over a board and counts that a test writes: no process, no clock.

use std::{
    collections::HashMap,
    net::{Ipv4Addr, SocketAddr},
    sync::Arc,
};

use expect_test::{Expect, expect};
use phalanx_config::{Config, Source};

use super::*;
use crate::{
    state::{LimitsState, ProcessState, ReplicaState, ServiceState, Standing},
    usage::Usage,
};

const SMALL: Host = Host { cpu_milli: 2_000, memory_bytes: Some(4 << 30) };

/// A service, what is written about it, and the time.
struct World {
    scaled: Scaled,
    state: ServiceState,
    load: ServiceLoad,
    used: HashMap<Arc<str>, Usage>,
    now: Instant,
    told: String,
}

impl World {
    /// With these keys of `[service.api]`, and so many replicas that have been ready for an hour.
    fn new(keys: &str, replicas: u32) -> Self {
        let file = format!("[[route]]\npath = '/'\nservice = 'api'\n[service.api]\ncommand = ['a']\n{keys}");
        let config =
            Config::parse("phalanx.toml", &file, &|_| None).unwrap_or_else(|faults| panic!("{faults:#?}"));
        let (name, service) = config.services.into_iter().next().unwrap();
        let Source::Replicas(template) = service.source else { panic!("a command makes replicas") };
        let now = clock::now() + Duration::from_secs(7_200);
        let mut world = Self {
            scaled: Scaled::new(&name, &template, SMALL, now - Duration::from_secs(3_600)).unwrap(),
            state: ServiceState {
                desired: replicas,
                ..ServiceState::before(&name, &template, LimitsState::None)
            },
            load: ServiceLoad::default(),
            used: HashMap::new(),
            now,
            told: String::new(),
        };
        for _ in 0..replicas {
            world.add(Standing::Ready);
        }
        world
    }

    /// One more replica, an hour old.
    fn add(&mut self, standing: Standing) -> &mut Self {
        let ordinal = u32::try_from(self.state.replicas.len()).unwrap() + 1;
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, 3_000 + u16::try_from(ordinal).unwrap()));
        self.state.replicas.push(ReplicaState {
            instance: format!("api-{ordinal}").into(),
            ordinal,
            revision: 1,
            standing,
            since: self.now - Duration::from_secs(3_600),
            process: Some(ProcessState { pid: 100 + ordinal, address }),
            restarts: 0,
            last_exit: None,
            last_output: Vec::new().into(),
        });
        if standing == Standing::Ready {
            self.load.endpoints.push(EndpointLoad { address, requests: 0, in_flight: 0 });
        }
        self
    }

    fn stand(&mut self, index: usize, standing: Standing) -> &mut Self {
        self.state.replicas[index].standing = standing;
        self.state.replicas[index].since = self.now;
        self
    }

    /// So many requests to each endpoint, by its index, within an interval that passes.
    fn requests(&mut self, each: &[u64]) -> &mut Self {
        for (endpoint, requests) in self.load.endpoints.iter_mut().zip(each) {
            endpoint.requests += requests;
            self.load.requests += requests;
        }
        self.now += Duration::from_secs(15);
        self
    }

    /// Decides, and carries the decision out, but for the replicas themselves.
    fn decide(&mut self) -> &mut Self {
        self.scaled.glance(&self.load, self.now);
        let why = self.scaled.decide(&self.state, &self.load, &self.used, self.now);
        self.scaled.changed(&why, self.now);
        self.state.desired = why.to();
        self.told.push_str(&format!("{why}\n"));
        self
    }

    fn check(&self, expected: &Expect) {
        expected.assert_eq(&self.told);
    }
}

/// Scales down at once, so that nothing but what is known holds the number.
const BY_REQUESTS: &str = "autoscale = { min = 1, max = 20, metrics = [{ requests_per_second = 50 }], scale_down = { stabilization = '0s' } }";

#[test]
fn requests_are_counted_from_one_decision_to_the_next() {
    let mut world = World::new(BY_REQUESTS, 2);
    // The first decision has nothing to count from.
    world.decide().requests(&[1_500, 1_500]).decide().requests(&[75, 75]).decide();
    world.check(&expect![[r#"
        held at 2: requests failed: no metrics returned (FailedGetPodsMetric); never down while a metric fails
        2 → 4: requests 100 > 50 asks 4
        4 → 1: requests 5 < 50 asks 1
    "#]]);
}

#[test]
fn a_replica_that_was_restarted_is_counted_anew() {
    let mut world = World::new(BY_REQUESTS, 2);
    world.decide().requests(&[900, 600]).decide();
    world.state.replicas[0].process.as_mut().unwrap().pid = 999;
    world.load.endpoints[0].requests = 0;
    world.requests(&[30, 30]).decide().requests(&[30, 30]).decide();
    world.check(&expect![[r#"
        held at 2: requests failed: no metrics returned (FailedGetPodsMetric); never down while a metric fails
        held at 2: requests 50 = 50 asks 2
        held at 2: requests 2 < 50 asks 2
        2 → 1: requests 2 < 50 asks 1
    "#]]);
}

#[test]
fn a_count_that_begins_anew_is_no_sample() {
    let mut world = World::new(BY_REQUESTS, 2);
    world.decide().requests(&[900, 900]).decide();
    world.load.endpoints[0].requests = 0;
    world.requests(&[30, 30]).decide();
    world.check(&expect![[r#"
        held at 2: requests failed: no metrics returned (FailedGetPodsMetric); never down while a metric fails
        2 → 3: requests 60 > 50 asks 3
        3 → 2: requests 2 < 50 asks 2
    "#]]);
}

#[test]
fn a_replica_that_hangs_takes_nothing_down() {
    let mut world = World::new(BY_REQUESTS, 2);
    world.decide().requests(&[900, 600]).decide();
    // It takes no requests any more, so it is not among the endpoints either; the other one has little to do.
    world.stand(0, Standing::NotReady).load.endpoints.remove(0);
    world.requests(&[75]).decide().requests(&[75]).decide();
    world.stand(1, Standing::NotReady).load.endpoints.clear();
    world.requests(&[]).decide();
    world.check(&expect![[r#"
        held at 2: requests failed: no metrics returned (FailedGetPodsMetric); never down while a metric fails
        held at 2: requests 50 = 50 asks 2
        held at 2: requests 5 < 50 asks 2
        held at 2: requests 5 < 50 asks 2
        held at 2: requests failed: no metrics returned (FailedGetPodsMetric); never down while a metric fails
    "#]]);
}

#[test]
fn replicas_that_start_are_hoped_for_and_those_that_leave_are_not() {
    let mut world = World::new(BY_REQUESTS, 2);
    world.add(Standing::Starting).add(Standing::Draining).add(Standing::Stopping);
    world.state.desired = 3;
    world.decide().requests(&[900, 900]).decide().requests(&[1_800, 1_800]).decide();
    world.check(&expect![[r#"
        held at 3: requests failed: no metrics returned (FailedGetPodsMetric); never down while a metric fails
        held at 3: requests 60 > 50 asks 3
        3 → 5: requests 120 > 50 asks 5
    "#]]);
}

#[test]
fn replicas_that_are_not_up_take_nothing_down() {
    let until = clock::now();
    let mut world = World::new(BY_REQUESTS, 2);
    world.add(Standing::Starting).add(Standing::BackingOff { until });
    world.state.desired = 4;
    world.decide().requests(&[450, 450]).decide();
    // One that never had a process is pending, as in Kubernetes, and does not hold the number.
    world.stand(3, Standing::Starting).state.replicas[3].process = None;
    world.requests(&[450, 450]).decide();
    world.check(&expect![[r#"
        held at 4: requests failed: no metrics returned (FailedGetPodsMetric); never down while a metric fails
        held at 4: requests 30 < 50 asks 4
        4 → 3: requests 30 < 50 asks 3
    "#]]);
}

#[test]
fn replicas_that_crash_are_no_capacity() {
    let until = clock::now();
    let mut world = World::new(BY_REQUESTS, 2);
    world.add(Standing::CrashLoop { until }).add(Standing::CrashLoop { until });
    world.state.desired = 4;
    world.decide().requests(&[1_050, 1_050]).decide();
    // Those that a rollout has started on top of what is asked for are nobody's capacity either way.
    world.state.desired = 2;
    world.requests(&[1_050, 1_050]).decide();
    world.check(&expect![[r#"
        held at 4: requests failed: no metrics returned (FailedGetPodsMetric); 2 not counted, crashing; never down while a metric fails
        4 → 5: requests 70 > 50 asks 5; 2 not counted, crashing
        2 → 3: requests 70 > 50 asks 3
    "#]]);
}

#[test]
fn what_waits_counts_as_in_flight_and_looks_between_decisions_are_averaged() {
    let keys =
        "autoscale = { max = 20, metrics = [{ in_flight = 10 }], scale_down = { stabilization = '0s' } }";
    let mut world = World::new(keys, 2);
    world.decide();
    for in_flight in [10, 40] {
        world.now += GLANCE_INTERVAL;
        world.load.endpoints.iter_mut().for_each(|endpoint| endpoint.in_flight = in_flight);
        (world.load.in_flight, world.load.waiting, world.load.held) = (2 * in_flight, 20, 0);
        world.scaled.glance(&world.load, world.now);
    }
    world.now += Duration::from_secs(13);
    world.load.endpoints.iter_mut().for_each(|endpoint| endpoint.in_flight = 1);
    (world.load.in_flight, world.load.waiting) = (2, 0);
    world.decide();
    world.check(&expect![[r#"
        2 → 1: in_flight 0 < 10 asks 0; limited by min 1 (TooFewReplicas)
        1 → 5: in_flight 23.666 > 10 asks 5
    "#]]);
}

#[test]
fn shares_are_of_what_replicas_request() {
    let keys = "resources = { cpu = '500m', memory = '100MiB' }\nautoscale = { max = 20, metrics = [{ cpu_percent = 50 }, { memory_percent = 50 }] }";
    let mut world = World::new(keys, 2);
    for (cpu_seconds, memory_mib) in [(10, 20), (13, 25)] {
        let taken = world.now;
        let usage = Usage::fake(1, Duration::from_secs(cpu_seconds), memory_mib << 20, taken);
        world.used = ["api-1", "api-2"].map(|instance| (Arc::from(instance), usage)).into();
        world.decide();
        world.now += Duration::from_secs(15);
    }
    // Nothing could be measured.
    world.used.clear();
    world.decide();
    world.check(&expect![[r#"
        held at 2: cpu failed: no metrics returned (FailedGetResourceMetric), memory 20% < 50% asks 1; never down while a metric fails
        held at 2: cpu 40% < 50% asks 2, memory 25% < 50% asks 1; cpu wins
        held at 2: cpu failed: no metrics returned (FailedGetResourceMetric), memory failed: no metrics returned (FailedGetResourceMetric); never down while a metric fails
    "#]]);
}

#[test]
fn the_machine_has_the_last_word_over_max() {
    let keys = "autoscale = { max = 200, metrics = [{ requests_per_second = 1 }], scale_up = { policies = [{ percent = 10000, period = '15s' }] } }";
    let mut world = World::new(keys, 2);
    world.decide().requests(&[1_500, 1_500]).decide();
    world.check(&expect![[r#"
        held at 2: requests failed: no metrics returned (FailedGetPodsMetric); never down while a metric fails
        2 → 8: requests 100 > 1 asks 200; limited by max 8: 2 cores (TooManyReplicas)
    "#]]);
}

#[test]
fn who_waits_for_the_first_replica_does_not_wait_for_an_interval() {
    let mut world = World::new("autoscale = { min = 0, max = 20, mode = 'fast' }", 0);
    world.decide();
    let decided = world.now;
    assert!(!world.scaled.is_due(decided + Duration::from_millis(1_999)));
    (world.now, world.load.held) = (decided + Duration::from_millis(5), 3);
    world.scaled.hurry(world.now);
    assert!(world.scaled.is_due(world.now));
    world.decide();
    assert_eq!(world.scaled.wakes_at(), world.now + GLANCE_INTERVAL);
    world.check(&expect![[r#"
        held at 0: in_flight 0/100 asks 0, lately 0/100 asks 0
        0 → 1: in_flight 1.5/100 asks 1, lately 3/100 asks 1
    "#]]);
}

#[test]
fn whoever_asks_and_goes_again_and_again_has_it_decided_once_a_second() {
    let mut world = World::new("autoscale = { min = 0, max = 20, mode = 'fast' }", 0);
    world.decide();
    world.now += Duration::from_millis(5);
    world.load.held = 1;
    world.scaled.hurry(world.now);
    world.decide();
    assert_eq!(world.state.desired, 1);
    let decided = world.now;
    for (millis, is_due) in [(1, false), (999, false), (1_000, true)] {
        world.now = decided + Duration::from_millis(millis);
        world.scaled.hurry(world.now);
        assert_eq!(world.scaled.is_due(world.now), is_due, "after {millis} ms");
    }
}

#[test]
fn by_the_rules_of_kubernetes_nobody_hurries() {
    let mut world = World::new(BY_REQUESTS, 1);
    world.decide();
    world.now += Duration::from_secs(14);
    world.load.held = 1;
    world.scaled.hurry(world.now);
    assert!(!world.scaled.is_due(world.now));
}

#[test]
fn one_request_within_a_long_time_is_traffic() {
    let keys = "autoscale = { min = 0, max = 20, mode = 'fast', interval = '1h', metrics = [{ requests_per_second = 1 }] }";
    let mut world = World::new(keys, 1);
    world.decide();
    world.load.requests += 1;
    world.now += Duration::from_secs(3_600);
    world.decide();
    world.now += Duration::from_secs(3_600);
    world.decide();
    world.check(&expect![[r#"
        held at 1: requests is missing; never down while nothing is known
        held at 1: requests 0/1 asks 0, lately 0/1 asks 0; never down before a whole window was read; held for 60s
        1 → 0: requests 0/1 asks 0, lately 0/1 asks 0
    "#]]);
}

#[test]
fn a_moment_after_a_decision_a_request_is_no_burst() {
    let keys = "autoscale = { max = 20, mode = 'fast', metrics = [{ requests_per_second = 10 }] }";
    let mut world = World::new(keys, 1);
    world.decide();
    world.now += Duration::from_secs(2);
    world.decide();
    world.load.requests += 5;
    world.now += Duration::from_millis(1);
    world.decide();
    world.check(&expect![[r#"
        held at 1: requests is missing; never down while nothing is known
        held at 1: requests 0/10 asks 0, lately 0/10 asks 0; never down before a whole window was read; held for 60s
        held at 1: requests 2.5/10 asks 1, lately 5/10 asks 1
    "#]]);
}
