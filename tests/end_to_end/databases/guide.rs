//! What `docs/data.md` shows works as it stands there, with these servers for those.

use std::sync::Arc;

use phalanx_test_servers::{Postgres, Settings as Server};

use crate::support::{fenced, home::Home, phalanx};

const GUIDE: &str = include_str!("../../../docs/data.md");

/// Runs a script in which the guide's servers are these; what it has printed.
fn run(home: &Arc<Home>, script: &str, servers: &[(&str, &Postgres)]) -> String {
    let place = |script: String, (name, server): &(&str, &Postgres)| {
        script.replace(&format!("postgres://app:secret@{name}:5432/app"), &server.url())
    };
    let script = servers.iter().fold(script.to_owned(), place);
    assert!(!script.contains("@db"), "{script}");
    let output = phalanx::script(home, &script).output().unwrap();
    let told = String::from_utf8_lossy(&output.stderr) + String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{script}\n{told}");
    told.into_owned()
}

#[test]
fn its_commands_lead_from_one_server_to_two_shards_with_replicas() {
    let (first, fourth) = (Postgres::start(Server::default()), Postgres::start(Server::default()));
    let (second, third) = (first.replica(), first.replica());
    let servers = [("db1", &first), ("db2", &second), ("db3", &third), ("db4", &fourth)];
    let home = Arc::new(Home::new());
    let [one, replicas, shards] = fenced(GUIDE, "sh")[..] else { panic!("three blocks of commands") };
    let told = run(&home, one, &servers);
    assert!(told.contains("lacks phalanx 1") && told.contains("applied phalanx 1"), "{told}");
    for replica in [&second, &third] {
        replica.wait_until_caught_up(&first);
    }
    let told = run(&home, replicas, &servers);
    assert_eq!(told.matches("replica ").count(), 2, "{told}");
    let told = run(&home, shards, &servers);
    assert!(told.contains("4096 in shard 1, 0 in shard 2"), "{told}");

    // The console of the chapter on more shards, whose soak of an hour nobody waits for here.
    let [console] = fenced(GUIDE, "console")[..] else { panic!("one console") };
    let variables: String =
        shards.lines().filter(|line| line.starts_with("export")).map(|line| format!("{line}\n")).collect();
    for step in console.split("$ ").skip(1) {
        let (command, shown) = step.split_once('\n').unwrap();
        let soak = if command.ends_with("--to 2") { " --soak 10s" } else { "" };
        let told = run(&home, &format!("{variables}{command}{soak}"), &servers);
        if command == "phalanx data status" {
            let map = shown.lines().last().unwrap();
            assert!(told.contains(map), "{told}");
        } else {
            assert_eq!(told, shown, "{command}");
        }
    }
}
