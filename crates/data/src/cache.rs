//! A cache of values that are read from the shards: moka in the process and, if there is one, Redis behind it.
//!
//! ```
//! use std::{convert::Infallible, time::Duration};
//!
//! use phalanx_data::{Cache, CachePolicy, CachePosition, CacheSettings, Reading};
//!
//! const PROFILE: CachePolicy = CachePolicy::new(Duration::from_secs(300), Duration::from_secs(30));
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let (cache, upkeep) = Cache::open(CacheSettings::new("api"))?;
//! let mut tasks = tokio::task::JoinSet::new();
//! tasks.spawn(upkeep.run()); // Refreshes, and everything about Redis; it runs until it is dropped.
//!
//! let position = CachePosition { shard: 1, timeline: 1, lsn: 4711 };
//! // The loader reads where `floor` has been reached, and says where it read.
//! let load = move |_floor| async move { Ok::<_, Infallible>(Reading::found("Ada".into(), position)) };
//! let profile = cache.get_or_load("profile:7", &PROFILE, None, load).await?;
//! assert_eq!(profile.content.as_deref(), Some(&b"Ada"[..]));
//!
//! // After a write: with the position of its commit, before its caller is answered.
//! cache.invalidate("profile:7", CachePosition { lsn: 4800, ..position }).await;
//! # Ok(())
//! # }
//! ```
//!
//! Values are bytes; put the version of their format into the key. A key is loaded once at a time, in a process by a
//! flight that the others join, over processes by a short lease in Redis.
//!
//! # What a read can rely on
//!
//! * One that demands a position (`after`) never sees a value read before it, from whichever level.
//! * One that begins after [`Cache::invalidate`] returned in the same process never sees an older cached value, whatever
//!   Redis does: the process remembers the position itself.
//! * One in another process does not either, once the message has come (moments after the return), if Redis took the
//!   invalidation. While no messages come, entries of the process level answer for
//!   [`CacheSettings::process_ttl_unsubscribed`] at most, and all are dropped when messages come again.
//! * If Redis could not be told, other processes can see the old entry in Redis until the telling is made up for or the
//!   entry's life ends. Whoever must not see it brings a position.
//!
//! # How an invalidation wins over a stale fill
//!
//! It deletes the value and the lease in Redis and leaves a tombstone with its position. A fill is taken only with the
//! lease of its own miss and only if its data was read at the tombstone's position or later. The same rule holds in the
//! process. A loader is told the position, so that it reads where it will not be refused; one that cannot read there
//! answers its readers with what it has, and nobody after them.
//!
//! # When Redis fails
//!
//! The first command that fails takes it out of use: requests go to their loaders, coalesced in the process, and wait for
//! nothing. Invalidations are remembered and delivered before Redis is used again; past
//! [`CacheSettings::undelivered_max`] keys the namespace gets another version, which gives up every entry in Redis.
//! A Redis that lost its memory has lost its tombstones as well: a process that was started since, and therefore heard
//! nothing, can then fill from a lagging replica. A process that dies between its commit and its invalidation leaves the
//! entry until its life ends.

mod ageing;
mod counters;
mod entry;
mod ledger;
mod position;
mod process;
mod settings;
mod shared;
mod upkeep;

use std::{error::Error, fmt, pin::Pin, sync::Arc, time::Duration};

use phalanx_telemetry::clock;
use tokio::sync::mpsc;

pub use self::{
    counters::CacheTotals,
    entry::Reading,
    position::CachePosition,
    settings::{CachePolicy, CacheSettings},
    upkeep::CacheUpkeep,
};
use self::{
    counters::Counters,
    entry::Entry,
    ledger::{Ticket, Verdict},
    position::stricter,
    process::{Lead, ProcessLevel, Role},
    shared::{Fill, Lease, Lookup, SharedLevel, Want},
};

/// The first pause before it is asked again whether another process has loaded; it doubles up to eight times that.
const LEASE_POLL: Duration = Duration::from_millis(10);

/// Work that the upkeep does for a cache.
type Chore = Pin<Box<dyn Future<Output = ()> + Send>>;

/// A cache. Clones share it.
#[derive(Clone)]
pub struct Cache {
    process: Arc<ProcessLevel>,
    shared: Option<Arc<SharedLevel>>,
    settings: Arc<CacheSettings>,
    counters: Arc<Counters>,
    chores: mpsc::Sender<Chore>,
}

