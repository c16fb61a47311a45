//! Revocation of tokens that are still good by their signature: a set in memory, and the feed that fills it.
//!
//! Every replica and every gateway follows one feed (`feed`) into a set of its own (`set`), so that a check is a look into memory.
//! An entry says that a session has ended, or that the tokens of an account under an older epoch have, and it is forgotten when
//! the last token it can speak of has expired by itself.
//!
//! Invariants: what this process revoked is refused by it from then on, whatever the store says to it, and is published until
//! the feed shows it; a store that lost its data is told again what this process knows; a check that may use what the feed has
//! brought never waits for the store while the feed keeps up.
//! Elsewhere: who revokes, and when (the service); the signature and times of a token (`token`).
//! How it fails: a feed that falls behind makes answers [`Standing::Unsure`], and [`StalePolicy`] says what becomes of those.

mod completeness;
mod entry;
mod feed;
mod metrics;
mod outstanding;
mod set;
mod upkeep;

use std::{sync::Arc, time::Duration};

use phalanx_telemetry::clock;
use tokio::sync::watch;

use self::{
    completeness::Completeness,
    entry::{Entry, Extent},
    feed::Feed,
    metrics::Counters,
    outstanding::{Delivery, Lost, Outstanding},
    set::RevokedSet,
};
pub use self::{
    entry::{Marks, Revocation, Standing},
    metrics::RevocationTotals,
    upkeep::RevocationUpkeep,
};
use crate::{SharedState, StateError};

/// How far apart the clocks of the machines may be that issue, revoke and verify.
pub(crate) const CLOCK_LEEWAY: Duration = Duration::from_mins(1);

/// For how much less than it is asked for something may be revoked already and not be published again: whoever logs out twice adds
/// nothing to the feed. Half of the leeway is left for the clocks.
const REPEATED_WITHIN: Duration = Duration::from_secs(30);

/// A century: numbers of the stores end somewhere, and no token lives so long.
const LIFETIME_MAX: Duration = Duration::from_hours(100 * 365 * 24);

/// What a token is worth that nothing speaks against, while the feed is behind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum StalePolicy {
    /// The store is asked about each. Where it does not answer either, the token passes on what is known, and is counted.
    #[default]
    Ask,
    /// Nothing: it is refused without a question until the feed has caught up.
    Refuse,
}

/// How recent the knowledge has to be that a token was not revoked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Freshness {
    /// What the feed has brought, which is less than a second old unless something is wrong.
    Feed,
    /// What the store says at this moment: for what cannot be undone.
    Store,
}

/// The bounds of what is kept of the feed.
#[derive(Clone, Copy, Debug)]
pub struct RevocationSettings {
    /// A feed that was last known to be complete so long ago is behind.
    pub feed_age_max: Duration,
    /// What happens then.
    pub stale_policy: StalePolicy,
    /// Entries kept in memory, some hundred bytes each. While one is missing for want of room, the feed counts as behind.
    pub entries_max: usize,
}

impl Default for RevocationSettings {
    fn default() -> Self {
        Self {
            feed_age_max: Duration::from_secs(5),
            stale_policy: StalePolicy::default(),
            // Sixteen hundred logouts a second for ten minutes, or three in two seconds for a week; in about 100 MB.
            entries_max: 1_000_000,
        }
    }
}

/// Why it cannot be told whether a token was revoked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StandingError {
    /// The feed is behind, and the policy is to refuse.
    #[error("the feed of revocations is behind")]
    Stale,
    /// The store was to be asked, and did not answer.
    #[error("the store of revocations does not answer")]
    Store(#[source] StateError),
}

