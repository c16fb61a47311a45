//! Fields in the embedded state: a row for each owner, changed in a transaction, of which the file has one at a time.

use std::{collections::BTreeMap, time::Duration};

use phalanx_data::{AccessError, Consistency, Isolation, Row, Statement, Transaction, Value};
use phalanx_telemetry::clock;

use super::{Change, Contents, FieldsError, FieldsSettings, decode, encode};
use crate::{StateError, state::EmbeddedState};

const BY_OWNER: Statement = Statement::new(
    "fields_by_owner",
    "SELECT version, contents FROM fields WHERE owner = $1 AND expires > $2",
);
const NEXT_CHANGE: Statement =
    Statement::new("fields_next_change", "UPDATE field_changes SET number = number + 1 RETURNING number");
const PUT: Statement = Statement::new(
    "fields_put",
    "INSERT INTO fields (owner, version, contents, change, expires) VALUES ($1, $2, $3, $4, $5)
     ON CONFLICT (owner) DO UPDATE SET version = excluded.version, contents = excluded.contents,
         change = excluded.change, expires = excluded.expires",
);
/// A few with each write: as many go as came, and no write waits for a long one.
const REMOVE_EXPIRED: Statement = Statement::new(
    "fields_remove_expired",
    "DELETE FROM fields WHERE owner IN
         (SELECT owner FROM fields WHERE expires <= $1 ORDER BY expires LIMIT 8)",
);
const LAST_CHANGE: Statement = Statement::new("fields_last_change", "SELECT number FROM field_changes");
const CHANGED_SINCE: Statement = Statement::new(
    "fields_changed_since",
    "SELECT owner, change FROM fields WHERE change > $1 ORDER BY change LIMIT 512",
);

pub(super) async fn get(state: &EmbeddedState, owner: &str) -> Result<Contents, StateError> {
    let now_ms = now_ms();
    let rows = state
        .shard()
        .read(&Consistency::primary(), &BY_OWNER, &[owner.as_bytes().into(), now_ms.into()])
        .await?;
    Ok(stored(&rows, owner)?.unwrap_or_else(|| {
        // A write in this millisecond is one after it.
        Contents { version: now_ms.unsigned_abs().saturating_sub(1), fields: BTreeMap::new() }
    }))
}

pub(super) async fn merge(
    state: &EmbeddedState,
    owner: &str,
    change: &Change,
    settings: &FieldsSettings,
) -> Result<Contents, FieldsError> {
    // Owned, or the compiler does not see that what awaits this may move between threads.
    let (owner, change, settings) = (owner.to_owned(), change.clone(), *settings);
    let write = async move |transaction: &mut Transaction| {
        let now_ms = now_ms();
        let mut contents = read(transaction, &owner, now_ms).await?;
        change.apply(&mut contents.fields, &settings.bounds)?;
        Ok::<_, FieldsError>(put(transaction, &owner, contents, now_ms, settings.lifetime).await?)
    };
    Ok(state.shard().transaction(Isolation::default(), write).await?.0)
}

pub(super) async fn replace(
    state: &EmbeddedState,
    owner: &str,
    fields: &BTreeMap<String, String>,
    lifetime: Duration,
) -> Result<Contents, StateError> {
    let (owner, fields) = (owner.to_owned(), fields.clone());
    let write = async move |transaction: &mut Transaction| {
        let now_ms = now_ms();
        let stored = read(transaction, &owner, now_ms).await?;
        let contents = Contents { fields: fields.clone(), ..stored };
        Ok::<_, StateError>(put(transaction, &owner, contents, now_ms, lifetime).await?)
    };
    Ok(state.shard().transaction(Isolation::default(), write).await?.0)
}

/// The number of the last change of any owner.
pub(super) async fn last_change(state: &EmbeddedState) -> Result<i64, AccessError> {
    let rows = state.shard().read(&Consistency::primary(), &LAST_CHANGE, &[]).await?;
    Ok(rows.first().map_or(Ok(0), |row| row.get("number"))?)
}

/// Some owners that have changed since, in order, each with the number of its change. One that is no text is left out.
pub(super) async fn changed_since(
    state: &EmbeddedState,
    change: i64,
) -> Result<Vec<(Option<String>, i64)>, AccessError> {
    let rows = state.shard().read(&Consistency::primary(), &CHANGED_SINCE, &[change.into()]).await?;
    rows.iter().map(|row| Ok((String::from_utf8(row.get("owner")?).ok(), row.get("change")?))).collect()
}

async fn read(transaction: &mut Transaction, owner: &str, now_ms: i64) -> Result<Contents, StateError> {
    let rows = transaction.query(&BY_OWNER, &[owner.as_bytes().into(), now_ms.into()]).await?;
    Ok(stored(&rows, owner)?.unwrap_or_default())
}

/// Stores `contents` as the next version of what they were read as.
async fn put(
    transaction: &mut Transaction,
    owner: &str,
    contents: Contents,
    now_ms: i64,
    lifetime: Duration,
) -> Result<Contents, AccessError> {
    let rows = transaction.query(&NEXT_CHANGE, &[]).await?;
    let change: i64 = rows.first().map_or(Ok(0), |row| row.get("number"))?;
    let version = contents.version.saturating_add(1).max(now_ms.unsigned_abs());
    let lifetime_ms = i64::try_from(lifetime.as_millis()).unwrap_or(i64::MAX);
    let values: [Value; 5] = [
        owner.as_bytes().into(),
        i64::try_from(version).unwrap_or(i64::MAX).into(),
        encode(&contents.fields).into(),
        change.into(),
        now_ms.saturating_add(lifetime_ms).into(),
    ];
    transaction.execute(&PUT, &values).await?;
    transaction.execute(&REMOVE_EXPIRED, &[now_ms.into()]).await?;
    Ok(Contents { version, ..contents })
}

fn stored(rows: &[Row], owner: &str) -> Result<Option<Contents>, StateError> {
    let Some(row) = rows.first() else { return Ok(None) };
    let unreadable = |_| StateError::Unreadable { key: owner.to_owned() };
    let version = row.get("version").map_err(unreadable)?;
    let document: Vec<u8> = row.get("contents").map_err(unreadable)?;
    Ok(Some(Contents { version, fields: decode(&document, owner)? }))
}

fn now_ms() -> i64 {
    let since = clock::wall().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}
