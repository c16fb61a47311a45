//! Keys of another issuer, fetched from where it publishes them and kept fresh.
//!
//! Invariants: whatever tokens arrive, they cause one fetch at most in [`RemoteKeysSettings::cooldown`], and those of one header
//! one at most in [`ASKED_FOR`]; a fetch that fails, or brings nothing to verify with, takes no key away.
//! Elsewhere: when a fetch is due (`plan`, pure); how it is done (`fetch`).
//! How it fails: before the first success [`Keys::is_empty`] holds and no token can be judged; later, the keys grow old, which
//! [`RemoteKeysTotals::age`] tells.

mod fetch;
mod plan;
mod upkeep;

use std::{
    collections::{VecDeque, hash_map::RandomState},
    hash::BuildHasher as _,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use phalanx_telemetry::clock;
use tokio::{
    sync::{Semaphore, watch},
    time::timeout,
};

use self::{
    fetch::Source,
    plan::{Plan, State, plan},
};
pub use self::{
    fetch::{FetchError, UrlError},
    upkeep::RemoteKeysUpkeep,
};
use crate::{
    keys::Keys,
    token::{Claims, TokenError, Verifier},
};

/// For how long a key that a fetch has not brought is not looked for again.
const ASKED_FOR: Duration = Duration::from_secs(60);
/// So many of them are remembered. A fetch makes one, so a cooldown of seconds does not fill it.
const ASKED_MAX: usize = 64;
/// So many requests wait for a fetch at a time; the next are told at once that their key is not known.
const WAITING_MAX: usize = 1024;

/// How keys are fetched.
#[derive(Clone, Copy, Debug)]
pub struct RemoteKeysSettings {
    /// The time from one fetch to the next that unknown keys can cause.
    pub cooldown: Duration,
    /// For how long a request waits for a fetch.
    pub wait: Duration,
    /// For how long a fetch may take, redirects and body included.
    pub timeout: Duration,
}

impl Default for RemoteKeysSettings {
    fn default() -> Self {
        Self {
            cooldown: Duration::from_secs(15),
            wait: Duration::from_secs(2),
            timeout: Duration::from_secs(5),
        }
    }
}

/// What has happened so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RemoteKeysTotals {
    /// Fetches that brought keys.
    pub fetched: u64,
    /// Fetches that did not.
    pub failed: u64,
    /// The time since keys were last brought; `None` if never.
    pub age: Option<Duration>,
}

/// The keys of another issuer; cheap to clone. They are fetched as long as its upkeep runs.
#[derive(Clone, Debug)]
pub struct RemoteKeys {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    keys: Keys,
    settings: RemoteKeysSettings,
    started: Instant,
    state: watch::Sender<State>,
    hasher: RandomState,
    asked: Mutex<VecDeque<Asked>>,
    waiting: Semaphore,
}

/// A key that was looked for.
#[derive(Clone, Copy, Debug)]
struct Asked {
    /// Of the token's header: hashed with a secret, so that nobody makes another one look alike.
    header: u64,
    at: Duration,
}

impl RemoteKeys {
    /// Keys that are to be fetched from `url`, which is http or https, into `keys`. Nothing is fetched before the upkeep runs.
    ///
    /// # Errors
    /// When the URL is none of those.
    pub fn new(
        url: &str,
        keys: Keys,
        settings: RemoteKeysSettings,
    ) -> Result<(Self, RemoteKeysUpkeep), UrlError> {
        let source = Source::new(url, settings.timeout)?;
        let shared = Arc::new(Shared {
            keys,
            settings,
            started: clock::now(),
            state: watch::Sender::new(State::default()),
            hasher: RandomState::new(),
            asked: Mutex::default(),
            waiting: Semaphore::new(WAITING_MAX),
        });
        let upkeep = RemoteKeysUpkeep { source, shared: Arc::clone(&shared) };
        Ok((Self { shared }, upkeep))
    }

    /// The keys, as they are at any time.
    #[must_use]
    pub fn keys(&self) -> &Keys {
        &self.shared.keys
    }

