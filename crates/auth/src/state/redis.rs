//! The connection to Redis that all questions share, and what happens while Redis is out.
//!
//! A command that fails for the connection's sake takes Redis out of use at once: from then on every question fails without a
//! wait, until [`RedisLink::keep`] has reached it again. The library's `ConnectionManager` would have each question wait for the
//! reconnection, so the connection is renewed here.
//!
//! A Redis that takes no writes is as good as none, and answers all the same: so it is asked for a write before it comes into use, and as
//! long as nobody asks it anything.

use std::{
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use redis::{
    AsyncConnectionConfig, Client, ErrorKind, RedisError, RedisResult, ServerErrorKind,
    aio::{MultiplexedConnection, PubSub},
};
use tokio::{sync::Notify, time::timeout};

use super::{StateError, StateFault, StateSettings};

#[cfg(test)]
mod tests;

const RECONNECT_DELAY_MIN: Duration = Duration::from_millis(50);
/// What is written to see whether Redis takes it; nobody reads it.
const PROBE_LIFE_MILLISECONDS: u64 = 1000;
/// Redis holds something under a key, and not what a command is for.
const WRONG_TYPE: &str = "WRONGTYPE";

/// The shared connection; cheap to clone.
#[derive(Clone)]
pub(crate) struct RedisLink {
    shared: Arc<Shared>,
}

struct Shared {
    client: Client,
    settings: StateSettings,
    state: Mutex<State>,
    /// The connection was lost.
    lost: Notify,
    outages: AtomicU64,
}

struct State {
    connection: Option<MultiplexedConnection>,
    /// Counts connections, so that a late failure of an old one does not take down its successor.
    serial: u64,
    /// Whether the present outage was told.
    told: bool,
}

impl RedisLink {
    pub(super) fn open(url: &str, settings: StateSettings) -> RedisResult<Self> {
        let shared = Shared {
            client: Client::open(url)?,
            settings,
            state: Mutex::new(State { connection: None, serial: 0, told: false }),
            lost: Notify::new(),
            outages: AtomicU64::new(0),
        };
        Ok(Self { shared: Arc::new(shared) })
    }

    /// `part` under the namespace of the service.
    pub(crate) fn key(&self, part: &str) -> String {
        format!("{}:{part}", self.shared.settings.namespace)
    }

    /// Has `ask` ask Redis something over the shared connection.
    pub(crate) async fn run<T, A>(
        &self,
        ask: impl FnOnce(MultiplexedConnection) -> A,
    ) -> Result<T, StateError>
    where
        A: Future<Output = RedisResult<T>>,
    {
        let (connection, serial) = {
            let state = self.state();
            (state.connection.clone().ok_or(StateFault::Out)?, state.serial)
        };
        let fault = match timeout(self.shared.settings.response_timeout, ask(connection)).await {
            Ok(Ok(answer)) => return Ok(answer),
            Ok(Err(error)) if is_of_one_command(&error) => return Err(error.into()),
            Ok(Err(error)) => StateFault::Redis(error),
            Err(_) => StateFault::Timeout,
        };
        self.failed(serial, &fault);
        Err(fault.into())
    }

    /// The same about what is stored under `key`; what is no value of ours there is [`StateError::Unreadable`].
    pub(crate) async fn run_under<T, A>(
        &self,
        key: &str,
        ask: impl FnOnce(MultiplexedConnection) -> A,
    ) -> Result<T, StateError>
    where
        A: Future<Output = RedisResult<T>>,
    {
        self.run(ask).await.map_err(|error| match error {
            StateError::Unavailable(StateFault::Redis(fault)) if fault.code() == Some(WRONG_TYPE) => {
                StateError::Unreadable { key: key.to_owned() }
            }
            other => other,
        })
    }

    /// A connection of its own, whose commands may wait in Redis: what waits there holds up all that come behind it.
    pub(crate) async fn dedicated(&self) -> Result<MultiplexedConnection, StateError> {
        self.within(self.open_connection()).await
    }

    /// A connection that only hears messages.
    pub(crate) async fn subscription(&self) -> Result<PubSub, StateError> {
        self.within(self.shared.client.get_async_pubsub()).await
    }

    /// How long an answer may take.
    pub(crate) fn response_timeout(&self) -> Duration {
        self.shared.settings.response_timeout
    }

    pub(crate) fn settings(&self) -> &StateSettings {
        &self.shared.settings
    }

    pub(crate) fn is_up(&self) -> bool {
        self.state().connection.is_some()
    }

    pub(crate) fn outages(&self) -> u64 {
        self.shared.outages.load(Ordering::Relaxed)
    }

    /// Connects if Redis is there.
    pub(super) async fn try_connect(&self) {
        if let Err(error) = self.connect().await {
            self.tell(&error);
        }
    }

    /// Looks for Redis while it is out, and looks after it while it is not.
    pub(super) async fn keep(&self) {
        let mut delay = RECONNECT_DELAY_MIN;
        loop {
            if self.is_up() {
                let probe = timeout(self.shared.settings.probe_period, self.shared.lost.notified());
                if probe.await.is_err() {
                    // Its failure is what takes Redis out of use; a server that is stopped keeps its connections.
                    let key = self.probe_key();
                    let _ = self.run(|connection| async move { prove(connection, &key).await }).await;
                }
                delay = RECONNECT_DELAY_MIN;
            } else if let Err(error) = self.connect().await {
                self.tell(&error);
                tokio::time::sleep(delay).await;
                delay = (delay * 2).min(self.shared.settings.reconnect_delay_max);
            }
        }
    }

    async fn connect(&self) -> Result<(), StateError> {
        let connecting = async {
            let connection = self.open_connection().await?;
            prove(connection.clone(), &self.probe_key()).await?;
            Ok(connection)
        };
        let connection = self.within(connecting).await?;
        let mut state = self.state();
        state.connection = Some(connection);
        state.serial += 1;
        if std::mem::take(&mut state.told) {
            tracing::info!("redis answers again");
        }
        Ok(())
    }

    async fn open_connection(&self) -> RedisResult<MultiplexedConnection> {
        // Whoever asks has a bound of his own.
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(self.connect_timeout()))
            .set_response_timeout(None);
        self.shared.client.get_multiplexed_async_connection_with_config(&config).await
    }

    async fn within<T>(&self, connecting: impl Future<Output = RedisResult<T>>) -> Result<T, StateError> {
        match timeout(self.connect_timeout(), connecting).await {
            Ok(connected) => Ok(connected?),
            Err(_) => Err(StateFault::Timeout.into()),
        }
    }

    fn failed(&self, serial: u64, fault: &StateFault) {
        let mut state = self.state();
        if state.serial == serial && state.connection.take().is_some() {
            self.shared.outages.fetch_add(1, Ordering::Relaxed);
            self.shared.lost.notify_one();
            tell(&mut state, fault);
        }
    }

    fn tell(&self, error: &StateError) {
        tell(&mut self.state(), error);
    }

    fn probe_key(&self) -> String {
        self.key("probe")
    }

    fn connect_timeout(&self) -> Duration {
        // A handshake is a few round trips.
        self.shared.settings.response_timeout * 2
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Nothing under this lock panics half way.
        self.shared.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Has Redis prove that it is there and takes writes. A write that it refuses for its own sake, as one that is full does, proves it, too.
async fn prove(mut connection: MultiplexedConnection, key: &str) -> RedisResult<()> {
    redis::cmd("PING").query_async::<()>(&mut connection).await?;
    let mut write = redis::cmd("SET");
    write.arg(key).arg("").arg("PX").arg(PROBE_LIFE_MILLISECONDS);
    match write.query_async::<()>(&mut connection).await {
        Err(error) if !is_of_one_command(&error) => Err(error),
        Ok(()) | Err(_) => Ok(()),
    }
}

/// Tells an outage once.
fn tell(state: &mut State, error: &(dyn std::error::Error + 'static)) {
    if !std::mem::replace(&mut state.told, true) {
        tracing::warn!(error, "redis does not answer: what needs it is refused until it does");
    }
}

/// Whether the connection is as good as before. A server that takes no writes, because it is a replica by now or still loads its
/// data, is not: the one to ask may be another.
fn is_of_one_command(error: &RedisError) -> bool {
    match error.kind() {
        ErrorKind::Server(kind) => !matches!(
            kind,
            ServerErrorKind::BusyLoading | ServerErrorKind::ReadOnly | ServerErrorKind::MasterDown
        ),
        // An answer of another type than was asked for. One that is no answer at all ends the connection, which the next question
        // finds out.
        ErrorKind::Parse | ErrorKind::UnexpectedReturnType | ErrorKind::Extension => true,
        _ => false,
    }
}
