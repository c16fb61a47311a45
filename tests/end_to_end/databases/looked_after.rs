//! `phalanx data`, and a replica over what it has made.

use std::sync::Arc;

use phalanx_test_servers::{Postgres, Settings as Server};
use rustix::process::Signal;
use serde_json::{Value, json};

use super::{run, start};
use crate::support::{home::Home, phalanx::Ended};

fn json(ended: &Ended) -> Value {
    serde_json::from_str(&ended.stdout).unwrap_or_else(|error| panic!("{error}: {ended:#?}"))
}

/// A member of each server of all shards.
fn of_servers(status: &Value, member: &str) -> Vec<Value> {
    let shards = status["shards"].as_array().unwrap().iter();
    let servers = shards.flat_map(|shard| shard["servers"].as_array().unwrap());
    servers.map(|server| server[member].clone()).collect()
}

#[test]
fn shards_are_migrated_and_shown_and_a_replica_serves_over_them() {
    let (first, second) = (Postgres::start(Server::default()), Postgres::start(Server::default()));
    let standby = first.replica();
    let urls = [first.url(), standby.url(), second.url()];
    let variables = [
        ("DATABASE_SHARD_1_PRIMARY", &*urls[0]),
        ("DATABASE_SHARD_1_REPLICAS", &*urls[1]),
        ("DATABASE_SHARD_2_PRIMARY", &*urls[2]),
    ];
    let planned = run(&["data", "migrate", "--dry-run"], &variables).with_code(0);
    let lacks = "lacks phalanx 1 (phalanx), service 1 (accounts), service 2 (account emails)";
    assert_eq!(planned.stdout.matches(lacks).count(), 2, "{planned:#?}");
    let before = run(&["data", "status"], &variables).with_code(0);
    assert!(
        before.stdout.contains("shard 2 lacks migrations (phalanx, accounts, account emails"),
        "{before:#?}"
    );

    let migrated = run(&["data", "migrate", "--json"], &variables).with_code(0);
    migrated.complains(&["shard 1 (", "shard 2 (", "applying service 2 (account emails)"]);
    let report = json(&migrated);
    assert_eq!((&report["applied"], report["shards"].as_array().unwrap().len()), (&json!(true), 2));
    assert!(report["shards"][1]["migrations"][1]["sql"].as_str().unwrap().contains("CREATE TABLE accounts"));
    let again = run(&["data", "migrate"], &variables).with_code(0);
    assert_eq!(again.stdout.matches("nothing is missing").count(), 2, "{again:#?}");

    let home = Arc::new(Home::new());
    let replica = start(&home, &["api"], &variables);
    replica.stderr.tells("the reference API serves");
    standby.wait_until_caught_up(&first);
    second.execute("INSERT INTO account_emails VALUES ('old@example.com', 4095, 1, 1, 0)");
    let status = json(&run(&["data", "status", "--json"], &variables).with_code(0));
    assert_eq!(of_servers(&status, "fitness"), ["primary", "replica", "primary"]);
    assert_eq!(status["map"], json!({ "epoch": 1, "text": "1:0-2047 2:2048-4095" }));
    assert_eq!((&status["fault"], &status["topology"]), (&Value::Null, &json!("servers")));
    let shard = &status["shards"][1];
    assert_eq!(
        (&shard["buckets"], &shard["lacking"], &shard["paused"]),
        (&json!(2048), &json!([]), &json!(""))
    );
    let connections = &status["shards"][0]["servers"][0]["connections"];
    assert_eq!((&connections["max"], &connections["reserved"]), (&json!(60), &json!(3)));
    assert!(connections["used"].as_u64().unwrap() >= 4, "the replica's are among them: {connections}");
    replica.signal(Signal::TERM);
    replica.ended().with_code(0);

    second.kill();
    let broken = run(&["data", "status"], &variables).with_code(5);
    let gone = format!("127.0.0.1:{}/postgres", second.port());
    for wanted in [&*gone, "unreachable", "cannot reach", "shard 2 has no primary", "2048 in shard 1"] {
        assert!(broken.stdout.contains(wanted), "{wanted} in {broken:#?}");
    }
    broken.complains(&["1 of 3 servers cannot be used"]);
    run(&["data", "migrate"], &variables).with_code(5).complains(&[&gone, "shard 2 has no primary"]);
}

#[test]
fn the_embedded_database_is_looked_after_too() {
    let home = Arc::new(Home::new());
    let run = |arguments: &[&str]| start(&home, arguments, &[("DATA_DIR", "./data")]).ended().with_code(0);
    let before = run(&["data", "status"]);
    for wanted in ["./data/phalanx.db", "missing", "shard 1 lacks migrations"] {
        assert!(before.stdout.contains(wanted), "{wanted} in {before:#?}");
    }
    let planned = json(&run(&["data", "migrate", "--dry-run", "--json"]));
    assert_eq!(planned["shards"][0]["migrations"][2]["name"], "account emails", "{planned}");
    assert!(!home.path().join("data").exists(), "looking makes nothing");

    let migrated = run(&["data", "migrate"]);
    assert!(migrated.stdout.contains("applied phalanx 1 (phalanx), service 1 (accounts)"), "{migrated:#?}");
    assert!(run(&["data", "migrate"]).stdout.contains("nothing is missing"));
    let status = json(&run(&["data", "status", "--json"]));
    assert_eq!(of_servers(&status, "fitness"), ["primary"]);
    assert_eq!((&status["topology"], &status["shards"][0]["buckets"]), (&json!("embedded"), &json!(4096)));
    assert_eq!((&status["shards"][0]["lacking"], &status["shards"][0]["dangling"]), (&json!([]), &json!(0)));
}
