//! Buckets that move while they are written to.

use phalanx_data::reshard::{Outcome, Report};
use phalanx_shard::reshard::Stage;

use crate::{
    support::{Cluster, run},
    writers::{Known, Writers},
};

/// Every row that was acknowledged is there, on the shard of its bucket alone, and no other.
pub(crate) fn check(cluster: &Cluster, shards: u16, known: &Known) {
    let mut found: Vec<String> = (1..=shards).flat_map(|shard| cluster.bodies(shard)).collect();
    found.sort_unstable();
    let alive = known.iter().filter_map(|(name, body)| Some(format!("{name}={}", body.as_ref()?)));
    let mut expected: Vec<String> = alive.collect();
    expected.sort_unstable();
    let differing = found.iter().zip(&expected).find(|(found, expected)| found != expected);
    assert_eq!((found.len(), differing), (expected.len(), None));
    assert_eq!(cluster.strays(), 0);
}

async fn moves_under_writers(cluster: &Cluster, to: u16, shards: u16) -> Vec<Report> {
    let writers = Writers::start(&cluster.servers(), 4).await;
    let mut reports = Vec::new();
    let outcome = run(cluster.begin(to).await.unwrap(), |report| reports.push(report.clone())).await;
    let known = writers.end().await;
    let fault = reports
        .iter()
        .find_map(|report| report.fault.as_ref().map(|fault| (report.stage, fault.to_string())));
    assert_eq!((outcome.unwrap(), fault), (Outcome::Done, None));
    check(cluster, shards, &known);
    assert_eq!(cluster.remains(), "");
    assert!(known.len() > 200, "they wrote {} rows", known.len());
    reports
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_shard_becomes_two() {
    let cluster = Cluster::start_apart(1, 2).await;
    let reports = moves_under_writers(&cluster, 2, 2).await;
    assert_eq!(cluster.map(), "1:2048@1 2:2048@2");
    let last = reports.last().unwrap();
    assert_eq!((last.stage, &last.fault, &last.trouble), (Stage::Done, &None, &None));
    assert_eq!((last.verified.buckets, last.verified.buckets_all), (4096, 4096));
    assert!(last.verified.rows > 0 && last.verified.rows_read > 0, "{last:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_shards_become_four() {
    let cluster = Cluster::start(2, 4).await;
    moves_under_writers(&cluster, 4, 4).await;
    assert_eq!(cluster.map(), "1:1024@1 2:1024@1 3:1024@2 4:1024@2");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn three_shards_become_two() {
    let cluster = Cluster::start(3, 3).await;
    moves_under_writers(&cluster, 2, 3).await;
    assert!(cluster.map().starts_with("1:1366@1 1:682@2 2:1365@1 2:683@2"), "{}", cluster.map());
}

/// As after many reshardings: no range describes them.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn buckets_from_all_over_move_as_they_are() {
    let cluster = Cluster::start(2, 2).await;
    for shard in [1, 2] {
        cluster.ask(shard, "UPDATE phalanx.buckets SET owner = 1 + bucket::int * bucket % 7 % 2, epoch = 5");
        let fill = "INSERT INTO notes (id, body) SELECT id, 'note ' || id FROM generate_series(1, 8000) AS id
                     JOIN phalanx.buckets ON bucket = id % 4096 AND here";
        cluster.force(shard, fill);
    }
    let rows = "SELECT string_agg(notes::text, ' ' ORDER BY id) FROM notes WHERE (id % 4096)::int * (id % 4096) % 7 % 2 = 1";
    let before = cluster.ask(2, rows);
    assert!(before.len() > 100_000, "{}", before.len());
    assert_eq!(run(cluster.begin(1).await.unwrap(), |_| {}).await.unwrap(), Outcome::Done);
    assert!(cluster.ask(1, rows) == before, "every byte of every row is where it was");
    assert_eq!((cluster.bodies(1).len(), cluster.bodies(2).len()), (8000, 0));
    assert_eq!((cluster.map().contains("2:"), cluster.remains().as_str()), (false, ""));
}
