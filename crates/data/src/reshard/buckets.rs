//! Changes of `phalanx.buckets` in one shard, each a transaction that waits for the writers that were let in before.
//!
//! Every change says what it expects to find, so that the second attempt, or one that comes too late, changes nothing.

use std::time::Duration;

use phalanx_shard::{Bucket, BucketMap, BucketSet, map::ShardId};

use super::{ReshardError, filter, session::Session, state::seconds};

/// What an owner takes over with.
#[derive(Clone, Copy, Debug)]
pub(super) struct Handover {
    pub(super) owner: ShardId,
    pub(super) epoch: u64,
    /// Where the owner's log is at or after all that was ever written to the buckets.
    pub(super) since_timeline: i32,
    pub(super) since_lsn: u64,
}

/// Sends reads that ask for no position to `reader`, or to the owner again.
pub(super) async fn set_reader(
    session: &Session,
    buckets: &BucketSet,
    reader: Option<ShardId>,
) -> Result<(), ReshardError> {
    let reader = reader.map_or_else(|| "NULL".to_owned(), |reader| reader.to_string());
    let set = format!("reader = {reader}");
    change(session, "switch reads", buckets, &set, &format!("reader IS DISTINCT FROM {reader}")).await
}

/// Lets no more writes to buckets of this shard in; those that were let in have ended when it answers.
pub(super) async fn pause(
    session: &Session,
    buckets: &BucketSet,
    epoch_max: u64,
) -> Result<(), ReshardError> {
    let set = "state = 'paused', paused_at = clock_timestamp()";
    let expected = format!("here AND state = 'open' AND epoch <= {epoch_max}");
    change(session, "pause writes", buckets, set, &expected).await
}

/// Gives buckets to another owner, paused.
pub(super) async fn hand_over(
    session: &Session,
    buckets: &BucketSet,
    to: Handover,
) -> Result<(), ReshardError> {
    let Handover { owner, epoch, since_timeline, since_lsn } = to;
    let since = phalanx_shard::Lsn(since_lsn);
    let set = format!(
        "owner = {owner}, epoch = {epoch}, reader = NULL, state = 'paused',
         paused_at = coalesce(paused_at, clock_timestamp()),
         since_timeline = {since_timeline}, since_lsn = '{since}'"
    );
    change(session, "give buckets to their owner", buckets, &set, &format!("epoch < {epoch}")).await
}

/// Lets writes in.
pub(super) async fn open(session: &Session, buckets: &BucketSet) -> Result<(), ReshardError> {
    change(session, "open buckets", buckets, "state = 'open', paused_at = NULL", "state = 'paused'").await
}

/// Forgets from where on owners have all: replicas and positions of clients are past it.
pub(super) async fn forget_since(session: &Session, buckets: &BucketSet) -> Result<(), ReshardError> {
    let set = "since_timeline = NULL, since_lsn = NULL";
    change(session, "forget where buckets moved", buckets, set, "since_lsn IS NOT NULL").await
}

async fn change(
    session: &Session,
    action: &'static str,
    buckets: &BucketSet,
    set: &str,
    expected: &str,
) -> Result<(), ReshardError> {
    let array = filter::array(buckets);
    let is_due =
        format!("SELECT EXISTS (SELECT FROM phalanx.buckets WHERE bucket = ANY ({array}) AND {expected})");
    if !session.one(action, &is_due, &[]).await?.get::<_, bool>(0) {
        return Ok(());
    }
    let text = format!(
        "SELECT phalanx.close_buckets({array});
         UPDATE phalanx.buckets SET {set} WHERE bucket = ANY ({array}) AND {expected};
         UPDATE phalanx.meta SET revision = revision + 1"
    );
    session.execute(action, &text).await
}

/// For how long writes of these buckets have been paused, by the shard's own clock.
pub(super) async fn paused(session: &Session, buckets: &BucketSet) -> Result<Duration, ReshardError> {
    let text = format!(
        "SELECT coalesce(extract(epoch FROM clock_timestamp() - min(paused_at)), 0)::float8
           FROM phalanx.buckets WHERE state = 'paused' AND bucket = ANY ({})",
        filter::array(buckets)
    );
    Ok(seconds(session.one("ask for how long writes are paused", &text, &[]).await?.get(0)))
}

/// The first of `buckets` for which a condition does not hold.
pub(super) async fn first_without(
    session: &Session,
    buckets: &BucketSet,
    condition: &str,
) -> Result<Option<Bucket>, ReshardError> {
    let text = format!(
        "SELECT min(bucket)::int4 FROM phalanx.buckets WHERE bucket = ANY ({}) AND NOT ({condition})",
        filter::array(buckets)
    );
    let found: Option<i32> = session.one("look at the buckets", &text, &[]).await?.get(0);
    Ok(found.map(|bucket| Bucket::of_low_bits(u64::from(bucket.unsigned_abs()))))
}

/// Where the shard's log is.
pub(super) async fn log_end(session: &Session) -> Result<u64, ReshardError> {
    let text = "SELECT (pg_current_wal_insert_lsn() - '0/0')::int8";
    Ok(session.one("ask where the log is", text, &[]).await?.get::<_, i64>(0).cast_unsigned())
}

/// The number and the map that the shard holds; none where it has none.
pub(super) async fn stated(session: &Session) -> Result<Option<(u16, BucketMap)>, ReshardError> {
    let action = "read the map of buckets";
    let there =
        "SELECT to_regclass('phalanx.reshard') IS NOT NULL AND to_regclass('phalanx.buckets') IS NOT NULL";
    if !session.one(action, there, &[]).await?.get::<_, bool>(0) {
        return Ok(None);
    }
    let shard: Option<i32> = session.one(action, "SELECT shard::int4 FROM phalanx.meta", &[]).await?.get(0);
    let text = "SELECT owner::int4, epoch FROM phalanx.buckets ORDER BY bucket";
    let rows = session.rows(action, text, &[]).await?;
    let owner = |row: &tokio_postgres::Row| {
        u16::try_from(row.get::<_, i32>(0)).ok().and_then(|owner| ShardId::try_from(owner).ok())
    };
    let owners: Option<Vec<ShardId>> = rows.iter().map(owner).collect();
    let epoch = rows.iter().map(|row| row.get::<_, i64>(1).cast_unsigned()).max();
    let owners = owners.filter(|owners| owners.len() == usize::from(phalanx_shard::bucket::BUCKETS));
    let shard = shard.and_then(|shard| u16::try_from(shard).ok());
    let stated = shard.zip(owners.zip(epoch)).map(|(shard, (owners, epoch))| {
        (shard, BucketMap::from_owner(epoch, |bucket| owners[usize::from(bucket.get())]))
    });
    Ok(stated)
}
