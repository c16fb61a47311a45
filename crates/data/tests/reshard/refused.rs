//! What cannot work, or is somebody else's turn, is refused before anything changes.

use phalanx_data::reshard::{self, Options, Outcome, ReshardError, Resharding};
use phalanx_data::{ServerUrl, Servers, ShardServers};
use phalanx_shard::{Placement, reshard::Stage};
use phalanx_test_servers::Settings as Server;

use crate::support::{Cluster, PATIENCE, connections, run};

async fn refusal(cluster: &Cluster, servers: &Servers, shards_to: u16) -> String {
    let begun = Resharding::begin(servers, &connections(), Placement::Hashed, Options::new(shards_to)).await;
    let error = begun.err().unwrap();
    assert!(reshard::status(&cluster.first(1), &connections()).await.unwrap().is_none(), "{error}");
    error.to_string()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn shards_that_cannot_stream_are_named_with_what_to_do() {
    let cluster = Cluster::start_with(1, 2, 1, Server::default().parameter("wal_level", "replica")).await;
    let text = refusal(&cluster, &cluster.servers(), 2).await;
    assert!(text.contains("/shard_1 has wal_level = replica: set wal_level = logical"), "{text}");

    let small = Server::default().parameter("max_logical_replication_workers", "1");
    let cluster = Cluster::start_with(1, 2, 1, small).await;
    let text = refusal(&cluster, &cluster.servers(), 2).await;
    let expected =
        "/shard_2 has max_logical_replication_workers = 1, of which 0 are taken: set it to at least 2";
    assert!(text.contains(expected), "{text}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn shards_that_are_not_ready_are_named_with_what_to_do() {
    let cluster = Cluster::start(1, 2).await;
    let text = refusal(&cluster, &cluster.servers(), 1).await;
    assert_eq!(text, "shards 1 to 1 hold the buckets evenly already: there is nothing to move");
    let text = refusal(&cluster, &cluster.servers(), 3).await;
    assert!(text.contains("3 shards are needed and 2 are named: set `DATABASE_SHARD_3_PRIMARY`"), "{text}");

    cluster.ask(
        1,
        "CREATE ROLE plain LOGIN PASSWORD 'plain'; GRANT ALL ON SCHEMA phalanx TO plain;
                    GRANT ALL ON ALL TABLES IN SCHEMA phalanx TO plain",
    );
    cluster
        .ask(2, "GRANT ALL ON SCHEMA phalanx TO plain; GRANT ALL ON ALL TABLES IN SCHEMA phalanx TO plain");
    let as_plain = |shard: &ShardServers| {
        let name = shard.primary.name();
        let primary = ServerUrl::parse(&format!("postgres://plain:plain@{name}")).unwrap();
        ShardServers { primary, replicas: vec![] }
    };
    let plain = Servers::new(cluster.servers().shards().iter().map(as_plain).collect()).unwrap();
    let text = refusal(&cluster, &plain, 2).await;
    assert!(text.contains("user `plain` of") && text.contains("is no superuser"), "{text}");

    cluster.ask(2, "CREATE TABLE more (id bigint); SELECT phalanx.fence_table('more', 'id')");
    let text = refusal(&cluster, &cluster.servers(), 2).await;
    assert!(text.contains("table phalanx.more of") && text.contains("has no primary key"), "{text}");
    cluster.ask(2, "ALTER TABLE more ADD PRIMARY KEY (id)");
    let text = refusal(&cluster, &cluster.servers(), 2).await;
    assert!(text.contains("/shard_2 has other fenced tables than"), "{text}");

    let swapped = Servers::new(cluster.servers().shards().iter().rev().cloned().collect()).unwrap();
    let begun = Resharding::begin(&swapped, &connections(), Placement::Hashed, Options::new(2)).await;
    assert!(matches!(begun.err().unwrap(), ReshardError::OtherShard { shard: 1, found: 2, .. }));
    cluster.ask(2, "UPDATE phalanx.buckets SET owner = 2, epoch = 9 WHERE bucket = 7");
    let text = refusal(&cluster, &cluster.servers(), 2).await;
    assert!(text.contains("different maps of buckets (epochs 1 and 9)"), "{text}");
    cluster.ask(2, "DROP SCHEMA phalanx CASCADE");
    let text = refusal(&cluster, &cluster.servers(), 2).await;
    assert!(text.contains("lacks migrations") && text.contains("/shard_2"), "{text}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_resharding_and_one_process_at_a_time() {
    let cluster = Cluster::start(1, 3).await;
    let nothing = reshard::ask_back(&cluster.servers(), &connections()).await.unwrap_err();
    assert!(matches!(nothing, ReshardError::NotUnderWay));
    let resharding = cluster.begin(2).await.unwrap();
    let busy = cluster.begin(2).await.err().unwrap();
    assert!(matches!(busy, ReshardError::Busy { shard: 1, .. }), "{busy}");
    assert_eq!(reshard::ask_back(&cluster.servers(), &connections()).await.unwrap(), Stage::Provision);
    drop(resharding);
    let another = cluster.begin(3).await.err().unwrap();
    assert!(matches!(another, ReshardError::Another { under_way: 2, wanted: 3, .. }), "{another}");
    let resharding = Resharding::resume(&cluster.servers(), &connections()).await.unwrap();
    assert_eq!(run(resharding, |_| {}).await.unwrap(), Outcome::Aborted);
    let over = Resharding::resume(&cluster.servers(), &connections()).await.err().unwrap();
    assert!(matches!(over, ReshardError::NotUnderWay), "{over}");
    let options = Options { soak: std::time::Duration::ZERO, patience: PATIENCE, ..Options::new(3) };
    cluster.finish(options, Outcome::Done).await;
    assert_eq!(cluster.map(), "1:1366@1 2:1365@2 3:1365@2");
}
