//! Counters of one process: all there are without shared state, and what goes on while that is away.

use std::sync::{Mutex, MutexGuard, PoisonError};

use moka::{policy::EvictionPolicy, sync::Cache};

use super::{
    Ending, Judgement,
    keys::{Keys, Name},
    policy::{Acquaintance, AttemptPolicy, Counter, Counters, Verdict, judge},
};

/// Bounded, whatever names come: those go first that were used longest ago.
pub(super) struct LocalCounters {
    // One lock for all: it is held for a microsecond, and whoever was let in hashes for ten thousand.
    books: Mutex<Books>,
}

struct Books {
    counters: Cache<Name, Counter>,
    /// Pairs that know each other.
    known: Cache<Name, ()>,
}

impl LocalCounters {
    pub(super) fn new(policy: &AttemptPolicy, entries_max: u64) -> Self {
        let memory = policy.pair.memory.max(policy.account.memory).max(policy.address.memory);
        // By default a cache keeps what is asked for often rather than what is new, and a counter would be lost as soon as it was
        // made.
        let counters = Cache::builder().max_capacity(entries_max).eviction_policy(EvictionPolicy::lru());
        let known = Cache::builder().max_capacity(entries_max).eviction_policy(EvictionPolicy::lru());
        let counters = counters.time_to_live(memory).build();
        Self { books: Mutex::new(Books { counters, known: known.time_to_live(policy.known_for).build() }) }
    }

    pub(super) fn judge(&self, policy: &AttemptPolicy, keys: &Keys, now: u64) -> Judgement {
        let books = self.books();
        let counter = |name: &Name| books.counters.get(name).unwrap_or_default();
        let counters = Counters {
            pair: counter(&keys.pair),
            account: counter(&keys.account),
            address: counter(&keys.address),
        };
        let known = books.known.contains_key(&keys.pair);
        let acquaintance = if known { Acquaintance::Known } else { Acquaintance::Unknown };
        match judge(policy, &counters, acquaintance, now) {
            Verdict::Admitted(counted) => {
                books.counters.insert(keys.pair, counted.pair);
                if acquaintance == Acquaintance::Unknown {
                    books.counters.insert(keys.account, counted.account);
                    books.counters.insert(keys.address, counted.address);
                }
                Judgement::Admitted(acquaintance)
            }
            Verdict::Refused { retry_after, counters: kept } => {
                books.keep(keys.pair, counters.pair, kept.pair);
                if acquaintance == Acquaintance::Unknown {
                    books.keep(keys.account, counters.account, kept.account);
                    books.keep(keys.address, counters.address, kept.address);
                }
                Judgement::Refused { retry_after }
            }
        }
    }

    /// Lets a pair know each other.
    pub(super) fn acquaint(&self, keys: &Keys) {
        self.books().known.insert(keys.pair, ());
    }

    /// Takes an attempt back.
    pub(super) fn settle(&self, keys: &Keys, acquaintance: Acquaintance, ending: Ending) {
        let books = self.books();
        match ending {
            Ending::Success => {
                books.counters.invalidate(&keys.pair);
                books.known.insert(keys.pair, ());
            }
            Ending::Withdrawal => books.take_back(keys.pair),
        }
        if acquaintance == Acquaintance::Unknown {
            books.take_back(keys.account);
            books.take_back(keys.address);
        }
    }

    #[cfg(test)]
    pub(super) fn entries(&self) -> u64 {
        let books = self.books();
        books.counters.run_pending_tasks();
        books.known.run_pending_tasks();
        books.counters.entry_count() + books.known.entry_count()
    }

    fn books(&self) -> MutexGuard<'_, Books> {
        // Nothing under this lock panics half way.
        self.books.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Books {
    fn keep(&self, name: Name, before: Counter, kept: Counter) {
        if kept != before {
            self.counters.insert(name, kept);
        }
    }

    fn take_back(&self, name: Name) {
        match self.counters.get(&name).and_then(Counter::taken_back) {
            Some(counter) => self.counters.insert(name, counter),
            None => self.counters.invalidate(&name),
        }
    }
}
