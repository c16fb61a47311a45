//! Several shards.

use std::{num::NonZeroUsize, time::Duration};

use phalanx_data::{Consistency, MigrateMode, Policy, Scatter, Settings, ShardId, migrate};
use phalanx_test_servers::{Postgres, Settings as Server};

use crate::support::{COUNT, INSERT, Running, TABLE, bodies, servers, settings};

fn bounds(policy: Policy) -> Scatter {
    Scatter { parallel_max: NonZeroUsize::new(2).unwrap(), timeout: Duration::from_secs(5), policy }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rows_are_on_the_shard_of_their_key_and_all_shards_answer_together() {
    let (first, second) = (Postgres::start(Server::default()), Postgres::start(Server::default()));
    first.execute(TABLE);
    second.execute(TABLE);
    let hasty = Settings { primary_wait_max: Duration::from_millis(300), ..settings() };
    let running = Running::open(&servers(&[(&first, &[]), (&second, &[])]), hasty).await.unwrap();
    for id in 0..40_i64 {
        let shard = running.data.shard_for(format!("tenant {id}").as_str());
        shard.write(&INSERT, &[id.into(), "x".into()]).await.unwrap();
        assert_eq!(bodies(&shard, &Consistency::eventual(), id).await, ["x"]);
    }
    let counts = [&first, &second].map(|server| server.query_one_text("SELECT count(*) FROM notes"));
    let counts = counts.map(|count| count.parse::<i64>().unwrap());
    assert!(counts.iter().all(|count| *count > 5) && counts.iter().sum::<i64>() == 40, "{counts:?}");

    let count = async |shard: phalanx_data::Shard| {
        let rows = shard.read(&Consistency::eventual(), &COUNT, &[]).await?;
        Ok(rows[0].get::<i64>("notes")?)
    };
    let gathered = running.data.scatter(bounds(Policy::All), count).await.unwrap();
    assert_eq!(gathered.answers, [(ShardId(1), counts[0]), (ShardId(2), counts[1])]);

    second.kill();
    running.until(&["primary", "unreachable"]).await;
    let gathered = running.data.scatter(bounds(Policy::Partial), count).await.unwrap();
    assert_eq!(gathered.answers, [(ShardId(1), counts[0])]);
    assert_eq!(gathered.failed.iter().map(|(shard, _)| *shard).collect::<Vec<_>>(), [ShardId(2)]);
    let refused = running.data.scatter(bounds(Policy::All), count).await.unwrap_err();
    assert_eq!(refused.shard, 2);
    running.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_map_in_the_shards_wins_over_the_one_in_use() {
    let (first, second) = (Postgres::start(Server::default()), Postgres::start(Server::default()));
    let servers = servers(&[(&first, &[]), (&second, &[])]);
    let running = Running::open(&servers, settings()).await.unwrap();
    let owner = |running: &Running| running.data.shard_for(phalanx_shard::Bucket::of_low_bits(5)).id();
    assert_eq!((running.data.map().epoch(), owner(&running)), (0, ShardId(1)));
    migrate(&servers, &settings().connections, &[], MigrateMode::Apply).await.unwrap();
    running.data.refresh_map().await;
    assert_eq!((running.data.map().epoch(), owner(&running)), (1, ShardId(1)));
    second.execute("UPDATE phalanx.buckets SET epoch = 7, owner = 2 WHERE bucket = 5");
    running.data.refresh_map().await;
    assert_eq!((running.data.map().epoch(), owner(&running)), (7, ShardId(2)));
    second.execute("UPDATE phalanx.buckets SET epoch = 8, owner = 9 WHERE bucket = 6");
    running.data.refresh_map().await;
    assert_eq!(running.data.map().epoch(), 7, "a shard that the topology has not cannot hold anything");
    running.close().await;
}
