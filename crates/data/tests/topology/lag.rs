//! Reads behind replicas that lag.

use std::time::Duration;

use phalanx_data::{AccessError, Consistency, Detector, Fallback, Reason, Session, Settings, Target};
use phalanx_test_servers::{Postgres, Settings as Server};

use crate::support::{INSERT, Running, TABLE, bodies, servers, settings};

fn shard_with_two_replicas() -> (Postgres, Postgres, Postgres) {
    let primary = Postgres::start(Server::default());
    primary.execute(TABLE);
    let replicas = (primary.replica(), primary.replica());
    (primary, replicas.0, replicas.1)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_read_after_a_write_sees_it_and_the_primary_helps_only_as_far_as_its_cap() {
    let (primary, first, second) = shard_with_two_replicas();
    let bounds = Settings {
        fallback_percent_max: 20,
        fallbacks_per_second: 0,
        fallbacks_kept_max: 1,
        replica_wait_max: Duration::from_secs(10),
        ..settings()
    };
    let running = Running::open(&servers(&[(&primary, &[&first, &second])]), bounds).await.unwrap();
    running.until(&["primary", "replica", "replica"]).await;
    for replica in [&first, &second] {
        replica.set_apply_delay(Duration::from_secs(2));
    }
    let mut clients = tokio::task::JoinSet::new();
    for client in 0..20 {
        let shard = running.shard();
        clients.spawn(async move {
            for round in 0..2 {
                let id = client * 100 + round;
                let written = shard.write(&INSERT, &[id.into(), "mine".into()]).await.unwrap();
                let mine = Consistency::after(written.position);
                assert_eq!(bodies(&shard, &mine, id).await, ["mine"], "{id}");
            }
        });
    }
    while let Some(client) = clients.join_next().await {
        client.unwrap();
    }
    let reads = running.data.reads();
    let on_primary = reads.count(Target::Primary, Reason::Behind);
    assert!((1..=1 + 40 / 5).contains(&on_primary), "{reads:?}");
    assert_eq!(reads.of(Target::Primary) - on_primary, 0, "{reads:?}");
    assert_eq!(reads.of(Target::Primary) + reads.of(Target::Replica), 40, "{reads:?}");
    running.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_paused_replica_is_passed_by_as_the_fallback_says() {
    let (primary, first, second) = shard_with_two_replicas();
    let on = Detector::On { window: Duration::from_secs(10) };
    let running =
        Running::open(&servers(&[(&primary, &[&first, &second])]), Settings { detector: on, ..settings() })
            .await
            .unwrap();
    running.until(&["primary", "replica", "replica"]).await;
    first.pause_replay();
    second.pause_replay();

    let shard = running.shard();
    let session = Session::new();
    let written =
        session.scope(shard.write(&INSERT, &[1.into(), "mine".into()])).await.unwrap().position.unwrap();
    let after = |fallback| Consistency::after([written]).or(fallback);
    assert_eq!(bodies(&shard, &after(Fallback::Primary), 1).await, ["mine"]);
    assert_eq!(bodies(&shard, &after(Fallback::Wait(Duration::from_millis(20))), 1).await, ["mine"]);
    assert!(bodies(&shard, &after(Fallback::Stale), 1).await.is_empty());
    let refused = shard.read(&after(Fallback::Error), &crate::support::BY_ID, &[1.into()]).await;
    assert!(matches!(refused, Err(AccessError::Behind { .. })), "{refused:?}");
    assert_eq!(bodies(&shard, &Consistency::primary(), 1).await, ["mine"]);

    assert_eq!(running.data.reads().would_be_stale, 0);
    session.scope(bodies(&shard, &Consistency::eventual(), 1)).await;
    assert_eq!(running.data.reads().would_be_stale, 1);

    first.resume_replay();
    second.resume_replay();
    second.wait_until_caught_up(&primary);
    first.wait_until_caught_up(&primary);
    assert_eq!(bodies(&shard, &after(Fallback::Error), 1).await, ["mine"]);
    let reads = running.data.reads();
    let from_replica =
        reads.count(Target::Replica, Reason::Guarded) + reads.count(Target::Replica, Reason::Known);
    assert_eq!(from_replica, 1, "{reads:?}");
    running.close().await;
}