/// Why a cache cannot be opened. A Redis that is out is no reason.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CacheError {
    /// The address is no `redis://` URL.
    #[error("the address of redis")]
    Address {
        /// What is wrong with it.
        source: redis::RedisError,
    },
    /// A lease that outlives the tombstones could let a stale fill pass.
    #[error("a lease of {lease:?} needs tombstones that live longer than {tombstone:?}")]
    TombstoneTooShort {
        /// [`CacheSettings::lease`].
        lease: Duration,
        /// [`CacheSettings::tombstone`].
        tombstone: Duration,
    },
}

/// A load failed. Everyone who waited for it gets the same error; it is not cached.
#[derive(Clone, Debug, thiserror::Error)]
#[error("load a value for the cache")]
pub struct LoadError {
    source: Arc<dyn Error + Send + Sync>,
}

impl LoadError {
    /// The loader's error, if it is an `E`.
    #[must_use]
    pub fn downcast_ref<E: Error + 'static>(&self) -> Option<&E> {
        self.source.downcast_ref()
    }
}

/// What the shared level says to a miss.
enum Consulted {
    Found(Entry),
    Load(Option<HeldLease>),
}

impl Cache {
    /// A cache and what keeps it up. Reaches Redis in the background, so it may be out.
    ///
    /// # Errors
    /// The settings contradict themselves, or the address of Redis is none.
    pub fn open(settings: CacheSettings) -> Result<(Self, CacheUpkeep), CacheError> {
        let (lease, tombstone) = (settings.lease, settings.tombstone);
        if lease >= tombstone {
            return Err(CacheError::TombstoneTooShort { lease, tombstone });
        }
        let settings = Arc::new(settings);
        let counters = Arc::new(Counters::default());
        let shared = match &settings.redis_url {
            Some(url) => {
                let level = SharedLevel::new(url, Arc::clone(&settings), Arc::clone(&counters));
                Some(Arc::new(level.map_err(|source| CacheError::Address { source })?))
            }
            None => None,
        };
        let process = Arc::new(ProcessLevel::new(Arc::clone(&settings)));
        let (chores, queue) = mpsc::channel(settings.refreshes_max.max(1));
        let cache = Self { process, shared, settings, counters, chores };
        let upkeep = CacheUpkeep::new(&cache, queue);
        Ok((cache, upkeep))
    }

    /// The value of `key`, from the cache or by `loader`.
    ///
    /// With `after`, a value read before that position is as good as none. The loader is told the position that it has to
    /// reach for its result to be kept; what it returns is answered in any case. It may run in the background, to refresh
    /// a value that is still good.
    ///
    /// # Errors
    /// The load failed, this one or the one that was joined.
    pub async fn get_or_load<L, F, E>(
        &self,
        key: &str,
        policy: &CachePolicy,
        after: Option<CachePosition>,
        loader: L,
    ) -> Result<Reading, LoadError>
    where
        L: FnOnce(Option<CachePosition>) -> F + Send + 'static,
        F: Future<Output = Result<Reading, E>> + Send + 'static,
        E: Error + Send + Sync + 'static,
    {
        if let Some(entry) = self.process.get(key, after, clock::now()) {
            return Ok(self.hit(key, policy, &entry, loader));
        }
        loop {
            match self.process.join(key, after, clock::now()) {
                Role::Hit(entry) => return Ok(self.hit(key, policy, &entry, loader)),
                Role::Follow(mut outcome) => {
                    let ended = outcome.wait_for(Option::is_some).await.map(|outcome| outcome.clone());
                    // Otherwise the leader was cancelled, and one of those who waited goes on in its place.
                    if let Ok(Some(outcome)) = ended {
                        self.counters.coalesced.increment();
                        return outcome;
                    }
                }
                Role::Lead(lead) => {
                    let outcome = self.fetch(&lead, policy, after, loader).await;
                    lead.finish(outcome.clone());
                    return outcome;
                }
            }
        }
    }

    /// Makes sure that no read that begins after this returns sees a value of `key` older than the write that ended at
    /// `position`; the module's documentation says for which processes. Dropping the future does not undo it.
    pub async fn invalidate(&self, key: &str, position: CachePosition) {
        self.counters.invalidations.increment();
        self.process.invalidate(key, position, clock::now());
        if let Some(shared) = &self.shared {
            shared.invalidate(key, position).await;
        }
    }

