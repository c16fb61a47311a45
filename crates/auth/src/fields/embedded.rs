//! Fields in the embedded state: a row for each owner, changed in a transaction, of which the file has one at a time.
//!
//! Invariant: whoever reads sees a version that is less than that of every change which he does not see. So an owner with nothing
//! stored has the version of the last change of any owner, and not that of a clock: a change takes the time before it can be seen.

use std::{collections::BTreeMap, time::Duration};

use phalanx_data::{AccessError, Consistency, Isolation, Row, Statement, Transaction, Value};

use super::{Change, Contents, FieldsError, FieldsSettings, decode, encode};
use crate::{StateError, saturating, state::EmbeddedState};

const BY_OWNER: Statement = Statement::new(
    "fields_by_owner",
    "SELECT field_changes.version AS last, fields.version, contents
     FROM field_changes LEFT JOIN fields ON owner = $1 AND expires > $2",
);
const NEXT_VERSION: Statement = Statement::new(
    "fields_next_version",
    "UPDATE field_changes SET version = max(version + 1, $1) RETURNING version",
);
const PUT: Statement = Statement::new(
    "fields_put",
    "INSERT INTO fields (owner, version, contents, expires) VALUES ($1, $2, $3, $4)
     ON CONFLICT (owner) DO UPDATE SET version = excluded.version, contents = excluded.contents,
         expires = excluded.expires",
);
/// A few with each write: as many go as came, and no write waits for a long one.
const REMOVE_EXPIRED: Statement = Statement::new(
    "fields_remove_expired",
    "DELETE FROM fields WHERE owner IN
         (SELECT owner FROM fields WHERE expires <= $1 ORDER BY expires LIMIT 8)",
);
const LAST_CHANGE: Statement = Statement::new("fields_last_change", "SELECT version FROM field_changes");
const CHANGED_SINCE: Statement = Statement::new(
    "fields_changed_since",
    "SELECT owner, version FROM fields WHERE version > $1 ORDER BY version LIMIT 512",
);

pub(super) async fn get(state: &EmbeddedState, owner: &str) -> Result<Contents, StateError> {
    let values = [owner.as_bytes().into(), now_ms().into()];
    contents(&state.shard().read(&Consistency::primary(), &BY_OWNER, &values).await?, owner)
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

/// The version of the last change of any owner.
pub(super) async fn last_change(state: &EmbeddedState) -> Result<i64, AccessError> {
    let rows = state.shard().read(&Consistency::primary(), &LAST_CHANGE, &[]).await?;
    Ok(rows.first().map_or(Ok(0), |row| row.get("version"))?)
}

/// Some owners that have changed since, in order, each with its version. One that is no text is left out.
pub(super) async fn changed_since(
    state: &EmbeddedState,
    version: i64,
) -> Result<Vec<(Option<String>, i64)>, AccessError> {
    let rows = state.shard().read(&Consistency::primary(), &CHANGED_SINCE, &[version.into()]).await?;
    rows.iter().map(|row| Ok((String::from_utf8(row.get("owner")?).ok(), row.get("version")?))).collect()
}

async fn read(transaction: &mut Transaction, owner: &str, now_ms: i64) -> Result<Contents, StateError> {
    contents(&transaction.query(&BY_OWNER, &[owner.as_bytes().into(), now_ms.into()]).await?, owner)
}

/// Stores `contents` as the next version of what they were read as.
async fn put(
    transaction: &mut Transaction,
    owner: &str,
    contents: Contents,
    now_ms: i64,
    lifetime: Duration,
) -> Result<Contents, AccessError> {
    let rows = transaction.query(&NEXT_VERSION, &[now_ms.into()]).await?;
    let version: i64 = rows.first().map_or(Ok(now_ms), |row| row.get("version"))?;
    let lifetime_ms = saturating::integer(saturating::milliseconds(lifetime));
    let values: [Value; 4] = [
        owner.as_bytes().into(),
        version.into(),
        encode(&contents.fields).into(),
        now_ms.saturating_add(lifetime_ms).into(),
    ];
    transaction.execute(&PUT, &values).await?;
    transaction.execute(&REMOVE_EXPIRED, &[now_ms.into()]).await?;
    Ok(Contents { version: version.unsigned_abs(), ..contents })
}

/// What [`BY_OWNER`] found.
fn contents(rows: &[Row], owner: &str) -> Result<Contents, StateError> {
    let unreadable = |_| StateError::Unreadable { key: owner.to_owned() };
    let Some(row) = rows.first() else { return Ok(Contents::default()) };
    let version: Option<u64> = row.get("version").map_err(unreadable)?;
    let Some(version) = version else {
        return Ok(Contents { version: row.get("last").map_err(unreadable)?, fields: BTreeMap::new() });
    };
    let document: Vec<u8> = row.get("contents").map_err(unreadable)?;
    Ok(Contents { version, fields: decode(&document, owner)? })
}

fn now_ms() -> i64 {
    saturating::integer(saturating::unix_milliseconds())
}
