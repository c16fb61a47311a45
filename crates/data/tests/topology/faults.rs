//! Backends and servers that are killed under load.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use phalanx_data::{AccessError, Consistency, Isolation, Shard, Transaction};
use phalanx_test_servers::{Postgres, Settings as Server};
use tokio::task::JoinSet;

use crate::support::{INSERT, Running, TABLE, bodies, servers, settings};

/// Clients that read until they are told to stop, and answer how often they have.
pub(crate) fn readers(shard: &Shard, stop: &Arc<AtomicBool>) -> JoinSet<u64> {
    let mut readers = JoinSet::new();
    for _ in 0..8 {
        let (shard, stop) = (shard.clone(), Arc::clone(stop));
        readers.spawn(async move {
            let mut reads = 0;
            while !stop.load(Ordering::Relaxed) {
                assert_eq!(bodies(&shard, &Consistency::eventual(), 1).await, ["one"]);
                reads += 1;
            }
            reads
        });
    }
    readers
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_read_is_lost_with_a_replica_and_the_primary_serves_when_none_is_left() {
    let primary = Postgres::start(Server::default());
    primary.execute(TABLE);
    primary.execute("INSERT INTO notes VALUES (1, 'one')");
    let (first, second) = (primary.replica(), primary.replica());
    first.wait_until_caught_up(&primary);
    second.wait_until_caught_up(&primary);
    let running = Running::open(&servers(&[(&primary, &[&first, &second])]), settings()).await.unwrap();
    let stop = Arc::new(AtomicBool::new(false));
    let readers = readers(&running.shard(), &stop);
    first.terminate_connections();
    first.kill();
    running.until(&["primary", "unreachable", "replica"]).await;
    second.kill();
    running.until(&["primary", "unreachable", "unreachable"]).await;
    first.restart();
    running.until(&["primary", "replica", "unreachable"]).await;
    stop.store(true, Ordering::Relaxed);
    assert!(readers.join_all().await.iter().all(|reads| *reads > 0));
    running.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn writes_whose_backends_are_killed_happen_once_or_are_of_unknown_outcome() {
    let primary = Postgres::start(Server::default());
    primary.execute(TABLE);
    let running = Running::open(&servers(&[(&primary, &[])]), settings()).await.unwrap();
    let mut writers = JoinSet::new();
    for writer in 0..8 {
        let shard = running.shard();
        writers.spawn(async move {
            let mut acknowledged = Vec::new();
            for round in 0..200 {
                let id = writer * 1000 + round;
                match shard.write(&INSERT, &[id.into(), "x".into()]).await {
                    Ok(_) => acknowledged.push(id),
                    Err(AccessError::OutcomeUnknown { .. }) => {}
                    Err(error) => panic!("{error:?}"),
                }
            }
            acknowledged
        });
    }
    for _ in 0..5 {
        primary.terminate_connections();
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    primary.kill();
    primary.restart();
    let acknowledged = writers.join_all().await.concat();
    assert!(acknowledged.len() > 100, "{}", acknowledged.len());
    for ids in acknowledged.chunks(500) {
        let list = ids.iter().map(ToString::to_string).collect::<Vec<_>>().join(",");
        let found = primary.query_one_text(&format!("SELECT count(*) FROM notes WHERE id IN ({list})"));
        assert_eq!(found, ids.len().to_string());
    }
    running.close().await;
}

/// Breaks the connection of a write behind its commit, when it asks where that is.
const BREAK_BEHIND_WRITES: &str = "
    CREATE SCHEMA breaking;
    CREATE FUNCTION breaking.pg_current_wal_insert_lsn() RETURNS pg_lsn LANGUAGE plpgsql AS $$ BEGIN
        PERFORM pg_terminate_backend(pg_backend_pid());
        PERFORM pg_sleep(60);
        RETURN NULL;
    END $$;
    CREATE FUNCTION break() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
        PERFORM set_config('search_path', 'breaking, pg_catalog, public', false);
        RETURN NULL;
    END $$;
    CREATE TRIGGER break AFTER INSERT ON notes FOR EACH ROW EXECUTE FUNCTION break()";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_write_whose_connection_breaks_behind_its_commit_still_has_a_position() {
    let primary = Postgres::start(Server::default());
    primary.execute(TABLE);
    primary.execute(BREAK_BEHIND_WRITES);
    let running = Running::open(&servers(&[(&primary, &[])]), settings()).await.unwrap();
    let shard = running.shard();
    let written = shard.write(&INSERT, &[1.into(), "one".into()]).await.unwrap();
    assert_eq!(written.count, 1);
    let position = written.position.expect("the primary can be asked by another connection");
    assert_eq!((position.shard, position.timeline), (shard.id(), 1));

    let insert =
        async |transaction: &mut Transaction| transaction.execute(&INSERT, &[2.into(), "two".into()]).await;
    let (_, position) = shard.transaction::<_, AccessError>(Isolation::default(), insert).await.unwrap();
    assert!(position.is_some());
    assert_eq!(primary.query_one_text("SELECT count(*) FROM notes"), "2");
    running.close().await;
}
