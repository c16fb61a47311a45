//! The map of buckets as the shards hold it, in the table `phalanx.buckets` of each.
//!
//! A greater version is newer, wherever it was found. A shard without the table has none, and a topology in which no shard has
//! one divides the buckets evenly.
//!
//! Who changes the map tells nobody, so it is asked for: of one shard after the other, one in each period, so that many processes
//! cost each shard little; and of all of them at once when a statement has met with a newer one. A refresh that is asked for while
//! another runs is that other one, and between two of them is a pause, whatever fails.
//! Elsewhere: waiting until a bucket takes writes again (`super::moved`).

#[cfg(test)]
mod tests;

use std::{sync::Arc, time::Duration};

use futures_util::future::join_all;
use phalanx_shard::{
    Bucket, BucketMap, Lsn,
    bucket::BUCKETS,
    map::{MapVersion, Routes, ShardId as MapShard, Transit},
    read::Moment,
};
use phalanx_telemetry::clock;
use tokio::time;

use super::{
    member::Member,
    shared::{Changing, Shards, Shared},
    state::ShardState,
};
use crate::{
    AccessError, ColumnError, Row, Statement,
    backend::{Endpoint, Query},
};

const IS_THERE: Statement =
    Statement::new("phalanx_map_exists", "SELECT to_regclass('phalanx.buckets') IS NOT NULL AS is_there");
const VERSION: Statement = Statement::new(
    "phalanx_map_version",
    "SELECT (SELECT coalesce(max(epoch), 0) FROM phalanx.buckets)::bigint AS epoch,
            (SELECT revision FROM phalanx.meta) AS revision",
);
/// The revision in each row, since two statements could see two states.
const MAP: Statement = Statement::new(
    "phalanx_map",
    "SELECT bucket::int AS bucket, owner::int AS owner, epoch, reader::int AS reader, since_timeline, since_lsn,
            (SELECT revision FROM phalanx.meta) AS revision
       FROM phalanx.buckets ORDER BY bucket",
);

/// How long a shard has to tell its map; one that does not is passed over, since the others hold it as well.
const TIMEOUT: Duration = Duration::from_secs(2);
/// From the end of one refresh to the beginning of the next at least: writers that wait for a bucket ask often, and many do.
const REFRESH_PAUSE: Duration = Duration::from_millis(25);

/// Whose work a refresh was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refresh {
    /// It was asked for before it began.
    Own,
    /// Another caller's, which may have begun before.
    Shared,
}

/// Takes the newest map of all shards, if it is newer than the one in use.
pub(crate) async fn refresh(shared: &Shared) -> Refresh {
    let before = shared.refreshes();
    let mut changing = shared.changing.lock().await;
    if shared.refreshes() != before {
        return Refresh::Shared;
    }
    if let Some(ended) = changing.refreshed {
        time::sleep_until((ended + REFRESH_PAUSE).into()).await;
    }
    let shards = shared.shards.load_full();
    let version = shards.routes.version();
    let answers = join_all(shards.states.iter().map(|state| asked(state, version))).await;
    if let Some(newest) = answers.into_iter().flatten().max_by_key(Routes::version) {
        take(shared, &mut changing, newest);
    }
    changing.refreshed = Some(clock::now());
    shared.count_refresh();
    Refresh::Own
}

/// Asks one shard, the next at each turn.
pub(crate) async fn poll(shared: &Shared, turn: usize) {
    let shards = shared.shards.load_full();
    let state = &shards.states[turn % shards.states.len()];
    if let Some(newer) = asked(state, shards.routes.version()).await {
        take(shared, &mut *shared.changing.lock().await, newer);
    }
}

/// Makes shards and routes those of all statements that begin from here on.
pub(crate) fn publish(shared: &Shared, shards: Shards) {
    let epoch = shards.epoch();
    for place in shards.states.iter().flat_map(|state| &state.places) {
        place.member.endpoint.set_epoch(epoch);
    }
    shared.shards.store(Arc::new(shards));
}

/// The number of a shard that the routes name and the topology has not.
pub(crate) fn missing(states: &[Arc<ShardState>], routes: &Routes) -> Option<u16> {
    let is_missing = |number: &u16| !states.iter().any(|state| state.id.0 == *number);
    routes.shards().into_iter().map(MapShard::get).find(is_missing)
}

