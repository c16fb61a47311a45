//! The way back, and what leads to it.

use std::time::Duration;

use phalanx_data::{
    ServerUrl, Servers,
    reshard::{self, Fault, Options, Outcome, Report, Resharding},
};
use phalanx_shard::{
    ShardId,
    reshard::{Direction, Reason, Stage},
};
use tokio::task::JoinSet;

use crate::{
    moving::check,
    support::{Cluster, PATIENCE, connections, run, run_until},
    writers::Writers,
};

const LONG_SOAK: Options =
    Options { shards_to: 2, soak: Duration::from_secs(3600), patience: Duration::from_secs(60) };

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn going_back_after_the_move_loses_nothing() {
    let cluster = Cluster::start(1, 2).await;
    let writers = Writers::start(&cluster.servers(), 4).await;
    let resharding = cluster.begin_with(LONG_SOAK).await.unwrap();
    let mut running = JoinSet::new();
    running.spawn(run(resharding, |_| {}));
    cluster.until(async |status| status.stage == Stage::Soak).await;
    let newest = "SELECT max(substr(body, 7)::int) FROM notes WHERE id % 4096 > 2047";
    let before: i64 = cluster.ask(2, newest).parse().unwrap();
    // Writes that only the new owner has seen, and that the old one is to get back.
    cluster.until(async |_| cluster.ask(2, newest).parse::<i64>().unwrap() > before + 100).await;
    assert_eq!(reshard::ask_back(&cluster.servers(), &connections()).await.unwrap(), Stage::Soak);
    assert_eq!(running.join_next().await.unwrap().unwrap().unwrap(), Outcome::Aborted);
    check(&cluster, 2, &writers.end().await);
    assert_eq!((cluster.map().as_str(), cluster.remains().as_str()), ("1:2048@1 1:2048@3", ""));
    let status = reshard::status(&cluster.servers(), &connections()).await.unwrap().unwrap();
    assert!(status.is_over && status.direction == Direction::Back, "{status:?}");
    assert_eq!(cluster.ask(2, "SELECT (SELECT count(*) FROM notes) + (SELECT count(*) FROM names)"), "0");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rows_that_differ_are_found_and_stay_where_they_were() {
    let cluster = Cluster::start(1, 2).await;
    cluster.force(1, "INSERT INTO notes SELECT id, 'note ' || id FROM generate_series(1, 6000) AS id");
    cluster
        .force(1, "INSERT INTO names SELECT 'name ' || n, n % 4096, 'x' FROM generate_series(1, 6000) AS n");
    let rows = cluster.bodies(1);
    for (damage, table, key) in [
        ("UPDATE notes SET body = 'broken' WHERE id = 4000", "phalanx.notes", "4000"),
        ("DELETE FROM names WHERE name = 'name 3000'", "phalanx.names", "name 3000"),
        ("INSERT INTO notes VALUES (2 * 4096 + 4095, 'nobody''s')", "phalanx.notes", "12287"),
    ] {
        let resharding = cluster.begin_with(LONG_SOAK).await.unwrap();
        let early = run_until(resharding, Stage::Verify, Duration::ZERO).await;
        assert!(early.is_none(), "{early:?}");
        cluster.force(2, damage);
        let mut faults = Vec::new();
        let watch = |report: &Report| faults.extend(report.fault.clone());
        let outcome = run(cluster.begin_with(LONG_SOAK).await.unwrap(), watch).await.unwrap();
        assert_eq!(outcome, Outcome::Aborted, "{damage}");
        let Some(Fault::RowDiffers { table: found, key: keys, .. }) = faults.first() else {
            panic!("{faults:?}")
        };
        assert_eq!((found.as_str(), keys.as_slice()), (table, &[key.to_owned()][..]));
        let status = reshard::status(&cluster.servers(), &connections()).await.unwrap().unwrap();
        assert!(status.fault.unwrap().contains(key));
        assert_eq!((cluster.bodies(1) == rows, cluster.bodies(2).len()), (true, 0), "{damage}");
        assert_eq!((cluster.map().as_str(), cluster.remains().as_str()), ("1:4096@1", ""));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lost_stream_back_holds_the_soak_until_the_operator_ends_it() {
    let cluster = Cluster::start(1, 2).await;
    cluster.force(1, "INSERT INTO notes SELECT id, 'note ' || id FROM generate_series(1, 6000) AS id");
    let mut running = JoinSet::new();
    let (reports, mut seen) = tokio::sync::watch::channel(None);
    let resharding = cluster.begin_with(LONG_SOAK).await.unwrap();
    running.spawn(run(resharding, move |report| drop(reports.send(Some(report.clone())))));
    cluster.until(async |status| status.stage == Stage::Soak).await;
    cluster.ask(1, "ALTER SUBSCRIPTION phalanx_reshard_2_1 DISABLE");
    let dropped = "SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots WHERE NOT active";
    let left = "SELECT count(*) FROM pg_replication_slots";
    cluster
        .until(async |_| {
            cluster.try_ask(2, dropped);
            cluster.ask(2, left) == "0"
        })
        .await;
    let lost = |report: &Option<Report>| {
        matches!(
            report,
            Some(Report { fault: Some(Fault::StreamLost { missing: "replication slot", .. }), .. })
        )
    };
    tokio::time::timeout(PATIENCE, seen.wait_for(lost)).await.unwrap().unwrap();
    // Nothing would come back that was written since.
    reshard::ask_back(&cluster.servers(), &connections()).await.unwrap();
    let held = |report: &Option<Report>| {
        report
            .as_ref()
            .is_some_and(|report| (report.stage, report.direction) == (Stage::Soak, Direction::Back))
    };
    tokio::time::timeout(PATIENCE, seen.wait_for(held)).await.unwrap().unwrap();
    reshard::finish_soak(&cluster.servers(), &connections()).await.unwrap();
    assert_eq!(running.join_next().await.unwrap().unwrap().unwrap(), Outcome::Done);
    assert_eq!((cluster.map().as_str(), cluster.remains().as_str()), ("1:2048@1 2:2048@2", ""));
    assert_eq!(cluster.strays(), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn writes_are_let_in_again_when_a_stream_takes_too_long() {
    let cluster = Cluster::start(1, 2).await;
    cluster.force(1, "INSERT INTO notes SELECT id, 'note ' || id FROM generate_series(1, 6000) AS id");
    let early = run_until(cluster.begin_with(LONG_SOAK).await.unwrap(), Stage::Drain, Duration::ZERO).await;
    assert!(early.is_none(), "{early:?}");
    // What comes now cannot be applied, and a minute has passed while nobody ran it.
    let holder = cluster.hold(2, "LOCK TABLE notes").await;
    cluster.force(1, "INSERT INTO notes VALUES (4095 + 4096 * 9, 'on its way')");
    cluster.ask(1, "UPDATE phalanx.buckets SET paused_at = paused_at - interval '1 minute'");
    let mut reasons = Vec::new();
    let mut holder = Some(holder);
    let watch = |report: &Report| {
        reasons.push(report.reason);
        if report.stage == Stage::TearDown {
            drop(holder.take());
        }
    };
    let outcome = run(cluster.begin_with(LONG_SOAK).await.unwrap(), watch).await.unwrap();
    assert_eq!(outcome, Outcome::Aborted);
    let too_long = |reason: &Reason| matches!(reason, Reason::PausedTooLong { paused } if *paused > Duration::from_secs(60));
    assert!(reasons.iter().any(too_long), "{reasons:?}");
    assert_eq!((cluster.bodies(1).len(), cluster.bodies(2).len()), (6001, 0));
    assert_eq!((cluster.map().as_str(), cluster.remains().as_str()), ("1:4096@1", ""));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn writes_are_let_in_again_when_a_target_hangs() {
    let cluster = Cluster::start_apart(3, 3).await;
    cluster.force(3, "INSERT INTO notes SELECT 8191, 'note'");
    for (round, stage) in [Stage::Drain, Stage::BumpEpoch].into_iter().enumerate() {
        // From shard 3 to the others, of which one hangs.
        let early = run_until(cluster.begin(2).await.unwrap(), stage, Duration::ZERO).await;
        assert!(early.is_none(), "{early:?}");
        cluster.server(2).pause();
        cluster.ask(3, "UPDATE phalanx.buckets SET paused_at = paused_at - interval '1 minute'");
        let mut running = JoinSet::new();
        running.spawn(run(cluster.begin(2).await.unwrap(), |_| {}));
        let open = "SELECT count(*) FROM phalanx.buckets WHERE here AND state = 'open'";
        cluster.until(async |_| cluster.ask(3, open) == "1365").await;
        cluster.ask(3, &format!("UPDATE notes SET body = 'written {round}'"));
        cluster.server(2).resume();
        assert_eq!(running.join_next().await.unwrap().unwrap().unwrap(), Outcome::Aborted, "{stage}");
        let written = format!("8191=written {round}");
        assert_eq!((cluster.bodies(3).concat(), cluster.remains()), (written, String::new()), "{stage}");
        assert!(!cluster.map().contains('|'), "{stage}: {}", cluster.map());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_target_that_fails_over_is_not_trusted() {
    let cluster = Cluster::start_apart(1, 2).await;
    cluster.force(1, "INSERT INTO notes SELECT id, 'note ' || id FROM generate_series(1, 6000) AS id");
    let early = run_until(cluster.begin(2).await.unwrap(), Stage::Verify, Duration::ZERO).await;
    assert!(early.is_none(), "{early:?}");
    let standby = cluster.server(2).replica();
    standby.wait_until_caught_up(cluster.server(2));
    cluster.server(2).kill();
    standby.promote();
    let replica = ServerUrl::parse(&standby.url_for("shard_2")).unwrap();
    let mut shards = cluster.servers().shards().to_vec();
    shards[1].replicas.push(replica);
    let servers = Servers::new(shards).unwrap();
    let mut faults = Vec::new();
    let watch = |report: &Report| faults.extend(report.fault.clone());
    let resharding = Resharding::resume(&servers, &connections()).await.unwrap();
    assert_eq!(run(resharding, watch).await.unwrap(), Outcome::Aborted);
    let shard = ShardId::try_from(2).unwrap();
    assert_eq!(faults.first(), Some(&Fault::FailedOver { shard }));
    assert_eq!(cluster.bodies(1).len(), 6000);
    let left = "SELECT (SELECT count(*) FROM notes) + (SELECT count(*) FROM pg_subscription)";
    assert_eq!(standby.query_one_text_in("shard_2", left), "0");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_copy_that_cannot_succeed_is_given_up() {
    let cluster = Cluster::start(1, 2).await;
    cluster.force(1, "INSERT INTO notes SELECT id, 'note ' || id FROM generate_series(1, 6000) AS id");
    cluster.force(1, "INSERT INTO names VALUES ('same', 4000, 'moves')");
    // Of a bucket that does not move, so it is not cleared away.
    cluster.force(2, "INSERT INTO names VALUES ('same', 1, 'stray')");
    let mut faults = Vec::new();
    let watch = |report: &Report| faults.extend(report.fault.clone());
    assert_eq!(run(cluster.begin(2).await.unwrap(), watch).await.unwrap(), Outcome::Aborted);
    assert!(matches!(faults.first(), Some(Fault::CopyFails { .. })), "{faults:?}");
    assert_eq!((cluster.bodies(1).len(), cluster.bodies(2).len()), (6001, 1));
    assert_eq!((cluster.map().as_str(), cluster.remains().as_str()), ("1:4096@1", ""));
}
