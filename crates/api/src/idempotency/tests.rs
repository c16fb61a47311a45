//! The life of a key, over both kinds of database.

use axum::{
    body,
    http::StatusCode,
    response::{IntoResponse, Response},
};
use phalanx_data::{Consistency, Statement};
use tokio::task::JoinSet;

use super::*;
use crate::stores::Opened;

const SECRET: &[u8] = b"a secret for tests that is long enough";
/// Longer than any of these tests takes, on whatever machine.
const HELD_SECONDS_MAX: u64 = 60 * 60;
const PAYLOAD: &[u8] = br#"{"password":"correct horse"}"#;
const AGE: Statement =
    Statement::new("test_age_keys", "UPDATE idempotency_keys SET claimed_at = claimed_at - $1");
const COUNT: Statement = Statement::new("test_count_keys", "SELECT count(*) AS keys FROM idempotency_keys");
const ALL: Statement =
    Statement::new("test_all_keys", "SELECT digest, salt, fingerprint, answer FROM idempotency_keys");

/// Keys in a database of their own.
struct Keys {
    idempotency: Idempotency,
    opened: Opened,
}

impl Keys {
    async fn both() -> [Self; 2] {
        Opened::both().await.map(|opened| {
            let mut idempotency = Idempotency::new(opened.data.clone(), SECRET);
            idempotency.held_seconds_max = HELD_SECONDS_MAX;
            Self { idempotency, opened }
        })
    }

    async fn begin(&self, name: &str, payload: &[u8], reserved: &str) -> Begun {
        self.idempotency.begin(&key(name), payload, id(reserved)).await.unwrap()
    }

    async fn fresh(&self, name: &str, reserved: &str) -> Ticket {
        match self.begin(name, PAYLOAD, reserved).await {
            Begun::Fresh(ticket) => ticket,
            begun => panic!("{}", told(begun).await),
        }
    }

    /// Makes all claims older.
    async fn age(&self, seconds: u64) {
        self.opened.write(&AGE, &[super::seconds(seconds)]).await;
    }

    async fn count(&self) -> i64 {
        let shard = self.opened.data.shards().remove(0);
        shard.read(&Consistency::primary(), &COUNT, &[]).await.unwrap()[0].get("keys").unwrap()
    }
}

fn key(name: &str) -> IdempotencyKey {
    IdempotencyKey::parse(name.as_bytes()).unwrap()
}

fn id(text: &str) -> AccountId {
    AccountId::parse(text).unwrap()
}

fn created(text: &'static str) -> Result<Response, Problem> {
    Ok((StatusCode::CREATED, [("location", "/api/users/1"), ("set-cookie", "a=b")], text).into_response())
}

