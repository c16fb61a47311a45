//! What the tables of one shard say, read and never written.

use phalanx_shard::{Bucket, BucketSet};
use tokio_postgres::Client;

use super::{DanglingRows, Questions, Resharding, Tables};
use crate::{
    MigrateError,
    migrations::{map, postgres as migrations},
};

/// The first shard alone keeps the state of a resharding.
const FIRST: u16 = 1;

/// Asks one server of a shard.
pub(super) async fn ask(
    client: &Client,
    shard: u16,
    server: &str,
    questions: Questions,
) -> Result<Tables, MigrateError> {
    let lacking = match migrations::plan(client, questions.migrations).await {
        Ok(lacking) => Ok(lacking),
        Err(error @ MigrateError::History(_)) => Err(error),
        Err(error) => return Err(error),
    };
    let is_there = exists(client, "phalanx.buckets").await?;
    let stated = if is_there { Some(map::read(client).await?) } else { None };
    let (number, map) = stated.map_or((None, None), |stated| (stated.shard, stated.map));
    let paused = if is_there { paused(client).await? } else { BucketSet::default() };
    let resharding = if shard == FIRST { resharding(client).await? } else { None };
    let dangling = match (questions.dangling, &lacking) {
        (Some(rows), Ok(lacking)) if lacking.is_empty() => Some(dangling(client, rows).await?),
        _ => None,
    };
    Ok(Tables {
        server: server.to_owned(),
        lacking,
        shard: number.map(phalanx_shard::map::ShardId::get),
        map,
        paused,
        resharding,
        dangling,
    })
}

async fn exists(client: &Client, table: &str) -> Result<bool, MigrateError> {
    Ok(client.query_one("SELECT to_regclass($1) IS NOT NULL", &[&table]).await?.get(0))
}

async fn paused(client: &Client) -> Result<BucketSet, MigrateError> {
    let text = "SELECT bucket FROM phalanx.buckets WHERE here AND state = 'paused'";
    let rows = client.query(text, &[]).await?;
    let bucket = |stored: i16| Bucket::try_from(u16::try_from(stored).ok()?).ok();
    Ok(rows.iter().filter_map(|row| bucket(row.get(0))).collect())
}

async fn resharding(client: &Client) -> Result<Option<Resharding>, MigrateError> {
    if !exists(client, "phalanx.reshard").await? {
        return Ok(None);
    }
    let text = "SELECT stage::text, direction::text FROM phalanx.reshard WHERE stage::text NOT IN ('done', 'aborted')";
    let row = client.query_opt(text, &[]).await?;
    Ok(row.map(|row| Resharding { stage: row.get(0), direction: row.get(1) }))
}

async fn dangling(client: &Client, rows: DanglingRows) -> Result<u64, MigrateError> {
    let count: i64 = client.query_one(rows.statement.sql(), &[&rows.until]).await?.get(0);
    Ok(count.unsigned_abs())
}
