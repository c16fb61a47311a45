//! The feed as a Redis stream, and a key for each target, so that a question is one `MGET`.
//!
//! Redis has to be 6.2 or later, and must not evict: a key that was evicted answers a question with less than the stream holds.
//!
//! A message of Redis' publish and subscribe that comes during a reconnection is lost; an entry of a stream is still there.

use std::{sync::Arc, time::Duration};

use redis::{
    RedisResult, Script,
    aio::MultiplexedConnection,
    streams::{StreamId, StreamRangeReply, StreamReadReply},
};
use tokio::time::timeout;

use super::{BATCH, Page, PageEnd};
use crate::{
    StateError,
    revocation::{
        CLOCK_LEEWAY,
        entry::{Entry, Extent, Kind, Marks, Target},
    },
    state::{RedisLink, StateFault},
};

/// How long Redis keeps a question open that it has nothing to answer to: every answer shows that the feed is alive.
const HEARTBEAT_MILLISECONDS: u64 = 250;

/// Before every entry.
const BEGINNING: &str = "0-0";

/// Appends to the stream, keeps the keys, and removes from the stream's head what is over. Keys: the stream, and that of each
/// entry. Arguments: the time, the leeway, and four of each entry. Numbers are exact below 2^53.
///
/// What is over stays for the leeway: a process whose clock is behind would take its absence for a loss, and publish it again.
///
/// An entry that lives for a week would hold up at the head all that is over behind it. So for each entry that comes, up to two that
/// outlive it go from the head to the tail: what is over and not removed never comes to more than half of what lives. Whatever leaves the
/// head is a minute older than the last entry before these, so a follower that was read by it has read on since, and misses nothing.
const PUBLISH: &str = "
local stream, now, leeway = KEYS[1], tonumber(ARGV[1]), tonumber(ARGV[2])
local function milliseconds(entry) return tonumber(string.match(entry[1], '^%d+')) end
local last, soonest = redis.call('XREVRANGE', stream, '+', '-', 'COUNT', 1)[1], math.huge
for i = 2, #KEYS do
  local first = 3 + (i - 2) * 4
  local kind, id, epoch, expires = ARGV[first], ARGV[first + 1], ARGV[first + 2], ARGV[first + 3]
  redis.call('XADD', stream, '*', 'kind', kind, 'id', id, 'epoch', epoch, 'until', expires)
  soonest = math.min(soonest, tonumber(expires))
  local held_epoch, held_until = string.match(redis.call('GET', KEYS[i]) or '', '^(%d+) (%d+)$')
  if held_epoch then
    if tonumber(held_epoch) > tonumber(epoch) then epoch = held_epoch end
    if tonumber(held_until) > tonumber(expires) then expires = held_until end
  end
  local seconds = math.max(1, tonumber(expires) - now + leeway)
  redis.call('SET', KEYS[i], epoch .. ' ' .. expires, 'EX', string.format('%.0f', seconds))
