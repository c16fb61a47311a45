//! Redis answers and refuses: a revocation that it does not take is said to have failed, holds here at once, and comes into effect
//! everywhere as soon as it is taken.

use std::sync::Arc;

use phalanx_auth::{Standing, StateError};
use phalanx_test_servers::Redis;
use tokio::task::JoinSet;

use crate::support::{HOUR, Replica, eventually, of_session, patient, session};

/// Commands that bring a fault about, and those that end it.
struct Fault {
    answer: &'static str,
    /// Who gets that answer.
    probe: &'static [&'static str],
    begin: &'static [&'static [&'static str]],
    end: &'static [&'static [&'static str]],
}

const FAULTS: [Fault; 3] = [
    Fault {
        answer: "OOM",
        probe: &["SET", "anything", "1"],
        begin: &[&["CONFIG", "SET", "maxmemory", "1"]],
        end: &[&["CONFIG", "SET", "maxmemory", "0"]],
    },
    Fault {
        answer: "READONLY",
        probe: &["SET", "anything", "1"],
        // Nobody listens on the port that its primary is said to have, and it keeps what it has.
        begin: &[&["REPLICAOF", "127.0.0.1", "1"]],
        end: &[&["REPLICAOF", "NO", "ONE"]],
    },
    Fault {
        answer: "MASTERDOWN",
        probe: &["GET", "anything"],
        begin: &[&["CONFIG", "SET", "replica-serve-stale-data", "no"], &["REPLICAOF", "127.0.0.1", "1"]],
        end: &[&["REPLICAOF", "NO", "ONE"]],
    },
];

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_revocation_is_an_error_and_is_delivered_later() {
    let redis = Redis::start();
    let replicas = Replica::several::<2>(&redis).await;
    let run = |commands: &[&[&str]]| {
        for command in commands {
            redis.execute(command);
        }
    };
    for Fault { answer, probe, begin, end } in FAULTS {
        run(begin);
        let refused = redis.try_execute(probe).unwrap_err();
        assert!(refused.contains(answer), "{refused}");
        let outcome = replicas[0].revocations.revoke(&[session(answer)], HOUR).await;
        assert!(matches!(outcome, Err(StateError::Unavailable(_))), "{answer}: {outcome:?}");
        assert_eq!(replicas[0].revocations.check(of_session(answer)), Standing::Revoked, "{answer}");
        assert_ne!(replicas[1].revocations.check(of_session(answer)), Standing::Revoked, "{answer}");
        run(end);
        replicas[1].refuses(of_session(answer)).await;
        assert_eq!(replicas[0].revocations.totals().unreadable, 0);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn without_redis_a_revocation_fails_at_once_and_is_delivered_later() {
    let redis = Redis::start();
    redis.stop();
    let replica = Replica::on(&redis, patient()).await;
    for number in 0..20 {
        let outcome = replica.revocations.revoke(&[session(&number.to_string())], HOUR).await;
        assert!(matches!(outcome, Err(StateError::Unavailable(_))), "{outcome:?}");
    }
    assert_eq!(replica.revocations.unpublished(), 20);
    redis.restart();
    let other = Replica::following(&redis).await;
    for number in 0..20 {
        other.refuses(of_session(&number.to_string())).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_revocation_waits_for_a_redis_that_loads_its_data() {
    let redis = Arc::new(Redis::start());
    let replicas = Replica::several::<2>(&redis).await;
    // It would take minutes, until the delay is taken away.
    for command in [
        &["DEBUG", "POPULATE", "100000"][..],
        &["CONFIG", "SET", "loading-process-events-interval-bytes", "1024"],
        &["CONFIG", "SET", "key-load-delay", "1000"],
    ] {
        redis.execute(command);
    }
    let mut loading = JoinSet::new();
    let server = Arc::clone(&redis);
    loading.spawn_blocking(move || server.execute(&["DEBUG", "RELOAD"]));
    let loads = || redis.try_execute(&["GET", "anything"]).is_err_and(|answer| answer.contains("LOADING"));
    eventually("it loads", loads).await;
    let outcome = replicas[0].revocations.revoke(&[session("s1")], HOUR).await;
    assert!(matches!(outcome, Err(StateError::Unavailable(_))), "{outcome:?}");
    redis.execute(&["CONFIG", "SET", "key-load-delay", "0"]);
    loading.join_all().await;
    replicas[1].refuses(of_session("s1")).await;
}
