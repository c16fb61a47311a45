//! The level in Redis, with a real server that works.

use std::{io, pin::pin, sync::Arc, time::Duration};

use futures_util::FutureExt as _;
use phalanx_data::{CachePolicy, CacheSettings, Reading};
use phalanx_test_servers::Redis;
use tokio::{sync::Notify, task::JoinSet};

use crate::support::{MINUTE, Node, Store, at, eventually, text};

fn settings(redis: &Redis) -> CacheSettings {
    // A machine under load answers late; outages have tests of their own.
    let response_timeout = Duration::from_secs(5);
    CacheSettings { redis_url: Some(redis.url()), response_timeout, ..CacheSettings::new("test") }
}

async fn pair(redis: &Redis) -> (Node, Node, Store) {
    (Node::connected(settings(redis)).await, Node::connected(settings(redis)).await, Store::default())
}

#[tokio::test]
async fn processes_share_values_and_absence() {
    let redis = Redis::start();
    let (one, other, store) = pair(&redis).await;
    store.replay(store.write("a").lsn);
    for node in [&one, &other] {
        assert_eq!(node.get(&store, "a").await.unwrap(), "10");
        assert_eq!(node.get(&store, "none").await.unwrap(), "-");
    }
    assert_eq!((store.loads(), other.cache.totals().redis_hits), (2, 2));
}

#[tokio::test]
async fn an_invalidation_reaches_other_processes() {
    let redis = Redis::start();
    let (one, other, store) = pair(&redis).await;
    assert_eq!(one.get(&store, "a").await.unwrap(), "-");
    assert_eq!(other.get(&store, "a").await.unwrap(), "-");
    one.cache.invalidate("a", store.write("a")).await;
    eventually("the other has heard", || other.cache.totals().invalidations_heard == 1).await;
    assert_eq!(other.get(&store, "a").await.unwrap(), "10");
    assert_eq!(one.get(&store, "a").await.unwrap(), "10");
    assert_eq!(store.loads(), 2);
}

#[tokio::test]
async fn what_a_process_knows_of_a_key_holds_while_it_hears_of_more() {
    let redis = Redis::start();
    let (one, store) = (Node::connected(settings(&redis)).await, Store::default());
    store.replay(store.write("a").lsn);
    one.cache.invalidate("a", store.write("a")).await;
    // Emptied, Redis has forgotten it, and takes the old value of a process that never heard of it.
    redis.flush_all();
    let late = Node::connected(settings(&redis)).await;
    assert_eq!(late.get(&store, "a").await.unwrap(), "10");
    one.get(&store, "none").await.unwrap();

    redis.pause();
    let mut read = pin!(one.get(&store, "a"));
    assert!(read.as_mut().now_or_never().is_none());
    let mut invalidation = pin!(one.cache.invalidate("a", store.write("a")));
    assert_eq!(invalidation.as_mut().now_or_never(), None);
    redis.resume();
    let (read, ()) = tokio::join!(read, invalidation);
    assert_eq!(read.unwrap(), "30");
}

#[tokio::test]
async fn fifty_processes_load_once() {
    let redis = Redis::start();
    let mut nodes = Vec::new();
    for _ in 0..50 {
        nodes.push(Node::connected(settings(&redis)).await);
    }
    let store = Store::default();
    let mut reads = JoinSet::new();
    for node in &nodes {
        let (cache, store) = (node.cache.clone(), store.clone());
        let load = move |_| async move {
            tokio::time::sleep(Duration::from_millis(50)).await;
            Ok::<_, io::Error>(store.load_at("a", 0))
        };
        reads.spawn(async move { cache.get_or_load("a", &MINUTE, None, load).await.unwrap() });
    }
    assert_eq!(reads.join_all().await.len(), 50);
    assert_eq!(store.loads(), 1);
}

#[tokio::test]
async fn emptied_it_is_filled_by_one() {
    let redis = Redis::start();
    let (one, other, store) = pair(&redis).await;
    one.get(&store, "a").await.unwrap();
    redis.flush_all();
    // Others have nothing in their processes, as after a restart.
    let mut nodes = vec![other];
    for _ in 0..10 {
        nodes.push(Node::connected(settings(&redis)).await);
    }
    redis.flush_all();
    let mut reads = JoinSet::new();
    for node in &nodes {
        let (cache, store) = (node.cache.clone(), store.clone());
        let load = move |_| async move {
            tokio::time::sleep(Duration::from_millis(50)).await;
            Ok::<_, io::Error>(store.load_at("a", 0))
        };
        reads.spawn(async move { cache.get_or_load("a", &MINUTE, None, load).await.unwrap() });
    }
    reads.join_all().await;
    assert_eq!(store.loads(), 2);
    assert!(nodes.iter().all(|node| node.cache.totals().redis_outages == 0));
}

