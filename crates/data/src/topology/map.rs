//! The map of buckets as the shards hold it, in the table `phalanx.buckets` of each.
//!
//! A map with a greater epoch is newer, wherever it was found. A shard without the table has none, and a topology in which no
//! shard has one divides the buckets evenly.

use std::{sync::Arc, time::Duration};

use phalanx_shard::{Bucket, BucketMap, ShardId as MapShard, bucket::BUCKETS};
use tokio::time;

use super::{
    shared::{Shards, Shared},
    state::ShardState,
};
use crate::{
    AccessError, ColumnError, Row, Statement,
    backend::{Endpoint, Query},
};

const IS_THERE: Statement =
    Statement::new("phalanx_map_exists", "SELECT to_regclass('phalanx.buckets') IS NOT NULL AS is_there");
const EPOCH: Statement = Statement::new(
    "phalanx_map_epoch",
    "SELECT coalesce(max(epoch), 0)::bigint AS epoch FROM phalanx.buckets",
);
const MAP: Statement = Statement::new(
    "phalanx_map",
    "SELECT bucket::int AS bucket, owner::int AS owner, epoch::bigint AS epoch FROM phalanx.buckets ORDER BY bucket",
);

/// How long a shard has to tell its map; one that does not is passed over, since the others hold it as well.
const TIMEOUT: Duration = Duration::from_secs(2);

/// Takes the newest map of all shards, if it is newer than the one in use.
pub(crate) async fn refresh(shared: &Shared) {
    let _changing = shared.changing.lock().await;
    let shards = shared.shards.load_full();
    let mut newest = Arc::clone(&shards.map);
    for state in &shards.states {
        match time::timeout(TIMEOUT, newer(state, newest.epoch())).await {
            Ok(Ok(Some(map))) => newest = Arc::new(map),
            Ok(Ok(None)) => {}
            Ok(Err(error)) => {
                let error: &dyn std::error::Error = &error;
                tracing::warn!(shard = state.id.0, error, "cannot read the map of buckets");
            }
            Err(_) => tracing::warn!(shard = state.id.0, "the map of buckets was not answered in time"),
        }
    }
    if let Some(missing) = missing(&shards, &newest) {
        let epoch = newest.epoch();
        tracing::error!(shard = missing, epoch, "the map of buckets names a shard that the topology has not");
        return;
    }
    if newest.epoch() > shards.map.epoch() {
        publish(shared, &Shards { states: shards.states.clone(), map: newest });
    }
}

/// Makes shards and map those of all statements that begin from here on.
pub(crate) fn publish(shared: &Shared, shards: &Shards) {
    let Shards { states, map } = shards;
    for place in states.iter().flat_map(|state| &state.places) {
        place.member.endpoint.set_epoch(map.epoch());
    }
    shared.shards.store(Arc::new(Shards { states: states.clone(), map: Arc::clone(map) }));
}

/// The number of a shard that the map names and the topology has not.
pub(crate) fn missing(shards: &Shards, map: &BucketMap) -> Option<u16> {
    let is_missing = |number: &u16| !shards.states.iter().any(|state| state.id.0 == *number);
    map.shards().into_iter().map(MapShard::get).find(is_missing)
}

/// The map of a shard if its epoch is greater.
async fn newer(state: &ShardState, epoch: u64) -> Result<Option<BucketMap>, AccessError> {
    let Some(primary) = state.view().primary.clone() else { return Ok(None) };
    // Files have no map of their own: nothing moves between them.
    if let Endpoint::Sqlite(_) = primary.endpoint {
        return Ok(None);
    }
    let read = async |statement: &Statement| primary.endpoint.read(Query { statement, values: &[] }).await;
    let is_there = read(&IS_THERE).await?.first().map(|row| row.get("is_there")).transpose()?;
    if !is_there.unwrap_or(false) {
        return Ok(None);
    }
    let found: Option<u64> = read(&EPOCH).await?.first().map(|row| row.get("epoch")).transpose()?;
    if found.is_none_or(|found| found <= epoch) {
        return Ok(None);
    }
    Ok(of_rows(&read(&MAP).await?)?)
}

/// The map that the rows are; `None` unless every bucket has exactly one.
fn of_rows(rows: &[Row]) -> Result<Option<BucketMap>, ColumnError> {
    let mut owners = Vec::with_capacity(usize::from(BUCKETS));
    let mut epoch = 0;
    for (expected, row) in (0u32..).zip(rows) {
        let owner = MapShard::try_from(row.get::<u16>("owner")?).ok();
        let (Some(owner), true) = (owner, row.get::<u32>("bucket")? == expected) else { return Ok(None) };
        owners.push(owner);
        epoch = epoch.max(row.get::<u64>("epoch")?);
    }
    if owners.len() != usize::from(BUCKETS) {
        return Ok(None);
    }
    Ok(Some(BucketMap::from_owner(epoch, |bucket: Bucket| owners[usize::from(bucket.get())])))
}
