use std::net::{IpAddr, Ipv4Addr};

use phalanx_data::{Consistency, DataDirectory, Statement};
use phalanx_test_servers::Redis;
use proptest::{prelude::*, test_runner::TestRunner};
use tokio::runtime::Runtime;

use super::*;
use crate::{StateSettings, StateUpkeep};

const START: u64 = 1_800_000_000_000;

/// One step of what clients do.
#[derive(Clone, Copy, Debug)]
struct Step {
    account: u8,
    address: u8,
    /// Since the step before, by a clock that is set back now and then.
    milliseconds: i64,
    ending: Option<Ending>,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let pause = prop_oneof![
        8 => 0..100_i64,
        4 => 0..5_000_i64,
        1 => 0..2_000_000_i64,
        1 => 3_500_000..4_000_000_i64,
        1 => -4_000_000..0_i64,
    ];
    let ending = prop_oneof![
        12 => Just(None),
        1 => Just(Some(Ending::Success)),
        1 => Just(Some(Ending::Withdrawal)),
    ];
    let step = (0..3_u8, 0..3_u8, pause, ending);
    let step = step.prop_map(|(account, address, milliseconds, ending)| Step {
        account,
        address,
        milliseconds,
        ending,
    });
    prop::collection::vec(step, 1..80)
}

/// Few free attempts, so that every step of the ladders is met.
fn policy() -> AttemptPolicy {
    let policy = AttemptPolicy::default();
    AttemptPolicy {
        pair: Ladder { free: 2, ..policy.pair },
        account: Ladder { free: 4, ..policy.account },
        address: Ladder { free: 6, ..policy.address },
        ..policy
    }
}

async fn judge(store: &CounterStore, keys: &Keys, now: u64) -> Judgement {
    match store {
        CounterStore::Redis(counters) => counters.judge(&policy(), keys, now).await.unwrap(),
        CounterStore::Embedded(counters) => counters.judge(&policy(), keys, now).await.unwrap(),
    }
}

async fn settle(store: &CounterStore, keys: &Keys, acquaintance: Acquaintance, ending: Ending, now: u64) {
    match store {
        CounterStore::Redis(counters) => counters.settle(&policy(), keys, acquaintance, ending).await,
        CounterStore::Embedded(counters) => counters.settle(&policy(), keys, acquaintance, ending, now).await,
    }
    .unwrap();
}

/// Whatever happens in whatever order, a store judges as the counters in the process do.
fn agrees(store: &CounterStore, runtime: &Runtime, cases: u32, steps: impl Strategy<Value = Vec<Step>>) {
    let run = |(steps, secret): (Vec<Step>, [u8; 16])| {
        // Every case has counters of its own.
        let naming = Naming::new(&secret);
        let local = LocalCounters::new(&policy(), 1000);
        let mut now = START;
        runtime.block_on(async {
            for step in &steps {
                now = now.saturating_add_signed(step.milliseconds);
                let address = IpAddr::from(Ipv4Addr::new(192, 0, 2, step.address));
                let keys = naming.keys(&step.account.to_string(), address);
                let judged = judge(store, &keys, now).await;
                prop_assert_eq!(judged, local.judge(&policy(), &keys, now), "{:?} of {:?}", step, steps);
                if let (Judgement::Admitted(acquaintance), Some(ending)) = (judged, step.ending) {
                    settle(store, &keys, acquaintance, ending, now).await;
                    local.settle(&keys, acquaintance, ending);
                }
            }
            Ok(())
        })
    };
    let mut runner =
        TestRunner::new(ProptestConfig { cases, failure_persistence: None, ..Default::default() });
    runner.run(&(steps, any::<[u8; 16]>()), run).unwrap();
}

fn store(state: &SharedState) -> CounterStore {
    match &state.store {
        Store::Redis(link) => CounterStore::Redis(RedisCounters::new(link.clone())),
        Store::Embedded(state) => CounterStore::Embedded(EmbeddedCounters::new(state.shard())),
    }
}

#[test]
fn redis_judges_as_the_policy_does() {
    let redis = Redis::start();
    let runtime = Runtime::new().unwrap();
    // A machine that is busy with something else is no Redis that is away.
    let settings = StateSettings { response_timeout: Duration::from_secs(30), ..StateSettings::default() };
    let opened = runtime.block_on(SharedState::redis(&redis.url(), settings));
    let (state, _upkeep): (_, StateUpkeep) = opened.unwrap();
    agrees(&store(&state), &runtime, 64, steps());
    let eternal = "local eternal = 0
        for _, key in ipairs(redis.call('KEYS', '*')) do
          if redis.call('TTL', key) == -1 then eternal = eternal + 1 end
        end
        return eternal";
    assert_eq!(redis.execute(&["EVAL", eternal, "0"]), "0");
}

