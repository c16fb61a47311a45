//! Registrations that are sent again under one `Idempotency-Key`.

use std::time::Duration;

use phalanx_api::Settings;
use phalanx_telemetry::clock;
use phalanx_test_servers::{Postgres, Settings as Server};
use tokio::task::JoinSet;

use crate::{
    client::{Answer, Client, PATIENCE, exchange, login, post, register},
    databases,
    replica::{Replica, settings},
};

const REGISTER: &str = "/api/auth/register";
const BODY: &str = r#"{"email":"ada@example.com","password":"correct horse","name":"Ada"}"#;

/// The request with a header field more.
fn with_key(request: &[u8], key: &str) -> Vec<u8> {
    let text = std::str::from_utf8(request).unwrap();
    text.replacen("\r\n\r\n", &format!("\r\nidempotency-key: {key}\r\n\r\n"), 1).into_bytes()
}

fn keyed(key: &str, body: &str) -> Vec<u8> {
    with_key(&post(REGISTER, body), key)
}

fn is_replayed(answer: &Answer) -> bool {
    answer.header("idempotency-replayed") == Some("true")
}

fn accounts(server: &Postgres) -> String {
    server.query_one_text("SELECT count(*) FROM accounts")
}

#[tokio::test]
async fn a_repetition_gets_the_same_answer_from_any_replica() {
    let directory = tempfile::tempdir().unwrap();
    let replicas = [
        Replica::start(settings(directory.path(), "api-1")).await,
        Replica::start(settings(directory.path(), "api-2")).await,
    ];
    let first = replicas[0].exchange(keyed("k-1", BODY)).await;
    assert_eq!((first.status, is_replayed(&first)), (201, false), "{first:?}");
    let reordered = r#" { "name": "Ada", "email": "ada@example.com", "password": "correct horse" } "#;
    for (replica, key, body) in [
        (&replicas[0], "k-1", BODY),
        (&replicas[1], "k-1", BODY),
        (&replicas[1], "\"k-1\"", BODY),
        (&replicas[1], "k-1", reordered),
    ] {
        let again = replica.exchange(keyed(key, body)).await;
        assert_eq!((again.status, is_replayed(&again)), (201, true), "{again:?}");
        assert_eq!(again.text, first.text);
        for field in ["location", "content-type", "cache-control", "phalanx-position", "set-cookie"] {
            assert_eq!(again.header(field), first.header(field), "{field}");
        }
    }
    // With another key, or none, it is another request.
    for request in [keyed("k-2", BODY), post(REGISTER, BODY)] {
        let other = replicas[1].exchange(request).await;
        assert_eq!(other.problem(), (409, "Email already registered".to_owned()));
    }
    let again = replicas[0].exchange(keyed("k-2", BODY)).await;
    assert!(again.problem().0 == 409 && is_replayed(&again), "a refusal is an answer too: {again:?}");
}

#[tokio::test]
async fn a_key_belongs_to_one_body() {
    let directory = tempfile::tempdir().unwrap();
    let replica = Replica::over(directory.path()).await;
    assert_eq!(replica.exchange(keyed("k", BODY)).await.status, 201);
    for body in [
        r#"{"email":"eve@example.com","password":"correct horse","name":"Ada"}"#,
        r#"{"email":"ada@example.com","password":"correct house","name":"Ada"}"#,
        r#"{"email":"ada@example.com","password":"correct horse","name":"Eve"}"#,
    ] {
        let answer = replica.exchange(keyed("k", body)).await;
        assert_eq!(answer.problem(), (422, "Idempotency key reused".to_owned()), "{body}");
    }
    // What is wrong with a body is told before its key is looked at, and leaves it free.
    let wrong = replica.exchange(keyed("free", "{}")).await;
    assert_eq!(wrong.problem(), (422, "Invalid fields".to_owned()));
    let eve = r#"{"email":"eve@example.com","password":"correct horse","name":"Eve"}"#;
    assert_eq!(replica.exchange(keyed("free", eve)).await.status, 201);
}