end
if not last then return end
local movable, first_kept = 2 * (#KEYS - 1), nil
for _, entry in ipairs(redis.call('XRANGE', stream, '-', last[1], 'COUNT', 100 + movable)) do
  first_kept = entry[1]
  if milliseconds(entry) + leeway * 1000 > milliseconds(last) then break end
  local fields, expires = entry[2], nil
  -- Ours have four; what has so many that they cannot be passed on is nobody's.
  for i = 1, math.min(#fields, 16), 2 do
    if fields[i] == 'until' then expires = tonumber(fields[i + 1]) end
  end
  if expires and expires + leeway > now then
    if movable == 0 or expires <= soonest then break end
    movable = movable - 1
    redis.call('XADD', stream, '*', unpack(fields, 1, math.min(#fields, 16)))
  end
end
redis.call('XTRIM', stream, 'MINID', first_kept)
";

pub(in crate::revocation) struct RedisFeed {
    link: RedisLink,
    stream: String,
    publish: Arc<Script>,
}

impl RedisFeed {
    pub(super) fn new(link: RedisLink) -> Self {
        let stream = link.key("revocations");
        Self { link, stream, publish: Arc::new(Script::new(PUBLISH)) }
    }

    pub(super) async fn publish(&self, entries: &[Entry], now: u64) -> Result<(), StateError> {
        let mut publication = self.publish.prepare_invoke();
        publication.key(&self.stream).arg(now).arg(CLOCK_LEEWAY.as_secs());
        for Entry { target, extent } in entries {
            publication.key(self.key(target.kind, &target.id));
            publication.arg(target.kind.name()).arg(&target.id).arg(extent.epoch).arg(extent.until);
        }
        self.link.run(|mut connection| async move { publication.invoke_async(&mut connection).await }).await
    }

    pub(super) async fn ask(&self, marks: &Marks<'_>) -> Result<Vec<Entry>, StateError> {
        let session = marks.session.map(|session| (Kind::Session, session));
        let targets: Vec<_> = session.into_iter().chain([(Kind::Subject, marks.subject)]).collect();
        let keys: Vec<_> = targets.iter().map(|(kind, id)| self.key(*kind, id)).collect();
        let mut question = redis::cmd("MGET");
        question.arg(&keys);
        let values: Vec<Option<Vec<u8>>> = self
            .link
            .run(|mut connection| async move { question.query_async(&mut connection).await })
            .await?;
        let mut entries = Vec::new();
        for ((kind, id), (key, value)) in targets.into_iter().zip(keys.into_iter().zip(values)) {
            if let Some(value) = value {
                let extent = extent(&value).ok_or(StateError::Unreadable { key })?;
                entries.push(Entry { target: Target { kind, id: id.to_owned() }, extent });
            }
        }
        Ok(entries)
    }

    pub(super) fn follower(&self) -> RedisFollower {
        RedisFollower {
            link: self.link.clone(),
            stream: self.stream.clone(),
            connection: None,
            last: BEGINNING.to_owned(),
            end: PageEnd::OfPage,
        }
    }

    fn key(&self, kind: Kind, id: &str) -> String {
        self.link.key(&format!("revoked:{}:{id}", kind.name()))
    }
}

/// Has a connection of its own: what waits in Redis holds up all that is asked behind it.
pub(in crate::revocation) struct RedisFollower {
    link: RedisLink,
    stream: String,
    connection: Option<MultiplexedConnection>,
    /// The id of the last entry that was read.
    last: String,
    /// Only from the end of the feed on there is something to wait for.
    end: PageEnd,
}

impl RedisFollower {
    pub(super) async fn next(&mut self) -> Result<Page, StateError> {
        let mut connection = match self.connection.take() {
            Some(connection) => connection,
            None => self.link.dedicated().await?,
        };
        let bound = Duration::from_millis(HEARTBEAT_MILLISECONDS) + self.link.response_timeout();
        let answer = timeout(bound, self.read(&mut connection)).await;
        // A connection that failed is closed, and the next page is the first of another.
        let (read, last_entry) = answer.map_err(|_| StateFault::Timeout)??;
        self.connection = Some(connection);
        if self.last != BEGINNING && last_entry.ids.is_empty() {
            BEGINNING.clone_into(&mut self.last);
            self.end = PageEnd::OfPage;
            return Ok(Page::Restarted);
        }
        Ok(self.turn(read))
    }

    fn turn(&mut self, read: Option<StreamReadReply>) -> Page {
        let ids: Vec<_> = read.into_iter().flat_map(|read| read.keys).flat_map(|stream| stream.ids).collect();
        if let Some(newest) = ids.last() {
            self.last.clone_from(&newest.id);
        }
        self.end = PageEnd::after(ids.len());
        let entries: Vec<_> = ids.iter().filter_map(entry).collect();
        let unreadable = (ids.len() - entries.len()) as u64;
        Page::Next { entries, unreadable, end: self.end }
    }

    /// What follows on the last entry, and that entry itself if the stream still has it.
    async fn read(
        &self,
        connection: &mut MultiplexedConnection,
    ) -> RedisResult<(Option<StreamReadReply>, StreamRangeReply)> {
        let mut questions = redis::pipe();
        let read = questions.cmd("XREAD").arg("COUNT").arg(BATCH);
        if self.end == PageEnd::OfFeed {
            read.arg("BLOCK").arg(HEARTBEAT_MILLISECONDS);
        }
        read.arg("STREAMS").arg(&self.stream).arg(&self.last);
        questions.cmd("XRANGE").arg(&self.stream).arg(&self.last).arg(&self.last);
        questions.query_async(connection).await
    }
}

fn entry(id: &StreamId) -> Option<Entry> {
    let text = |field: &str| id.get::<String>(field);
    let kind = Kind::of_name(&text("kind")?)?;
    let extent = Extent { epoch: text("epoch")?.parse().ok()?, until: text("until")?.parse().ok()? };
    Some(Entry { target: Target { kind, id: text("id")? }, extent })
}

fn extent(value: &[u8]) -> Option<Extent> {
    let (epoch, until) = std::str::from_utf8(value).ok()?.split_once(' ')?;
    Some(Extent { epoch: epoch.parse().ok()?, until: until.parse().ok()? })
}
