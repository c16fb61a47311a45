//! Fields in Redis: a hash for each owner, and one script for each operation, which is atomic and one round trip.
//!
//! In the hash a field's name has the prefix `f`, and `v` is the version. A change is published on the channel that is called as
//! the hash is.

use std::{collections::BTreeMap, sync::LazyLock, time::Duration};

use redis::{Script, ScriptInvocation};

use super::{Change, Contents, FieldBounds, FieldsError, FieldsSettings};
use crate::{StateError, state::RedisLink};

const VERSION: &[u8] = b"v";
const FIELD_PREFIX: u8 = b'f';

/// Changes the fields in a hash, of whose entries `own` are none; false, and nothing is changed, where they would become too many.
/// It takes what [`change_arguments`] makes.
pub(crate) const CHANGE: &str = "
local function change(own)
  local first_set = 4 + ARGV[3]
  local before = redis.call('HLEN', KEYS[1]) - own
  local after = before
  for i = 4, first_set - 1 do after = after - redis.call('HEXISTS', KEYS[1], ARGV[i]) end
  for i = first_set, #ARGV, 2 do after = after + 1 - redis.call('HEXISTS', KEYS[1], ARGV[i]) end
  if after > tonumber(ARGV[2]) and after > before then return false end
  -- Set first: a full memory refuses a script's first write, and nothing after that.
  for i = first_set, #ARGV, 2 do redis.call('HSET', KEYS[1], ARGV[i], ARGV[i + 1]) end
  for i = 4, first_set - 1 do redis.call('HDEL', KEYS[1], ARGV[i]) end
  return true
end
";

const VERSIONS: &str = "
local function now()
  local time = redis.call('TIME')
  return time[1] * 1000 + math.floor(time[2] / 1000)
end
local stored = redis.call('HGET', KEYS[1], 'v')
local is_damaged = redis.call('EXISTS', KEYS[1]) == 1
if stored then is_damaged = #stored > 15 or not string.match(stored, '^%d+$') end
if is_damaged then
  return {'damaged', {}}
end
local version = tonumber(stored or 0)
local function written()
  local text = string.format('%.0f', math.max(version + 1, now()))
  redis.call('HSET', KEYS[1], 'v', text)
  redis.call('PEXPIRE', KEYS[1], ARGV[1])
  redis.call('PUBLISH', KEYS[1], text)
  return {'held', redis.call('HGETALL', KEYS[1])}
end
";

const GET: &str = "
-- A write in this millisecond is one after it.
if not stored then return {'held', {'v', string.format('%.0f', now() - 1)}} end
return {'held', redis.call('HGETALL', KEYS[1])}
";

const MERGE: &str = "
if not change(stored and 1 or 0) then return {'many', {}} end
return written()
";

const REPLACE: &str = "
-- A full memory refuses this, before anything is lost.
if #ARGV > 1 then redis.call('HSET', KEYS[1], 'v', '0') end
redis.call('DEL', KEYS[1])
for i = 2, #ARGV, 2 do redis.call('HSET', KEYS[1], ARGV[i], ARGV[i + 1]) end
return written()
";

static SCRIPTS: LazyLock<Scripts> = LazyLock::new(|| Scripts {
    get: Script::new(&[VERSIONS, GET].concat()),
    merge: Script::new(&[VERSIONS, CHANGE, MERGE].concat()),
    replace: Script::new(&[VERSIONS, REPLACE].concat()),
});

struct Scripts {
    get: Script,
    merge: Script,
    replace: Script,
}

/// How it ended, then names and values in turn.
type Reply = (String, Vec<Vec<u8>>);

/// Of the owner's hash and of the channel where its changes are told.
pub(super) fn key(link: &RedisLink, owner: &str) -> String {
    link.key(&format!("fields:{owner}"))
}

pub(super) async fn get(link: &RedisLink, owner: &str) -> Result<Contents, StateError> {
    let key = key(link, owner);
    let mut call = SCRIPTS.get.prepare_invoke();
    call.key(&key);
    contents(run(link, &key, &call).await?, &key)
}

pub(super) async fn merge(
    link: &RedisLink,
    owner: &str,
    change: &Change,
    settings: &FieldsSettings,
) -> Result<Contents, FieldsError> {
    let key = key(link, owner);
    let mut call = SCRIPTS.merge.prepare_invoke();
    call.key(&key).arg(milliseconds(settings.lifetime));
    change_arguments(&mut call, change, &settings.bounds);
    let reply = run(link, &key, &call).await?;
    if reply.0 == "many" {
        return Err(settings.bounds.too_many());
    }
    Ok(contents(reply, &key)?)
}

pub(super) async fn replace(
    link: &RedisLink,
    owner: &str,
    fields: &BTreeMap<String, String>,
    lifetime: Duration,
) -> Result<Contents, StateError> {
    let key = key(link, owner);
    let mut call = SCRIPTS.replace.prepare_invoke();
    call.key(&key).arg(milliseconds(lifetime));
    for (name, value) in fields {
        call.arg(entry(name)).arg(value);
    }
    contents(run(link, &key, &call).await?, &key)
}

/// What [`CHANGE`] takes, after the first argument, which is the script's own.
pub(crate) fn change_arguments(call: &mut ScriptInvocation<'_>, change: &Change, bounds: &FieldBounds) {
    let removed: Vec<_> = change.removed().map(|name| entry(name)).collect();
    call.arg(bounds.fields_max).arg(removed.len()).arg(removed);
    for (name, value) in &change.set {
        call.arg(entry(name)).arg(value);
    }
}

/// The fields among the entries of a hash; `None` where one is no text.
pub(crate) fn fields_of_pairs(pairs: &[Vec<u8>]) -> Option<BTreeMap<String, String>> {
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).ok();
    let fields = pairs.chunks_exact(2).filter_map(|pair| match pair[0].split_first() {
        Some((&FIELD_PREFIX, name)) => Some(text(name).zip(text(&pair[1]))),
        _ => None,
    });
    fields.collect()
}

async fn run(link: &RedisLink, key: &str, call: &ScriptInvocation<'_>) -> Result<Reply, StateError> {
    link.run_under(key, |mut connection| async move { call.invoke_async(&mut connection).await }).await
}

fn contents((status, pairs): Reply, key: &str) -> Result<Contents, StateError> {
    let version = || {
        let version = pairs.chunks_exact(2).find(|pair| pair[0] == VERSION)?;
        std::str::from_utf8(&version[1]).ok()?.parse().ok()
    };
    let contents = || Some(Contents { version: version()?, fields: fields_of_pairs(&pairs)? });
    let held = (status == "held").then(contents).flatten();
    held.ok_or_else(|| StateError::Unreadable { key: key.to_owned() })
}

fn entry(name: &str) -> Vec<u8> {
    [&[FIELD_PREFIX], name.as_bytes()].concat()
}

fn milliseconds(duration: Duration) -> u64 {
    // Redis refuses what goes past the end of its time, and a life of nothing would end before the answer; this is 270 years.
    const MILLISECONDS_MAX: u64 = 1 << 43;
    u64::try_from(duration.as_millis()).unwrap_or(MILLISECONDS_MAX).clamp(1, MILLISECONDS_MAX)
}
