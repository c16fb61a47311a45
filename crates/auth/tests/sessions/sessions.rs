//! Sessions over both stores. Time is an argument, so days pass at once.

use std::time::Duration;

use phalanx_auth::{FieldBounds, FieldsError, FieldsSettings, NewSession, Session, SessionSettings};
use phalanx_test_servers::Redis;

use crate::stores::{NAMESPACE, Replica, Store, map, removing, setting};

const BEGUN: u64 = 1_800_000_000;
const MINUTE: u64 = 60;
const HOUR: u64 = 60 * MINUTE;
const DAY: u64 = 24 * HOUR;

/// Texts that a stranger might send for an id.
const HOSTILE_IDS: &[&str] = &["", ".", "../../etc/passwd", "a/b", "a\0b", "a b", "*", "'; --", "ä", "\r\n"];

fn new(id: &str) -> NewSession<'_> {
    NewSession { id, subject: "42", epoch: 3, roles: &["user", "with space"] }
}

#[tokio::test]
async fn a_session_is_found_by_its_cookie_on_every_replica() {
    for store in Store::both() {
        let (one, other) = (store.replica().await, store.replica().await);
        let cookie = one.sessions.begin(new("7"), BEGUN).await.unwrap();
        let session = Session {
            id: "7".to_owned(),
            subject: "42".to_owned(),
            epoch: 3,
            roles: vec!["user".to_owned(), "with space".to_owned()],
            created_at: BEGUN,
            seen_at: BEGUN,
        };
        assert_eq!(one.sessions.find(cookie.as_str(), BEGUN).await.unwrap().as_ref(), Some(&session));
        assert_eq!(other.sessions.find(cookie.as_str(), BEGUN + 1).await.unwrap(), Some(session));
        other.sessions.end("7").await.unwrap();
        assert_eq!(one.sessions.find(cookie.as_str(), BEGUN + 1).await.unwrap(), None);
        other.sessions.end("7").await.unwrap();
    }
}

#[tokio::test]
async fn another_secret_is_no_session() {
    for store in Store::both() {
        let replica = store.replica().await;
        let cookie = replica.sessions.begin(new("7"), BEGUN).await.unwrap();
        let other = replica.sessions.begin(new("8"), BEGUN).await.unwrap();
        let (_, secret) = other.as_str().split_once('.').unwrap();
        for wrong in [format!("7.{secret}"), format!("9.{secret}"), cookie.as_str().to_lowercase()] {
            assert_eq!(replica.sessions.find(&wrong, BEGUN + HOUR).await.unwrap(), None, "{wrong}");
        }
        let found = replica.sessions.find(cookie.as_str(), BEGUN).await.unwrap().unwrap();
        assert_eq!(found.seen_at, BEGUN, "a wrong secret is no use of the session");
    }
}

#[tokio::test]
async fn a_session_that_begins_again_has_another_secret_and_no_fields() {
    for store in Store::both() {
        let replica = store.replica().await;
        let first = replica.sessions.begin(new("7"), BEGUN).await.unwrap();
        replica.sessions.set_fields("7", &setting([("theme", "dark")])).await.unwrap();
        let second = replica.sessions.begin(new("7"), BEGUN + 1).await.unwrap();
        assert_eq!(replica.sessions.find(first.as_str(), BEGUN + 1).await.unwrap(), None);
        let found = replica.sessions.find(second.as_str(), BEGUN + 1).await.unwrap().unwrap();
        assert_eq!(found.created_at, BEGUN + 1);
        assert_eq!(replica.sessions.fields("7").await.unwrap(), Some(map([])));
    }
}

