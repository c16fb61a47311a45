//! Attempts at login: who guesses has to wait, and who does not is not kept out by those who do.
//!
//! An attempt is counted before its password is looked at, so that no number of guesses at one time gets past the counters, and taken
//! back if it succeeds. Names of accounts are counted whether such accounts exist or not.
//!
//! Replicas share their counters through [`SharedState`]. While that is away each goes on with counters of its own, which is counted
//! ([`AttemptTotals::unshared`]): a login needs no shared state.
//! Invariant: an [`Attempt`] that is dropped stays counted.
//! Elsewhere: how long who waits (`policy`); that many passwords at once do not take the machine (`hashing`).
//! How it fails: [`RetryAfter`], and nothing else.

mod embedded;
mod keys;
mod local;
mod policy;
mod redis;
#[cfg(test)]
mod tests;

use std::{
    net::IpAddr,
    sync::Arc,
    time::{Duration, UNIX_EPOCH},
};

use phalanx_telemetry::{
    clock,
    registry::{Counter, Registry},
};

use self::{
    embedded::EmbeddedCounters,
    keys::{Keys, Naming},
    local::LocalCounters,
    policy::Acquaintance,
    redis::RedisCounters,
};
pub use self::{
    keys::Alias,
    policy::{AttemptPolicy, Ladder},
};
use crate::{
    StateError,
    state::{SharedState, Store},
};

/// How attempts are counted.
#[derive(Clone, Debug)]
pub struct AttemptSettings {
    /// How long who has to wait.
    pub policy: AttemptPolicy,
    /// Counters of the process itself, and as many pairs that know each other; past it those go that were used longest ago.
    pub local_entries_max: u64,
}

impl Default for AttemptSettings {
    fn default() -> Self {
        // About 100 bytes each. An attempt that is let in makes three at most, which are gone if it is taken back.
        Self { policy: AttemptPolicy::default(), local_entries_max: 100_000 }
    }
}

/// There were too many attempts; a client may come back after this time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("too many attempts; the next one may come in {0:?}")]
pub struct RetryAfter(pub Duration);

impl RetryAfter {
    /// For the header `Retry-After`: whole seconds, at least one.
    #[must_use]
    pub fn seconds(self) -> u64 {
        self.0.as_secs() + u64::from(self.0.subsec_nanos() > 0 || self.0.is_zero())
    }
}

/// The counters; cheap to clone.
#[derive(Clone)]
pub struct Attempts {
    shared: Arc<Shared>,
}

struct Shared {
    naming: Naming,
    policy: AttemptPolicy,
    local: LocalCounters,
    store: Option<CounterStore>,
    totals: AttemptTotals,
}

/// What was counted since the start, for the registry and for tests.
#[derive(Clone, Debug, Default)]
pub struct AttemptTotals {
    /// Attempts that were let in.
    pub admitted: Counter,
    /// Attempts that have to come back later.
    pub refused: Counter,
    /// Times that the shared counters did not answer, and an attempt was judged by those of this process, or stayed counted.
    pub unshared: Counter,
}

/// Counters that replicas share.
enum CounterStore {
    Redis(RedisCounters),
    Embedded(EmbeddedCounters),
}

/// What a store says of an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Judgement {
    Admitted(Acquaintance),
    Refused { retry_after: Duration },
}

/// How an attempt ended that is not to stay counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ending {
    /// The password was right.
    Success,
    /// No password was looked at.
    Withdrawal,
}

/// Who counted an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    Store,
    Process,
}

/// An attempt that was let in, and counted. Dropped, it stays so: as one that failed.
#[must_use = "an attempt that succeeded is to be taken back"]
pub struct Attempt {
    attempts: Attempts,
    keys: Keys,
    acquaintance: Acquaintance,
    place: Place,
}

impl Attempts {
    /// Counters that are shared through `state`, or of this process alone. All replicas have the same `secret`, which is of no other use.
    #[must_use]
    pub fn new(secret: &[u8], settings: &AttemptSettings, state: Option<&SharedState>) -> Self {
        let store = state.map(|state| match &state.store {
            Store::Redis(link) => CounterStore::Redis(RedisCounters::new(link.clone())),
            Store::Embedded(state) => CounterStore::Embedded(EmbeddedCounters::new(state.shard())),
        });
        let shared = Shared {
            naming: Naming::new(secret),
            policy: settings.policy,
            local: LocalCounters::new(&settings.policy, settings.local_entries_max),
            store,
            totals: AttemptTotals::default(),
        };
        Self { shared: Arc::new(shared) }
    }

