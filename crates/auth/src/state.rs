//! What the replicas of a service share besides its accounts: Redis, or a file for the replicas of one machine.
//!
//! Here are the feed of revocations, cookie sessions, fields of accounts and counters of login attempts. Invariants: what needs
//! the state fails at once while it is away, and nobody waits for it longer than [`StateSettings::response_timeout`]; a token
//! and a password need none of it to be checked.
//! Elsewhere: accounts and the families of refresh tokens, which are in the database (`login`).
//! How it fails: [`StateError`] for one question, and [`StateOpenError`] at start. A Redis that is away at start is no error: it is
//! looked for until it is there.

mod embedded;
mod redis;

use std::time::Duration;

use phalanx_data::{AccessError, DataDirectory, DirectoryError, EmbeddedError, Kind};
use tokio_util::sync::CancellationToken;

pub(crate) use self::{embedded::EmbeddedState, redis::RedisLink};

/// The bounds of questions to the shared state.
#[derive(Clone, Debug)]
pub struct StateSettings {
    /// Begins every key in Redis: two services with one Redis have two.
    pub namespace: String,
    /// Past this a question has failed, and Redis is out of use until it answers again.
    pub response_timeout: Duration,
    /// How often a Redis that nobody asks anything is asked whether it is there.
    pub probe_period: Duration,
    /// The longest wait between two attempts to reach Redis.
    pub reconnect_delay_max: Duration,
}

impl Default for StateSettings {
    fn default() -> Self {
        Self {
            namespace: "phalanx".to_owned(),
            response_timeout: Duration::from_millis(500),
            probe_period: Duration::from_secs(1),
            reconnect_delay_max: Duration::from_millis(500),
        }
    }
}

/// Why the shared state did not answer.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StateError {
    /// It cannot be reached, is overloaded or full, or took too long. A write may have been done all the same; each is one that can be
    /// done again.
    #[error("the shared state does not answer")]
    Unavailable(#[source] StateFault),
    /// It answered what no version of this program would have stored.
    #[error("the shared state holds something unreadable under `{key}`")]
    Unreadable {
        /// Where.
        key: String,
    },
}

/// What was the matter with the store itself.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StateFault {
    /// Redis was out of use already.
    #[error("redis is out of use")]
    Out,
    /// Redis did not answer in time.
    #[error("redis did not answer in time")]
    Timeout,
    /// Redis answered an error, or the connection broke.
    #[error("redis failed")]
    Redis(#[from] ::redis::RedisError),
    /// The file failed.
    #[error("the embedded state failed")]
    Embedded(#[from] AccessError),
}

impl<T: Into<StateFault>> From<T> for StateError {
    fn from(fault: T) -> Self {
        Self::Unavailable(fault.into())
    }
}

impl StateError {
    /// Whether it is a defect that somebody has to look at, and no outage that passes.
    #[must_use]
    pub fn is_defect(&self) -> bool {
        match self {
            Self::Unavailable(StateFault::Embedded(error)) => {
                matches!(error.verdict().kind, Kind::Invalid | Kind::Fault | Kind::Duplicate)
            }
            Self::Unavailable(_) => false,
            Self::Unreadable { .. } => true,
        }
    }
}

/// Why there is no shared state to use.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StateOpenError {
    /// The URL of Redis cannot be used. It may hold a password, so it is not repeated.
    #[error("the URL of redis cannot be used: write it as redis://[USER:PASSWORD@]HOST:PORT[/DATABASE]")]
    Url(#[source] ::redis::RedisError),
    /// The directory of the embedded state cannot be used.
    #[error(transparent)]
    Directory(#[from] DirectoryError),
    /// Its file cannot be used.
    #[error("cannot open the embedded state")]
    Embedded(#[from] EmbeddedError),
}

/// The shared state; cheap to clone.
#[derive(Clone)]
pub struct SharedState {
    pub(crate) store: Store,
}

/// Where it is.
#[derive(Clone)]
pub(crate) enum Store {
    Redis(RedisLink),
    Embedded(EmbeddedState),
}

/// Keeps the shared state reachable for as long as it runs; without it Redis is out of use.
pub struct StateUpkeep {
    keeper: Keeper,
}

enum Keeper {
    Redis(RedisLink),
    Embedded(EmbeddedState, Box<phalanx_data::Upkeep>),
}

impl SharedState {
    /// The state in the Redis at `url`, which is waited for for a moment and need not be there.
    ///
    /// # Errors
    /// When the URL is none.
    pub async fn redis(url: &str, settings: StateSettings) -> Result<(Self, StateUpkeep), StateOpenError> {
        let link = RedisLink::open(url, settings).map_err(StateOpenError::Url)?;
        link.try_connect().await;
        Ok((Self { store: Store::Redis(link.clone()) }, StateUpkeep { keeper: Keeper::Redis(link) }))
    }

    /// The state in a file in `directory`, which is made where it is missing. All processes that name the same directory share it.
    ///
    /// # Errors
    /// When directory or file cannot be used.
    pub async fn embedded(directory: DataDirectory) -> Result<(Self, StateUpkeep), StateOpenError> {
        let (state, upkeep) = EmbeddedState::open(directory).await?;
        let keeper = Keeper::Embedded(state.clone(), Box::new(upkeep));
        Ok((Self { store: Store::Embedded(state) }, StateUpkeep { keeper }))
    }

    /// Whether the store is known to answer: false between a failure and the first answer after it. Nothing is asked.
    #[must_use]
    pub fn is_up(&self) -> bool {
        match &self.store {
            Store::Redis(link) => link.is_up(),
            Store::Embedded(_) => true,
        }
    }

    /// How often the store went out of use.
    #[must_use]
    pub fn outages(&self) -> u64 {
        match &self.store {
            Store::Redis(link) => link.outages(),
            Store::Embedded(_) => 0,
        }
    }
}

impl std::fmt::Debug for SharedState {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let store = match &self.store {
            Store::Redis(_) => "redis",
            Store::Embedded(_) => "embedded",
        };
        formatter.debug_struct("SharedState").field("store", &store).finish_non_exhaustive()
    }
}

impl StateUpkeep {
    /// Runs until `stop`, and then closes what is open.
    pub async fn run(self, stop: CancellationToken) {
        match self.keeper {
            Keeper::Redis(link) => {
                tokio::select! {
                    () = stop.cancelled() => {}
                    () = link.keep() => {}
                }
            }
            Keeper::Embedded(state, upkeep) => {
                let closing = async {
                    stop.cancelled().await;
                    state.close();
                };
                tokio::join!(upkeep.run(), closing);
            }
        }
    }
}

impl std::fmt::Debug for StateUpkeep {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("StateUpkeep").finish_non_exhaustive()
    }
}
