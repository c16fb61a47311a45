//! Counters in Redis: one round trip for a judgement, in a script, so that no two attempts get the same place.
//!
//! A counter is a hash of attempts `n` and time of the last `at`, and lives as long as it is remembered; one that is back at
//! nothing is removed. So only attempts that failed leave something, three counters at most, and of those an address is let have
//! some hundred an hour. Times are those of the replicas, as in the tokens that they issue.

use std::time::Duration;

use redis::Script;

use super::{
    Ending, Judgement,
    keys::{Keys, Name},
    policy::{Acquaintance, AttemptPolicy, Ladder},
};
use crate::{StateError, saturating, state::RedisLink};

/// The same judgement as `policy::judge`. Keys: the counters of pair, account and address, and the mark of a known pair.
/// Arguments: the time; free attempts, shortest and longest delay and memory of each counter. Answers the wait, and whether the
/// pair is known.
const JUDGE: &str = "
local now, known = tonumber(ARGV[1]), redis.call('EXISTS', KEYS[4])
local counters = known == 1 and 1 or 3
local attempts, wait = {}, 0
for i = 1, counters do
  local at = 4 * i - 2
  local free, shortest, longest, memory =
    tonumber(ARGV[at]), tonumber(ARGV[at + 1]), tonumber(ARGV[at + 2]), tonumber(ARGV[at + 3])
  local found = redis.call('HMGET', KEYS[i], 'n', 'at')
  local last = tonumber(found[2]) or 0
  if last > now then
    -- The clock was set back.
    redis.call('HSET', KEYS[i], 'at', ARGV[1])
    last = now
  end
  local quiet = now - last
  attempts[i] = quiet < memory and tonumber(found[1]) or 0
  if attempts[i] >= free then
    local delay = math.min(shortest * 2 ^ math.min(attempts[i] - free, 31), longest)
    wait = math.max(wait, delay - quiet)
  end
end
if wait > 0 then return {wait, known} end
for i = 1, counters do
  redis.call('HSET', KEYS[i], 'n', attempts[i] + 1, 'at', ARGV[1])
  redis.call('PEXPIRE', KEYS[i], ARGV[4 * i + 1])
end
return {0, known}
";

/// Keys as above. Arguments: how it ended, how long a pair is known, and whether it was.
const SETTLE: &str = "
local function take_back(key)
  -- One that is gone by now would come back without an end.
  local attempts = tonumber(redis.call('HGET', key, 'n'))
  if attempts and attempts > 1 then redis.call('HINCRBY', key, 'n', -1) elseif attempts then redis.call('DEL', key) end
end
if ARGV[1] == 'success' then
  redis.call('DEL', KEYS[1])
  redis.call('SET', KEYS[4], '', 'PX', ARGV[2])
else
  take_back(KEYS[1])
end
if ARGV[3] == 'unknown' then
  take_back(KEYS[2])
  take_back(KEYS[3])
end
return 0
";

pub(super) struct RedisCounters {
    link: RedisLink,
    judge: Script,
    settle: Script,
}

impl RedisCounters {
    pub(super) fn new(link: RedisLink) -> Self {
        Self { link, judge: Script::new(JUDGE), settle: Script::new(SETTLE) }
    }

    pub(super) async fn judge(
        &self,
        policy: &AttemptPolicy,
        keys: &Keys,
        now: u64,
    ) -> Result<Judgement, StateError> {
        let mut call = self.judge.prepare_invoke();
        call.key(&self.keys(keys)[..]).arg(now);
        for ladder in [policy.pair, policy.account, policy.address] {
            let Ladder { free, delay_min, delay_max, memory } = ladder;
            call.arg(free)
                .arg(milliseconds(delay_min))
                .arg(milliseconds(delay_max))
                .arg(milliseconds(memory));
        }
        let (wait, known): (u64, bool) =
            self.link.run(|mut connection| async move { call.invoke_async(&mut connection).await }).await?;
        Ok(match (wait, known) {
            (0, true) => Judgement::Admitted(Acquaintance::Known),
            (0, false) => Judgement::Admitted(Acquaintance::Unknown),
            _ => Judgement::Refused { retry_after: Duration::from_millis(wait) },
        })
    }

    pub(super) async fn settle(
        &self,
        policy: &AttemptPolicy,
        keys: &Keys,
        acquaintance: Acquaintance,
        ending: Ending,
    ) -> Result<(), StateError> {
        let ending = if ending == Ending::Success { "success" } else { "withdrawal" };
        let acquaintance = if acquaintance == Acquaintance::Known { "known" } else { "unknown" };
        let mut call = self.settle.prepare_invoke();
        call.key(&self.keys(keys)[..]).arg(ending).arg(milliseconds(policy.known_for)).arg(acquaintance);
        self.link.run(|mut connection| async move { call.invoke_async(&mut connection).await }).await
    }

    fn keys(&self, Keys { pair, account, address }: &Keys) -> [String; 4] {
        let key = |kind: &str, name: &Name| self.link.key(&format!("attempts:{kind}:{name}"));
        [key("pair", pair), key("account", account), key("address", address), key("known", pair)]
    }
}

/// Redis knows no shorter life.
fn milliseconds(duration: Duration) -> u64 {
    saturating::milliseconds(duration).max(1)
}
