//! What Redis does in one step. A script is atomic, so no invalidation comes between its question and its answer.
//!
//! Keys: the namespace's version; of one key and version the value, the tombstone and the lease; the floor of all keys.
//! A tombstone holds the position of the newest write that was invalidated, or `mixed` where a key was written on two
//! shards. The version is a time of Redis', so one that was lost with all else is never used again.

use redis::Script;

/// Answers another version than the caller's, and makes one where there is none.
const VERSION: &str = "
local function new_version()
  local time = redis.call('TIME')
  local version = time[1] .. string.format('%06d', time[2])
  redis.call('SET', KEYS[1], version)
  return version
end
local version = redis.call('GET', KEYS[1]) or new_version()
";

const OF_KEY: &str = "
if version ~= ARGV[1] then return {'version', version, 0} end
local value, tombstone, lease, floor = KEYS[2], KEYS[3], KEYS[4], KEYS[5]
";

/// Whether one position reaches another.
const REACHES: &str = "
-- Positions have one width and lower-case digits; Lua's own comparison of strings depends on the locale.
local function reaches(a, b)
  if #a ~= #b or string.sub(a, 1, 4) ~= string.sub(b, 1, 4) then return false end
  for i = 5, #a do
    local x, y = string.byte(a, i), string.byte(b, i)
    if x ~= y then return x > y end
  end
  return true
end
";

const LOOKUP: &str = "
if ARGV[4] == 'entry' then
  local found = redis.call('GET', value)
  if found then return {'value', found, redis.call('PTTL', value)} end
end
if redis.call('SET', lease, ARGV[2], 'NX', 'PX', ARGV[3]) then
  return {'lease', redis.call('GET', tombstone) or '', 0}
end
return {'busy', '', 0}
";

const FILL: &str = "
if redis.call('GET', lease) ~= ARGV[2] then return {'unleased', '', 0} end
redis.call('DEL', lease)
local position = ARGV[5]
local newest = redis.call('GET', tombstone)
if newest and not reaches(position, newest) then return {'old', '', 0} end
if redis.call('EXISTS', floor) == 1 then
  local of_shard = redis.call('HGET', floor, string.sub(position, 1, 4))
  if position == '' or (of_shard and not reaches(position, of_shard)) then return {'old', '', 0} end
end
redis.call('SET', value, ARGV[3], 'PX', ARGV[4])
return {'filled', '', 0}
";

const RELEASE: &str = "
if redis.call('GET', lease) == ARGV[2] then redis.call('DEL', lease) end
return {'released', '', 0}
";

const INVALIDATE: &str = "
-- First, since a full memory refuses only what follows.
redis.call('DEL', value, lease)
local newest, known = ARGV[2], redis.call('GET', tombstone)
if known then
  if string.sub(known, 1, 4) ~= string.sub(newest, 1, 4) then
    newest = 'mixed'
  elseif reaches(known, newest) then
    newest = known
  end
end
redis.call('SET', tombstone, newest, 'PX', ARGV[3])
redis.call('PUBLISH', ARGV[4], ARGV[5])
return {'invalidated', '', 0}
";

/// Writes, because a Redis that only reads is of no use, and says so only then.
const PROBE: &str = "
redis.call('SET', KEYS[1], version)
return {'probed', version, 0}
";

const BUMP: &str = "
-- Time stands still in a script, and two bumps can share a microsecond.
if new_version() == version then redis.call('SET', KEYS[1], version .. '+') end
local reached = redis.call('HGETALL', KEYS[2])
local newest = {}
for i = 1, #reached, 2 do newest[reached[i]] = reached[i + 1] end
for i = 4, #ARGV do
  local shard = string.sub(ARGV[i], 1, 4)
  if not newest[shard] or not reaches(newest[shard], ARGV[i]) then redis.call('HSET', KEYS[2], shard, ARGV[i]) end
end
redis.call('PEXPIRE', KEYS[2], ARGV[1])
redis.call('PUBLISH', ARGV[2], ARGV[3])
return {'bumped', version, 0}
";

pub(super) struct Scripts {
    pub(super) lookup: Script,
    pub(super) fill: Script,
    pub(super) release: Script,
    pub(super) invalidate: Script,
    pub(super) probe: Script,
    pub(super) bump: Script,
}

impl Scripts {
    pub(super) fn new() -> Self {
        let of_key = |body: &str| Script::new(&[VERSION, REACHES, OF_KEY, body].concat());
        Self {
            lookup: of_key(LOOKUP),
            fill: of_key(FILL),
            release: of_key(RELEASE),
            invalidate: of_key(INVALIDATE),
            probe: Script::new(&[VERSION, PROBE].concat()),
            bump: Script::new(&[VERSION, REACHES, BUMP].concat()),
        }
    }
}
