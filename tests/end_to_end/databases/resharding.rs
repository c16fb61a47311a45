//! `phalanx data reshard` while a fleet serves.

use std::{
    sync::atomic::{AtomicBool, Ordering},
    thread,
};

use phalanx_test_servers::{Postgres, Settings as Server};
use serde_json::Value;

use super::{SECRET, run};
use crate::{
    accounts::{logging_in, registering},
    support::{
        http::getting,
        phalanx::{Phalanx, file},
    },
};

/// Two replicas of the reference API over two shards.
fn fleet(variables: &[(&str, &str)]) -> Phalanx {
    let variables = variables.iter().map(|(name, value)| format!("{name} = '{value}'"));
    let variables = variables.collect::<Vec<_>>().join(", ");
    let probes = "probes.startup = { path = '/ready', period = '20ms', timeout = '30s', failure = 1000 }";
    Phalanx::up(&file(&format!(
        "command = ['phalanx', 'api']\nreplicas = 2\nenv = {{ JWT_SECRET = '{SECRET}', {variables} }}\n{probes}"
    )))
}

#[test]
fn buckets_move_under_a_fleet_and_every_account_is_found_afterwards() {
    let (first, second) = (Postgres::start(Server::default()), Postgres::start(Server::default()));
    let urls = [first.url(), second.url()];
    let one = [("DATABASE_SHARD_1_PRIMARY", &*urls[0])];
    let both = [one[0], ("DATABASE_SHARD_2_PRIMARY", &*urls[1])];
    run(&["data", "migrate"], &one).with_code(0);
    run(&["data", "migrate"], &both).with_code(0);
    let phalanx = fleet(&both);

    let planned = run(&["data", "reshard", "--to", "2", "--dry-run"], &both).with_code(0);
    assert_eq!(planned.stdout, "2048 buckets from shard 1 to shard 2: 2048-4095\n");
    run(&["data", "reshard", "--to", "3"], &both).with_code(3).complains(&["DATABASE_SHARD_3_PRIMARY"]);
    run(&["data", "reshard", "--to", "2", "--soak", "9s"], &both).with_code(2).complains(&["at least 10s"]);
    run(&["data", "reshard", "--back"], &both).with_code(1).complains(&["no resharding is under way"]);

    let moved = AtomicBool::new(false);
    let (ended, emails) = thread::scope(|scope| {
        let registering = scope.spawn(|| {
            let mut client = phalanx.connection();
            let mut emails = Vec::new();
            while !moved.load(Ordering::Relaxed) || emails.len() < 10 {
                let email = format!("user{}@example.com", emails.len());
                let answer = client.exchange(&registering(&email)).unwrap();
                assert_eq!(answer.status, 201, "{answer:?}");
                let id = answer.json()["user"]["id"].as_str().unwrap().to_owned();
                let found = client.exchange(&getting(&format!("/api/users/{id}"))).unwrap();
                assert!(matches!(found.status, 200 | 404), "{found:?}");
                emails.push((email, id));
            }
            emails
        });
        let ended = run(&["data", "reshard", "--to", "2", "--soak", "10s", "--json"], &both);
        moved.store(true, Ordering::Relaxed);
        (ended.with_code(0), registering.join().unwrap())
    });

    let lines: Vec<Value> = ended.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines.last().unwrap()["outcome"], "done");
    let mut stages: Vec<&str> = lines.iter().filter_map(|line| line["stage"].as_str()).collect();
    stages.dedup();
    assert_eq!((stages.first(), stages.last()), (Some(&"provision"), Some(&"done")), "{stages:?}");
    assert!(lines.iter().all(|line| line["fault"].is_null()), "{ended:#?}");
    let status = run(&["data", "status"], &both).with_code(0);
    assert!(
        status.stdout.contains("2048 in shard 1") && status.stdout.contains("2048 in shard 2"),
        "{status:#?}"
    );
    let again = run(&["data", "reshard", "--to", "2"], &both).with_code(0);
    assert!(again.stdout.contains("nothing is to move"), "{again:#?}");

    let mut client = phalanx.connection();
    for (email, id) in &emails {
        assert_eq!(client.exchange(&getting(&format!("/api/users/{id}"))).unwrap().status, 200, "{email}");
        assert_eq!(client.exchange(&logging_in(email)).unwrap().status, 200, "{email}");
    }
    let counted = [&first, &second].map(|server| server.query_one_text("SELECT count(*) FROM accounts"));
    let counted = counted.map(|count| count.parse::<usize>().unwrap());
    assert_eq!(counted.iter().sum::<usize>(), emails.len(), "{counted:?}");
    assert!(counted.iter().all(|count| *count > 0), "{counted:?}");
    phalanx.stop();
}

#[test]
fn files_have_nothing_to_move() {
    run(&["data", "reshard", "--to", "2"], &[]).with_code(3).complains(&["DATABASE_SHARD_1_PRIMARY"]);
}
