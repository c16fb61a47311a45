//! The life of a replica: open what it needs, serve, end in order.

use std::{io, num::NonZeroU16, panic, sync::Arc, time::Duration};

use phalanx_auth::{Hasher, KeyRing, SharedState, StateOpenError, StateSettings, StateUpkeep};
use phalanx_data::{
    Data, DataDirectory, DirectoryError, EmbeddedError, Ids, Kind, LeaseError, MigrateMode, Servers,
    StartError, Topology, TopologyMigrateError, Upkeep, migrate,
};
use phalanx_telemetry::{registry::Registry, requests::RequestFamily};
use tokio::{net::TcpListener, task::JoinSet, time::timeout};
use tokio_util::sync::CancellationToken;

use crate::{
    Drained, MigrateAtStart, SecretError, Settings,
    accounts::Accounts,
    connections,
    router::router,
    secret,
    service::{self, Opened, Service},
    sockets::Sockets,
};

/// Of the data directory: where the shared state is, unless it is in Redis. Gateways on this machine name it too.
const STATE_DIRECTORY: &str = "state";
/// How long what clients have begun may take to end, and then connections to a database: a server that hangs would keep them for
/// ever. Both, with the drain before, are less than the 30 s after which a fleet kills the replica.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(2);

/// Why a replica cannot start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ServeError {
    /// `DATA_DIR` cannot hold the storage.
    #[error("cannot use DATA_DIR")]
    Directory(#[from] DirectoryError),
    /// The shared signing secret cannot be read or made.
    #[error("cannot sign tokens")]
    Secret(#[from] SecretError),
    /// The database cannot be opened.
    #[error("cannot use the database")]
    Database(#[from] EmbeddedError),
    /// The servers cannot be used.
    #[error("cannot use the database")]
    Servers(#[from] StartError),
    /// The servers cannot be asked for their schema, or not be migrated.
    #[error("cannot migrate the database")]
    Migrate(#[from] TopologyMigrateError),
    /// The servers have an older schema.
    #[error(
        "the database of shard {shard} ({server}) lacks {count} migrations: run `phalanx data migrate`, or set DATABASE_MIGRATE=true"
    )]
    Unmigrated {
        /// The shard's number.
        shard: u16,
        /// Its server.
        server: String,
        /// How many.
        count: usize,
    },
    /// What replicas share beside the database cannot be used.
    #[error("cannot use the shared state")]
    State(#[from] StateOpenError),
    /// No ids can be made.
    #[error("cannot make ids")]
    Ids(#[from] LeaseError),
    /// The hashing threads cannot be started.
    #[error("cannot start the hashing threads")]
    Hashing(#[source] io::Error),
}

/// Whose fault it is that a replica cannot start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Blame {
    /// What it was told: a variable, or what one names.
    Setting,
    /// A server that it needs cannot be reached, or not be used as it is.
    Dependency,
    /// This machine, or its files.
    Machine,
}

impl ServeError {
    /// Whose fault it is: decided here and nowhere else.
    #[must_use]
    pub fn blame(&self) -> Blame {
        match self {
            Self::Servers(error) if error.is_setting() => Blame::Setting,
            Self::State(StateOpenError::Url(_)) => Blame::Setting,
            Self::Servers(_) | Self::Migrate(_) | Self::Unmigrated { .. } => Blame::Dependency,
            Self::Ids(LeaseError::Access(error)) if error.verdict().kind == Kind::Unavailable => {
                Blame::Dependency
            }
            Self::Directory(_)
            | Self::Secret(_)
            | Self::Database(_)
            | Self::State(_)
            | Self::Ids(_)
            | Self::Hashing(_) => Blame::Machine,
        }
    }
}

/// Serves on `listener` until `stop` is cancelled, then drains: readiness fails, the listener closes, open requests finish or
/// are cut at `settings.drain_deadline`, and what was written is flushed.
///
/// # Errors
/// When the replica cannot start; no connection has been accepted then.
pub async fn serve(
    settings: Settings,
    listener: TcpListener,
    stop: CancellationToken,
) -> Result<Drained, ServeError> {
    let Prepared { directory, state_directory, ring } = prepare(&settings).await?;
    let hasher = Hasher::start(settings.hashing).map_err(ServeError::Hashing)?;
    let (data, data_upkeep) = open(&settings, directory).await?;
    let (mut tasks, stop_upkeep) = (JoinSet::new(), CancellationToken::new());
    tasks.spawn(data_upkeep.run());
    let (ids, ids_upkeep) = Ids::lease(&data).await?;
    tasks.spawn(ids_upkeep.run(stop_upkeep.clone()));
    let (state, state_upkeep) = open_state(&settings, state_directory).await?;
    tasks.spawn(state_upkeep.run(stop_upkeep.clone()));

    let requests = RequestFamily::new();
    let mut registry = Registry::new();
    registry.add(requests.collector());
    let (sockets, keeper) = Sockets::new(settings.sockets, &mut registry);
    let opened = Opened { ring, hasher, data: data.clone(), ids, state };
    let upkeep = service::Upkeep { tasks: &mut tasks, stop: &stop_upkeep };
    let service = Arc::new(Service::new(&settings, opened, sockets, registry, upkeep, stop.clone()));
    let router = router(Arc::clone(&service), &requests);
    let address = listener.local_addr().ok().map(tracing::field::display);
    tracing::info!(instance = settings.instance.as_str(), address, "the reference API serves");
    let (Drained { connections_cut }, sockets_cut) = tokio::join!(
        connections::serve(listener, router, settings.connections_max, settings.drain_deadline, stop.clone()),
        keeper.run(settings.drain_deadline, stop),
    );
    // What a client has begun and left is done before that is gone which it is done with.
    let _ = timeout(CLOSE_TIMEOUT, service.endings.ended()).await;
    stop_upkeep.cancel();
    data.close();
    // A panic of one of them is a defect that the log has told already.
    let ending = async { while tasks.join_next().await.is_some() {} };
    if timeout(CLOSE_TIMEOUT, ending).await.is_err() {
        tracing::warn!("connections to a database were cut: it does not answer what was last asked of it");
    }
    tracing::info!(instance = settings.instance.as_str(), "the reference API has stopped");
    Ok(Drained { connections_cut: connections_cut + sockets_cut })
}

/// What is there before anything is opened.
struct Prepared {
    /// Where accounts are kept, unless they are on servers.
    directory: Option<DataDirectory>,
    /// Where the shared state is kept, unless it is in Redis.
    state_directory: Option<DataDirectory>,
    ring: KeyRing,
}

/// Makes the directories, where anything is kept in them, and finds the keys that sign.
async fn prepare(settings: &Settings) -> Result<Prepared, ServeError> {
    let settings = settings.clone();
    let preparing = tokio::task::spawn_blocking(move || {
        let Settings { data_directory, token_keys, topology, redis_url, .. } = settings;
        let state_path = data_directory.join(STATE_DIRECTORY);
        let (embedded, shared) = (matches!(topology, Topology::Embedded), redis_url.is_some());
        let needed = embedded || !shared || token_keys.is_none();
        let directory = needed.then(|| DataDirectory::create(data_directory)).transpose()?;
        let ring = match (token_keys, &directory) {
            (Some(ring), _) => ring,
            (None, directory) => {
                secret::load_or_create(directory.as_ref().expect("without keys there is a directory"))?
            }
        };
        let state_directory = (!shared).then(|| DataDirectory::create(state_path)).transpose()?;
        Ok::<_, ServeError>(Prepared { directory, state_directory, ring })
    });
    preparing.await.unwrap_or_else(|ended| panic::resume_unwind(ended.into_panic()))
}

async fn open_state(
    settings: &Settings,
    directory: Option<DataDirectory>,
) -> Result<(SharedState, StateUpkeep), StateOpenError> {
    match (&settings.redis_url, directory) {
        (Some(url), _) => SharedState::redis(url.as_str(), StateSettings::default()).await,
        (None, directory) => {
            if let Topology::Servers(_) = settings.topology {
                tracing::warn!(
                    "sessions and revocations reach the replicas of this machine alone: REDIS_URL is not set"
                );
            }
            SharedState::embedded(directory.expect("embedded state has a directory")).await
        }
    }
}

async fn open(settings: &Settings, directory: Option<DataDirectory>) -> Result<(Data, Upkeep), ServeError> {
    let bounds = settings.data.clone();
    match (&settings.topology, directory) {
        (Topology::Servers(servers), _) => {
            // Opened first, which sees that each server is what it is said to be: nothing is written to another one.
            let opened = Data::open(servers, bounds).await?;
            settle_schema(settings, servers).await?;
            opened.0.refresh_map().await;
            Ok(opened)
        }
        (Topology::Embedded, directory) => {
            let directory = directory.expect("embedded storage has a directory");
            let one = NonZeroU16::MIN;
            Ok(Data::open_embedded(&directory, one, Accounts::MIGRATIONS, settings.database, bounds).await?)
        }
    }
}

/// Migrates the servers, or sees that nothing is left to migrate.
async fn settle_schema(settings: &Settings, servers: &Servers) -> Result<(), ServeError> {
    let mode = match settings.migrate {
        MigrateAtStart::Apply => MigrateMode::Apply,
        MigrateAtStart::Refuse => MigrateMode::DryRun,
    };
    let shards = migrate(servers, &settings.data, Accounts::MIGRATIONS, mode).await?;
    let lacking =
        shards.into_iter().find(|shard| mode == MigrateMode::DryRun && !shard.migrations.is_empty());
    lacking.map_or(Ok(()), |lacking| {
        let count = lacking.migrations.len();
        Err(ServeError::Unmigrated { shard: lacking.shard, server: lacking.server, count })
    })
}
