//! The level in Redis: one multiplexed connection, scripts, and what happens while Redis is out.
//!
//! A command that fails takes Redis out of use at once ([`Link::Down`]): from then on nobody waits for it, until the
//! upkeep has reached it again, has written to it and has delivered every invalidation that it missed.
//! `ConnectionManager` would let each request wait for the reconnection, so the connection is renewed here.

mod scripts;
mod undelivered;

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use phalanx_telemetry::clock;
use redis::{Script, aio::MultiplexedConnection};
use tokio::sync::Notify;

use self::{scripts::Scripts, undelivered::Undelivered};
use super::{
    counters::Counters,
    entry::Entry,
    position::{CachePosition, stricter},
    settings::CacheSettings,
};

/// Tries of a command whose namespace changed its version under it.
const VERSION_TRIES: usize = 3;
/// Invalidations replayed in one flight of commands.
const REPLAY_BATCH: usize = 128;

/// Somebody else wrote under one key: no reason to do without all others.
const WRONG_TYPE: &str = "WRONGTYPE";

pub(super) struct SharedLevel {
    client: redis::Client,
    settings: Arc<CacheSettings>,
    counters: Arc<Counters>,
    scripts: Scripts,
    state: Mutex<State>,
    /// The upkeep has something to do: the link went down, or an invalidation was left undelivered.
    pub(super) wake: Notify,
    /// Tells this process' messages from others'.
    origin: String,
}

struct State {
    link: Link,
    /// Counts links, so that a late failure of an old connection does not take down its successor.
    serial: u64,
    undelivered: Undelivered,
}

enum Link {
    Down { logged: bool },
    Up { connection: MultiplexedConnection, version: Arc<str> },
}

/// One use of the link.
struct Session {
    connection: MultiplexedConnection,
    version: Arc<str>,
    serial: u64,
}

/// The right to fill a key, until an invalidation ends it.
#[derive(Clone, Debug)]
pub(super) struct Lease {
    token: String,
    /// What the filling data has to reach.
    pub(super) floor: Option<CachePosition>,
}

/// What Redis has of a key.
pub(super) enum Lookup {
    Found(Entry),
    Leased(Lease),
    /// Another process loads it.
    Busy,
    /// Redis is out, or what it has is not ours.
    Skipped,
}

/// What became of a fill.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fill {
    Accepted,
    Refused,
    Skipped,
}

/// Whether a lookup is content with an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Want {
    Entry,
    /// The entry is to be replaced.
    Lease,
}

/// Kind, bytes, number: every script answers in this form.
type Reply = (String, Vec<u8>, i64);

impl SharedLevel {
    pub(super) fn new(
        url: &str,
        settings: Arc<CacheSettings>,
        counters: Arc<Counters>,
    ) -> Result<Self, redis::RedisError> {
        let undelivered = Undelivered::new(settings.undelivered_max);
        let state = State { link: Link::Down { logged: false }, serial: 0, undelivered };
        Ok(Self {
            client: redis::Client::open(url)?,
            settings,
            counters,
            scripts: Scripts::new(),
            state: Mutex::new(state),
            wake: Notify::new(),
            origin: format!("{:016x}", fastrand::u64(..)),
        })
    }

    pub(super) async fn lookup(&self, key: &str, want: Want) -> Lookup {
        let token = format!("{:032x}", fastrand::u128(..));
        let lease_ms = milliseconds(self.settings.lease);
        let want = if want == Want::Entry { "entry" } else { "lease" };
        let arguments: [&[u8]; 3] = [token.as_bytes(), lease_ms.as_bytes(), want.as_bytes()];
        match self.run(&self.scripts.lookup, key, &arguments).await {
            Some((kind, bytes, remaining_ms)) => match kind.as_str() {
                "value" => {
                    let remaining = Duration::from_millis(u64::try_from(remaining_ms).unwrap_or(0));
                    Entry::decode(bytes, remaining, clock::now()).map_or(Lookup::Skipped, Lookup::Found)
                }
                "lease" => Lookup::Leased(Lease { token, floor: CachePosition::parse(&bytes) }),
                _ => Lookup::Busy,
            },
            None => Lookup::Skipped,
        }
    }

    pub(super) async fn fill(&self, key: &str, lease: &Lease, entry: &Entry, ttl: Duration) -> Fill {
        let position = entry.reading.position.map(CachePosition::text).unwrap_or_default();
        let ttl_ms = milliseconds(ttl);
        let value = entry.encode();
        let arguments: [&[u8]; 4] = [lease.token.as_bytes(), &value, ttl_ms.as_bytes(), position.as_bytes()];
        match self.run(&self.scripts.fill, key, &arguments).await {
            Some((kind, ..)) if kind == "filled" => Fill::Accepted,
            Some(_) => Fill::Refused,
            None => Fill::Skipped,
        }
    }