#[tokio::test]
async fn a_use_is_noted_once_a_minute_and_keeps_the_session_until_its_absolute_end() {
    for store in Store::both() {
        let replica = store.replica().await;
        let cookie = replica.sessions.begin(new("7"), BEGUN).await.unwrap();
        // When it is used, and what is noted then as its last use: nothing where it has ended.
        let uses = [
            (0, Some(0)),
            (MINUTE - 1, Some(0)),
            (MINUTE, Some(MINUTE)),
            (MINUTE + 1, Some(MINUTE)),
            // A replica whose clock is behind.
            (10, Some(MINUTE)),
            (DAY, Some(DAY)),
            (2 * DAY - 1, Some(2 * DAY - 1)),
            (3 * DAY - 2, Some(3 * DAY - 2)),
            (4 * DAY - 3, Some(4 * DAY - 3)),
            (5 * DAY - 4, Some(5 * DAY - 4)),
            (6 * DAY - 5, Some(6 * DAY - 5)),
            (7 * DAY - 6, Some(7 * DAY - 6)),
            (7 * DAY - 1, Some(7 * DAY - 6)),
            (7 * DAY, None),
        ];
        for (after, noted) in uses {
            let found = replica.sessions.find(cookie.as_str(), BEGUN + after).await.unwrap();
            let noted = noted.map(|after| BEGUN + after);
            assert_eq!(found.map(|session| session.seen_at), noted, "{after} s after the beginning");
        }
    }
}

#[tokio::test]
async fn a_session_that_is_ended_while_it_is_used_stays_ended() {
    for store in Store::both() {
        let (one, other) = (store.replica().await, store.replica().await);
        for _ in 0..50 {
            let cookie = one.sessions.begin(new("7"), BEGUN).await.unwrap();
            let (used, ended) =
                tokio::join!(one.sessions.find(cookie.as_str(), BEGUN + HOUR), other.sessions.end("7"));
            ended.unwrap();
            drop(used.unwrap());
            assert_eq!(one.sessions.fields("7").await.unwrap(), None);
        }
    }
}

#[tokio::test]
async fn an_idle_session_has_ended() {
    for store in Store::both() {
        let settings = SessionSettings { idle: Duration::from_secs(40), ..SessionSettings::default() };
        let replica = store.replica_with(settings, FieldsSettings::default()).await;
        let cookie = replica.sessions.begin(new("7"), BEGUN).await.unwrap();
        // Of so short a time a quarter is what passes unnoted.
        for (after, noted) in [(9, Some(0)), (10, Some(10)), (49, Some(49)), (89, None), (90, None)] {
            let found = replica.sessions.find(cookie.as_str(), BEGUN + after).await.unwrap();
            assert_eq!(found.map(|session| session.seen_at - BEGUN), noted, "after {after} s");
        }
    }
}

#[tokio::test]
async fn redis_removes_a_session_when_the_first_of_its_times_has_passed() {
    let redis = Redis::start();
    let replica = Replica::patient(&redis).await;
    let cookie = replica.sessions.begin(new("7"), BEGUN).await.unwrap();
    let remaining = || redis.execute(&["TTL", &format!("{NAMESPACE}:session:7")]).parse::<u64>().unwrap();
    let is_nearly = |expected: u64| {
        let remaining = remaining();
        assert!(remaining <= expected && remaining > expected - MINUTE, "{remaining} of {expected}");
    };
    is_nearly(DAY);
    for (hours, remaining) in
        [(23, DAY), (46, DAY), (69, DAY), (92, DAY), (115, DAY), (138, DAY), (161, 7 * HOUR)]
    {
        let found = replica.sessions.find(cookie.as_str(), BEGUN + hours * HOUR).await.unwrap();
        assert!(found.is_some(), "after {hours} h");
        is_nearly(remaining);
    }
}

#[tokio::test]
async fn expired_sessions_leave_the_file_as_others_begin() {
    let store = Store::embedded();
    let replica = store.replica().await;
    for number in 0..20 {
        replica.sessions.begin(new(&format!("old-{number}")), BEGUN).await.unwrap();
    }
    for number in 0..3 {
        replica.sessions.begin(new(&format!("new-{number}")), BEGUN + DAY).await.unwrap();
    }
    for number in 0..20 {
        assert_eq!(replica.sessions.fields(&format!("old-{number}")).await.unwrap(), None);
    }
    for number in 0..3 {
        assert!(replica.sessions.fields(&format!("new-{number}")).await.unwrap().is_some());
    }
}

