//! Reads behind a replica that lags.

use std::time::Duration;

use phalanx_test_servers::{Postgres, Settings as Server};

use super::settings;
use crate::{
    client::{get, register},
    replica::Replica,
};

/// `GET` with one more header.
fn get_with(path: &str, name: &str, value: &str) -> Vec<u8> {
    format!("GET {path} HTTP/1.1\r\nhost: api\r\n{name}: {value}\r\n\r\n").into_bytes()
}

/// D03: a client sees its own write at any replica of the API, by the header and by the cookie, though what replicates the
/// write is ten seconds late; who brings neither is told what the database's replica knows.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_has_written_sees_it_anywhere_before_the_replica_does() {
    let primary = Postgres::start(Server::default());
    let standby = primary.replica();
    let urls = (primary.url(), standby.url());
    let variables = [("DATABASE_SHARD_1_PRIMARY", &*urls.0), ("DATABASE_SHARD_1_REPLICAS", &*urls.1)];
    let first = Replica::start(settings("api-1", &variables)).await;
    assert_eq!(first.get("/ready").await.status, 200);
    let second = Replica::start(settings("api-2", &variables)).await;
    assert_eq!(second.get("/ready").await.status, 200);
    standby.wait_until_caught_up(&primary);
    standby.set_apply_delay(Duration::from_secs(10));

    let written = first.exchange(register("ada@example.com")).await;
    assert_eq!(written.status, 201, "{written:?}");
    let id = written.json()["user"]["id"].as_str().unwrap().to_owned();
    let position = written.header("phalanx-position").unwrap();
    let cookie = written.header("set-cookie").unwrap().split(';').next().unwrap();
    let path = format!("/api/users/{id}");
    for replica in [&first, &second] {
        for request in [get_with(&path, "phalanx-position", position), get_with(&path, "cookie", cookie)] {
            let answer = replica.exchange(&request).await;
            assert_eq!(answer.status, 200, "{answer:?}");
        }
    }
    assert_eq!(standby.query_one_text("SELECT count(*) FROM accounts"), "0", "the replica is no further");
    assert_eq!(second.exchange(get(&path)).await.status, 404);
    // A token that nobody signed asks for nothing.
    let forged =
        get_with(&path, "phalanx-position", &position.replace(position.chars().next().unwrap(), "x"));
    assert_eq!(second.exchange(forged).await.status, 404);
    for replica in [first, second] {
        replica.stop().await;
    }
}
