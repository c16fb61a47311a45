//! Changes of `phalanx.buckets` in one shard, each a transaction that waits for the writers that were let in before.
//!
//! Every change says what it expects to find, so that the second attempt, or one that comes too late, changes nothing.

use std::time::Duration;

use phalanx_shard::{Bucket, BucketMap, BucketSet, map::ShardId};

use super::{ReshardError, filter, session::Session, state::seconds};

/// What an owner takes over, and with what.
#[derive(Clone, Debug)]
pub(super) struct Handover {
    pub(super) buckets: BucketSet,
    pub(super) owner: ShardId,
    pub(super) epoch: u64,
    /// Where the owner's log is at or after all that was ever written to the buckets.
    pub(super) since_timeline: i32,
    pub(super) since_lsn: u64,
}

/// Sends reads that ask for no position to other shards than the owners, or to the owners again.
pub(super) async fn set_readers(
    session: &Session,
    readers: &[(&BucketSet, Option<ShardId>)],
) -> Result<(), ReshardError> {
    let changes = readers.iter().map(|(buckets, reader)| {
        let reader = reader.map_or_else(|| "NULL".to_owned(), |reader| reader.to_string());
        let (set, expected) = (format!("reader = {reader}"), format!("reader IS DISTINCT FROM {reader}"));
        Change { buckets, set, expected }
    });
    change(session, "switch reads", &changes.collect::<Vec<_>>()).await
}

/// Lets no more writes to buckets of this shard in; those that were let in have ended when it answers.
pub(super) async fn pause(
    session: &Session,
    buckets: &BucketSet,
    epoch_max: u64,
) -> Result<(), ReshardError> {
    let set = "state = 'paused', paused_at = clock_timestamp()".to_owned();
    let expected = format!("here AND state = 'open' AND epoch <= {epoch_max}");
    change(session, "pause writes", &[Change { buckets, set, expected }]).await
}

/// Gives buckets to other owners, paused. All in one: who reads a map of the new epoch reads all of it, since he looks no more for
/// one of that epoch.
pub(super) async fn hand_over(session: &Session, handovers: &[Handover]) -> Result<(), ReshardError> {
    if handovers.is_empty() {
        return Ok(());
    }
    let changes = handovers.iter().map(|handover| {
        let Handover { buckets, owner, epoch, since_timeline, since_lsn } = handover;
        let since = phalanx_shard::Lsn(*since_lsn);
        let set = format!(
            "owner = {owner}, epoch = {epoch}, reader = NULL, state = 'paused',
             paused_at = coalesce(paused_at, clock_timestamp()),
             since_timeline = {since_timeline}, since_lsn = '{since}'"
        );
        Change { buckets, set, expected: format!("epoch < {epoch}") }
    });
    change(session, "give buckets to their owners", &changes.collect::<Vec<_>>()).await
}

/// Lets writes in.
pub(super) async fn open(session: &Session, buckets: &BucketSet) -> Result<(), ReshardError> {
    let set = "state = 'open', paused_at = NULL".to_owned();
    change(session, "open buckets", &[Change { buckets, set, expected: "state = 'paused'".to_owned() }]).await
}

/// Forgets from where on owners have all: replicas and positions of clients are past it.
pub(super) async fn forget_since(session: &Session, buckets: &BucketSet) -> Result<(), ReshardError> {
    let set = "since_timeline = NULL, since_lsn = NULL".to_owned();
    let expected = "since_lsn IS NOT NULL".to_owned();
    change(session, "forget where buckets moved", &[Change { buckets, set, expected }]).await
}

/// What is set where something is expected.
struct Change<'a> {
    buckets: &'a BucketSet,
    set: String,
    expected: String,
}

async fn change(session: &Session, action: &'static str, changes: &[Change<'_>]) -> Result<(), ReshardError> {
    let found = |change: &Change<'_>| {
        format!("bucket = ANY ({}) AND {}", filter::array(change.buckets), change.expected)
    };
    let any: Vec<String> = changes.iter().map(|change| format!("({})", found(change))).collect();
    let is_due = format!("SELECT EXISTS (SELECT FROM phalanx.buckets WHERE {})", any.join(" OR "));
    if !session.one(action, &is_due, &[]).await?.get::<_, bool>(0) {
        return Ok(());
    }
    let all: BucketSet = changes.iter().flat_map(|change| change.buckets.iter()).collect();
    let mut text = format!("SELECT phalanx.close_buckets({});", filter::array(&all));
    for change in changes {
        text.push_str(&format!("UPDATE phalanx.buckets SET {} WHERE {};", change.set, found(change)));
    }
    text.push_str("UPDATE phalanx.meta SET revision = revision + 1");
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