    /// What has been counted.
    #[must_use]
    pub fn totals(&self) -> CacheTotals {
        self.counters.totals()
    }

    /// Whether Redis is in use.
    #[must_use]
    pub fn redis_is_up(&self) -> bool {
        self.shared.as_ref().is_some_and(|shared| shared.is_up())
    }

    fn hit<L, F, E>(&self, key: &str, policy: &CachePolicy, entry: &Entry, loader: L) -> Reading
    where
        L: FnOnce(Option<CachePosition>) -> F + Send + 'static,
        F: Future<Output = Result<Reading, E>> + Send + 'static,
        E: Error + Send + Sync + 'static,
    {
        self.counters.process_hits.increment();
        if refresh_is_due(entry, policy) {
            self.refresh(key, *policy, loader);
        }
        entry.reading.clone()
    }

    /// Answers a miss of the process level, for this read and those that joined it.
    async fn fetch<L, F, E>(
        &self,
        lead: &Lead,
        policy: &CachePolicy,
        after: Option<CachePosition>,
        loader: L,
    ) -> Result<Reading, LoadError>
    where
        L: FnOnce(Option<CachePosition>) -> F + Send + 'static,
        F: Future<Output = Result<Reading, E>> + Send + 'static,
        E: Error + Send + Sync + 'static,
    {
        match self.consult(lead, after).await {
            Consulted::Found(entry) => {
                self.counters.redis_hits.increment();
                let reading = entry.reading.clone();
                let is_due = refresh_is_due(&entry, policy);
                self.process.store(&lead.key, lead.ticket, entry, clock::now());
                if is_due {
                    self.refresh(&lead.key, *policy, loader);
                }
                Ok(reading)
            }
            Consulted::Load(lease) => {
                self.counters.misses.increment();
                let load = Load {
                    cache: self,
                    key: &lead.key,
                    ticket: lead.ticket,
                    floor: stricter(after, lead.floor),
                    lease,
                };
                load.run(policy, loader).await
            }
        }
    }

    /// Asks Redis for the value, or for the lease to load it; waits for the process that has it.
    async fn consult(&self, lead: &Lead, after: Option<CachePosition>) -> Consulted {
        let Some(shared) = &self.shared else { return Consulted::Load(None) };
        let deadline = clock::now() + self.settings.lease_wait;
        let mut pause = LEASE_POLL;
        let mut want = Want::Entry;
        loop {
            match shared.lookup(&lead.key, want).await {
                Lookup::Found(entry) => {
                    let now = clock::now();
                    let verdict = self.process.judge(&lead.key, lead.ticket, &entry.reading, now);
                    // An overtaken one may be older than what was known when this read began: that is not told any more.
                    if verdict == Verdict::Current && entry.reading.reaches(after) {
                        return Consulted::Found(entry);
                    }
                    want = Want::Lease;
                }
                Lookup::Leased(lease) => return Consulted::Load(Some(self.hold(&lead.key, lease))),
                Lookup::Busy if want == Want::Entry && clock::now() < deadline => {
                    tokio::time::sleep(ageing::jittered(pause, 0.5, fastrand::f64())).await;
                    pause = (pause * 2).min(LEASE_POLL * 8);
                }
                Lookup::Busy | Lookup::Skipped => return Consulted::Load(None),
            }
        }
    }

    /// Has the upkeep load a value that is still good, unless somebody does already.
    fn refresh<L, F, E>(&self, key: &str, policy: CachePolicy, loader: L)
    where
        L: FnOnce(Option<CachePosition>) -> F + Send + 'static,
        F: Future<Output = Result<Reading, E>> + Send + 'static,
        E: Error + Send + Sync + 'static,
    {
        let Ok(permit) = self.chores.clone().try_reserve_owned() else {
            return self.counters.refreshes_skipped.increment();
        };
        let Some(refresh) = self.process.refresh(key, clock::now()) else { return };
        let cache = self.clone();
        permit.send(Box::pin(async move {
            let lease = match &cache.shared {
                Some(shared) => match shared.lookup(&refresh.key, Want::Lease).await {
                    Lookup::Leased(lease) => Some(cache.hold(&refresh.key, lease)),
                    // Another process refreshes it.
                    Lookup::Busy | Lookup::Found(_) => return,
                    Lookup::Skipped => None,
                },
                None => None,
            };
            cache.counters.refreshes.increment();
            let load = Load {
                cache: &cache,
                key: &refresh.key,
                ticket: refresh.ticket,
                floor: refresh.floor,
                lease,
            };
            // A failure is counted, and the old value stays.
            let _ = load.run(&policy, loader).await;
        }));
    }

