//! The process level alone.

use std::{io, sync::Arc, time::Duration};

use phalanx_data::{Cache, CachePolicy, CacheSettings, LoadError, Reading};
use tokio::{sync::Notify, task::JoinSet};

use crate::support::{MINUTE, Node, Store, at, eventually, text};

fn alone() -> Node {
    Node::start(CacheSettings::new("test"))
}

type Answers = JoinSet<Result<Reading, LoadError>>;

/// Reads with a loader that tells `begun` and waits for `go`.
fn read_held(
    answers: &mut Answers,
    cache: &Cache,
    begun: &Arc<Notify>,
    go: &Arc<Notify>,
    outcome: Result<Reading, io::ErrorKind>,
) -> tokio::task::AbortHandle {
    let (cache, begun, go) = (cache.clone(), Arc::clone(begun), Arc::clone(go));
    answers.spawn(async move {
        let load = move |_| async move {
            begun.notify_one();
            go.notified().await;
            outcome.map_err(io::Error::from)
        };
        cache.get_or_load("key", &MINUTE, None, load).await
    })
}

#[tokio::test]
async fn a_value_and_its_absence_are_loaded_once() {
    let (node, store) = (alone(), Store::default());
    store.replay(store.write("a").lsn);
    for _ in 0..3 {
        assert_eq!(node.get(&store, "a").await.unwrap(), "10");
        assert_eq!(node.get(&store, "none").await.unwrap(), "-");
    }
    assert_eq!(store.loads(), 2);
    let totals = node.cache.totals();
    assert_eq!((totals.process_hits, totals.misses), (4, 2));
}

#[tokio::test]
async fn absence_has_a_life_of_its_own() {
    let (node, store) = (alone(), Store::default());
    let policy = CachePolicy { absent_ttl: Duration::ZERO, ..MINUTE };
    store.replay(store.write("a").lsn);
    for _ in 0..3 {
        node.get_with(&store, "a", &policy, None).await.unwrap();
        node.get_with(&store, "none", &policy, None).await.unwrap();
    }
    assert_eq!(store.loads(), 4);
}

#[tokio::test]
async fn everyone_who_waits_gets_the_error_and_nobody_after() {
    let (node, begun, go) = (alone(), Arc::new(Notify::new()), Arc::new(Notify::new()));
    let mut answers = JoinSet::new();
    for _ in 0..5 {
        read_held(&mut answers, &node.cache, &begun, &go, Err(io::ErrorKind::Unsupported));
    }
    begun.notified().await;
    go.notify_one();
    while let Some(answer) = answers.join_next().await {
        let error = answer.unwrap().unwrap_err();
        assert_eq!(error.downcast_ref::<io::Error>().unwrap().kind(), io::ErrorKind::Unsupported);
    }
    let totals = node.cache.totals();
    assert_eq!((totals.misses, totals.coalesced, totals.load_errors), (1, 4, 1));

    go.notify_one();
    read_held(&mut answers, &node.cache, &begun, &go, Ok(Reading::absent(None)));
    answers.join_next().await.unwrap().unwrap().unwrap();
}

#[tokio::test]
async fn a_cancelled_leader_strands_nobody() {
    let (node, begun, go) = (alone(), Arc::new(Notify::new()), Arc::new(Notify::new()));
    let mut answers = JoinSet::new();
    let leader = read_held(&mut answers, &node.cache, &begun, &go, Ok(Reading::absent(None)));
    begun.notified().await;
    for _ in 0..3 {
        read_held(&mut answers, &node.cache, &begun, &go, Ok(Reading::found("b".into(), None)));
    }
    tokio::task::yield_now().await;
    leader.abort();
    begun.notified().await;
    go.notify_one();
    let mut found = 0;
    while let Some(answer) = answers.join_next().await {
        match answer {
            Ok(reading) => {
                assert_eq!(text(&reading.unwrap()), "b");
                found += 1;
            }
            Err(error) => assert!(error.is_cancelled()),
        }
    }
    assert_eq!((found, node.cache.totals().misses), (3, 2));
}

