//! What is revoked, in memory: asked by every request on every thread, told of a revocation now and then.
//!
//! Invariants: a token that a live entry revokes is never found live; learning is idempotent and its order does not matter;
//! there are never many more entries than `entries_max`, and while one is missing for want of room, what is not found revoked is
//! [`Standing::Unsure`].
//! Elsewhere: where entries come from (`super::feed`), and what a caller makes of `Unsure` (`super`).
//!
//! The set is cut into stripes, each with a lock of its own, so that two threads meet only where they ask for the same stripe
//! at the same moment. One map behind a swapped pointer would spare readers the lock, and copy all entries for each revocation:
//! 20 ms for a hundred thousand of them, where a look takes 50 ns with the lock, and 4 ns in an empty set.

use std::{
    collections::HashMap,
    sync::{
        PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
};

use super::entry::{Entry, Extent, Kind, Marks, Standing, Target};

#[cfg(test)]
mod tests;

/// Many times the threads of a large machine.
const STRIPES: usize = 128;

pub(super) struct RevokedSet {
    sessions: Striped,
    subjects: Striped,
    entries_max: usize,
    /// The latest end of an entry that found no room, in Unix seconds.
    overfull_until: AtomicU64,
}

/// The entries of one kind.
struct Striped {
    stripes: Box<[Stripe]>,
    /// How many entries there are in all: most of the time none, and then nothing is looked up.
    count: AtomicUsize,
}

/// On cache lines of its own, since even readers write to a lock.
#[derive(Default)]
#[repr(align(128))]
struct Stripe(RwLock<HashMap<Box<str>, Extent>>);

/// What became of an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Learnt {
    /// It says more than was known.
    More,
    /// It was known already, or is over.
    Nothing,
    /// There was no room for it.
    NoRoom,
}

impl RevokedSet {
    pub(super) fn new(entries_max: usize) -> Self {
        Self {
            sessions: Striped::new(),
            subjects: Striped::new(),
            entries_max,
            overfull_until: AtomicU64::new(0),
        }
    }

    /// What is known of a token at `now`, in Unix seconds. Never allocates.
    pub(super) fn check(&self, marks: &Marks<'_>, now: u64) -> Standing {
        let session = marks.session.and_then(|session| self.sessions.get(session));
        let subject = self.subjects.get(marks.subject).filter(|extent| extent.epoch > marks.epoch);
        if session.into_iter().chain(subject).any(|extent| extent.until > now) {
            Standing::Revoked
        } else if now < self.overfull_until.load(Ordering::Relaxed) {
            Standing::Unsure
        } else {
            Standing::Live
        }
    }

    /// Whether it cannot say anything but [`Standing::Live`], at any time.
    pub(super) fn is_empty(&self) -> bool {
        self.len() == 0 && self.overfull_until.load(Ordering::Relaxed) == 0
    }

    pub(super) fn len(&self) -> usize {
        self.sessions.len() + self.subjects.len()
    }

    /// Whether an entry of this extent would add nothing.
    pub(super) fn covers(&self, target: &Target, extent: &Extent) -> bool {
        self.of(target.kind).get(&target.id).is_some_and(|held| held.covers(extent))
    }

    /// Takes an entry in, unless it is over at `now`.
    pub(super) fn learn(&self, entry: &Entry, now: u64) -> Learnt {
        let Entry { target, extent } = entry;
        if extent.until <= now {
            return Learnt::Nothing;
        }
        let entries = self.of(target.kind);
        let mut stripe = entries.stripe(&target.id).write();
        if let Some(held) = stripe.get_mut(target.id.as_str()) {
            let known = held.covers(extent);
            held.join(extent);
            return if known { Learnt::Nothing } else { Learnt::More };
        }
        if self.len() >= self.entries_max {
            self.overfull_until.fetch_max(extent.until, Ordering::Relaxed);
            return Learnt::NoRoom;
        }
        stripe.insert(target.id.as_str().into(), *extent);
        entries.count.fetch_add(1, Ordering::Relaxed);
        Learnt::More
    }

    /// Forgets what is over at `now`.
    pub(super) fn sweep(&self, now: u64) {
        self.sessions.sweep(now);
        self.subjects.sweep(now);
    }

    /// All entries that are not over at `now`.
    pub(super) fn live(&self, now: u64) -> Vec<Entry> {
        let mut live = Vec::with_capacity(self.len());
        for kind in [Kind::Session, Kind::Subject] {
            for stripe in &self.of(kind).stripes {
                let stripe = stripe.read();
                let entries = stripe.iter().filter(|(_, extent)| extent.until > now);
                live.extend(entries.map(|(id, extent)| Entry {
                    target: Target { kind, id: id.as_ref().to_owned() },
                    extent: *extent,
                }));
            }
        }
        live
    }

    fn of(&self, kind: Kind) -> &Striped {
        match kind {
            Kind::Session => &self.sessions,
            Kind::Subject => &self.subjects,
        }
    }
}

impl Striped {
    fn new() -> Self {
        Self { stripes: (0..STRIPES).map(|_| Stripe::default()).collect(), count: AtomicUsize::new(0) }
    }

    fn len(&self) -> usize {
        self.count.load(Ordering::Relaxed)
    }

    fn get(&self, id: &str) -> Option<Extent> {
        if self.len() == 0 { None } else { self.stripe(id).read().get(id).copied() }
    }

    fn sweep(&self, now: u64) {
        for stripe in &self.stripes {
            // Most stripes have nothing to forget, and readers go on while that is found out.
            if stripe.read().values().all(|extent| extent.until > now) {
                continue;
            }
            let mut stripe = stripe.write();
            let before = stripe.len();
            stripe.retain(|_, extent| extent.until > now);
            self.count.fetch_sub(before - stripe.len(), Ordering::Relaxed);
        }
    }

    fn stripe(&self, id: &str) -> &Stripe {
        // FNV-1a. Whoever could choose his id would only choose whom he shares a lock with.
        let step = |hash: u32, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193);
        &self.stripes[id.bytes().fold(0x811c_9dc5, step) as usize % STRIPES]
    }
}

impl Stripe {
    // Nothing under these locks panics half way.
    fn read(&self) -> RwLockReadGuard<'_, HashMap<Box<str>, Extent>> {
        self.0.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, HashMap<Box<str>, Extent>> {
        self.0.write().unwrap_or_else(PoisonError::into_inner)
    }
}
