//! What is asked of the shards before a resharding begins, so that what cannot work is refused before anything has changed.

use std::collections::BTreeSet;

use phalanx_shard::{
    BucketMap, Placement,
    map::ShardId,
    plan::{self, Move, Plan},
};

use super::{
    ReshardError, buckets,
    session::Session,
    shards::Shards,
    tables::{self, Table},
};

/// The first major version whose streams have row filters.
const VERSION_MIN: i32 = 15;

/// The map that all shards hold.
pub(super) async fn common_map(shards: &mut Shards) -> Result<BucketMap, ReshardError> {
    let all = shards.all();
    shards.connected(&all).await?;
    let mut common: Option<(u16, BucketMap)> = None;
    for shard in all {
        let session = shards.session(shard)?;
        let (number, server) = (shard.get(), session.server.to_string());
        let Some((found, map)) = buckets::stated(session).await? else {
            return Err(ReshardError::NotMigrated { shard: number, server });
        };
        if found != number {
            return Err(ReshardError::OtherShard { shard: number, found, server });
        }
        match &common {
            None => common = Some((number, map)),
            Some((first, known)) if *known != map => {
                return Err(ReshardError::MapsDiffer {
                    first: *first,
                    first_epoch: known.epoch(),
                    second: number,
                    second_epoch: map.epoch(),
                });
            }
            Some(_) => {}
        }
    }
    common.map(|(_, map)| map).ok_or(ReshardError::ShardsMissing { wanted: 1, named: 0 })
}

/// What has to move for the shards from 1 to `shards_to` to hold everything.
pub(super) fn planned(
    map: &BucketMap,
    placement: Placement,
    shards_to: u16,
    named: usize,
) -> Result<Plan, ReshardError> {
    let wanted = map.shards().last().map_or(0, |last| last.get()).max(shards_to);
    if usize::from(wanted) > named {
        return Err(ReshardError::ShardsMissing { wanted, named });
    }
    let plan = plan::plan(map, placement, &ShardId::first(shards_to).collect::<BTreeSet<_>>())?;
    if plan.moves.is_empty() {
        return Err(ReshardError::NothingToMove { shards: shards_to });
    }
    Ok(plan)
}

/// Whether the shards that rows leave or come to can stream, in both directions.
pub(super) async fn able(shards: &Shards, moves: &[Move]) -> Result<(), ReshardError> {
    let ends: BTreeSet<ShardId> = moves.iter().flat_map(|step| [step.source, step.target]).collect();
    for shard in ends {
        let session = shards.session(shard)?;
        server(session).await?;
        let count = |of: fn(&Move) -> ShardId| {
            i64::try_from(moves.iter().filter(|step| of(step) == shard).count()).unwrap_or(i64::MAX)
        };
        room(session, count(|step| step.source), count(|step| step.target)).await?;
    }
    Ok(())
}

async fn server(session: &Session) -> Result<(), ReshardError> {
    let text =
        "SELECT current_setting('server_version_num')::int4 / 10000, current_setting('server_version'),
                       current_setting('wal_level'), rolsuper, current_user::text
                  FROM pg_roles WHERE rolname = current_user";
    let row = session.one("ask what it can do", text, &[]).await?;
    let server = session.server.to_string();
    if row.get::<_, i32>(0) < VERSION_MIN {
        return Err(ReshardError::TooOld { server, found: row.get(1) });
    }
    if row.get::<_, &str>(2) != "logical" {
        return Err(ReshardError::WalLevel { server, found: row.get(2) });
    }
    if !row.get::<_, bool>(3) {
        return Err(ReshardError::NotSuperuser { server, user: row.get(4) });
    }
    Ok(())
}

/// Each stream takes a slot and a sender where it begins, and an origin and a worker where it ends; while rows are copied, it
/// takes each of them twice. Every stream is turned round in the end.
async fn room(session: &Session, leaving: i64, coming: i64) -> Result<(), ReshardError> {
    let (all, subscribed) = (2 * (leaving + coming), leaving.max(2 * coming));
    for (parameter, used, more) in [
        (
            "max_replication_slots",
            "greatest((SELECT count(*) FROM pg_replication_slots), (SELECT count(*) FROM pg_replication_origin))",
            all,
        ),
        ("max_wal_senders", "(SELECT count(*) FROM pg_stat_replication)", all),
        (
            "max_logical_replication_workers",
            "(SELECT count(*) FROM pg_stat_subscription WHERE pid IS NOT NULL)",
            subscribed,
        ),
        // One more for the process that starts the others.
        (
            "max_worker_processes",
            "(SELECT 1 + count(*) FROM pg_stat_subscription WHERE pid IS NOT NULL)",
            subscribed,
        ),
    ] {
        let text = format!("SELECT current_setting('{parameter}')::int8, {used}::int8");
        let row = session.one("ask for its parameters", &text, &[]).await?;
        let (found, used): (i64, i64) = (row.get(0), row.get(1));
        let wanted = used + more;
        if found < wanted {
            let server = session.server.to_string();
            return Err(ReshardError::Parameter { server, parameter, found, used, wanted });
        }
    }
    Ok(())
}

/// The fenced tables, which are the same in all shards that rows leave or come to.
pub(super) async fn common_tables(shards: &Shards, moves: &[Move]) -> Result<Vec<Table>, ReshardError> {
    let mut common: Option<(String, Vec<Table>)> = None;
    for shard in moves.iter().flat_map(|step| [step.source, step.target]) {
        let session = shards.session(shard)?;
        let (server, found) = (session.server.to_string(), tables::read(session).await?);
        match &common {
            None if found.is_empty() => return Err(ReshardError::NotMigrated { shard: shard.get(), server }),
            None => common = Some((server, found)),
            Some((other, known)) if *known != found => {
                return Err(ReshardError::TablesDiffer { server, other: other.clone() });
            }
            Some(_) => {}
        }
    }
    Ok(common.map(|(_, tables)| tables).unwrap_or_default())
}