#[tokio::test]
async fn a_load_that_an_invalidation_overtook_is_neither_kept_nor_joined() {
    let (node, begun, go) = (alone(), Arc::new(Notify::new()), Arc::new(Notify::new()));
    let mut answers = JoinSet::new();
    read_held(&mut answers, &node.cache, &begun, &go, Ok(Reading::found("old".into(), at(50))));
    begun.notified().await;
    node.cache.invalidate("key", at(10)).await;

    let fresh = node.cache.get_or_load("key", &MINUTE, None, |floor| async move {
        assert_eq!(floor, Some(at(10)), "the loader is told what it has to reach");
        Ok::<_, io::Error>(Reading::found("new".into(), at(10)))
    });
    assert_eq!(text(&fresh.await.unwrap()), "new");
    go.notify_one();
    assert_eq!(text(&answers.join_next().await.unwrap().unwrap().unwrap()), "old");
    let cached = node.cache.get_or_load("key", &MINUTE, None, |_| async { Err(io::Error::other("no load")) });
    assert_eq!(text(&cached.await.unwrap()), "new");
    assert_eq!(node.cache.totals().refused_fills, 1);
}

#[tokio::test]
async fn a_reading_behind_the_invalidation_is_answered_and_not_kept() {
    let (node, store) = (alone(), Store::default());
    let written = store.write("a");
    node.cache.invalidate("a", written).await;
    for loads in 1..3 {
        let stubborn = store.clone();
        let load = move |_| async move { Ok::<_, io::Error>(stubborn.load_at("a", 9)) };
        assert_eq!(text(&node.cache.get_or_load("a", &MINUTE, None, load).await.unwrap()), "-");
        assert_eq!((store.loads(), node.cache.totals().refused_fills), (loads, loads));
    }
    assert_eq!(node.get(&store, "a").await.unwrap(), "10");
    assert_eq!(node.get(&store, "a").await.unwrap(), "10");
    assert_eq!(store.loads(), 3);
}

#[tokio::test]
async fn a_reader_with_a_position_is_not_content_with_less() {
    let (node, store) = (alone(), Store::default());
    assert_eq!(node.get(&store, "a").await.unwrap(), "-");
    let written = store.write("a");
    assert_eq!(node.get(&store, "a").await.unwrap(), "-", "nobody invalidated it");
    for _ in 0..2 {
        assert_eq!(node.get_with(&store, "a", &MINUTE, Some(written)).await.unwrap(), "10");
    }
    assert_eq!((store.loads(), node.get(&store, "a").await.unwrap().as_str()), (2, "10"));
}

#[tokio::test]
async fn a_refresh_runs_behind_the_old_value() {
    let (node, store) = (alone(), Store::default());
    let eager = CachePolicy { refresh_beta: f64::INFINITY, ..MINUTE };
    store.replay(store.write("a").lsn);
    assert_eq!(node.get_with(&store, "a", &eager, None).await.unwrap(), "10");
    store.replay(store.write("a").lsn);
    assert_eq!(node.get_with(&store, "a", &eager, None).await.unwrap(), "10", "nobody waits for a refresh");
    eventually("the refresh is over", || store.loads() == 2).await;
    eventually("it is counted", || node.cache.totals().refreshes == 1).await;
    assert_eq!(node.get(&store, "a").await.unwrap(), "20");
}

#[tokio::test]
async fn a_value_too_big_is_handed_on() {
    let settings = CacheSettings { entry_bytes_max: 100, ..CacheSettings::new("test") };
    let node = Node::start(settings);
    for _ in 0..2 {
        let load = |_| async { Ok::<_, io::Error>(Reading::found(vec![b'x'; 100].into(), None)) };
        let reading = node.cache.get_or_load("big", &MINUTE, None, load).await.unwrap();
        assert_eq!(reading.content.unwrap().len(), 100);
    }
    assert_eq!((node.cache.totals().misses, node.cache.totals().oversized), (2, 2));
}