/// Puts routes in the place of those in use if they are newer and the topology has all their shards.
fn take(shared: &Shared, changing: &mut Changing, newest: Routes) {
    let shards = shared.shards.load_full();
    let version = newest.version();
    if version <= shards.routes.version() || changing.refused == Some(version) {
        return;
    }
    let MapVersion { epoch, revision } = version;
    if let Some(missing) = missing(&shards.states, &newest) {
        tracing::error!(
            shard = missing,
            epoch,
            revision,
            "the map of buckets names a shard that the topology has not"
        );
        // Told once: it is found again at each look until the topology has the shard.
        changing.refused = Some(version);
        return;
    }
    tracing::info!(epoch, revision, "the map of buckets has changed");
    publish(shared, Shards { states: shards.states.clone(), routes: Arc::new(newest) });
}

/// What a shard has, if that is newer and it says so; a shard without a primary has nothing to say.
async fn asked(state: &ShardState, version: MapVersion) -> Option<Routes> {
    let primary = state.view().primary.clone()?;
    match time::timeout(TIMEOUT, newer(&primary, version)).await {
        Ok(Ok(newer)) => newer,
        Ok(Err(error)) => {
            let error: &dyn std::error::Error = &error;
            tracing::warn!(shard = state.id.0, error, "cannot read the map of buckets");
            None
        }
        Err(_) => {
            tracing::warn!(shard = state.id.0, "the map of buckets was not answered in time");
            None
        }
    }
}

/// The same for whoever cannot go on without the answer.
pub(crate) async fn ask(state: &ShardState, version: MapVersion) -> Result<Option<Routes>, AccessError> {
    let primary = state.view().primary.clone().ok_or(AccessError::Unreachable)?;
    time::timeout(TIMEOUT, newer(&primary, version)).await.unwrap_or(Err(AccessError::Unreachable))
}

async fn newer(primary: &Member, version: MapVersion) -> Result<Option<Routes>, AccessError> {
    // Files have no map of their own: nothing moves between them.
    if let Endpoint::Sqlite(_) = primary.endpoint {
        return Ok(None);
    }
    let read = async |statement: &Statement| primary.endpoint.read(Query { statement, values: &[] }).await;
    let is_there = read(&IS_THERE).await?.first().map(|row| row.get("is_there")).transpose()?;
    if !is_there.unwrap_or(false) {
        return Ok(None);
    }
    let found = read(&VERSION).await?.first().map(version_of).transpose()?;
    if found.is_none_or(|found| found <= version) {
        return Ok(None);
    }
    Ok(routes_of(&read(&MAP).await?)?)
}

/// The routes that the rows are; `None` unless every bucket has exactly one.
fn routes_of(rows: &[Row]) -> Result<Option<Routes>, ColumnError> {
    let mut owners = Vec::with_capacity(usize::from(BUCKETS));
    let mut transits = Vec::new();
    let mut version = MapVersion { epoch: 0, revision: 0 };
    for (bucket, row) in Bucket::all().zip(rows) {
        let is_this = row.get::<u16>("bucket")? == bucket.get();
        let (Some(owner), true) = (shard_of(row.get("owner")?), is_this) else { return Ok(None) };
        owners.push(owner);
        transits.push((bucket, transit_of(row)?));
        version = version.max(version_of(row)?);
    }
    if owners.len() != rows.len() || rows.len() != usize::from(BUCKETS) {
        return Ok(None);
    }
    let owner = |bucket: Bucket| owners[usize::from(bucket.get())];
    Ok(Some(Routes::new(BucketMap::from_owner(version.epoch, owner), version.revision, transits)))
}

fn version_of(row: &Row) -> Result<MapVersion, ColumnError> {
    Ok(MapVersion { epoch: row.get("epoch")?, revision: row.get("revision")? })
}

fn transit_of(row: &Row) -> Result<Transit, ColumnError> {
    let reader = row.get::<Option<u16>>("reader")?.and_then(shard_of);
    let (timeline, lsn) = (row.get::<Option<u32>>("since_timeline")?, row.get::<Option<u64>>("since_lsn")?);
    let since = timeline.zip(lsn).map(|(timeline, lsn)| Moment { timeline, lsn: Lsn(lsn) });
    Ok(Transit { reader, since })
}

fn shard_of(number: u16) -> Option<MapShard> {
    MapShard::try_from(number).ok()
}
