//! What a resharding changes in a shard for as long as it takes, kept there with the statements that put it back.
//!
//! Invariant: a change and the record of how to undo it are one transaction, whenever the executor ends.

use super::{ReshardError, session::Session, tables::Table};

/// What was changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// The replica identity of a table.
    Identity,
    /// An index that is made after the copy.
    Index,
}

impl Kind {
    fn name(self) -> &'static str {
        match self {
            Self::Identity => "identity",
            Self::Index => "index",
        }
    }
}

/// Lets row filters see the bucket of rows that are changed or deleted: the replica identity has to contain its column.
///
/// While a publication filters a table without it, the publisher refuses updates: it comes before, and goes after.
pub(super) async fn widen_identity(session: &Session, table: &Table) -> Result<(), ReshardError> {
    let text = "
        SELECT CASE relreplident
                   WHEN 'n' THEN 'NOTHING'
                   WHEN 'i' THEN 'USING INDEX ' || (SELECT quote_ident(relname) FROM pg_index JOIN pg_class AS named
                       ON named.oid = indexrelid WHERE indrelid = class.oid AND indisreplident)
                   ELSE 'DEFAULT' END
          FROM pg_class AS class
         WHERE class.oid = $1::text::regclass AND relreplident <> 'f' AND NOT EXISTS (
               SELECT FROM pg_index, unnest(indkey) AS keys (attnum) JOIN pg_attribute AS attribute USING (attnum)
                WHERE indrelid = class.oid AND attribute.attrelid = class.oid AND quote_ident(attname) = $2
                  AND (relreplident = 'd' AND indisprimary OR relreplident = 'i' AND indisreplident))";
    let action = "widen the replica identity";
    let Some(row) = session.optional(action, text, &[&table.name, &table.column]).await? else {
        return Ok(());
    };
    let before = format!("ALTER TABLE {} REPLICA IDENTITY {}", table.name, row.get::<_, &str>(0));
    let now = format!("ALTER TABLE {} REPLICA IDENTITY FULL", table.name);
    changed(session, action, Kind::Identity, &now, &before).await
}

/// Drops the indexes of a table that nobody uses yet: rows that are copied are indexed after, which is faster. Those of constraints
/// stay, and unique ones.
pub(super) async fn put_indexes_aside(session: &Session, table: &Table) -> Result<(), ReshardError> {
    let action = "put indexes aside for the copy";
    let text = format!("SELECT EXISTS (SELECT FROM {})", table.name);
    if session.one(action, &text, &[]).await?.get(0) {
        return Ok(());
    }
    let text = "SELECT indexrelid::regclass::text, pg_get_indexdef(indexrelid) FROM pg_index
                 WHERE indrelid = $1::text::regclass AND NOT indisunique AND NOT indisreplident
                   AND NOT EXISTS (SELECT FROM pg_constraint WHERE conindid = indexrelid)";
    for row in session.rows(action, text, &[&table.name]).await? {
        let drop = format!("DROP INDEX {}", row.get::<_, &str>(0));
        changed(session, action, Kind::Index, &drop, row.get(1)).await?;
    }
    Ok(())
}

async fn changed(
    session: &Session,
    action: &'static str,
    kind: Kind,
    statement: &str,
    undo: &str,
) -> Result<(), ReshardError> {
    let undo = super::filter::literal(undo);
    let kind = kind.name();
    let keep = format!("INSERT INTO phalanx.reshard_undo (kind, statement) VALUES ('{kind}', {undo})");
    session.execute(action, &format!("{keep}; {statement}")).await
}

/// Puts everything of a kind back.
pub(super) async fn restore(session: &Session, kind: Kind) -> Result<(), ReshardError> {
    let action = match kind {
        Kind::Identity => "restore the replica identity",
        Kind::Index => "make the indexes that were put aside",
    };
    let text = "SELECT number, statement FROM phalanx.reshard_undo WHERE kind = $1 ORDER BY number";
    for row in session.rows(action, text, &[&kind.name()]).await? {
        let (number, statement): (i64, &str) = (row.get(0), row.get(1));
        let done = format!("{statement}; DELETE FROM phalanx.reshard_undo WHERE number = {number}");
        session.execute(action, &done).await?;
    }
    Ok(())
}
