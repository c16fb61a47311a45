//! Redis stops, stalls, starts again empty, refuses: requests go on, and no invalidation is lost.

use std::{io, time::Duration};

use futures_util::FutureExt as _;
use phalanx_data::{CacheError, CacheSettings, Reading};
use phalanx_telemetry::clock;
use phalanx_test_servers::Redis;
use tokio::task::JoinSet;

use crate::support::{MINUTE, Node, Store, at, eventually};

fn settings(redis: &Redis) -> CacheSettings {
    CacheSettings {
        redis_url: Some(redis.url()),
        response_timeout: Duration::from_millis(300),
        reconnect_delay_max: Duration::from_millis(100),
        ..CacheSettings::new("test")
    }
}

async fn up_again(node: &Node) {
    eventually("redis is in use again", || node.cache.redis_is_up()).await;
}

#[tokio::test]
async fn without_redis_loads_are_coalesced_in_the_process() {
    let redis = Redis::start();
    redis.stop();
    let (node, store) = (Node::start(settings(&redis)), Store::default());
    let mut reads = JoinSet::new();
    for _ in 0..100 {
        let (cache, store) = (node.cache.clone(), store.clone());
        let load = move |_| async move {
            tokio::task::yield_now().await;
            Ok::<_, io::Error>(store.load_at("a", 0))
        };
        reads.spawn(async move { cache.get_or_load("a", &MINUTE, None, load).await.unwrap() });
    }
    reads.join_all().await;
    assert_eq!(store.loads(), 1);
    redis.restart();
    up_again(&node).await;
}

#[tokio::test]
async fn a_stall_costs_its_timeout_once() {
    let redis = Redis::start();
    let settings = CacheSettings { response_timeout: Duration::from_secs(1), ..settings(&redis) };
    let (node, store) = (Node::connected(settings).await, Store::default());
    redis.pause();
    let begun = clock::now();
    for key in ["a", "b", "c", "d", "e", "f"] {
        assert_eq!(node.get(&store, key).await.unwrap(), "-");
    }
    let took = begun.elapsed();
    assert!(took >= Duration::from_secs(1) && took < Duration::from_secs(3), "{took:?}");
    let totals = node.cache.totals();
    assert_eq!((store.loads(), totals.redis_outages), (6, 1));
    assert!(totals.redis_skipped >= 5, "{totals:?}");
    redis.resume();
    up_again(&node).await;
    node.get(&store, "g").await.unwrap();
    assert!(redis.execute(&["KEYS", "test:*:v:g"]).ends_with(":v:g"));
}

#[tokio::test]
async fn an_invalidation_that_redis_missed_is_delivered_before_redis_is_used() {
    let redis = Redis::start();
    let (node, store) = (Node::connected(settings(&redis)).await, Store::default());
    assert_eq!(node.get(&store, "a").await.unwrap(), "-");
    redis.pause();
    node.cache.invalidate("a", store.write("a")).await;
    assert!(!node.cache.redis_is_up());
    redis.resume();
    up_again(&node).await;
    assert_eq!(redis.execute(&["KEYS", "test:*:v:a"]), "");
    assert_ne!(redis.execute(&["KEYS", "test:*:t:a"]), "");
    assert_eq!(Node::connected(settings(&redis)).await.get(&store, "a").await.unwrap(), "10");
}

#[tokio::test]
async fn a_dropped_invalidation_is_delivered_all_the_same() {
    let redis = Redis::start();
    let (node, store) = (Node::connected(settings(&redis)).await, Store::default());
    assert_eq!(node.get(&store, "a").await.unwrap(), "-");
    let invalidation = node.cache.invalidate("a", store.write("a"));
    assert!(invalidation.now_or_never().is_none(), "it is dropped while it waits for redis");
    eventually("the tombstone is there", || !redis.execute(&["KEYS", "test:*:t:a"]).is_empty()).await;
    assert!(node.cache.redis_is_up());
}

#[tokio::test]
async fn too_many_missed_invalidations_give_up_every_entry() {
    let redis = Redis::start();
    let settings = CacheSettings { undelivered_max: 2, ..settings(&redis) };
    let (node, store) = (Node::connected(settings.clone()).await, Store::default());
    let keys = ["a", "b", "c", "d", "e"];
    for key in keys {
        assert_eq!(node.get(&store, key).await.unwrap(), "-");
    }
    redis.pause();
    for key in keys {
        node.cache.invalidate(key, store.write(key)).await;
    }
    redis.resume();
    up_again(&node).await;
    let newcomer = Node::connected(settings).await;
    // The oldest keys are forgotten; their newest position is not.
    let stale = store.clone();
    let load = move |_| async move { Ok::<_, io::Error>(stale.load_at("a", 5)) };
    newcomer.cache.get_or_load("a", &MINUTE, None, load).await.unwrap();
    assert_eq!(newcomer.cache.totals().refused_fills, 1);
    store.replay(store.head());
    for (key, written) in keys.into_iter().zip(["10", "20", "30", "40", "50"]) {
        assert_eq!(newcomer.get(&store, key).await.unwrap(), written);
    }
}