    /// Counts an attempt at the account of this name, which is normalised as the accounts' names are. `address` is that of the client:
    /// with that of a proxy in front of all clients, all of them would wait for each other.
    ///
    /// # Errors
    /// When there were too many; then it is not counted, and the password is not to be looked at.
    pub async fn begin(&self, account: &str, address: IpAddr) -> Result<Attempt, RetryAfter> {
        let shared = &*self.shared;
        let keys = shared.naming.keys(account, address);
        let (judgement, place) = match self.judge_shared(&keys).await {
            Some(judgement) => (judgement, Place::Store),
            None => (shared.local.judge(&shared.policy, &keys, unix_milliseconds()), Place::Process),
        };
        match judgement {
            Judgement::Admitted(acquaintance) => {
                shared.totals.admitted.inc();
                Ok(Attempt { attempts: self.clone(), keys, acquaintance, place })
            }
            Judgement::Refused { retry_after } => {
                shared.totals.refused.inc();
                Err(RetryAfter(retry_after))
            }
        }
    }

    /// What to call this name of an account in a log.
    #[must_use]
    pub fn alias(&self, account: &str) -> Alias {
        self.shared.naming.alias(account)
    }

    /// What was counted since the start.
    #[must_use]
    pub fn totals(&self) -> &AttemptTotals {
        &self.shared.totals
    }

    /// Adds the totals to the metrics of the process.
    pub fn register(&self, registry: &mut Registry) {
        let AttemptTotals { admitted, refused, unshared } = &self.shared.totals;
        registry.register(
            "phalanx_login_attempts_admitted",
            "Attempts at login that were let in",
            admitted.clone(),
        );
        registry.register(
            "phalanx_login_attempts_refused",
            "Attempts at login that had to come back later",
            refused.clone(),
        );
        registry.register(
            "phalanx_login_attempts_unshared",
            "Times that a replica went by its own counters of attempts, because the shared ones did not answer",
            unshared.clone(),
        );
    }

    /// The judgement of the shared counters, if there are any and they answer.
    async fn judge_shared(&self, keys: &Keys) -> Option<Judgement> {
        let (policy, now) = (&self.shared.policy, unix_milliseconds());
        let judged = match self.shared.store.as_ref()? {
            CounterStore::Redis(counters) => counters.judge(policy, keys, now).await,
            CounterStore::Embedded(counters) => counters.judge(policy, keys, now).await,
        };
        judged.inspect_err(|error| self.failed(error)).ok()
    }

    fn failed(&self, error: &StateError) {
        self.shared.totals.unshared.inc();
        let defect = error.is_defect();
        let error: &dyn std::error::Error = error;
        if defect {
            tracing::error!(error, "attempts at login are counted by each replica for itself");
        } else {
            // The state tells of an outage once.
            tracing::debug!(error, "an attempt at login is counted by this replica alone");
        }
    }
}

impl Attempt {
    /// The password was right: the attempt is taken back, and account and address know each other from here on.
    pub async fn succeeded(self) {
        // Whatever becomes of the store, this replica remembers whom it has let in.
        self.attempts.shared.local.acquaint(&self.keys);
        self.settle(Ending::Success).await;
    }

    /// The password was not looked at, for want of a thread or of the account's data: the attempt is taken back.
    pub async fn withdrawn(self) {
        self.settle(Ending::Withdrawal).await;
    }

    /// Takes the attempt back where it was counted.
    async fn settle(self, ending: Ending) {
        let Self { attempts, keys, acquaintance, place } = self;
        let Shared { policy, local, store, .. } = &*attempts.shared;
        let settled = match (place, store) {
            (Place::Store, Some(CounterStore::Redis(counters))) => {
                counters.settle(policy, &keys, acquaintance, ending).await
            }
            (Place::Store, Some(CounterStore::Embedded(counters))) => {
                counters.settle(policy, &keys, acquaintance, ending, unix_milliseconds()).await
            }
            (Place::Process, _) | (Place::Store, None) => {
                local.settle(&keys, acquaintance, ending);
                Ok(())
            }
        };
        if let Err(error) = settled {
            attempts.failed(&error);
        }
    }
}

impl std::fmt::Debug for Attempts {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Attempts").field("totals", self.totals()).finish_non_exhaustive()
    }
}

impl std::fmt::Debug for Attempt {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Attempt").field("place", &self.place).finish_non_exhaustive()
    }
}

fn unix_milliseconds() -> u64 {
    let since = clock::wall().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}