    /// What has happened so far.
    #[must_use]
    pub fn totals(&self) -> RemoteKeysTotals {
        let state = *self.shared.state.borrow();
        let age = state.succeeded.map(|succeeded| self.shared.now().saturating_sub(succeeded));
        RemoteKeysTotals { fetched: state.fetched, failed: state.failed, age }
    }

    /// Waits until a fetch has ended, well or not, or the upkeep has; not at all if one has already.
    pub async fn attempted(&self) {
        self.shared.ended(0).await;
    }

    /// Verifies a token with `verifier`, which has these keys; where it names one that is not there, once more after a fetch, if
    /// one may be made.
    ///
    /// # Errors
    /// As [`Verifier::verify`].
    pub async fn verify(
        &self,
        verifier: &Verifier,
        token: &[u8],
        now: u64,
    ) -> Result<Arc<Claims>, TokenError> {
        let generation = self.keys().generation();
        let outcome = verifier.verify(token, now);
        if outcome != Err(TokenError::UnknownKey) || !self.has_other_keys(token, generation).await {
            return outcome;
        }
        verifier.verify(token, now)
    }

    /// To be called for a token that is signed by a key which was not there at `generation` of the keys: waits for a fetch, if one may be
    /// made or is under way. True if keys were brought since, so that it makes sense to verify the token once more; false, mostly at
    /// once, if the token is as good as forged.
    async fn has_other_keys(&self, token: &[u8], generation: u64) -> bool {
        // Others may have caused a fetch since the keys were looked at, after which none may be made for a while.
        self.keys().generation() != generation
            || self.fetched_for(token).await
            || self.keys().generation() != generation
    }

    /// Whether a fetch has brought keys that was made for this token, or was under way.
    async fn fetched_for(&self, token: &[u8]) -> bool {
        let Ok(_waiting) = self.shared.waiting.try_acquire() else { return false };
        let Some(before) = self.shared.want(token) else { return false };
        let ended = self.shared.ended(before.fetched + before.failed);
        match timeout(self.shared.settings.wait, ended).await {
            Ok(state) => state.fetched > before.fetched,
            Err(_) => false,
        }
    }
}

impl Shared {
    fn now(&self) -> Duration {
        clock::now().saturating_duration_since(self.started)
    }

    /// Waits until more than so many fetches have ended, or the upkeep has.
    async fn ended(&self, before: u64) -> State {
        let mut state = self.state.subscribe();
        let ended = state.wait_for(|state| state.stopped || state.fetched + state.failed > before).await;
        *ended.expect("its sender is in self")
    }

    /// Sees to it that a fetch is made for this token, unless one is about to be; the state before it. `None` if none may be made.
    fn want(&self, token: &[u8]) -> Option<State> {
        let mut before = None;
        // In one step: whoever asks a moment later, with a token of the same key, waits for the same fetch.
        self.state.send_if_modified(|state| {
            let comes_anyway = state.under_way || state.wanted;
            let may_ask = !state.stopped && (comes_anyway || self.may_ask(*state, token));
            before = may_ask.then_some(*state);
            state.wanted |= may_ask && !comes_anyway;
            may_ask && !comes_anyway
        });
        before
    }

    /// Whether a fetch may be made for this token; if so, it is noted that it was.
    fn may_ask(&self, state: State, token: &[u8]) -> bool {
        let now = self.now();
        let wanted = State { wanted: true, ..state };
        if plan(&wanted, self.settings.cooldown, now) != Plan::Fetch {
            return false;
        }
        let header = token.split(|byte| *byte == b'.').next().unwrap_or_default();
        let header = self.hasher.hash_one(header);
        let mut asked = self.asked.lock().unwrap_or_else(PoisonError::into_inner);
        asked.retain(|earlier| now.saturating_sub(earlier.at) < ASKED_FOR);
        if asked.iter().any(|earlier| earlier.header == header) {
            return false;
        }
        if asked.len() == ASKED_MAX {
            asked.pop_front();
        }
        asked.push_back(Asked { header, at: now });
        true
    }
}