    /// Gives a lease back unused, so that those who wait need not wait for its end.
    pub(super) async fn release(&self, key: &str, lease: &Lease) {
        self.run(&self.scripts.release, key, &[lease.token.as_bytes()]).await;
    }

    /// Tells Redis and everyone who listens, or has the upkeep do it when that can be done.
    pub(super) async fn invalidate(&self, key: &str, position: CachePosition) {
        self.state().undelivered.add(key, position);
        let mut delivery = Delivery { level: self, delivered: false };
        if self.deliver(key, position).await {
            delivery.delivered = true;
            self.state().undelivered.settle(key, &[position]);
        }
    }

    async fn deliver(&self, key: &str, position: CachePosition) -> bool {
        let session = self.session();
        self.deliver_over(session, key, position).await
    }

    async fn deliver_over(&self, session: Option<Session>, key: &str, position: CachePosition) -> bool {
        let text = position.text();
        let tombstone_ms = milliseconds(self.settings.tombstone);
        let message = format!("{}k{text}{key}", self.origin);
        let channel = self.channel();
        let arguments: [&[u8]; 4] =
            [text.as_bytes(), tombstone_ms.as_bytes(), channel.as_bytes(), message.as_bytes()];
        self.run_over(session, &self.scripts.invalidate, key, &arguments).await.is_some()
    }

    pub(super) fn channel(&self) -> String {
        format!("{}:invalidations", self.settings.namespace)
    }