    fn hold(&self, key: &Arc<str>, lease: Lease) -> HeldLease {
        HeldLease { cache: self.clone(), key: Arc::clone(key), lease: Some(lease) }
    }
}

/// One call of a loader, and the keeping of what it brings.
struct Load<'a> {
    cache: &'a Cache,
    key: &'a Arc<str>,
    ticket: Ticket,
    floor: Option<CachePosition>,
    lease: Option<HeldLease>,
}

impl Load<'_> {
    async fn run<L, F, E>(self, policy: &CachePolicy, loader: L) -> Result<Reading, LoadError>
    where
        L: FnOnce(Option<CachePosition>) -> F,
        F: Future<Output = Result<Reading, E>>,
        E: Error + Send + Sync + 'static,
    {
        let floor = self.lease.as_ref().map_or(self.floor, |lease| lease.floor_with(self.floor));
        let begun = clock::now();
        // Boxed: a loader's future is as big as the caller's query, and several layers hold it.
        match Box::pin(loader(floor)).await {
            Ok(reading) => {
                self.keep(reading.clone(), policy, clock::now().duration_since(begun)).await;
                Ok(reading)
            }
            Err(error) => {
                self.cache.counters.load_errors.increment();
                Err(LoadError { source: Arc::new(error) })
            }
        }
    }

    async fn keep(self, reading: Reading, policy: &CachePolicy, load_time: Duration) {
        let now = clock::now();
        let life = if reading.content.is_some() { policy.ttl } else { policy.absent_ttl };
        let life = ageing::jittered(life, policy.jitter, fastrand::f64());
        let entry = Entry { reading, load_time, expires: now + life, stored: now };
        if entry.bytes() > self.cache.settings.entry_bytes_max {
            return self.cache.counters.oversized.increment();
        }
        let verdict = self.cache.process.judge(self.key, self.ticket, &entry.reading, now);
        // What Redis refuses the process does not keep either: there is an invalidation that it has not heard of.
        let taken = verdict == Verdict::Current
            && match self.lease {
                Some(lease) => lease.fill(&entry, life).await != Fill::Refused,
                None => true,
            }
            // Judged again, since an invalidation may have come while Redis was told.
            && self.cache.process.store(self.key, self.ticket, entry, clock::now()) == Verdict::Current;
        if !taken {
            self.cache.counters.refused_fills.increment();
        }
    }
}

/// A lease that is given back when nothing comes of it.
struct HeldLease {
    cache: Cache,
    key: Arc<str>,
    lease: Option<Lease>,
}

impl HeldLease {
    fn floor_with(&self, other: Option<CachePosition>) -> Option<CachePosition> {
        self.lease.as_ref().map_or(other, |lease| lease.floor_with(other))
    }

    async fn fill(mut self, entry: &Entry, life: Duration) -> Fill {
        let (Some(shared), Some(lease)) = (&self.cache.shared, &self.lease) else { return Fill::Skipped };
        let fill = shared.fill(&self.key, lease, entry, life).await;
        self.lease = None;
        fill
    }
}

impl Drop for HeldLease {
    fn drop(&mut self) {
        if let (Some(lease), Some(shared)) = (self.lease.take(), self.cache.shared.clone()) {
            let key = Arc::clone(&self.key);
            // With no room for it the lease ends by itself.
            let release = async move { shared.release(&key, &lease).await };
            let _ = self.cache.chores.try_send(Box::pin(release));
        }
    }
}

impl fmt::Debug for Cache {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let namespace = &self.settings.namespace;
        formatter.debug_struct("Cache").field("namespace", namespace).finish_non_exhaustive()
    }
}

fn refresh_is_due(entry: &Entry, policy: &CachePolicy) -> bool {
    let remaining = entry.expires.saturating_duration_since(clock::now());
    ageing::refresh_is_due(remaining, entry.load_time, policy.refresh_beta, fastrand::f64())
}