#[tokio::test]
async fn sessions_end_together() {
    for store in Store::both() {
        let replica = store.replica().await;
        let mut cookies = Vec::new();
        for id in ["1", "2", "3"] {
            cookies.push(replica.sessions.begin(new(id), BEGUN).await.unwrap());
        }
        replica.sessions.end_many(&["1", "no-such", "../3", "2"]).await.unwrap();
        replica.sessions.end_many(&[]).await.unwrap();
        for (cookie, goes_on) in cookies.iter().zip([false, false, true]) {
            let found = replica.sessions.find(cookie.as_str(), BEGUN).await.unwrap();
            assert_eq!(found.is_some(), goes_on);
        }
    }
}

#[tokio::test]
async fn sessions_and_their_fields_survive_a_restart_of_the_replica() {
    for store in Store::both() {
        let replica = store.replica().await;
        let cookie = replica.sessions.begin(new("7"), BEGUN).await.unwrap();
        replica.sessions.set_fields("7", &setting([("theme", "dark")])).await.unwrap();
        replica.end().await;
        let replica = store.replica().await;
        assert!(replica.sessions.find(cookie.as_str(), BEGUN + 1).await.unwrap().is_some());
        assert_eq!(replica.sessions.fields("7").await.unwrap(), Some(map([("theme", "dark")])));
    }
}

#[tokio::test]
async fn fields_of_a_session_change_one_by_one_within_their_bounds() {
    for store in Store::both() {
        let field_bounds = FieldBounds { fields_max: 2, field_bytes_max: 8 };
        let settings = SessionSettings { field_bounds, ..SessionSettings::default() };
        let (one, other) = (
            store.replica_with(settings, FieldsSettings::default()).await,
            store.replica_with(settings, FieldsSettings::default()).await,
        );
        let cookie = one.sessions.begin(new("7"), BEGUN).await.unwrap();
        let (left, right) = (setting([("a", "1")]), setting([("b", "2")]));
        let (left, right) =
            tokio::join!(one.sessions.set_fields("7", &left), other.sessions.set_fields("7", &right));
        assert!(left.unwrap().is_some() && right.unwrap().is_some());
        let both = map([("a", "1"), ("b", "2")]);
        assert_eq!(one.sessions.fields("7").await.unwrap(), Some(both.clone()));

        let third = one.sessions.set_fields("7", &setting([("c", "3")])).await;
        assert!(matches!(third, Err(FieldsError::TooMany { fields_max: 2 })), "{third:?}");
        let long = one.sessions.set_fields("7", &setting([("a", "12345678")])).await;
        assert!(matches!(long, Err(FieldsError::TooLong { field_bytes_max: 8 })), "{long:?}");
        assert_eq!(other.sessions.fields("7").await.unwrap(), Some(both));

        let kept = one.sessions.set_fields("7", &removing(["a", "no-such"])).await.unwrap();
        assert_eq!(kept, Some(map([("b", "2")])));
        assert!(one.sessions.find(cookie.as_str(), BEGUN).await.unwrap().is_some());
        one.sessions.end("7").await.unwrap();
        assert_eq!(one.sessions.set_fields("7", &setting([("a", "1")])).await.unwrap(), None);
        assert_eq!(one.sessions.fields("7").await.unwrap(), None);
    }
}

#[tokio::test]
async fn what_can_be_no_id_has_no_session() {
    for store in Store::both() {
        let replica = store.replica().await;
        for id in HOSTILE_IDS {
            let cookie = format!("{id}.AAAAAAAAAAAAAAAAAAAAAA");
            assert_eq!(replica.sessions.find(&cookie, BEGUN).await.unwrap(), None);
            assert_eq!(replica.sessions.fields(id).await.unwrap(), None);
            assert_eq!(replica.sessions.set_fields(id, &setting([("a", "1")])).await.unwrap(), None);
            replica.sessions.end(id).await.unwrap();
        }
        replica.sessions.end_many(HOSTILE_IDS).await.unwrap();
    }
}
