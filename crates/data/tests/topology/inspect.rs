//! What is told of servers that are asked once, some of which do not answer.

use std::sync::{Mutex, PoisonError};

use phalanx_data::{
    DanglingRows, Inspection, MigrateMode, MigrateStep, Migration, Questions, Settings, Statement, Tables,
    inspect, migrate, migrate_told,
};
use phalanx_test_servers::{Postgres, Settings as Server};

use crate::support::{servers, settings};

const MIGRATIONS: &[Migration] = &[
    Migration::new("claims", "CREATE TABLE claims (id bigint PRIMARY KEY, claimed_at bigint NOT NULL)"),
    Migration::new("claims by age", "CREATE INDEX claims_by_age ON claims (claimed_at)"),
];
const QUESTIONS: Questions = Questions {
    migrations: MIGRATIONS,
    dangling: Some(DanglingRows {
        statement: Statement::new("claims", "SELECT count(*) FROM claims WHERE claimed_at <= $1"),
        until: 50,
    }),
};

fn fitness(inspection: &Inspection) -> Vec<&'static str> {
    let servers = inspection.shards.iter().flat_map(|shard| &shard.servers);
    servers.map(|server| server.fitness).collect()
}

fn tables(inspection: &Inspection, shard: usize) -> &Tables {
    inspection.shards[shard].tables.as_ref().unwrap().as_ref().unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn servers_tell_their_part_and_those_that_are_down_their_reason() {
    let (first, second) = (Postgres::start(Server::default()), Postgres::start(Server::default()));
    let replica = first.replica();
    let topology = servers(&[(&first, &[&replica]), (&second, &[])]);
    let look = async || inspect(&topology, &settings(), QUESTIONS).await;

    let empty = look().await;
    assert_eq!(fitness(&empty), ["primary", "replica", "primary"]);
    assert!(empty.fault.is_none(), "{empty:?}");
    let names = |tables: &Tables| -> Vec<_> {
        tables.lacking.as_ref().unwrap().iter().map(|migration| migration.name).collect()
    };
    assert_eq!(names(tables(&empty, 0)), ["phalanx", "claims", "claims by age"]);
    assert!(tables(&empty, 0).map.is_none() && tables(&empty, 0).dangling.is_none());
    let connections = empty.shards[0].servers[0].connections.unwrap();
    assert!(connections.used >= 1 && connections.max == 60 && connections.reserved == 3, "{connections:?}");

    migrate(&topology, &Settings::new(), MIGRATIONS, MigrateMode::Apply).await.unwrap();
    first.execute("INSERT INTO claims VALUES (1, 49), (2, 50), (3, 51)");
    second.execute("UPDATE phalanx.buckets SET state = 'paused' WHERE bucket BETWEEN 4000 AND 4003");
    first.execute(
        "DROP TABLE IF EXISTS phalanx.reshard CASCADE;
         CREATE TABLE phalanx.reshard (stage text, direction text);
         INSERT INTO phalanx.reshard (stage, direction) VALUES ('copy', 'onward')",
    );
    let full = look().await;
    assert_eq!(names(tables(&full, 0)), [""; 0]);
    assert_eq!((tables(&full, 0).dangling, tables(&full, 1).dangling), (Some(2), Some(0)));
    assert_eq!((tables(&full, 0).shard, tables(&full, 1).shard), (Some(1), Some(2)));
    let map = tables(&full, 1).map.as_ref().unwrap();
    assert_eq!((map.epoch(), map.to_string().as_str()), (1, "1:0-2047 2:2048-4095"));
    assert_eq!(tables(&full, 1).paused.to_string(), "4000-4003");
    assert!(tables(&full, 0).paused.is_empty());
    let resharding = tables(&full, 0).resharding.as_ref().unwrap();
    assert_eq!((&*resharding.stage, &*resharding.direction), ("copy", "onward"));
    assert!(tables(&full, 1).resharding.is_none());

    // The replica tells what its primary cannot any more.
    replica.wait_until_caught_up(&first);
    first.kill();
    let without = look().await;
    assert_eq!(fitness(&without), ["unreachable", "replica", "primary"]);
    assert_eq!(tables(&without, 0).dangling, Some(2));
    let reason = without.shards[0].servers[0].fault.as_ref().unwrap().to_string();
    assert!(reason.starts_with(&format!("cannot reach 127.0.0.1:{}", first.port())), "{reason}");
    let fault = without.fault.unwrap().to_string();
    assert!(fault.contains("shard 1 has no primary"), "{fault}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_step_of_a_migration_is_told() {
    let server = Postgres::start(Server::default());
    let topology = servers(&[(&server, &[])]);
    let steps = Mutex::new(Vec::new());
    let mut told = |step: MigrateStep<'_>| {
        let text = match step {
            MigrateStep::Begun { shard, .. } => format!("begun {shard}"),
            MigrateStep::Applying(migration) => migration.name.to_owned(),
            MigrateStep::Ended(shard) => format!("ended {}", shard.migrations.len()),
        };
        steps.lock().unwrap_or_else(PoisonError::into_inner).push(text);
    };
    let settings = Settings::new();
    for mode in [MigrateMode::DryRun, MigrateMode::Apply, MigrateMode::Apply] {
        migrate_told(&topology, &settings, MIGRATIONS, mode, &mut told).await.unwrap();
    }
    let steps = steps.into_inner().unwrap();
    assert_eq!(
        steps,
        [
            "begun 1",
            "ended 3",
            "begun 1",
            "phalanx",
            "claims",
            "claims by age",
            "ended 3",
            "begun 1",
            "ended 0"
        ]
    );
}
