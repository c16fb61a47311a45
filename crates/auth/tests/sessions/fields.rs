//! Fields over both stores.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use phalanx_auth::{Change, Contents, FieldBounds, FieldsError, FieldsSettings, SessionSettings};
use phalanx_test_servers::Redis;

use crate::stores::{NAMESPACE, Replica, Store, eventually, map, removing, setting};

/// Texts that mean something to one store or the other.
const HOSTILE_TEXTS: &[&str] = &[
    "",
    "v",
    "f",
    "fv",
    "\0",
    "a\0b",
    "\r\n",
    "*",
    "'; DROP TABLE fields; --",
    "%s",
    "\u{10FFFF}",
    "{\"a\":1}",
];

fn bounded(fields_max: usize, field_bytes_max: usize) -> FieldsSettings {
    FieldsSettings { bounds: FieldBounds { fields_max, field_bytes_max }, ..FieldsSettings::default() }
}

async fn replica_with(store: &Store, fields: FieldsSettings) -> Replica {
    store.replica_with(SessionSettings::default(), fields).await
}

#[tokio::test]
async fn each_change_is_seen_by_every_replica_with_a_greater_version() {
    for store in Store::both() {
        let (one, other) = (store.replica().await, store.replica().await);
        let nothing = one.fields.get("42").await.unwrap();
        assert_eq!(nothing.fields, map([]));
        let steps = [
            (
                one.fields.merge("42", &setting([("a", "1"), ("b", "2")])).await.unwrap(),
                map([("a", "1"), ("b", "2")]),
            ),
            (other.fields.merge("42", &removing(["a", "c"])).await.unwrap(), map([("b", "2")])),
            (one.fields.replace("42", &map([("c", "3")])).await.unwrap(), map([("c", "3")])),
            (other.fields.merge("42", &setting([("c", "4")])).await.unwrap(), map([("c", "4")])),
            (one.fields.clear("42").await.unwrap(), map([])),
            (other.fields.merge("42", &setting([("a", "1")])).await.unwrap(), map([("a", "1")])),
        ];
        let mut version = nothing.version;
        for (contents, fields) in &steps {
            assert!(contents.version > version, "{steps:?}");
            assert_eq!(&contents.fields, fields);
            version = contents.version;
        }
        let last = Contents { version, fields: map([("a", "1")]) };
        assert_eq!(one.fields.get("42").await.unwrap(), last);
        assert_eq!(other.fields.get("42").await.unwrap(), last);
        assert_eq!(one.fields.get("43").await.unwrap().fields, map([]), "another owner");
    }
}

#[tokio::test]
async fn a_field_that_is_set_and_removed_is_set() {
    for store in Store::both() {
        let replica = replica_with(&store, bounded(1, 8)).await;
        let change = Change { set: map([("a", "1")]), remove: BTreeSet::from(["a".to_owned()]) };
        for _ in 0..2 {
            assert_eq!(replica.fields.merge("42", &change).await.unwrap().fields, map([("a", "1")]));
        }
    }
}

#[tokio::test]
async fn replicas_that_change_different_fields_lose_neither() {
    for store in Store::both() {
        let (one, other) = (store.replica().await, store.replica().await);
        let mut expected = BTreeMap::new();
        for round in 0..100 {
            let (left, right) = (format!("left-{round}"), format!("right-{round}"));
            let changes = (setting([(&left, "1")]), setting([(&right, "2")]));
            let (by_one, by_other) =
                tokio::join!(one.fields.merge("42", &changes.0), other.fields.merge("42", &changes.1));
            let (by_one, by_other) = (by_one.unwrap(), by_other.unwrap());
            assert_ne!(by_one.version, by_other.version);
            expected.extend(map([(&left, "1"), (&right, "2")]));
        }
        assert_eq!(one.fields.get("42").await.unwrap().fields, expected);
    }
}

#[tokio::test]
async fn a_reader_sees_a_change_as_a_whole_or_not_at_all() {
    for store in Store::both() {
        let (one, other) = (store.replica().await, store.replica().await);
        for round in 0..50 {
            let (replaced, merged) = (format!("replaced-{round}"), format!("merged-{round}"));
            let whole = map([("a", &replaced), ("b", &replaced)]);
            let part = setting([("a", &merged), ("b", &merged)]);
            let (by_one, by_other, seen) = tokio::join!(
                one.fields.replace("42", &whole),
                other.fields.merge("42", &part),
                other.fields.get("42"),
            );
            for contents in [by_one.unwrap(), by_other.unwrap(), seen.unwrap()] {
                assert_eq!(contents.fields.get("a"), contents.fields.get("b"), "{contents:?}");
            }
        }
    }
}

/// Whoever follows an owner passes over versions that he has seen: a change under one of them would never be told.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_does_not_see_a_change_yet_has_a_version_before_it() {
    for store in Store::both() {
        let (writer, reader) = (store.replica().await, store.replica().await);
        for owner in (0..100).map(|number| number.to_string()) {
            let mut before = reader.fields.get(&owner).await.unwrap();
            let change = setting([("a", "1")]);
            let (written, seen) = tokio::join!(writer.fields.merge(&owner, &change), async {
                loop {
                    let read = reader.fields.get(&owner).await.unwrap();
                    if !read.fields.is_empty() {
                        return read;
                    }
                    before = read;
                }
            });
            assert_eq!(written.unwrap(), seen);
            assert!(before.version < seen.version, "{before:?} is older than {seen:?}");
        }
    }
}

