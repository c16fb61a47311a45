use std::{future::pending, io};

use phalanx_telemetry::clock;
use phalanx_test_servers::Redis;
use tokio::task::JoinSet;

use super::*;

/// Far longer than anything takes on a machine that is busy with something else.
const DEADLINE: Duration = Duration::from_mins(1);

/// Does not wait long for an answer. Where that has to be in time, it is better patient.
const IMPATIENT: Duration = Duration::from_millis(400);

fn settings(response_timeout: Duration) -> StateSettings {
    StateSettings {
        namespace: "test".to_owned(),
        response_timeout,
        probe_period: Duration::from_millis(50),
        reconnect_delay_max: Duration::from_millis(100),
    }
}

/// A link in use, and what keeps it so until it is dropped.
async fn connected(redis: &Redis, settings: StateSettings) -> (RedisLink, JoinSet<()>) {
    let link = RedisLink::open(&redis.url(), settings).unwrap();
    let mut tasks = JoinSet::new();
    let kept = link.clone();
    tasks.spawn(async move { kept.keep().await });
    eventually("redis is in use", || link.is_up()).await;
    (link, tasks)
}

async fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let begun = clock::now();
    while !holds() {
        assert!(begun.elapsed() < DEADLINE, "{what}: not by the deadline");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

async fn ask(link: &RedisLink, command: &[&str]) -> Result<redis::Value, StateError> {
    let mut question = redis::cmd(command[0]);
    question.arg(&command[1..]);
    link.run(|mut connection| async move { question.query_async(&mut connection).await }).await
}

fn is_out(outcome: &Result<redis::Value, StateError>) -> bool {
    matches!(outcome, Err(StateError::Unavailable(StateFault::Out)))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redis_that_went_away_is_out_of_use_at_once_and_back_by_itself() {
    let redis = Redis::start();
    let (link, mut tasks) = connected(&redis, settings(DEADLINE)).await;
    assert!(ask(&link, &["SET", "a", "1"]).await.is_ok());
    tasks.shutdown().await; // Nobody looks after it, so it is the first question that finds out.
    redis.kill();
    let first = ask(&link, &["GET", "a"]).await;
    assert!(matches!(first, Err(StateError::Unavailable(StateFault::Redis(_)))), "{first:?}");
    for _ in 0..3 {
        let next = ask(&link, &["GET", "a"]).await;
        assert!(is_out(&next), "{next:?}");
    }
    assert_eq!((link.is_up(), link.outages()), (false, 1));
    let kept = link.clone();
    tasks.spawn(async move { kept.keep().await });
    redis.restart();
    eventually("redis is in use again", || link.is_up()).await;
    assert!(ask(&link, &["GET", "a"]).await.is_ok());
    assert_eq!(link.outages(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redis_that_hangs_is_found_out_though_nobody_asks_it_anything() {
    let redis = Redis::start();
    let (link, _tasks) = connected(&redis, settings(IMPATIENT)).await;
    redis.pause();
    eventually("the probe has found out", || link.outages() > 0).await;
    assert!(is_out(&ask(&link, &["GET", "a"]).await));
    redis.resume();
    eventually("redis is in use again", || link.is_up()).await;
    assert!(ask(&link, &["GET", "a"]).await.is_ok());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_question_to_a_redis_that_hangs_ends_in_time() {
    let redis = Redis::start();
    let (link, mut tasks) = connected(&redis, settings(IMPATIENT)).await;
    tasks.shutdown().await;
    redis.pause();
    let first = ask(&link, &["GET", "a"]).await;
    assert!(matches!(first, Err(StateError::Unavailable(StateFault::Timeout))), "{first:?}");
    assert!(is_out(&ask(&link, &["GET", "a"]).await));
    redis.resume();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_wrong_with_one_command_keeps_the_link() {
    let redis = Redis::start();
    let (link, _tasks) = connected(&redis, settings(DEADLINE)).await;
    ask(&link, &["SET", "text", "1"]).await.unwrap();
    redis.execute(&["CONFIG", "SET", "maxmemory", "1"]);
    for command in [
        &["LPUSH", "text", "1"][..],
        &["NONSENSE"],
        &["GET"],
        &["EVAL", "return redis.call('NONSENSE')", "0"],
        &["EVALSHA", "0123456789012345678901234567890123456789", "0"],
        &["SET", "more", "than there is room for"],
    ] {
        let outcome = ask(&link, command).await;
        let of_command = matches!(outcome, Err(StateError::Unavailable(StateFault::Redis(_))));
        assert!(of_command, "{command:?}: {outcome:?}");
        assert!(link.is_up(), "{command:?}");
    }
    let mistaken: Result<u64, _> =
        link.run(|mut connection| async move { redis::cmd("PING").query_async(&mut connection).await }).await;
    assert!(mistaken.is_err());
    assert_eq!((link.is_up(), link.outages()), (true, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_takes_no_writes_is_left_for_whoever_answers_next() {
    let redis = Redis::start();
    // No probe finds it out first.
    let patient = StateSettings { probe_period: DEADLINE, ..settings(DEADLINE) };
    let (link, _tasks) = connected(&redis, patient).await;
    redis.execute(&["REPLICAOF", "127.0.0.1", "1"]);
    let refused = ask(&link, &["SET", "a", "1"]).await;
    assert!(matches!(refused, Err(StateError::Unavailable(StateFault::Redis(_)))), "{refused:?}");
    // It answers, and takes nothing: however often it is tried, it does not come into use.
    eventually("it was tried", || rejected_writes(&redis) > 3).await;
    assert_eq!((link.is_up(), link.outages()), (false, 1));
    redis.execute(&["REPLICAOF", "NO", "ONE"]);
    eventually("redis is in use again", || link.is_up()).await;
    assert!(ask(&link, &["SET", "a", "1"]).await.is_ok());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_takes_no_writes_any_more_is_found_out_though_nobody_writes() {
    let redis = Redis::start();
    let (link, _tasks) = connected(&redis, settings(DEADLINE)).await;
    redis.execute(&["REPLICAOF", "127.0.0.1", "1"]);
    eventually("the probe has found out", || link.outages() > 0).await;
    assert!(is_out(&ask(&link, &["GET", "a"]).await));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_full_is_in_use() {
    let redis = Redis::start();
    redis.execute(&["CONFIG", "SET", "maxmemory", "1"]);
    let (link, _tasks) = connected(&redis, settings(DEADLINE)).await;
    eventually("it was asked for a write", || rejected_writes(&redis) > 3).await;
    assert_eq!((link.is_up(), link.outages()), (true, 0));
}

/// How often Redis did not do what it was asked to store.
fn rejected_writes(redis: &Redis) -> u64 {
    let statistics = redis.execute(&["INFO", "commandstats"]);
    let of_set = statistics.lines().find_map(|line| line.strip_prefix("cmdstat_set:"));
    let rejected =
        of_set.and_then(|fields| fields.split(',').find_map(|field| field.strip_prefix("rejected_calls=")));
    rejected.map_or(0, |count| count.trim().parse().unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_late_failure_of_one_connection_does_not_take_down_the_next() {
    let redis = Redis::start();
    // No probe can fail meanwhile.
    let settings = StateSettings { probe_period: DEADLINE, ..settings(IMPATIENT) };
    let (link, _tasks) = connected(&redis, settings).await;
    let late = async {
        let outcome = link.run(|_| pending::<RedisResult<()>>()).await;
        assert!(matches!(outcome, Err(StateError::Unavailable(StateFault::Timeout))), "{outcome:?}");
    };
    let failing = async {
        let broken = RedisError::from(io::Error::from(io::ErrorKind::BrokenPipe));
        assert!(link.run(async |_| RedisResult::<()>::Err(broken)).await.is_err());
        eventually("redis is in use again", || link.is_up()).await;
    };
    tokio::join!(late, failing);
    assert_eq!((link.is_up(), link.outages()), (true, 1));
}

#[tokio::test]
async fn a_connection_of_its_own_may_wait_longer_than_an_answer_may_take() {
    let redis = Redis::start();
    let link = RedisLink::open(&redis.url(), settings(Duration::from_millis(200))).unwrap();
    let mut connection = link.dedicated().await.unwrap();
    let mut waiting = redis::cmd("BLPOP");
    let nothing: Option<(String, String)> =
        waiting.arg("empty").arg(0.4).query_async(&mut connection).await.unwrap();
    assert_eq!(nothing, None);
}

#[test]
fn keys_begin_with_the_namespace_of_the_service() {
    let link = RedisLink::open("redis://127.0.0.1:1", settings(DEADLINE)).unwrap();
    assert_eq!(link.key("revocations"), "test:revocations");
    assert!(RedisLink::open("postgres://127.0.0.1", settings(DEADLINE)).is_err());
}