/// What a key means, in a word; of a repetition all that is answered.
async fn told(begun: Begun) -> String {
    match begun {
        Begun::Fresh(ticket) => format!("fresh {}", ticket.account_id()),
        Begun::Mismatch => "mismatch".to_owned(),
        Begun::InFlight => "in flight".to_owned(),
        Begun::Replay(answer) => {
            let (parts, body) = answer.replayed().into_parts();
            let field = |name| parts.headers.get(name).map_or("-", |value| value.to_str().unwrap());
            let body = body::to_bytes(body, usize::MAX).await.unwrap();
            let fields = [field("location"), field("set-cookie"), field("idempotency-replayed")].join(" ");
            format!("{} {fields} {}", parts.status.as_u16(), String::from_utf8(body.to_vec()).unwrap())
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_is_fresh_then_in_flight_then_answered() {
    for keys in Keys::both().await {
        let ticket = keys.fresh("k", "1").await;
        assert_eq!(ticket.account_id(), id("1"));
        assert_eq!(told(keys.begin("k", PAYLOAD, "2").await).await, "in flight");
        assert_eq!(told(keys.begin("k", b"{}", "2").await).await, "mismatch");
        assert_eq!(told(keys.begin("other", PAYLOAD, "2").await).await, "fresh 2");
        let response = ticket.settle(created("made")).await.unwrap();
        assert_eq!(response.status(), StatusCode::CREATED);
        assert!(!response.headers().contains_key("idempotency-replayed"));
        for _ in 0..2 {
            let replay = "201 /api/users/1 a=b true made";
            assert_eq!(told(keys.begin("k", PAYLOAD, "3").await).await, replay);
            assert_eq!(told(keys.begin("k", b"{}", "3").await).await, "mismatch");
            // However long ago it was, up to a day.
            keys.age(KEPT_SECONDS / 2 - 60).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_would_come_out_the_same_is_kept_and_a_failure_is_not() {
    for keys in Keys::both().await {
        let refused = keys.fresh("taken", "1").await.settle(Err(Problem::EmailTaken)).await.unwrap();
        assert_eq!(refused.status(), StatusCode::CONFLICT);
        let replay = told(keys.begin("taken", PAYLOAD, "2").await).await;
        assert!(replay.starts_with("409 - - true {"), "{replay}");
        for problem in [Problem::Overloaded, Problem::OutcomeUnknown, Problem::Internal] {
            let answered = keys.fresh("failed", "3").await.settle(Err(problem)).await;
            assert!(answered.is_err_and(|problem| problem.status().is_server_error()));
        }
        // Whatever the failed attempts have done, they have done it to the account of the first.
        assert_eq!(told(keys.begin("failed", PAYLOAD, "4").await).await, "fresh 3");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_claim_is_taken_over_once_it_is_old_and_the_last_holder_answers() {
    for keys in Keys::both().await {
        let first = keys.fresh("k", "1").await;
        keys.age(HELD_SECONDS_MAX).await;
        let second = keys.fresh("k", "2").await;
        assert_eq!(second.account_id(), id("1"), "the account of the first");
        assert_eq!(told(keys.begin("k", PAYLOAD, "3").await).await, "in flight");
        // The first was not dead: what it has comes to nothing.
        assert!(matches!(first.settle(created("first")).await, Err(Problem::KeyInUse)));
        assert_eq!(second.settle(created("second")).await.unwrap().status(), StatusCode::CREATED);
        let replay = told(keys.begin("k", PAYLOAD, "4").await).await;
        assert!(replay.ends_with("second"), "{replay}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_many_at_once_one_has_the_key() {
    for keys in Keys::both().await {
        for round in 0..2 {
            let mut begins = JoinSet::new();
            for number in 1..=20 {
                let idempotency = keys.idempotency.clone();
                begins.spawn(async move {
                    let reserved = id(&number.to_string());
                    idempotency.begin(&key("k"), PAYLOAD, reserved).await.unwrap()
                });
            }
            let begun = begins.join_all().await;
            let fresh = begun.iter().filter(|begun| matches!(begun, Begun::Fresh(_))).count();
            let in_flight = begun.iter().filter(|begun| matches!(begun, Begun::InFlight)).count();
            assert_eq!((fresh, in_flight), (1, 19), "{round}");
            // The second round is about a claim to be taken over.
            keys.age(HELD_SECONDS_MAX).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_day_later_a_key_is_forgotten() {
    for keys in Keys::both().await {
        keys.fresh("answered", "1").await.settle(created("made")).await.unwrap();
        let _died = keys.fresh("died", "2").await;
        keys.age(KEPT_SECONDS).await;
        assert_eq!(told(keys.begin("answered", PAYLOAD, "3").await).await, "fresh 3");
        let shard = keys.opened.data.shards().remove(0);
        assert_eq!(keys.count().await, 2);
        keys.idempotency.reap(&shard).await.unwrap();
        assert_eq!(keys.count().await, 1, "the young one stays");
        assert_eq!(told(keys.begin("answered", PAYLOAD, "4").await).await, "in flight");
        assert_eq!(told(keys.begin("died", PAYLOAD, "5").await).await, "fresh 5");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_database_has_neither_key_nor_password_nor_token() {
    let plain = ["correct horse", "secret-token", "key-of-a-client"];
    for keys in Keys::both().await {
        keys.fresh("key-of-a-client", "1").await.settle(created("secret-token")).await.unwrap();
        let shard = keys.opened.data.shards().remove(0);
        let rows = shard.read(&Consistency::primary(), &ALL, &[]).await.unwrap();
        let stored = |column: &str| match rows[0].get::<Value>(column).unwrap() {
            Value::Text(text) => text.into_bytes(),
            Value::Bytes(bytes) => bytes,
            value => panic!("{value:?}"),
        };
        for column in ["digest", "salt", "fingerprint", "answer"] {
            let stored = stored(column);
            let has = |text: &&str| stored.windows(text.len()).any(|window| window == text.as_bytes());
            assert!(!plain.iter().any(has), "{column}");
        }
        // With another secret the key is another one.
        let elsewhere = Idempotency::new(keys.opened.data.clone(), b"another secret that is long enough");
        let begun = elsewhere.begin(&key("key-of-a-client"), PAYLOAD, id("2")).await.unwrap();
        assert_eq!(told(begun).await, "fresh 2");
    }
}