#[tokio::test]
async fn a_fill_from_a_lagging_replica_is_refused_by_the_tombstone() {
    let redis = Redis::start();
    let (one, _, store) = pair(&redis).await;
    one.cache.invalidate("a", store.write("a")).await;
    // It has not heard of the invalidation: Redis alone knows.
    let newcomer = Node::connected(settings(&redis)).await;
    let stale = store.clone();
    let load = move |floor| async move {
        assert_eq!(floor, Some(at(10)), "the tombstone tells what to reach");
        Ok::<_, io::Error>(stale.load_at("a", 9))
    };
    assert_eq!(text(&newcomer.cache.get_or_load("a", &MINUTE, None, load).await.unwrap()), "-");
    assert_eq!(newcomer.cache.totals().refused_fills, 1);
    assert_eq!(newcomer.get(&store, "a").await.unwrap(), "10");
    assert_eq!(one.get(&store, "a").await.unwrap(), "10");
    assert_eq!(store.loads(), 2);
}

#[tokio::test]
async fn a_lease_dies_with_the_invalidation() {
    let redis = Redis::start();
    let (mut one, other, _) = pair(&redis).await;
    // It hears nothing, so that Redis alone can refuse.
    one.end_upkeep().await;
    let (begun, go) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let mut reads = JoinSet::new();
    let (cache, told, held) = (one.cache.clone(), Arc::clone(&begun), Arc::clone(&go));
    let load = move |_| async move {
        told.notify_one();
        held.notified().await;
        // Read before the write, at a position that says otherwise, as on a primary whose commit is not visible yet.
        Ok::<_, io::Error>(Reading::found("old".into(), at(10)))
    };
    reads.spawn(async move { cache.get_or_load("a", &MINUTE, None, load).await.unwrap() });
    begun.notified().await;
    other.cache.invalidate("a", at(10)).await;
    go.notify_one();
    reads.join_all().await;
    assert_eq!(one.cache.totals().refused_fills, 1);
    let load = |_| async { Ok::<_, io::Error>(Reading::found("new".into(), at(10))) };
    assert_eq!(text(&other.cache.get_or_load("a", &MINUTE, None, load).await.unwrap()), "new");
}

#[tokio::test]
async fn a_key_that_moves_between_shards_is_not_kept_while_that_is_remembered() {
    let redis = Redis::start();
    let (one, other, _) = pair(&redis).await;
    one.cache.invalidate("a", at(10)).await;
    other.cache.invalidate("a", phalanx_data::CachePosition { shard: 2, ..at(5) }).await;
    let newcomer = Node::connected(settings(&redis)).await;
    let load = |_| async { Ok::<_, io::Error>(Reading::found("x".into(), at(90))) };
    newcomer.cache.get_or_load("a", &MINUTE, None, load).await.unwrap();
    assert_eq!(newcomer.cache.totals().refused_fills, 1);
}

#[tokio::test]
async fn a_failed_load_gives_its_lease_back() {
    let redis = Redis::start();
    // Longer than anybody waits for it to end by itself.
    let settings = CacheSettings { lease: Duration::from_secs(50), ..settings(&redis) };
    let (one, other) = (Node::connected(settings.clone()).await, Node::connected(settings).await);
    let store = Store::default();
    let load = |_| async { Err(io::Error::other("no")) };
    one.cache.get_or_load("a", &MINUTE, None, load).await.unwrap_err();
    eventually("the lease is back", || redis.execute(&["KEYS", "test:*:l:a"]).is_empty()).await;
    assert_eq!(other.get(&store, "a").await.unwrap(), "-");
    assert_eq!(one.get(&store, "a").await.unwrap(), "-");
    assert_eq!(store.loads(), 1);
}

#[tokio::test]
async fn one_process_refreshes_for_all() {
    let redis = Redis::start();
    let (one, other, store) = pair(&redis).await;
    let eager = CachePolicy { refresh_beta: f64::INFINITY, ..MINUTE };
    store.replay(store.write("a").lsn);
    one.get(&store, "a").await.unwrap();
    store.replay(store.write("a").lsn);
    assert_eq!(other.get_with(&store, "a", &eager, None).await.unwrap(), "10");
    eventually("the refresh is over", || other.cache.totals().refreshes == 1 && store.loads() == 2).await;
    eventually("it is in redis", || {
        let key = redis.execute(&["KEYS", "test:*:v:a"]);
        redis.execute(&["GET", &key]).ends_with("V20")
    })
    .await;
    assert_eq!(Node::connected(settings(&redis)).await.get(&store, "a").await.unwrap(), "20");
}

#[tokio::test]
async fn what_others_wrote_there_is_passed_over() {
    let redis = Redis::start();
    let (one, other, store) = pair(&redis).await;
    one.get(&store, "a").await.unwrap();
    let key = redis.execute(&["KEYS", "test:*:v:a"]);
    redis.execute(&["SET", &key, "rubbish"]);
    assert_eq!(other.get(&store, "a").await.unwrap(), "-");
    redis.execute(&["DEL", &key]);
    redis.execute(&["HSET", &key, "of", "another type"]);
    assert_eq!(Node::connected(settings(&redis)).await.get(&store, "a").await.unwrap(), "-");
    one.cache.invalidate("a", store.write("a")).await;
    let newcomer = Node::connected(settings(&redis)).await;
    assert_eq!(newcomer.get(&store, "a").await.unwrap(), "10");
    assert_eq!((store.loads(), one.cache.totals().redis_outages), (4, 0));
}