#[tokio::test]
async fn a_crash_and_an_empty_restart_are_survived() {
    let redis = Redis::start();
    let (node, store) = (Node::connected(settings(&redis)).await, Store::default());
    node.get(&store, "a").await.unwrap();
    node.cache.invalidate("a", store.write("a")).await;
    redis.kill();
    assert_eq!(node.get(&store, "a").await.unwrap(), "10");
    redis.restart();
    up_again(&node).await;
    // Redis has forgotten the tombstone, and the process has not.
    let other = Node::connected(settings(&redis)).await;
    let load = |_| async { Ok::<_, io::Error>(Reading::found("stale".into(), at(9))) };
    other.cache.get_or_load("b", &MINUTE, None, load).await.unwrap();
    node.cache.invalidate("b", at(20)).await;
    redis.flush_all();
    let load = |_| async { Ok::<_, io::Error>(Reading::found("stale".into(), at(9))) };
    Node::connected(settings(&redis)).await.cache.get_or_load("b", &MINUTE, None, load).await.unwrap();
    assert_ne!(redis.execute(&["KEYS", "test:*:v:b"]), "", "a newcomer has filled it with old data");
    assert_eq!(node.get(&store, "b").await.unwrap(), "-", "the node has loaded it by itself");
}

#[tokio::test]
async fn a_redis_that_refuses_is_skipped_until_it_takes_writes() {
    let faults: [(&[&str], &[&str]); 2] = [
        (&["CONFIG", "SET", "maxmemory", "1"], &["CONFIG", "SET", "maxmemory", "0"]),
        (&["REPLICAOF", "127.0.0.1", "1"], &["REPLICAOF", "NO", "ONE"]),
    ];
    for (fault, cure) in faults {
        let redis = Redis::start();
        let (node, store) = (Node::connected(settings(&redis)).await, Store::default());
        redis.execute(fault);
        assert_eq!(node.get(&store, "a").await.unwrap(), "-", "{fault:?}");
        assert!(!node.cache.redis_is_up(), "{fault:?}");
        let tries = node.cache.totals().redis_errors;
        eventually("it is tried again", || node.cache.totals().redis_errors > tries + 1).await;
        assert!(!node.cache.redis_is_up(), "{fault:?}");
        redis.execute(cure);
        up_again(&node).await;
    }
}

#[tokio::test]
async fn without_messages_the_process_level_soon_asks_again() {
    let redis = Redis::start();
    let settings = CacheSettings { process_ttl_unsubscribed: Duration::from_millis(50), ..settings(&redis) };
    let (node, store) = (Node::connected(settings).await, Store::default());
    assert_eq!(node.get(&store, "a").await.unwrap(), "-");
    redis.stop();
    // Another process writes, and nobody can tell.
    store.replay(store.write("a").lsn);
    let answer = async {
        while node.get(&store, "a").await.unwrap() != "10" {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(8), answer).await.unwrap();
    let clearings = node.cache.totals().clearings;
    redis.restart();
    eventually("messages come again, and what was missed is dropped", || {
        node.cache.totals().clearings > clearings
    })
    .await;
}

#[tokio::test]
async fn without_its_upkeep_the_process_level_soon_asks_again() {
    let redis = Redis::start();
    let settings = CacheSettings { process_ttl_unsubscribed: Duration::ZERO, ..settings(&redis) };
    let (mut node, store) = (Node::connected(settings).await, Store::default());
    assert_eq!(
        (node.get(&store, "a").await.unwrap(), node.get(&store, "a").await.unwrap()),
        ("-".into(), "-".into())
    );
    assert_eq!(node.cache.totals().process_hits, 1);
    node.end_upkeep().await;
    node.get(&store, "a").await.unwrap();
    assert_eq!(node.cache.totals().process_hits, 1);
}

#[test]
fn settings_that_cannot_hold_are_refused() {
    let address = CacheSettings { redis_url: Some("postgres://x".to_owned()), ..CacheSettings::new("test") };
    assert!(matches!(phalanx_data::Cache::open(address), Err(CacheError::Address { .. })));
    let lease = CacheSettings { lease: Duration::from_secs(60), ..CacheSettings::new("test") };
    assert!(matches!(phalanx_data::Cache::open(lease), Err(CacheError::TombstoneTooShort { .. })));
}
