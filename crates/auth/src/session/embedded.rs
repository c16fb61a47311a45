//! Sessions in the embedded state: a row for each. Those that have expired go as others begin.

use std::collections::BTreeMap;

use phalanx_data::{Consistency, Isolation, Statement, Transaction, Value};

use super::{Renewal, Stored};
use crate::{
    Change, FieldBounds, FieldsError, StateError,
    fields::{decode, encode},
    state::EmbeddedState,
};

const BEGIN: Statement = Statement::new(
    "session_begin",
    "INSERT INTO sessions (id, secret, principal, seen, expires, fields) VALUES ($1, $2, $3, $4, $5, $6)
     ON CONFLICT (id) DO UPDATE SET secret = excluded.secret, principal = excluded.principal,
         seen = excluded.seen, expires = excluded.expires, fields = excluded.fields",
);
const READ: Statement =
    Statement::new("session_read", "SELECT secret, principal, seen FROM sessions WHERE id = $1");
/// Of two replicas the one whose clock is behind changes nothing.
const RENEW: Statement = Statement::new(
    "session_renew",
    "UPDATE sessions SET seen = max(seen, $3), expires = max(expires, $4) WHERE id = $1 AND secret = $2",
);
const END: Statement = Statement::new("session_end", "DELETE FROM sessions WHERE id = $1");
/// A few with each that begins: as many go as came, and none waits for a long removal.
const REMOVE_EXPIRED: Statement = Statement::new(
    "session_remove_expired",
    "DELETE FROM sessions WHERE id IN
         (SELECT id FROM sessions WHERE expires <= $1 ORDER BY expires LIMIT 8)",
);
const FIELDS: Statement = Statement::new("session_fields", "SELECT fields FROM sessions WHERE id = $1");
const SET_FIELDS: Statement =
    Statement::new("session_set_fields", "UPDATE sessions SET fields = $2 WHERE id = $1");

pub(super) async fn begin(
    state: &EmbeddedState,
    id: &str,
    session: &Stored,
    expires_at: u64,
) -> Result<(), StateError> {
    let now = [seconds(session.seen_at)];
    let values = [
        id.into(),
        session.secret.as_slice().into(),
        session.principal.as_slice().into(),
        seconds(session.seen_at),
        seconds(expires_at),
        encode(&BTreeMap::new()).into(),
    ];
    let shard = state.shard();
    // Together, so that they share a commit.
    tokio::try_join!(shard.write(&REMOVE_EXPIRED, &now), shard.write(&BEGIN, &values))?;
    Ok(())
}

pub(super) async fn read(state: &EmbeddedState, id: &str) -> Result<Option<Stored>, StateError> {
    let rows = state.shard().read(&Consistency::primary(), &READ, &[id.into()]).await?;
    let Some(row) = rows.first() else { return Ok(None) };
    let unreadable = |_| StateError::Unreadable { key: id.to_owned() };
    Ok(Some(Stored {
        secret: row.get("secret").map_err(unreadable)?,
        principal: row.get("principal").map_err(unreadable)?,
        seen_at: row.get("seen").map_err(unreadable)?,
    }))
}

/// Whether it goes on.
pub(super) async fn renew(state: &EmbeddedState, renewal: &Renewal<'_>) -> Result<bool, StateError> {
    let values =
        [renewal.id.into(), renewal.secret.into(), seconds(renewal.seen_at), seconds(renewal.expires_at)];
    Ok(state.shard().write(&RENEW, &values).await?.count > 0)
}

pub(super) async fn end(state: &EmbeddedState, ids: &[&str]) -> Result<(), StateError> {
    if let [id] = ids {
        state.shard().write(&END, &[(*id).into()]).await?;
        return Ok(());
    }
    // Owned, or the compiler does not see that what awaits this may move between threads.
    let ids: Vec<String> = ids.iter().map(|id| (*id).to_owned()).collect();
    let end = async move |transaction: &mut Transaction| {
        for id in &ids {
            transaction.execute(&END, &[id.as_str().into()]).await?;
        }
        Ok::<_, StateError>(())
    };
    state.shard().transaction(Isolation::default(), end).await?;
    Ok(())
}

pub(super) async fn fields(
    state: &EmbeddedState,
    id: &str,
) -> Result<Option<BTreeMap<String, String>>, StateError> {
    let rows = state.shard().read(&Consistency::primary(), &FIELDS, &[id.into()]).await?;
    rows.first().map(|row| decode(&row.get::<Vec<u8>>("fields").map_err(|_| unreadable(id))?, id)).transpose()
}

pub(super) async fn set_fields(
    state: &EmbeddedState,
    id: &str,
    change: &Change,
    bounds: &FieldBounds,
) -> Result<Option<BTreeMap<String, String>>, FieldsError> {
    let (id, change, bounds) = (id.to_owned(), change.clone(), *bounds);
    let set = async move |transaction: &mut Transaction| {
        let rows = transaction.query(&FIELDS, &[id.as_str().into()]).await?;
        let Some(row) = rows.first() else { return Ok(None) };
        let mut fields = decode(&row.get::<Vec<u8>>("fields").map_err(|_| unreadable(&id))?, &id)?;
        change.apply(&mut fields, &bounds)?;
        transaction.execute(&SET_FIELDS, &[id.as_str().into(), encode(&fields).into()]).await?;
        Ok::<_, FieldsError>(Some(fields))
    };
    Ok(state.shard().transaction(Isolation::default(), set).await?.0)
}

fn unreadable(id: &str) -> StateError {
    StateError::Unreadable { key: id.to_owned() }
}

fn seconds(unix: u64) -> Value {
    i64::try_from(unix).unwrap_or(i64::MAX).into()
}
