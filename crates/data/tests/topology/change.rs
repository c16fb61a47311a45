//! Another topology while the first is in use.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use phalanx_data::ChangeError;
use phalanx_test_servers::{Postgres, Settings as Server};

use crate::{
    faults::readers,
    support::{INSERT, Running, TABLE, servers, settings},
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_statement_is_lost_when_servers_come_and_go() {
    let primary = Postgres::start(Server::default());
    primary.execute(TABLE);
    primary.execute("INSERT INTO notes VALUES (1, 'one')");
    let (first, second) = (primary.replica(), primary.replica());
    first.wait_until_caught_up(&primary);
    second.wait_until_caught_up(&primary);
    let with = |replicas: &[&Postgres]| servers(&[(&primary, replicas)]);
    let running = Running::open(&with(&[&first]), settings()).await.unwrap();
    let stop = Arc::new(AtomicBool::new(false));
    let readers = readers(&running.shard(), &stop);
    for round in 0..10 {
        let next = [vec![&second], vec![&first, &second], vec![], vec![&first]];
        running.data.change(&with(&next[round % 4])).await.unwrap();
        let id = i64::try_from(round).unwrap() + 100;
        running.shard().write(&INSERT, &[id.into(), "x".into()]).await.unwrap();
    }
    stop.store(true, Ordering::Relaxed);
    assert!(readers.join_all().await.iter().all(|reads| *reads > 0));
    assert_eq!(running.data.status().len(), 3);
    running.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_topology_that_cannot_be_used_changes_nothing() {
    let (first, second) = (Postgres::start(Server::default()), Postgres::start(Server::default()));
    first.execute(TABLE);
    second.execute(TABLE);
    let running = Running::open(&servers(&[(&first, &[]), (&second, &[])]), settings()).await.unwrap();
    let refused = running.data.change(&servers(&[(&first, &[&second])])).await;
    assert!(matches!(refused, Err(ChangeError::Start(_))), "{refused:?}");
    let refused = running.data.change(&servers(&[(&first, &[])])).await;
    assert!(matches!(refused, Err(ChangeError::ShardInUse { shard: 2 })), "{refused:?}");
    for shard in running.data.shards() {
        shard.write(&INSERT, &[1.into(), "x".into()]).await.unwrap();
    }
    running.close().await;
}
