//! The number of a shard and the bucket map, as its tables hold them: read anywhere, and written where they are missing.
//!
//! The map of a topology that never had one follows from its placement and its shards, the same whoever writes it. A shard that joins others gets theirs, in
//! which it owns nothing yet.

use phalanx_shard::{Bucket, BucketMap, Placement, map::ShardId};
use tokio_postgres::Client;

use super::postgres::MigrateError;

/// The epoch of a map that nobody has changed.
const FIRST_EPOCH: u64 = 1;

/// What a shard says of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Stated {
    /// Its number, once it has one.
    pub(crate) shard: Option<ShardId>,
    /// Its map, once it has one.
    pub(crate) map: Option<BucketMap>,
}

/// Reads both.
pub(crate) async fn read(client: &Client) -> Result<Stated, MigrateError> {
    let shard: Option<i16> = client.query_one("SELECT shard FROM phalanx.meta", &[]).await?.get(0);
    let rows = client.query("SELECT owner, epoch FROM phalanx.buckets ORDER BY bucket", &[]).await?;
    let number = |stored: i16| u16::try_from(stored).ok().and_then(|number| ShardId::try_from(number).ok());
    let owners: Option<Vec<ShardId>> = rows.iter().map(|row| number(row.get(0))).collect();
    let epoch = rows.iter().map(|row| row.get::<_, i64>(1).cast_unsigned()).max();
    let map = owners
        .filter(|owners| owners.len() == usize::from(phalanx_shard::bucket::BUCKETS))
        .zip(epoch)
        .map(|(owners, epoch)| BucketMap::from_owner(epoch, |bucket| owners[usize::from(bucket.get())]));
    Ok(Stated { shard: shard.and_then(number), map })
}

/// The map that the shards without one get: the one with the greatest epoch, else that of a database which was divided before,
/// or the even one.
pub(crate) fn to_spread(stated: &[Stated], placement: Placement) -> BucketMap {
    let shards = u16::try_from(stated.len()).unwrap_or(u16::MAX);
    let known = stated.iter().filter_map(|shard| shard.map.clone()).max_by_key(BucketMap::epoch);
    known.or_else(|| placement.adopted_map()).unwrap_or_else(|| {
        BucketMap::evenly(FIRST_EPOCH, shards).expect("a topology has at least one shard and at most 256")
    })
}

/// Gives a shard its number and its map, unless it has them. Another process may do the same at once.
pub(crate) async fn write(client: &mut Client, shard: ShardId, map: &BucketMap) -> Result<(), MigrateError> {
    let number = i32::from(shard.get());
    let owners: Vec<i32> = Bucket::all().map(|bucket| i32::from(map.owner(bucket).get())).collect();
    let transaction = client.transaction().await?;
    transaction.execute("UPDATE phalanx.meta SET shard = $1::int4 WHERE shard IS NULL", &[&number]).await?;
    transaction
        .execute(
            "INSERT INTO phalanx.buckets (bucket, owner, epoch)
             SELECT place - 1, owner, $2 FROM unnest($1::int4[]) WITH ORDINALITY AS owners (owner, place)
             ON CONFLICT (bucket) DO NOTHING",
            &[&owners, &map.epoch().cast_signed()],
        )
        .await?;
    Ok(transaction.commit().await?)
}
