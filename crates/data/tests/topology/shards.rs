//! Several shards.

use std::{num::NonZeroUsize, time::Duration};

use phalanx_data::{
    AccessError, Consistency, MigrateMode, Migration, Policy, Scatter, Settings, ShardId, Statement, migrate,
};
use phalanx_shard::{Id, Placement, map::Modulus};
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
    migrate(&servers, &settings(), &[], MigrateMode::Apply).await.unwrap();
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

const ORDERS: &[Migration] =
    &[Migration::new("the fence of orders", "SELECT phalanx.fence_table('orders', 'id', 4095)")];
const ADD: Statement = Statement::new("order_add", "INSERT INTO orders (id, body) VALUES ($1, $2)");
const CHANGE: Statement = Statement::new("order_change", "UPDATE orders SET body = $2 WHERE id = $1");

/// Of three servers by `id % 3`, as many databases were divided before: no row moves, and the fence knows whose each is.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_that_was_divided_by_a_remainder_is_adopted_as_it_is() {
    let postgres: Vec<_> = (0..3).map(|_| Postgres::start(Server::default())).collect();
    for (remainder, server) in postgres.iter().enumerate() {
        server.execute("CREATE TABLE orders (id bigint PRIMARY KEY, body text NOT NULL)");
        let rows =
            format!("INSERT INTO orders SELECT 3 * n + {remainder}, 'old' FROM generate_series(1, 100) n");
        server.execute(&rows);
    }
    let servers = servers(&[(&postgres[0], &[]), (&postgres[1], &[]), (&postgres[2], &[])]);
    let placement = Placement::Modulo(Modulus::try_from(3).unwrap());
    let adopting = Settings { placement, ..settings() };
    migrate(&servers, &adopting, ORDERS, MigrateMode::Apply).await.unwrap();
    let running = Running::open(&servers, adopting).await.unwrap();
    assert_eq!(running.data.map().to_string(), "1:0-4095/3 2:1-4093/3 3:2-4094/3");
    for id in (3..303).step_by(7) {
        let shard = running.data.shard_for(Id::try_from(id).unwrap());
        let changed = shard.write(&CHANGE, &[id.into(), "new".into()]).await.unwrap();
        assert_eq!(changed.count, 1, "{id}");
        shard.write(&ADD, &[(id + 3 * 4095).into(), "more".into()]).await.unwrap();
    }
    let strange = running.data.shard(ShardId(2)).unwrap().write(&ADD, &[900_000.into(), "x".into()]).await;
    assert!(matches!(strange, Err(AccessError::Moved { .. })), "{strange:?}");
    running.close().await;
}
