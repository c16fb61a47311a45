//! Watches hear of changes whichever replica makes them, also past the loss of a connection.

use phalanx_auth::{FieldWatch, Fields, FieldsSettings, SessionSettings, TooManyWatches};
use phalanx_test_servers::Redis;

use crate::stores::{NAMESPACE, Replica, Store, eventually, map, setting, within_patience};

async fn changed(watch: &mut FieldWatch) {
    within_patience("a watch is woken", watch.changed()).await;
}

/// Reads after each wake, as a service does, until field `a` has the value.
async fn reads(watch: &mut FieldWatch, fields: &Fields, owner: &str, value: &str) {
    let reading = async {
        loop {
            watch.changed().await;
            // A question that Redis did not answer is followed by another wake.
            if fields.get(owner).await.is_ok_and(|contents| contents.fields == map([("a", value)])) {
                return;
            }
        }
    };
    within_patience("the value is read", reading).await;
}

/// The channels of Redis that somebody listens to.
fn channels(redis: &Redis) -> Vec<String> {
    let listed = redis.execute(&["PUBSUB", "CHANNELS", &format!("{NAMESPACE}:*")]);
    let mut channels: Vec<_> = listed.lines().filter(|line| !line.is_empty()).map(str::to_owned).collect();
    channels.sort();
    channels
}

#[tokio::test]
async fn a_watch_hears_of_the_changes_of_every_replica() {
    for store in Store::both() {
        let (one, other) = (store.replica().await, store.replica().await);
        let mut watch = one.fields.watch("42").unwrap();
        changed(&mut watch).await;
        for (writer, value) in [(&other, "1"), (&one, "2"), (&other, "3")] {
            writer.fields.merge("42", &setting([("a", value)])).await.unwrap();
            reads(&mut watch, &one.fields, "42", value).await;
        }
        other.fields.clear("42").await.unwrap();
        changed(&mut watch).await;
        assert_eq!(one.fields.get("42").await.unwrap().fields, map([]));
    }
}

#[tokio::test]
async fn watches_of_one_owner_hear_alike_and_of_no_other() {
    for store in Store::both() {
        let (one, other) = (store.replica().await, store.replica().await);
        let mut watches = [one.fields.watch("42").unwrap(), one.fields.watch("42").unwrap()];
        let mut of_another = one.fields.watch("43").unwrap();
        for watch in watches.iter_mut().chain([&mut of_another]) {
            changed(watch).await;
        }
        let mut late = one.fields.watch("42").unwrap();
        changed(&mut late).await;
        other.fields.merge("42", &setting([("a", "1")])).await.unwrap();
        for watch in watches.iter_mut().chain([&mut late]) {
            reads(watch, &one.fields, "42", "1").await;
        }
        let waiting = tokio::time::timeout(std::time::Duration::ZERO, of_another.changed()).await;
        assert!(waiting.is_err(), "another owner's watch is not woken");
    }
}

#[tokio::test]
async fn many_changes_are_heard_as_few() {
    for store in Store::both() {
        let (one, other) = (store.replica().await, store.replica().await);
        let mut watch = one.fields.watch("42").unwrap();
        changed(&mut watch).await;
        for value in 0..20 {
            other.fields.merge("42", &setting([("a", &value.to_string())])).await.unwrap();
        }
        reads(&mut watch, &one.fields, "42", "19").await;
    }
}

#[tokio::test]
async fn watches_are_bounded_and_make_room_when_they_are_dropped() {
    for store in Store::both() {
        let settings = FieldsSettings { watches_max: 2, ..FieldsSettings::default() };
        let replica = store.replica_with(SessionSettings::default(), settings).await;
        let first = replica.fields.watch("1").unwrap();
        let _second = replica.fields.watch("1").unwrap();
        assert_eq!(replica.fields.watch("2").unwrap_err(), TooManyWatches { watches_max: 2 });
        drop(first);
        changed(&mut replica.fields.watch("2").unwrap()).await;
        changed(&mut replica.fields.watch("1").unwrap()).await;
    }
}

#[tokio::test]
async fn redis_is_listened_to_for_as_long_as_somebody_watches() {
    let redis = Redis::start();
    let replica = Replica::patient(&redis).await;
    assert_eq!(channels(&redis), [""; 0]);
    let mut watches = [
        replica.fields.watch("1").unwrap(),
        replica.fields.watch("1").unwrap(),
        replica.fields.watch("2").unwrap(),
    ];
    for watch in &mut watches {
        changed(watch).await;
    }
    let (of_1, of_2) = (format!("{NAMESPACE}:fields:1"), format!("{NAMESPACE}:fields:2"));
    assert_eq!(channels(&redis), [of_1.clone(), of_2.clone()]);
    let [first, second, third] = watches;
    drop((first, third));
    eventually("the other owner is left alone", async || (channels(&redis) == [of_1.as_str()]).then_some(()))
        .await;
    drop(second);
    eventually("nobody listens", async || channels(&redis).is_empty().then_some(())).await;
    changed(&mut replica.fields.watch("2").unwrap()).await;
    let listening = redis.execute(&["CLIENT", "LIST", "TYPE", "PUBSUB"]);
    assert_eq!(listening.lines().filter(|line| !line.is_empty()).count(), 1, "{listening}");
}

#[tokio::test]
async fn a_watch_outlives_the_connection_it_hears_by() {
    type Break = fn(&Redis);
    let breaks: [(&str, Break); 3] = [
        ("a killed connection", |redis| drop(redis.execute(&["CLIENT", "KILL", "TYPE", "PUBSUB"]))),
        ("a crash", |redis| {
            redis.kill();
            redis.restart();
        }),
        ("a restart", Redis::restart),
    ];
    let redis = Redis::start();
    let (one, other) = (Replica::impatient(&redis).await, Replica::impatient(&redis).await);
    let mut watches = [one.fields.watch("42").unwrap(), one.fields.watch("42").unwrap()];
    for watch in &mut watches {
        changed(watch).await;
    }
    for (number, (what, break_it)) in breaks.iter().enumerate() {
        break_it(&redis);
        for watch in &mut watches {
            within_patience(what, watch.changed()).await;
        }
        let value = number.to_string();
        let change = setting([("a", value.as_str())]);
        eventually(what, async || other.fields.merge("42", &change).await.ok()).await;
        for watch in &mut watches {
            reads(watch, &one.fields, "42", &value).await;
        }
    }
}

#[tokio::test]
async fn a_change_during_an_outage_is_read_after_it() {
    let redis = Redis::start();
    let (one, other) = (Replica::impatient(&redis).await, Replica::impatient(&redis).await);
    let mut watch = one.fields.watch("42").unwrap();
    changed(&mut watch).await;
    redis.pause();
    let refused = eventually("redis is out of use", async || one.fields.get("42").await.err()).await;
    assert!(!refused.is_defect(), "{refused:?}");
    let mut begun_meanwhile = one.fields.watch("43").unwrap();
    redis.resume();
    let change = setting([("a", "1")]);
    eventually("redis is back", async || other.fields.merge("42", &change).await.ok()).await;
    reads(&mut watch, &one.fields, "42", "1").await;
    changed(&mut begun_meanwhile).await;
    eventually("redis is back", async || other.fields.merge("43", &change).await.ok()).await;
    reads(&mut begun_meanwhile, &one.fields, "43", "1").await;
}