    /// What a message says, if another process sent it.
    pub(super) fn foreign<'a>(&self, message: &'a [u8]) -> Option<&'a [u8]> {
        let (origin, message) = message.split_at_checked(self.origin.len())?;
        (origin != self.origin.as_bytes()).then_some(message)
    }

    pub(super) async fn subscription(&self) -> redis::RedisResult<redis::aio::PubSub> {
        let connected = tokio::time::timeout(self.connect_timeout(), self.client.get_async_pubsub());
        connected.await.map_err(timed_out)?
    }

    /// Connects, proves that Redis takes writes, and delivers what it missed.
    pub(super) async fn restore(&self) -> redis::RedisResult<()> {
        let config = redis::AsyncConnectionConfig::new()
            .set_connection_timeout(Some(self.connect_timeout()))
            .set_response_timeout(Some(self.settings.response_timeout));
        let connecting = self.client.get_multiplexed_async_connection_with_config(&config);
        let mut connection =
            tokio::time::timeout(self.connect_timeout(), connecting).await.map_err(timed_out)??;
        let (_, version, _): Reply =
            self.scripts.probe.key(self.version_key()).invoke_async(&mut connection).await?;
        let version: Arc<str> = Arc::from(String::from_utf8_lossy(&version));
        loop {
            {
                let mut state = self.state();
                if state.undelivered.is_empty() {
                    let outage = matches!(state.link, Link::Down { logged: true });
                    state.link = Link::Up { connection, version };
                    state.serial += 1;
                    if outage {
                        tracing::info!(namespace = self.settings.namespace, "the cache uses redis again");
                    }
                    return Ok(());
                }
            }
            self.replay(&mut connection, &version).await?;
        }
    }

    /// Delivers what was left undelivered while the link stayed up.
    pub(super) async fn deliver_rest(&self) {
        let Some(mut session) = self.session() else { return };
        while !self.state().undelivered.is_empty() {
            if let Err(error) = self.replay(&mut session.connection, &session.version).await {
                return self.failed(session.serial, &error);
            }
        }
    }

    async fn replay(&self, connection: &mut MultiplexedConnection, version: &str) -> redis::RedisResult<()> {
        let (batch, overflow) = {
            let state = self.state();
            (state.undelivered.batch(REPLAY_BATCH), state.undelivered.overflow())
        };
        if let Some(overflow) = overflow {
            let texts: Vec<_> = overflow.positions.iter().map(|position| position.text()).collect();
            let message = format!("{}b{}", self.origin, texts.concat());
            let mut bump = self.scripts.bump.prepare_invoke();
            bump.key(self.version_key()).key(self.floor_key());
            bump.arg(milliseconds(self.settings.tombstone)).arg(self.channel()).arg(message).arg(&texts);
            let _: Reply = bump.invoke_async(connection).await?;
            self.state().undelivered.settle_overflow(&overflow);
            tracing::warn!(
                namespace = self.settings.namespace,
                "more invalidations were missed than are remembered; every cached value is given up"
            );
            // The scripts of the next round find the new version by themselves.
        }
        for (key, positions) in batch {
            for position in &positions {
                let session =
                    Session { connection: connection.clone(), version: Arc::from(version), serial: 0 };
                if !self.deliver_over(Some(session), &key, *position).await {
                    return Err((redis::ErrorKind::Io, "an invalidation was not taken").into());
                }
            }
            self.state().undelivered.settle(&key, &positions);
        }
        Ok(())
    }

    async fn run(&self, script: &Script, key: &str, arguments: &[&[u8]]) -> Option<Reply> {
        self.run_over(self.session(), script, key, arguments).await
    }

    /// Runs a script on a key of the namespace's version; `None` where Redis is out or failed.
    async fn run_over(
        &self,
        session: Option<Session>,
        script: &Script,
        key: &str,
        arguments: &[&[u8]],
    ) -> Option<Reply> {
        let Some(mut session) = session else {
            self.counters.redis_skipped.increment();
            return None;
        };
        for _ in 0..VERSION_TRIES {
            let entry_key = |kind| format!("{}:{}:{kind}:{key}", self.settings.namespace, session.version);
            let mut call = script.prepare_invoke();
            call.key(self.version_key()).key(entry_key('v')).key(entry_key('t')).key(entry_key('l'));
            call.key(self.floor_key()).arg(&*session.version).arg(arguments);
            let answer = tokio::time::timeout(
                self.settings.response_timeout,
                call.invoke_async::<Reply>(&mut session.connection),
            );
            match answer.await.map_err(timed_out).and_then(|answer| answer) {
                Ok((kind, version, _)) if kind == "version" => {
                    session.version = self.adopt(session.serial, &version);
                }
                Ok(reply) => return Some(reply),
                Err(error) => {
                    self.failed(session.serial, &error);
                    return None;
                }
            }
        }
        None
    }

    /// Goes on with another version of the namespace: Redis was emptied, or somebody gave all entries up.
    fn adopt(&self, serial: u64, version: &[u8]) -> Arc<str> {
        let adopted: Arc<str> = Arc::from(String::from_utf8_lossy(version));
        let mut state = self.state();
        if state.serial == serial
            && let Link::Up { version, .. } = &mut state.link
        {
            *version = Arc::clone(&adopted);
        }
        adopted
    }

    fn session(&self) -> Option<Session> {
        let state = self.state();
        match &state.link {
            Link::Up { connection, version } => Some(Session {
                connection: connection.clone(),
                version: Arc::clone(version),
                serial: state.serial,
            }),
            Link::Down { .. } => None,
        }
    }

    fn failed(&self, serial: u64, error: &redis::RedisError) {
        self.counters.redis_errors.increment();
        if error.code() == Some(WRONG_TYPE) {
            return;
        }
        let mut state = self.state();
        if state.serial == serial && matches!(state.link, Link::Up { .. }) {
            state.link = Link::Down { logged: false };
            self.counters.redis_outages.increment();
            self.log_outage(&mut state, error);
            self.wake.notify_one();
        }
    }

    /// An attempt to reach Redis failed.
    pub(super) fn unreachable(&self, error: &redis::RedisError) {
        self.counters.redis_errors.increment();
        self.log_outage(&mut self.state(), error);
    }

    fn log_outage(&self, state: &mut State, error: &redis::RedisError) {
        if let Link::Down { logged: logged @ false } = &mut state.link {
            *logged = true;
            tracing::warn!(
                namespace = self.settings.namespace,
                error = error as &dyn std::error::Error,
                "the cache goes on without redis"
            );
        }
    }

    pub(super) fn is_up(&self) -> bool {
        matches!(self.state().link, Link::Up { .. })
    }

    fn connect_timeout(&self) -> Duration {
        // A handshake is a few round trips.
        self.settings.response_timeout * 4
    }

    fn version_key(&self) -> String {
        format!("{}:version", self.settings.namespace)
    }

    fn floor_key(&self) -> String {
        format!("{}:floor", self.settings.namespace)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Nothing under this lock panics half way.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// An invalidation on its way; whoever drops it before it has arrived leaves it to the upkeep.
struct Delivery<'a> {
    level: &'a SharedLevel,
    delivered: bool,
}

impl Drop for Delivery<'_> {
    fn drop(&mut self) {
        if !self.delivered {
            self.level.wake.notify_one();
        }
    }
}

impl Lease {
    /// What a loader should reach, by Redis' knowledge and another's.
    pub(super) fn floor_with(&self, other: Option<CachePosition>) -> Option<CachePosition> {
        stricter(other, self.floor)
    }
}

fn milliseconds(duration: Duration) -> String {
    // Redis refuses a life of nothing.
    duration.as_millis().max(1).to_string()
}

fn timed_out(_: tokio::time::error::Elapsed) -> redis::RedisError {
    (redis::ErrorKind::Io, "no answer in time").into()
}
