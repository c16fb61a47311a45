//! Buckets that move while they are written to.

use phalanx_data::reshard::{Outcome, Report};
use phalanx_shard::reshard::Stage;

use crate::{
    support::{Cluster, run},
    writers::{Known, Writers},
};

/// Every row that was acknowledged is there, on the shard of its bucket alone, and no other.
fn check(cluster: &Cluster, shards: u16, known: &Known) {
    let mut found: Vec<String> = (1..=shards).flat_map(|shard| cluster.bodies(shard)).collect();
    found.sort_unstable();
    let alive = known.iter().filter_map(|(name, body)| Some(format!("{name}={}", body.as_ref()?)));
    let mut expected: Vec<String> = alive.collect();
    expected.sort_unstable();
    let differing = found.iter().zip(&expected).find(|(found, expected)| found != expected);
    assert_eq!((found.len(), differing), (expected.len(), None));
    assert_eq!(cluster.strays(), 0);
}

async fn moves_under_writers(from: u16, to: u16, shards: u16) -> (Cluster, Vec<Report>) {
    let cluster = Cluster::start(from, shards).await;
    let writers = Writers::start(&cluster.servers(), 4).await;
    let mut reports = Vec::new();
    let outcome = run(cluster.begin(to).await.unwrap(), |report| reports.push(report.clone())).await;
    let known = writers.end().await;
    assert_eq!(outcome.unwrap(), Outcome::Done, "{:?}", reports.last());
    check(&cluster, shards, &known);
    assert_eq!(cluster.remains(), "");
    assert!(known.len() > 200, "they wrote {} rows", known.len());
    (cluster, reports)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_shard_becomes_two() {
    let (cluster, reports) = moves_under_writers(1, 2, 2).await;
    assert_eq!(cluster.map(), "1:2048@1 2:2048@2");
    let last = reports.last().unwrap();
    assert_eq!((last.stage, &last.fault, &last.trouble), (Stage::Done, &None, &None));
    assert_eq!((last.verified.buckets, last.verified.buckets_all), (4096, 4096));
    assert!(last.verified.rows > 0 && last.verified.rows_read > 0, "{last:?}");
}
