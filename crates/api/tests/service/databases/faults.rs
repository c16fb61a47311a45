//! What a server may answer to a statement, and what a client may put into one.

use phalanx_test_servers::{Postgres, Settings as Server};

use super::{assert_unavailable, eventually, over, over_with, registered};
use crate::{
    accounts::takes_sql_as_text,
    client::{get, get_as, login, post, register},
};

/// Makes every insert into a table do this first.
fn before_insert(server: &Postgres, table: &str, body: &str) {
    server.execute(&format!(
        "CREATE OR REPLACE FUNCTION meddle() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN {body} RETURN NEW; END $$;
         CREATE OR REPLACE TRIGGER meddle BEFORE INSERT ON {table} FOR EACH ROW EXECUTE FUNCTION meddle()"
    ));
}

/// D02: 40001 and 40P01. A sequence counts the attempts, since it does not go back with the transaction.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_write_in_conflict_is_run_again_and_not_for_ever() {
    let server = Postgres::start(Server::default());
    let replica = over(&server).await;
    server.execute("CREATE SEQUENCE attempts");
    for (code, email) in [("40001", "ada@example.com"), ("40P01", "grace@example.com")] {
        server.execute("ALTER SEQUENCE attempts RESTART");
        let body =
            format!("IF nextval('attempts') < 3 THEN RAISE EXCEPTION USING ERRCODE = '{code}'; END IF;");
        before_insert(&server, "accounts", &body);
        registered(&replica, email).await;
        assert_eq!(server.query_one_text("SELECT last_value FROM attempts"), "3", "{code}");
    }
    server.execute("ALTER SEQUENCE attempts RESTART");
    let always = "PERFORM nextval('attempts'); RAISE EXCEPTION USING ERRCODE = '40001';";
    before_insert(&server, "accounts", always);
    assert_unavailable(&replica.exchange(register("eve@example.com")).await);
    assert_eq!(server.query_one_text("SELECT last_value FROM attempts"), "5");
    replica.stop().await;
}

/// It took so long that its claim of the address was released.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_registration_that_lost_its_claim_leaves_nothing_and_may_come_back() {
    let server = Postgres::start(Server::default());
    let replica = over(&server).await;
    before_insert(&server, "accounts", "DELETE FROM account_emails;");
    let lost = replica.exchange(register("ada@example.com")).await;
    assert_eq!(lost.problem(), (503, "Overloaded".to_owned()));
    assert_eq!(server.query_one_text("SELECT count(*) FROM accounts"), "0");
    server.execute("DROP TRIGGER meddle ON accounts");
    registered(&replica, "ada@example.com").await;
    replica.stop().await;
}

/// D02: 57014, and 55P03, which is the same to a client.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_statement_that_takes_too_long_is_a_504() {
    let server = Postgres::start(Server::default());
    let replica = over_with(&server, &[("DATABASE_STATEMENT_TIMEOUT", "200ms")]).await;
    registered(&replica, "ada@example.com").await;
    before_insert(&server, "accounts", "PERFORM pg_sleep(60);");
    let late = replica.exchange(register("grace@example.com")).await;
    assert_eq!(late.problem(), (504, "Database timeout".to_owned()));
    assert_eq!(replica.get("/ready").await.status, 200);

    // A lock that somebody holds: of the address, by a registration that does not end.
    before_insert(&server, "accounts", "RAISE EXCEPTION USING ERRCODE = '55P03';");
    let late = replica.exchange(register("eve@example.com")).await;
    assert_eq!(late.problem(), (504, "Database timeout".to_owned()));

    server.execute("DROP TRIGGER meddle ON accounts");
    registered(&replica, "hedy@example.com").await;
    replica.stop().await;
}

/// D02: 25006, from a server that says it is a primary. A standby that was one is the business of the failover.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_takes_no_writes_is_asked_until_it_does() {
    let server = Postgres::start(Server::default());
    let replica = over(&server).await;
    let id = registered(&replica, "ada@example.com").await;
    server.set("default_transaction_read_only", "on");
    let refused = eventually(&replica, register("grace@example.com"), |answer| answer.status != 201).await;
    assert_unavailable(&refused);
    eventually(&replica, get(&format!("/api/users/{id}")), |answer| answer.status == 200).await;
    server.set("default_transaction_read_only", "off");
    eventually(&replica, register("eve@example.com"), |answer| answer.status == 201).await;
    replica.stop().await;
}

/// A11.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sql_in_a_value_is_text() {
    let server = Postgres::start(Server::default());
    let replica = over(&server).await;
    takes_sql_as_text(&replica).await;
    assert_eq!(server.query_one_text("SELECT email FROM accounts"), "';--@example.com");
    replica.stop().await;
}

/// What PostgreSQL could not store or compare is refused as the client's, and no statement of it fails the replica.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_cannot_be_stored_is_the_clients_fault() {
    let server = Postgres::start(Server::default());
    let replica = over(&server).await;
    registered(&replica, "ada@example.com").await;
    for (email, name) in [
        ("a\\u0000b@example.com", "Ada"),
        ("ada@exa\\u0000mple.com", "Ada"),
        ("eve@example.com", "A\\u0000da"),
        ("eve@example.com", "\\ud800"),
    ] {
        let body = format!(r#"{{"email":"{email}","password":"correct horse","name":"{name}"}}"#);
        let answer = replica.exchange(post("/api/auth/register", body)).await;
        assert!((400..500).contains(&answer.status), "{email} {name}: {answer:?}");
    }
    let refused = replica.exchange(login("ada\u{0}@example.com", "correct horse")).await;
    assert!((400..500).contains(&refused.status), "{refused:?}");
    let refused = replica.exchange(login("ada@example.com", "correct\u{0}horse")).await;
    assert!((400..500).contains(&refused.status), "{refused:?}");
    for id in [
        "9223372036854775807",
        "9223372036854775808",
        "-1",
        "0",
        "1e3",
        "%00",
        "1%00",
        "18446744073709551616",
    ] {
        assert_eq!(replica.get(&format!("/api/users/{id}")).await.status, 404, "{id}");
    }
    server.execute("UPDATE accounts SET role = 'admin'");
    let login = replica.exchange(login("ada@example.com", "correct horse")).await.json();
    let bearer = format!("Bearer {}", login["token"].as_str().unwrap());
    for query in
        ["limit=-1", "limit=0", "limit=65536", "limit=99999999999999999999", "cursor=%00", "cursor=AAAA"]
    {
        let answer = replica.exchange(get_as(&format!("/api/users?{query}"), &bearer)).await;
        assert_eq!(answer.status, 422, "{query}: {answer:?}");
    }
    assert_eq!(replica.exchange(get_as("/api/users?limit=200", &bearer)).await.status, 200);
    replica.stop().await;
}