/// What is revoked; cheap to clone.
///
/// ```
/// use std::time::Duration;
///
/// use phalanx_auth::{Freshness, Marks, Revocation, RevocationSettings, Revocations, SharedState, Standing};
/// use phalanx_data::DataDirectory;
/// use tokio::task::JoinSet;
/// use tokio_util::sync::CancellationToken;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let folder = tempfile::tempdir()?;
/// # let folder = folder.path().join("data");
/// // Replicas of one machine share a file; `SharedState::redis` takes its place for more, and nothing below changes.
/// let (state, keeping) = SharedState::embedded(DataDirectory::create(folder)?).await?;
/// let (revocations, following) = Revocations::follow(&state, RevocationSettings::default());
/// let (mut tasks, stop) = (JoinSet::new(), CancellationToken::new());
/// tasks.spawn(keeping.run(stop.clone()));
/// tasks.spawn(following.run(stop.clone()));
///
/// // A logout. No access token lives for longer than ten minutes, so nothing has to be remembered for longer.
/// let logout = Revocation::Session { session: "70".to_owned() };
/// revocations.revoke(&[logout], Duration::from_mins(10)).await?;
///
/// let token = Marks { session: Some("70"), subject: "7", epoch: 1 };
/// assert_eq!(revocations.check(token), Standing::Revoked);
/// // Of other tokens of that account this says nothing.
/// let other = Marks { session: Some("71"), ..token };
/// assert_eq!(revocations.permits(other, Freshness::Store).await?, Standing::Live);
///
/// stop.cancel();
/// while tasks.join_next().await.is_some() {}
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Revocations {
    shared: Arc<Shared>,
}

struct Shared {
    set: RevokedSet,
    outstanding: Outstanding,
    feed: Option<Feed>,
    settings: RevocationSettings,
    counters: Counters,
    /// Counts what was learnt.
    generation: watch::Sender<u64>,
    completeness: Completeness,
}

impl Revocations {
    /// Follows the feed in `state`. Until the upkeep runs and has read it once, the feed is behind.
    #[must_use]
    pub fn follow(state: &SharedState, settings: RevocationSettings) -> (Self, RevocationUpkeep) {
        let feed = Feed::of(state);
        let follower = feed.follower();
        let revocations = Self::with(Some(feed), settings);
        let upkeep = RevocationUpkeep::new(Arc::clone(&revocations.shared), follower);
        (revocations, upkeep)
    }

    /// Without a feed: only what this very value is told is revoked.
    #[must_use]
    pub fn none() -> Self {
        Self::with(None, RevocationSettings::default())
    }

    fn with(feed: Option<Feed>, settings: RevocationSettings) -> Self {
        let shared = Shared {
            set: RevokedSet::new(settings.entries_max),
            outstanding: Outstanding::new(settings.entries_max),
            feed,
            settings,
            counters: Counters::default(),
            generation: watch::Sender::new(0),
            completeness: Completeness::new(),
        };
        Self { shared: Arc::new(shared) }
    }

    /// What memory says of a token. It is [`Standing::Unsure`] while the feed is behind, unless the token is known to be revoked.
    pub fn check<'a>(&self, token: impl Into<Marks<'a>>) -> Standing {
        self.shared.check(&token.into())
    }

    /// Whether a token may pass: [`Standing::Revoked`] may not. [`Standing::Unsure`] may, since it is the answer only where the
    /// policy says so.
    ///
    /// # Errors
    /// When the token has to be refused because nothing can be said of it.
    pub async fn permits<'a>(
        &self,
        token: impl Into<Marks<'a>>,
        freshness: Freshness,
    ) -> Result<Standing, StandingError> {
        let (marks, shared) = (token.into(), &*self.shared);
        let standing = shared.check(&marks);
        let Some(feed) = &shared.feed else { return Ok(standing) };
        match (standing, freshness, shared.settings.stale_policy) {
            (Standing::Revoked, ..) | (Standing::Live, Freshness::Feed, _) => Ok(standing),
            (Standing::Unsure, Freshness::Feed, StalePolicy::Refuse) => {
                shared.counters.refused.add(1);
                Err(StandingError::Stale)
            }
            (Standing::Unsure, Freshness::Feed, StalePolicy::Ask) => {
                shared.ask(feed, &marks).await.or_else(|_| {
                    shared.counters.unchecked.add(1);
                    Ok(Standing::Unsure)
                })
            }
            (Standing::Live | Standing::Unsure, Freshness::Store, _) => {
                shared.ask(feed, &marks).await.map_err(|error| {
                    shared.counters.refused.add(1);
                    StandingError::Store(error)
                })
            }
        }
    }

    /// Revokes, for all that follow the feed. `lifetime` is the longest that a token can live which was issued before this. What the feed
    /// has shown to be revoked for about as long is not published again.
    ///
    /// # Errors
    /// When the store did not take it. It holds in this process at once all the same, and everywhere as soon as the store can be
    /// reached; only the end of this process before that would undo it.
    pub async fn revoke(&self, revocations: &[Revocation], lifetime: Duration) -> Result<(), StateError> {
        let now = clock::unix_seconds();
        let until = now.saturating_add((lifetime.min(LIFETIME_MAX) + CLOCK_LEEWAY).as_secs());
        let entries = revocations.iter().map(|revocation| Entry::new(revocation, until));
        let entries: Vec<_> = entries.filter(|entry| !self.shared.is_published(entry)).collect();
        self.shared.learn(&entries, now);
        let Some(feed) = &self.shared.feed else { return Ok(()) };
        // Kept before they are sent: a caller that gives up half way leaves them to the upkeep.
        let Lost(_) = self.shared.outstanding.add(&entries, Delivery::Sent(clock::now()));
        for batch in entries.chunks(feed::BATCH) {
            if let Err(error) = feed.publish(batch, now).await {
                self.shared.counters.unpublished.add(entries.len() as u64);
                self.shared.has_to_send(&entries);
                return Err(error);
            }
        }
        Ok(())
    }

    /// Changes whenever something was learnt: whoever admitted a token for longer than one request checks it again then.
    #[must_use]
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.shared.generation.subscribe()
    }

    /// How long ago the feed was last known to be complete; `None` before it ever was, and where there is none.
    #[must_use]
    pub fn age(&self) -> Option<Duration> {
        self.shared.completeness.age(clock::now())
    }
}

