//! The level in the process: entries in moka, and per stripe of keys the loads under way and the invalidations.
//!
//! Invariant: the judgement on an entry and its insertion happen under the lock of its stripe, and so do an invalidation
//! and its removal; that is why this is moka's synchronous cache. A hit takes no lock.
//! Elsewhere: what a judgement is (`super::ledger`).

use std::{
    collections::{HashMap, HashSet},
    hash::{BuildHasher as _, RandomState},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Instant,
};

use moka::sync::Cache as Entries;
use tokio::sync::watch;

use super::{
    LoadError,
    entry::{Entry, Reading},
    ledger::{Ledger, Ticket, Verdict},
    position::CachePosition,
    settings::CacheSettings,
};

const STRIPES: usize = 16;
/// What an entry costs besides its key and value, roughly: moka's nodes, the entry and two reference counts.
const ENTRY_OVERHEAD_BYTES: usize = 256;

/// How a load ended; `None` while it runs.
type Outcome = Option<Result<Reading, LoadError>>;

pub(super) struct ProcessLevel {
    entries: Entries<Arc<str>, Arc<Entry>>,
    stripes: [Mutex<Stripe>; STRIPES],
    hasher: RandomState,
    /// Whether other processes' invalidations are heard, or there are none to hear of.
    listening: AtomicBool,
    settings: Arc<CacheSettings>,
}

struct Stripe {
    ledger: Ledger,
    flights: HashMap<Arc<str>, Flight>,
    refreshing: HashSet<Arc<str>>,
}

/// A load under way that others may wait for.
struct Flight {
    after: Option<CachePosition>,
    outcome: watch::Receiver<Outcome>,
}

/// What a read that found nothing does.
pub(super) enum Role {
    /// Somebody stored the entry in the meantime.
    Hit(Arc<Entry>),
    Follow(watch::Receiver<Outcome>),
    Lead(Lead),
}

/// The duty to load a key; dropped unfinished, the duty goes to one of those who wait.
pub(super) struct Lead {
    level: Arc<ProcessLevel>,
    pub(super) key: Arc<str>,
    pub(super) ticket: Ticket,
    /// What the loader should reach for its result to be kept.
    pub(super) floor: Option<CachePosition>,
    outcome: watch::Sender<Outcome>,
    /// The other end, by which the flight of this duty is known.
    flight: watch::Receiver<Outcome>,
}

impl Lead {
    /// Tells everyone who waits.
    pub(super) fn finish(self, outcome: Result<Reading, LoadError>) {
        // Receivers look again when they see this sender dropped, so the value goes first.
        self.outcome.send_replace(Some(outcome));
    }
}

impl Drop for Lead {
    fn drop(&mut self) {
        let mut stripe = self.level.stripe(&self.key);
        // An invalidation or a stricter reader may have put another flight in the place of this one.
        if stripe.flights.get(&self.key).is_some_and(|flight| self.flight.same_channel(&flight.outcome)) {
            stripe.flights.remove(&self.key);
        }
    }
}

/// The duty to refresh a key, which one task at a time has.
pub(super) struct Refresh {
    level: Arc<ProcessLevel>,
    pub(super) key: Arc<str>,
    pub(super) ticket: Ticket,
    pub(super) floor: Option<CachePosition>,
}

impl Drop for Refresh {
    fn drop(&mut self) {
        self.level.stripe(&self.key).refreshing.remove(&self.key);
    }
}

/// Other processes' invalidations are heard while this lives.
pub(super) struct Listening<'a> {
    level: &'a ProcessLevel,
}

impl Drop for Listening<'_> {
    fn drop(&mut self) {
        self.level.listening.store(false, Ordering::Release);
    }
}

impl ProcessLevel {
    pub(super) fn new(settings: Arc<CacheSettings>) -> Self {
        let weigh = |key: &Arc<str>, entry: &Arc<Entry>| {
            u32::try_from(key.len() + entry.bytes() + ENTRY_OVERHEAD_BYTES).unwrap_or(u32::MAX)
        };
        let entries = Entries::builder()
            .max_capacity(settings.process_bytes_max)
            .weigher(weigh)
            // Returns the memory; whether an entry is still good is judged at each read.
            .time_to_live(settings.process_ttl)
            .build();
        let stripe = |_| {
            Mutex::new(Stripe {
                ledger: Ledger::new(settings.marks_max, settings.tombstone),
                flights: HashMap::new(),
                refreshing: HashSet::new(),
            })
        };
        Self {
            entries,
            stripes: std::array::from_fn(stripe),
            hasher: RandomState::new(),
            listening: AtomicBool::new(settings.redis_url.is_none()),
            settings,
        }
    }