#[tokio::test]
async fn what_is_no_key_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let replica = Replica::over(directory.path()).await;
    let (long, two) = ("k".repeat(256), "a\r\nidempotency-key: a");
    for key in ["", "\"\"", "\"a", "a b", "\"a\"b\"", "\u{e9}", &long, two] {
        let answer = replica.exchange(keyed(key, BODY)).await;
        assert_eq!(answer.problem(), (400, "Malformed idempotency key".to_owned()), "{key:?}");
    }
    assert_eq!(replica.exchange(keyed(&long[1..], BODY)).await.status, 201);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_twenty_at_once_one_registers_and_the_others_hear_of_it() {
    let server = Postgres::start(Server::default());
    let replicas = [databases::over(&server).await, databases::over(&server).await];
    let mut requests = JoinSet::new();
    for index in 0..20 {
        let address = replicas[index % 2].address;
        requests.spawn(async move { exchange(address, &keyed("k", BODY)).await });
    }
    let answers = requests.join_all().await;
    let created: Vec<_> = answers.iter().filter(|answer| answer.status == 201).collect();
    assert_eq!(created.iter().filter(|answer| !is_replayed(answer)).count(), 1, "{answers:?}");
    assert!(created.iter().all(|answer| answer.text == created[0].text), "{answers:?}");
    for answer in answers.iter().filter(|answer| answer.status != 201) {
        assert_eq!(answer.problem(), (409, "Request in progress".to_owned()));
        assert_eq!(answer.header("retry-after"), Some("1"));
    }
    assert_eq!(accounts(&server), "1");
    for replica in replicas {
        let again = replica.exchange(keyed("k", BODY)).await;
        assert_eq!((again.status, is_replayed(&again), &again.text), (201, true, &created[0].text));
        replica.stop().await;
    }
}

/// The replica is gone after the account was stored and before anybody was told: the next attempt answers for that account.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_registration_that_died_with_its_replica_is_finished_by_another() {
    let server = Postgres::start(Server::default());
    let url = server.url();
    let variables = [("DATABASE_URL", &*url), ("DATABASE_STATEMENT_TIMEOUT", "60s")];
    let dying =
        Settings { drain_deadline: Duration::from_millis(1), ..databases::settings("api-1", &variables) };
    let (dying, other) = (Replica::start(dying).await, databases::over(&server).await);
    assert_eq!(dying.get("/livez").await.status, 200);
    server.execute(
        "CREATE FUNCTION hang() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM pg_sleep(600); RETURN NEW; END $$;
         CREATE TRIGGER hang BEFORE UPDATE ON account_emails FOR EACH ROW EXECUTE FUNCTION hang()",
    );
    let mut client = Client::connect(dying.address).await;
    client.send(&keyed("k", BODY)).await;
    let begun = clock::now();
    while accounts(&server) != "1" {
        assert!(begun.elapsed() < PATIENCE, "the account is never stored");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(dying.stop().await.connections_cut, 1);
    assert!(client.receive().await.is_none(), "nobody was told");
    server.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE wait_event = 'PgSleep'");
    server.execute("DROP TRIGGER hang ON account_emails");
    let id = server.query_one_text("SELECT id FROM accounts");

    // For all that the other replica knows, it is being carried out.
    server.execute("UPDATE idempotency_keys SET claimed_at = claimed_at + 3600");
    let early = other.exchange(keyed("k", BODY)).await;
    assert_eq!(early.problem(), (409, "Request in progress".to_owned()));
    server.execute("UPDATE idempotency_keys SET claimed_at = claimed_at - 3600 - 15");
    let finished = other.exchange(keyed("k", BODY)).await;
    assert_eq!((finished.status, is_replayed(&finished)), (201, false), "{finished:?}");
    assert_eq!(finished.json()["user"]["id"], *id);
    assert_eq!(accounts(&server), "1");
    let again = other.exchange(keyed("k", BODY)).await;
    assert_eq!((again.status, is_replayed(&again), &again.text), (201, true, &finished.text));
    assert_eq!(other.exchange(login("ada@example.com", "correct horse")).await.status, 200);
    other.stop().await;
}

/// What failed for want of a database is not an answer for the day.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_failure_leaves_the_key_to_the_next_attempt() {
    let server = Postgres::start(Server::default());
    let replica = databases::over(&server).await;
    server.execute(
        "CREATE FUNCTION fail() RETURNS trigger LANGUAGE plpgsql AS
             $$ BEGIN RAISE EXCEPTION USING ERRCODE = '55P03'; END $$;
         CREATE TRIGGER fail BEFORE INSERT ON accounts FOR EACH ROW EXECUTE FUNCTION fail()",
    );
    let request = with_key(&register("ada@example.com"), "k");
    assert_eq!(replica.exchange(&request).await.problem(), (504, "Database timeout".to_owned()));
    server.execute("DROP TRIGGER fail ON accounts");
    let registered = replica.exchange(&request).await;
    assert_eq!((registered.status, is_replayed(&registered)), (201, false), "{registered:?}");
    assert_eq!(accounts(&server), "1");
    replica.stop().await;
}