impl std::fmt::Debug for Revocations {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("Revocations")
            .field("entries", &self.shared.set.len())
            .field("age", &self.age())
            .finish_non_exhaustive()
    }
}

impl Shared {
    fn check(&self, marks: &Marks<'_>) -> Standing {
        let standing =
            if self.set.is_empty() { Standing::Live } else { self.set.check(marks, clock::unix_seconds()) };
        match standing {
            Standing::Live if self.is_behind() => Standing::Unsure,
            Standing::Live | Standing::Unsure => standing,
            Standing::Revoked => self.found_revoked(),
        }
    }

    fn is_behind(&self) -> bool {
        let bound = self.settings.feed_age_max;
        self.feed.is_some() && self.completeness.age(clock::now()).is_none_or(|age| age > bound)
    }

    async fn ask(&self, feed: &Feed, marks: &Marks<'_>) -> Result<Standing, StateError> {
        self.counters.asked.add(1);
        let entries = feed.ask(marks).await?;
        let now = clock::unix_seconds();
        self.learn(&entries, now);
        let revoked = entries.iter().any(|entry| entry.revokes(marks, now));
        Ok(if revoked { self.found_revoked() } else { Standing::Live })
    }

    fn found_revoked(&self) -> Standing {
        self.counters.revoked.add(1);
        Standing::Revoked
    }

    /// Whether the feed says as much already. What it has not shown may be on its way, or lost.
    fn is_published(&self, Entry { target, extent }: &Entry) -> bool {
        let enough = Extent { until: extent.until.saturating_sub(REPEATED_WITHIN.as_secs()), ..*extent };
        self.set.covers(target, &enough) && !self.outstanding.holds(target)
    }

    fn learn(&self, entries: &[Entry], now: u64) {
        let mut news = false;
        for entry in entries {
            match self.set.learn(entry, now) {
                set::Learnt::Nothing => {}
                set::Learnt::More => news = true,
                set::Learnt::NoRoom => {
                    news = true;
                    self.counters.overflowed.add(1);
                }
            }
        }
        if news {
            self.generation.send_modify(|generation| *generation += 1);
        }
    }

    /// Leaves entries to the upkeep, which sends them when it can.
    fn has_to_send(&self, entries: &[Entry]) {
        let Lost(lost) = self.outstanding.add(entries, Delivery::Due);
        if lost > 0 {
            tracing::error!(lost, "revocations hold in this process alone: too many wait for the store");
        }
    }
}