    pub(super) fn get(&self, key: &str, after: Option<CachePosition>, now: Instant) -> Option<Arc<Entry>> {
        let entry = self.entries.get(key)?;
        let ttl = if self.listening.load(Ordering::Acquire) {
            self.settings.process_ttl
        } else {
            self.settings.process_ttl_unsubscribed
        };
        let good = now < entry.expires && now < entry.stored + ttl && entry.reading.reaches(after);
        good.then_some(entry)
    }

    /// Joins the load of `key` under way, or begins one.
    pub(super) fn join(self: &Arc<Self>, key: &str, after: Option<CachePosition>, now: Instant) -> Role {
        let mut stripe = self.stripe(key);
        if let Some(entry) = self.get(key, after, now) {
            return Role::Hit(entry);
        }
        if let Some(flight) = stripe.flights.get(key) {
            let strict = after.is_none_or(|own| flight.after.is_some_and(|other| other.reaches(own)));
            // One whose leader has gone is nobody's.
            let led = flight.outcome.has_changed().is_ok();
            if strict && led {
                return Role::Follow(flight.outcome.clone());
            }
        }
        let key: Arc<str> = Arc::from(key);
        let (sender, outcome) = watch::channel(None);
        let ticket = stripe.ledger.ticket(now);
        let floor = stripe.ledger.position(&key, now);
        stripe.flights.insert(Arc::clone(&key), Flight { after, outcome: outcome.clone() });
        Role::Lead(Lead { level: Arc::clone(self), key, ticket, floor, outcome: sender, flight: outcome })
    }

    /// The duty to refresh `key`, unless somebody has it.
    pub(super) fn refresh(self: &Arc<Self>, key: &str, now: Instant) -> Option<Refresh> {
        let mut stripe = self.stripe(key);
        if stripe.refreshing.contains(key) {
            return None;
        }
        let key: Arc<str> = Arc::from(key);
        stripe.refreshing.insert(Arc::clone(&key));
        let (ticket, floor) = (stripe.ledger.ticket(now), stripe.ledger.position(&key, now));
        Some(Refresh { level: Arc::clone(self), key, ticket, floor })
    }

    /// Keeps an entry, if nothing speaks against it.
    pub(super) fn store(&self, key: &Arc<str>, ticket: Ticket, entry: Entry, now: Instant) -> Verdict {
        let stripe = self.stripe(key);
        let verdict = stripe.ledger.judge(key, ticket, entry.reading.position, now);
        if verdict == Verdict::Current {
            self.entries.insert(Arc::clone(key), Arc::new(entry));
        }
        verdict
    }

    /// What [`Self::store`] would find.
    pub(super) fn judge(&self, key: &str, ticket: Ticket, reading: &Reading, now: Instant) -> Verdict {
        self.stripe(key).ledger.judge(key, ticket, reading.position, now)
    }

    pub(super) fn invalidate(&self, key: &str, position: CachePosition, now: Instant) {
        let mut stripe = self.stripe(key);
        let key: Arc<str> = Arc::from(key);
        stripe.ledger.invalidate(&key, position, now);
        // Those who come from here on must not wait for what began before.
        stripe.flights.remove(&key);
        self.entries.invalidate(&key);
    }

    /// Empties the level, because messages may have been missed.
    pub(super) fn clear(&self) {
        self.empty(Ledger::clear);
    }

    /// Empties the level, because keys that nobody can name were written up to these positions.
    pub(super) fn invalidate_all(&self, positions: &[CachePosition], now: Instant) {
        self.empty(|ledger| ledger.invalidate_all(positions, now));
    }

    fn empty(&self, mark: impl Fn(&mut Ledger)) {
        // Marked first in every stripe, emptied then: what slips in between was read after its mark.
        for stripe in &self.stripes {
            let mut stripe = lock(stripe);
            mark(&mut stripe.ledger);
            stripe.flights.clear();
        }
        self.entries.invalidate_all();
    }

    /// Empties the level and trusts it for longer, as long as the guard is held.
    pub(super) fn listen(&self) -> Listening<'_> {
        self.clear();
        self.listening.store(true, Ordering::Release);
        Listening { level: self }
    }

    fn stripe(&self, key: &str) -> MutexGuard<'_, Stripe> {
        let hash = self.hasher.hash_one(key);
        lock(&self.stripes[usize::try_from(hash % STRIPES as u64).unwrap_or(0)])
    }
}

fn lock(stripe: &Mutex<Stripe>) -> MutexGuard<'_, Stripe> {
    // No code of a caller runs under this lock.
    stripe.lock().unwrap_or_else(PoisonError::into_inner)
}
