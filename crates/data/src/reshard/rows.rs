//! Deletes rows of buckets that a shard does not own, in batches, past the fence.

use phalanx_shard::BucketSet;

use super::{ReshardError, filter, session::Session, tables::Table};

/// Pages of a table that are looked through in one transaction: 4 MiB.
const PAGES: i64 = 512;

/// Deletes what there is, and tells each batch. Refuses where the shard owns one of the buckets.
pub(super) async fn delete(
    session: &Session,
    tables: &[Table],
    buckets: &BucketSet,
    mut deleted: impl FnMut(u64),
) -> Result<(), ReshardError> {
    let action = "delete rows that have moved";
    let owned = format!(
        "EXISTS (SELECT FROM phalanx.buckets WHERE here AND bucket = ANY ({}))",
        filter::array(buckets)
    );
    for table in tables {
        let filter = table.filter(buckets);
        let left = format!("SELECT EXISTS (SELECT FROM {} WHERE {filter})", table.name);
        while session.one(action, &left, &[]).await?.get(0) {
            if session.one(action, &format!("SELECT {owned}"), &[]).await?.get(0) {
                return Err(ReshardError::OwnedHere { server: session.server.to_string() });
            }
            let pages = "SELECT pg_relation_size($1::text::regclass) / current_setting('block_size')::int8";
            let pages: i64 = session.one(action, pages, &[&table.name]).await?.get(0);
            let mut first = 0;
            while first <= pages {
                let end = first + PAGES;
                // Page by page, so that no batch looks through what earlier ones have emptied. What another session might have
                // changed about the ownership meanwhile, the statement sees itself.
                let text = format!(
                    "SET LOCAL session_replication_role = replica;
                     DELETE FROM {} WHERE ctid >= '({first},0)' AND ctid < '({end},0)' AND {filter} AND NOT {owned}",
                    table.name
                );
                deleted(session.count(action, &text).await?);
                first = end;
            }
        }
    }
    Ok(())
}
