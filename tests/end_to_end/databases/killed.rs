//! A replica that is killed in the middle of a registration, whose client sends it again elsewhere.

use std::{net::SocketAddr, sync::Arc};

use phalanx_test_servers::{Postgres, Settings as Server};
use rustix::process::Signal;

use super::start;
use crate::{
    accounts::{logging_in, registering},
    support::{
        home::Home,
        http::{self, Connection},
        phalanx::Program,
        until,
    },
};

/// A replica, and where it serves.
fn replica(server: &Postgres) -> (Program, SocketAddr) {
    let variables = [("DATABASE_URL", &*server.url()), ("DATABASE_MIGRATE", "true")];
    let program = start(&Arc::new(Home::new()), &["api", "--listen", "127.0.0.1:0"], &variables);
    let log = program.stderr.tells("the reference API serves");
    let address = log.split("address=").nth(1).unwrap().split_whitespace().next().unwrap().parse().unwrap();
    (program, address)
}

/// A registration under a key.
fn keyed(email: &str, key: &str) -> Vec<u8> {
    let request = String::from_utf8(registering(email)).unwrap();
    request.replacen("\r\n\r\n", &format!("\r\nIdempotency-Key: {key}\r\n\r\n"), 1).into_bytes()
}

/// A13, over the death of a process: in whichever step it died, there is one account in the end, and its owner is told.
#[test]
fn what_a_killed_replica_began_another_finishes() {
    let server = Postgres::start(Server::default());
    let (other, address) = replica(&server);
    server.execute(
        "CREATE FUNCTION hang() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM pg_sleep(600); RETURN NEW; END $$",
    );
    for (step, table, email) in [
        ("INSERT", "account_emails", "ada@example.com"),
        ("INSERT", "accounts", "eve@example.com"),
        ("UPDATE", "account_emails", "joan@example.com"),
        ("UPDATE", "idempotency_keys", "mary@example.com"),
    ] {
        let step = &format!("{step} ON {table}");
        let request = keyed(email, email);
        let (dying, dying_address) = replica(&server);
        server.execute(&format!("CREATE TRIGGER hang BEFORE {step} FOR EACH ROW EXECUTE FUNCTION hang()"));
        let mut client = Connection::open(dying_address).unwrap();
        client.send(&request).unwrap();
        until("a registration that hangs", || {
            let hangs = "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'PgSleep'";
            server.query_one_text(hangs) == "1"
        });
        dying.signal(Signal::KILL);
        dying.ended();
        assert!(client.receive().is_err(), "{step}");
        server.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE wait_event = 'PgSleep'");
        server.execute(&format!("DROP TRIGGER hang ON {table}"));

        // As old as a claim is that is taken over.
        server.execute("UPDATE idempotency_keys SET claimed_at = claimed_at - 15");
        let finished = http::exchange(address, &request);
        assert_eq!((finished.status, finished.header("idempotency-replayed")), (201, None), "{step}");
        let again = http::exchange(address, &request);
        assert_eq!((again.status, again.header("idempotency-replayed")), (201, Some("true")), "{step}");
        assert_eq!(again.body, finished.body, "{step}");
        let ids = format!("SELECT string_agg(id::text, ' ') FROM accounts WHERE email = '{email}'");
        assert_eq!(finished.json()["user"]["id"], *server.query_one_text(&ids), "{step}");
        assert_eq!(http::exchange(address, &logging_in(email)).status, 200, "{step}");
    }
    other.signal(Signal::TERM);
    other.ended().with_code(0);
}