#[test]
fn the_file_judges_as_the_policy_does() {
    let directory = tempfile::tempdir().unwrap();
    let runtime = Runtime::new().unwrap();
    let directory = DataDirectory::create(directory.path()).unwrap();
    let (state, _upkeep) = runtime.block_on(SharedState::embedded(directory)).unwrap();
    // What it has forgotten by one time stays forgotten when the clock is set back from there.
    let forward = steps().prop_map(|mut steps| {
        steps.iter_mut().for_each(|step| step.milliseconds = step.milliseconds.abs());
        steps
    });
    agrees(&store(&state), &runtime, 24, forward);
}

#[test]
fn after_a_clock_was_set_back_the_file_lets_in_who_waits_as_told() {
    let directory = tempfile::tempdir().unwrap();
    let runtime = Runtime::new().unwrap();
    let directory = DataDirectory::create(directory.path()).unwrap();
    let (state, _upkeep) = runtime.block_on(SharedState::embedded(directory)).unwrap();
    let store = store(&state);
    let keys = Naming::new(b"secret").keys("ada@example.com", IpAddr::from(Ipv4Addr::LOCALHOST));
    let hour = 3_600_000;
    let judged = [START + hour, START + hour, START, START + 999, START + 1_000];
    let judged = judged.map(|now| runtime.block_on(judge(&store, &keys, now)));
    let (admitted, refused) = (Judgement::Admitted(Acquaintance::Unknown), |milliseconds| {
        Judgement::Refused { retry_after: Duration::from_millis(milliseconds) }
    });
    assert_eq!(judged, [admitted, admitted, refused(1_000), refused(1), admitted]);
}

#[test]
fn counters_of_the_process_are_bounded_and_the_latest_stay() {
    let naming = Naming::new(b"secret");
    let local = LocalCounters::new(&policy(), 100);
    let address = |number: u32| IpAddr::from(Ipv4Addr::from(number));
    for number in 0..2000 {
        let keys = naming.keys(&format!("{number}@example.com"), address(number));
        assert_eq!(local.judge(&policy(), &keys, START), Judgement::Admitted(Acquaintance::Unknown));
        local.acquaint(&keys);
    }
    assert!(local.entries() <= 200, "{}", local.entries());
    let keys = naming.keys("ada@example.com", address(1 << 24));
    let refused = (0..3)
        .map(|_| local.judge(&policy(), &keys, START))
        .filter(|judgement| matches!(judgement, Judgement::Refused { .. }));
    assert_eq!(refused.count(), 1, "two are free");
}

#[test]
fn attempts_that_were_none_leave_nothing() {
    let naming = Naming::new(b"secret");
    let directory = tempfile::tempdir().unwrap();
    let runtime = Runtime::new().unwrap();
    let directory = DataDirectory::create(directory.path()).unwrap();
    let (state, _upkeep) = runtime.block_on(SharedState::embedded(directory)).unwrap();
    let Store::Embedded(file) = &state.store else { panic!("it is a file") };
    let local = LocalCounters::new(&policy(), 1000);
    for number in 0..20 {
        let keys = naming.keys(&format!("{number}@made.up"), IpAddr::from(Ipv4Addr::LOCALHOST));
        local.judge(&policy(), &keys, START);
        local.settle(&keys, Acquaintance::Unknown, Ending::Withdrawal);
        runtime.block_on(async {
            judge(&store(&state), &keys, START).await;
            settle(&store(&state), &keys, Acquaintance::Unknown, Ending::Withdrawal, START).await;
        });
    }
    const ALL: Statement = Statement::new("attempts_all", "SELECT name FROM attempts");
    let rows = runtime.block_on(file.shard().read(&Consistency::primary(), &ALL, &[])).unwrap();
    assert_eq!((local.entries(), rows.len()), (0, 0));
}

#[test]
fn retry_after_is_in_whole_seconds_rounded_up() {
    for (milliseconds, seconds) in [(0, 1), (1, 1), (1000, 1), (1001, 2), (900_000, 900)] {
        assert_eq!(RetryAfter(Duration::from_millis(milliseconds)).seconds(), seconds);
    }
}