#[tokio::test]
async fn too_many_and_too_long_fields_change_nothing() {
    for store in Store::both() {
        let replica = replica_with(&store, bounded(2, 8)).await;
        let stored = replica.fields.merge("42", &setting([("a", "1"), ("b", "2")])).await.unwrap();
        for change in [
            setting([("c", "3")]),
            setting([("a", "9"), ("c", "3")]),
            setting([("a", "1"), ("b", "2"), ("c", "3")]),
            Change { remove: BTreeSet::from(["no-such".to_owned()]), ..setting([("c", "3")]) },
        ] {
            let refused = replica.fields.merge("42", &change).await;
            assert!(matches!(refused, Err(FieldsError::TooMany { fields_max: 2 })), "{refused:?}");
        }
        let refused = replica.fields.replace("42", &map([("a", "1"), ("b", "2"), ("c", "3")])).await;
        assert!(matches!(refused, Err(FieldsError::TooMany { .. })), "{refused:?}");
        let refused = replica.fields.merge("42", &setting([("name", "value")])).await;
        assert!(matches!(refused, Err(FieldsError::TooLong { field_bytes_max: 8 })), "{refused:?}");
        assert_eq!(replica.fields.get("42").await.unwrap(), stored);

        let swapped = Change { remove: BTreeSet::from(["a".to_owned()]), ..setting([("c", "3")]) };
        let swapped = replica.fields.merge("42", &swapped).await.unwrap();
        assert_eq!(swapped.fields, map([("b", "2"), ("c", "3")]));
        // One who has more than may be, since it was more once, can have less.
        let stricter = replica_with(&store, bounded(0, 8)).await;
        let fewer = stricter.fields.merge("42", &removing(["b"])).await.unwrap();
        assert_eq!(fewer.fields, map([("c", "3")]));
    }
}

#[tokio::test]
async fn texts_are_stored_as_they_are() {
    for store in Store::both() {
        let replica = store.replica().await;
        let fields: BTreeMap<_, _> =
            HOSTILE_TEXTS.iter().map(|text| ((*text).to_owned(), (*text).to_owned())).collect();
        for owner in HOSTILE_TEXTS {
            let contents = replica.fields.replace(owner, &fields).await.unwrap();
            assert_eq!(contents.fields, fields, "{owner:?}");
        }
        for owner in HOSTILE_TEXTS {
            assert_eq!(replica.fields.get(owner).await.unwrap().fields, fields, "{owner:?}");
            for name in HOSTILE_TEXTS {
                replica.fields.merge(owner, &removing([*name])).await.unwrap();
            }
            assert_eq!(replica.fields.get(owner).await.unwrap().fields, map([]), "{owner:?}");
        }
    }
}

#[tokio::test]
async fn fields_survive_a_restart_of_the_replica() {
    for store in Store::both() {
        let replica = store.replica().await;
        let written = replica.fields.merge("42", &setting([("a", "1")])).await.unwrap();
        replica.end().await;
        let replica = store.replica().await;
        assert_eq!(replica.fields.get("42").await.unwrap(), written);
        assert!(replica.fields.clear("42").await.unwrap().version > written.version);
    }
}

#[tokio::test]
async fn redis_keeps_fields_for_their_lifetime_after_the_last_write() {
    let redis = Redis::start();
    let minute = FieldsSettings { lifetime: Duration::from_mins(1), ..FieldsSettings::default() };
    let short = Replica::patient_with(&redis, SessionSettings::default(), minute).await;
    let long = Replica::patient(&redis).await;
    let remaining_ms = || redis.execute(&["PTTL", &format!("{NAMESPACE}:fields:42")]).parse::<u64>().unwrap();
    long.fields.merge("42", &setting([("a", "1")])).await.unwrap();
    assert!(remaining_ms() > 29 * 24 * 60 * 60 * 1000);
    short.fields.get("42").await.unwrap();
    assert!(remaining_ms() > 29 * 24 * 60 * 60 * 1000, "a read changes nothing");
    short.fields.merge("42", &setting([("b", "2")])).await.unwrap();
    assert!(remaining_ms() <= 60_000);
    long.fields.clear("42").await.unwrap();
    assert!(remaining_ms() > 29 * 24 * 60 * 60 * 1000);
}

#[tokio::test]
async fn fields_past_their_lifetime_are_none_and_the_version_goes_on() {
    for store in Store::both() {
        let none = FieldsSettings { lifetime: Duration::ZERO, ..FieldsSettings::default() };
        let (brief, lasting) = (replica_with(&store, none).await, store.replica().await);
        let mut version = 0;
        for _ in 0..5 {
            version = version.max(brief.fields.merge("42", &setting([("a", "1")])).await.unwrap().version);
            let is_none = async || brief.fields.get("42").await.unwrap().fields.is_empty().then_some(());
            eventually("a lifetime of nothing has passed", is_none).await;
        }
        let written = lasting.fields.merge("42", &setting([("b", "2")])).await.unwrap();
        assert!(written.version >= version, "{} after {version}", written.version);
        assert_eq!(written.fields, map([("b", "2")]));
    }
}
