//! Sessions in Redis: a hash for each, which Redis removes when it has expired.
//!
//! In the hash are `secret`, `principal`, `seen` and the service's own fields, whose names have a prefix.

use std::{collections::BTreeMap, sync::LazyLock};

use redis::{Script, ScriptInvocation};

use super::{Renewal, Stored, key};
use crate::{
    Change, FieldBounds, FieldsError, StateError,
    fields::{CHANGE, change_arguments, fields_of_pairs},
    state::RedisLink,
};

/// Entries of the hash that are no fields.
const ENTRIES: &str = "3";

const RENEW: &str = "
if redis.call('HGET', KEYS[1], 'secret') ~= ARGV[1] then return 0 end
-- Of two replicas the one whose clock is behind changes nothing.
if tonumber(redis.call('HGET', KEYS[1], 'seen') or 0) < tonumber(ARGV[2]) then
  redis.call('HSET', KEYS[1], 'seen', ARGV[2])
  redis.call('EXPIRE', KEYS[1], ARGV[3])
end
return 1
";

const FIELDS: &str = "
if redis.call('EXISTS', KEYS[1]) == 0 then return {'gone', {}} end
return {'held', redis.call('HGETALL', KEYS[1])}
";

const SET_FIELDS: &str = "
if redis.call('EXISTS', KEYS[1]) == 0 then return {'gone', {}} end
if not change(tonumber(ARGV[1])) then return {'many', {}} end
return {'held', redis.call('HGETALL', KEYS[1])}
";

static SCRIPTS: LazyLock<Scripts> = LazyLock::new(|| Scripts {
    renew: Script::new(RENEW),
    fields: Script::new(FIELDS),
    set_fields: Script::new(&[CHANGE, SET_FIELDS].concat()),
});

struct Scripts {
    renew: Script,
    fields: Script,
    set_fields: Script,
}

/// How it ended, then names and values in turn.
type Reply = (String, Vec<Vec<u8>>);

pub(super) async fn begin(
    link: &RedisLink,
    id: &str,
    session: &Stored,
    expires_at: u64,
) -> Result<(), StateError> {
    let key = key(link, id);
    let mut begin = redis::pipe();
    begin.atomic().del(&key).ignore();
    begin.cmd("HSET").arg(&key).arg("secret").arg(&session.secret).arg("principal").arg(&session.principal);
    begin.arg("seen").arg(session.seen_at).ignore();
    begin.cmd("EXPIRE").arg(&key).arg(lifetime(session.seen_at, expires_at)).ignore();
    link.run_under(&key, |mut connection| async move { begin.query_async(&mut connection).await }).await
}

pub(super) async fn read(link: &RedisLink, id: &str) -> Result<Option<Stored>, StateError> {
    let key = key(link, id);
    let mut read = redis::cmd("HMGET");
    read.arg(&key).arg("secret").arg("principal").arg("seen");
    let entries: Vec<Option<Vec<u8>>> =
        link.run_under(&key, |mut connection| async move { read.query_async(&mut connection).await }).await?;
    match <[_; 3]>::try_from(entries) {
        Ok([None, None, None]) => Ok(None),
        Ok([Some(secret), Some(principal), Some(seen)]) => {
            let seen_at = std::str::from_utf8(&seen).ok().and_then(|seen| seen.parse().ok());
            let seen_at = seen_at.ok_or(StateError::Unreadable { key })?;
            Ok(Some(Stored { secret, principal, seen_at }))
        }
        _ => Err(StateError::Unreadable { key }),
    }
}

/// Whether it goes on.
pub(super) async fn renew(link: &RedisLink, renewal: &Renewal<'_>) -> Result<bool, StateError> {
    let key = key(link, renewal.id);
    let mut call = SCRIPTS.renew.prepare_invoke();
    call.key(&key).arg(renewal.secret).arg(renewal.seen_at);
    call.arg(lifetime(renewal.seen_at, renewal.expires_at));
    let call = &call;
    let answer: u8 = link
        .run_under(&key, |mut connection| async move { call.invoke_async(&mut connection).await })
        .await?;
    Ok(answer == 1)
}

pub(super) async fn end(link: &RedisLink, ids: &[&str]) -> Result<(), StateError> {
    let mut end = redis::cmd("UNLINK");
    for id in ids {
        end.arg(key(link, id));
    }
    link.run(|mut connection| async move { end.query_async(&mut connection).await }).await
}

pub(super) async fn fields(
    link: &RedisLink,
    id: &str,
) -> Result<Option<BTreeMap<String, String>>, StateError> {
    let key = key(link, id);
    let mut call = SCRIPTS.fields.prepare_invoke();
    call.key(&key);
    held(run(link, &key, &call).await?, &key)
}

pub(super) async fn set_fields(
    link: &RedisLink,
    id: &str,
    change: &Change,
    bounds: &FieldBounds,
) -> Result<Option<BTreeMap<String, String>>, FieldsError> {
    let key = key(link, id);
    let mut call = SCRIPTS.set_fields.prepare_invoke();
    call.key(&key).arg(ENTRIES);
    change_arguments(&mut call, change, bounds);
    let reply = run(link, &key, &call).await?;
    if reply.0 == "many" {
        return Err(bounds.too_many());
    }
    Ok(held(reply, &key)?)
}

async fn run(link: &RedisLink, key: &str, call: &ScriptInvocation<'_>) -> Result<Reply, StateError> {
    link.run_under(key, |mut connection| async move { call.invoke_async(&mut connection).await }).await
}

fn held((status, pairs): Reply, key: &str) -> Result<Option<BTreeMap<String, String>>, StateError> {
    if status == "gone" {
        return Ok(None);
    }
    let fields = fields_of_pairs(&pairs).ok_or_else(|| StateError::Unreadable { key: key.to_owned() })?;
    Ok(Some(fields))
}

/// In seconds.
fn lifetime(seen_at: u64, expires_at: u64) -> u64 {
    // Redis refuses what goes past the end of its time; this is 270 years.
    const LIFETIME_MAX: u64 = 1 << 33;
    expires_at.saturating_sub(seen_at).min(LIFETIME_MAX)
}
