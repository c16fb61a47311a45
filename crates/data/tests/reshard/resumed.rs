//! Runs that end anywhere, and others that go on.

use std::time::Duration;

use phalanx_data::reshard::{self, Options, Outcome, Report};
use phalanx_shard::reshard::Stage;
use tokio_util::sync::CancellationToken;

use crate::{
    moving::check,
    support::{Cluster, PATIENCE, connections, run_until},
    writers::Writers,
};

const ONWARD: [Stage; 13] = [
    Stage::Provision,
    Stage::Stream,
    Stage::Copy,
    Stage::CatchUp,
    Stage::Verify,
    Stage::SwitchReads,
    Stage::Pause,
    Stage::Drain,
    Stage::BumpEpoch,
    Stage::ReverseStream,
    Stage::Open,
    Stage::Soak,
    Stage::CleanUp,
];
const BACK: [Stage; 6] = [
    Stage::PauseBack,
    Stage::DrainBack,
    Stage::ReturnEpoch,
    Stage::Resume,
    Stage::ReturnReads,
    Stage::TearDown,
];

/// Twice in each stage: when it has just been stored, and in the middle of what it does.
async fn crash_in(cluster: &Cluster, options: Options, stages: &[Stage]) {
    let place = |stage| stages.iter().position(|known| *known == stage);
    for stage in stages {
        for later in [Duration::ZERO, Duration::from_millis(fastrand::u64(1..30))] {
            let resharding = cluster.begin_with(options).await.unwrap();
            if place(resharding.report().stage) > place(*stage) {
                continue;
            }
            let ended = run_until(resharding, *stage, later).await;
            assert!(ended.is_none() || !later.is_zero(), "{stage}: {ended:?}");
            let status = reshard::status(&cluster.servers(), &connections()).await.unwrap().unwrap();
            if status.is_over {
                return;
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_run_that_ends_in_any_stage_is_gone_on_with() {
    let cluster = Cluster::start(1, 2).await;
    let writers = Writers::start(&cluster.servers(), 3).await;
    let options = Options { shards_to: 2, soak: Duration::ZERO, patience: PATIENCE };
    crash_in(&cluster, options, &ONWARD).await;
    cluster.finish(options, Outcome::Done).await;
    assert_eq!((cluster.map().as_str(), cluster.remains().as_str()), ("1:2048@1 2:2048@2", ""));

    let options = Options { shards_to: 1, soak: Duration::from_secs(3600), patience: PATIENCE };
    let ended = run_until(cluster.begin_with(options).await.unwrap(), Stage::Soak, Duration::ZERO).await;
    assert!(ended.is_none(), "{ended:?}");
    reshard::ask_back(&cluster.servers(), &connections()).await.unwrap();
    crash_in(&cluster, options, &BACK).await;
    cluster.finish(options, Outcome::Aborted).await;
    check(&cluster, 2, &writers.end().await);
    assert_eq!((cluster.map().as_str(), cluster.remains().as_str()), ("1:2048@1 2:2048@4", ""));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_an_earlier_attempt_left_on_a_target_is_no_hindrance() {
    let cluster = Cluster::start(1, 2).await;
    cluster.force(1, "INSERT INTO notes SELECT id, 'note ' || id FROM generate_series(1, 6000) AS id");
    cluster.force(2, "INSERT INTO notes SELECT id, 'stale' FROM generate_series(3000, 9000) AS id");
    cluster.force(2, "INSERT INTO names SELECT 'stale ' || n, 4000, 'x' FROM generate_series(1, 10) AS n");
    let options = Options { shards_to: 2, soak: Duration::ZERO, patience: PATIENCE };
    cluster.finish(options, Outcome::Done).await;
    assert_eq!(cluster.ask(2, "SELECT count(*) FROM notes WHERE id % 4096 > 2047"), "2048");
    assert_eq!(cluster.ask(2, "SELECT count(*) FROM notes WHERE body = 'stale' AND id % 4096 > 2047"), "0");
    assert_eq!(
        (cluster.ask(2, "SELECT count(*) FROM names").as_str(), cluster.remains().as_str()),
        ("0", "")
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_run_that_is_told_to_stop_leaves_no_writes_paused() {
    let cluster = Cluster::start(1, 2).await;
    let options = Options { shards_to: 2, soak: Duration::from_secs(3600), patience: PATIENCE };
    for (asked_in, ended_in) in [(Stage::Copy, Stage::Copy), (Stage::Pause, Stage::Soak)] {
        let stop = CancellationToken::new();
        let watch = |report: &Report| {
            if report.stage == asked_in {
                stop.cancel();
            }
        };
        let outcome = cluster.begin_with(options).await.unwrap().run(watch, stop.clone()).await;
        assert_eq!(outcome.unwrap(), Outcome::Stopped(ended_in));
        let paused = "SELECT count(*) FROM phalanx.buckets WHERE state = 'paused'";
        assert_eq!((cluster.ask(1, paused), cluster.ask(2, paused)), ("0".to_owned(), "0".to_owned()));
    }
}
