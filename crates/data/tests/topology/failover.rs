//! A primary that dies, and another that takes over.

use std::time::Duration;

use phalanx_data::{
    AccessError, Consistency, Isolation, Kind, MigrateMode, Reason, Settings, Target, Transaction, migrate,
};
use phalanx_test_servers::{PASSWORD, Postgres, ReplicaSettings, Settings as Server, USER};
use tokio::task::JoinSet;

use crate::support::{INSERT, PATIENCE, Running, TABLE, bodies, servers, settings};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn writes_go_on_at_the_promoted_server_and_never_again_at_the_old_one() {
    let primary = Postgres::start(Server::default());
    primary.execute(TABLE);
    let replica = primary.replica_with(&ReplicaSettings::named("heir").synchronous());
    let running = Running::open(&servers(&[(&primary, &[&replica])]), settings()).await.unwrap();
    running.until(&["primary", "replica"]).await;
    let shard = running.shard();
    let before = shard.write(&INSERT, &[1.into(), "before".into()]).await.unwrap();

    primary.kill();
    let mut waiting = JoinSet::new();
    {
        let shard = shard.clone();
        waiting.spawn(async move { shard.write(&INSERT, &[2.into(), "during".into()]).await });
    }
    running.until(&["unreachable", "replica"]).await;
    replica.promote();
    running.until(&["unreachable", "primary"]).await;
    let during = waiting.join_next().await.unwrap().unwrap();
    match &during {
        // It was on its way to the server that died.
        Err(AccessError::OutcomeUnknown { .. }) => {}
        Ok(written) => {
            let (old, new) = (before.position.unwrap(), written.position.unwrap());
            assert!(new.timeline > old.timeline, "{old:?} {new:?}");
        }
        Err(error) => panic!("{error}"),
    }
    let old_token = Consistency::after(before.position);
    assert_eq!(bodies(&shard, &old_token, 1).await, ["before"]);

    primary.restart();
    running.until(&["superseded", "primary"]).await;
    for id in 10..40 {
        shard.write(&INSERT, &[id.into(), "after".into()]).await.unwrap();
        assert_eq!(bodies(&shard, &Consistency::eventual(), id).await, ["after"]);
    }
    assert_eq!(primary.query_one_text("SELECT count(*) FROM notes WHERE id >= 10"), "0");
    migrate(&servers(&[(&primary, &[&replica])]), &settings(), &[], MigrateMode::Apply).await.unwrap();
    let migrated = "SELECT to_regclass('phalanx.buckets') IS NOT NULL";
    assert_eq!(
        (primary.query_one_text(migrated), replica.query_one_text(migrated)),
        ("f".into(), "t".into())
    );
    assert_eq!(replica.query_one_text("SELECT count(*) FROM notes WHERE id >= 10"), "30");
    running.close().await;

    // Whoever starts now finds the same primary, though the environment names the other one.
    let running = Running::open(&servers(&[(&primary, &[&replica])]), settings()).await.unwrap();
    running.until(&["superseded", "primary"]).await;
    running.shard().write(&INSERT, &[50.into(), "later".into()]).await.unwrap();
    assert_eq!(replica.query_one_text("SELECT count(*) FROM notes WHERE id = 50"), "1");
    running.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_waits_for_a_connection_to_the_old_primary_goes_to_the_new_one() {
    let primary = Postgres::start(Server::default());
    primary.execute(TABLE);
    let replica = primary.replica();
    let mut patient = settings();
    patient.connections.acquire_timeout = PATIENCE;
    patient.primary_wait_max = PATIENCE;
    let running = Running::open(&servers(&[(&primary, &[&replica])]), patient).await.unwrap();
    running.until(&["primary", "replica"]).await;

    primary.kill();
    let mut waiting = JoinSet::new();
    for id in 0..8 {
        let shard = running.shard();
        waiting.spawn(async move { shard.write(&INSERT, &[id.into(), "waited".into()]).await.map(drop) });
    }
    let shard = running.shard();
    let insert = async |transaction: &mut Transaction| {
        transaction.execute(&INSERT, &[8.into(), "waited".into()]).await
    };
    let transaction = shard.transaction::<_, AccessError>(Isolation::default(), insert);
    let failover = async {
        running.until(&["unreachable", "replica"]).await;
        replica.promote();
        running.until(&["unreachable", "primary"]).await;
        // It takes writes, and is the server that those above wait for.
        primary.restart();
    };
    let (committed, ()) = tokio::join!(transaction, failover);
    committed.unwrap();
    for outcome in waiting.join_all().await {
        outcome.unwrap();
    }
    assert_eq!(primary.query_one_text("SELECT count(*) FROM notes"), "0");
    assert_eq!(replica.query_one_text("SELECT count(*) FROM notes"), "9");
    running.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_has_written_what_a_failover_lost_reads_at_the_new_primary() {
    let primary = Postgres::start(Server::default());
    primary.execute(TABLE);
    let heir = primary.replica();
    let other = primary.replica_with(&ReplicaSettings::named("other"));
    let running = Running::open(&servers(&[(&primary, &[&heir, &other])]), settings()).await.unwrap();
    running.until(&["primary", "replica", "replica"]).await;
    let shard = running.shard();
    shard.write(&INSERT, &[1.into(), "kept".into()]).await.unwrap();
    heir.wait_until_caught_up(&primary);
    other.wait_until_caught_up(&primary);
    for replica in [&heir, &other] {
        replica.set("primary_conninfo", "");
    }
    let lost = shard.write(&INSERT, &[2.into(), "lost".into()]).await.unwrap().position.unwrap();
    primary.kill();
    heir.promote();
    let port = heir.port();
    let followed =
        format!("host=127.0.0.1 port={port} user={USER} password={PASSWORD} application_name=other");
    other.set("primary_conninfo", &followed);
    running.until(&["unreachable", "primary", "replica"]).await;

    // Further on the old timeline than the new primary was when it began: nobody but that one can say what is left.
    let before = running.data.reads().count(Target::Primary, Reason::Timeline);
    let after_lost = Consistency::after([lost]);
    assert_eq!(bodies(&shard, &after_lost, 1).await, ["kept"]);
    assert!(bodies(&shard, &after_lost, 2).await.is_empty());
    let new = shard.write(&INSERT, &[2.into(), "again".into()]).await.unwrap().position.unwrap();
    assert_eq!(new.timeline, lost.timeline + 1);
    assert_eq!(bodies(&shard, &Consistency::after([lost, new]), 2).await, ["again"]);
    let on_primary = running.data.reads().count(Target::Primary, Reason::Timeline) - before;
    assert!(on_primary >= 2, "{:?}", running.data.reads());
    running.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_write_without_a_primary_fails_in_time_and_reads_go_on() {
    let primary = Postgres::start(Server::default());
    primary.execute(TABLE);
    primary.execute("INSERT INTO notes VALUES (1, 'one')");
    let replica = primary.replica();
    replica.wait_until_caught_up(&primary);
    let hasty = Settings { primary_wait_max: Duration::from_millis(300), ..settings() };
    let running = Running::open(&servers(&[(&primary, &[&replica])]), hasty).await.unwrap();
    primary.kill();
    running.until(&["unreachable", "replica"]).await;
    let shard = running.shard();
    let error = shard.write(&INSERT, &[2.into(), "two".into()]).await.unwrap_err();
    assert!(matches!(error, AccessError::NoPrimary { shard: 1, .. }), "{error:?}");
    assert_eq!(error.verdict().kind, Kind::Unavailable);
    assert_eq!(bodies(&shard, &Consistency::eventual(), 1).await, ["one"]);
    primary.restart();
    running.until(&["primary", "replica"]).await;
    shard.write(&INSERT, &[2.into(), "two".into()]).await.unwrap();
    running.close().await;
}
