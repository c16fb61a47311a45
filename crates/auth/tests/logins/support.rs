//! Stores, and replicas of a service over them.

use std::{num::NonZeroU16, path::Path, time::Duration};

use phalanx_auth::{Begun, Device, LoginSettings, Logins, RefreshError, Refreshed, UnixMs};
use phalanx_data::{
    Data, DataDirectory, EmbeddedSettings, Ids, MigrateMode, Migration, ServerSettings, ServerUrl, Servers,
    Settings, ShardServers, Upkeep, migrate,
};
use phalanx_shard::Id;
use phalanx_telemetry::clock;
use phalanx_test_servers::{Postgres, Settings as Server};
use tempfile::TempDir;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

const MIGRATIONS: &[Migration] = &[Logins::MIGRATION];

/// How long anything may take that is waited for.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);
/// When everything begins. What a login does about time it does by what it is told.
pub(crate) const BEGUN: UnixMs = UnixMs::new(1_800_000_000_000);
pub(crate) const SECOND: u64 = 1000;
pub(crate) const DAY: u64 = 24 * 3600 * SECOND;

/// So many milliseconds after the beginning.
pub(crate) fn at(milliseconds: u64) -> UnixMs {
    UnixMs::new(BEGUN.get() + milliseconds)
}

/// An account of the bucket 5.
pub(crate) fn account(number: i64) -> Id {
    Id::try_from(number * 4096 + 5).unwrap()
}

/// Where replicas keep logins.
pub(crate) enum Store {
    Files(TempDir),
    /// A primary, and its replicas behind it.
    Servers(Vec<Postgres>),
}

impl Store {
    pub(crate) fn files() -> Self {
        Self::Files(tempfile::tempdir().unwrap())
    }

    /// A server that has its tables.
    pub(crate) async fn server() -> Self {
        let primary = Postgres::start(Server::default());
        migrated(&servers(&[(&primary, &[])])).await;
        Self::Servers(vec![primary])
    }

    /// The same with a replica of it.
    pub(crate) async fn server_with_replica() -> Self {
        let store = Self::server().await;
        let replica = store.primary().replica();
        replica.wait_until_caught_up(store.primary());
        match store {
            Self::Servers(primary) => Self::Servers(primary.into_iter().chain([replica]).collect()),
            Self::Files(_) => unreachable!("it is a server"),
        }
    }

    fn servers(&self) -> &[Postgres] {
        match self {
            Self::Servers(servers) => servers,
            Self::Files(_) => panic!("it has no servers"),
        }
    }

    pub(crate) fn primary(&self) -> &Postgres {
        &self.servers()[0]
    }

    pub(crate) fn replica(&self) -> &Postgres {
        &self.servers()[1]
    }

    pub(crate) async fn open(&self) -> Replica {
        self.open_with(LoginSettings::default()).await
    }

    pub(crate) async fn open_with(&self, logins: LoginSettings) -> Replica {
        match self {
            Self::Files(directory) => Replica::over_files(directory.path(), logins).await,
            Self::Servers(all) => {
                let (primary, replicas) = all.split_first().unwrap();
                let replicas: Vec<_> = replicas.iter().collect();
                Replica::over_servers(&servers(&[(primary, &replicas)]), settings(), logins).await
            }
        }
    }
}

/// A topology of shards, each its primary and its replicas.
pub(crate) fn servers(shards: &[(&Postgres, &[&Postgres])]) -> Servers {
    let url = |server: &Postgres| ServerUrl::parse(&server.url()).unwrap();
    let shard = |(primary, replicas): &(&Postgres, &[&Postgres])| ShardServers {
        primary: url(primary),
        replicas: replicas.iter().map(|replica| url(replica)).collect(),
    };
    Servers::new(shards.iter().map(shard).collect()).unwrap()
}

/// Gives every shard its tables.
pub(crate) async fn migrated(servers: &Servers) {
    migrate(servers, &settings(), MIGRATIONS, MigrateMode::Apply).await.unwrap();
}

/// Settings that bear a machine which is busy with other tests.
pub(crate) fn settings() -> Settings {
    let connections = ServerSettings {
        connect_timeout: PATIENCE,
        acquire_timeout: PATIENCE,
        shared_statement_timeout: PATIENCE,
        ..ServerSettings::new("")
    };
    Settings {
        connections,
        probe_timeout: Duration::from_secs(5),
        probe_period: Duration::from_millis(100),
        search_period: Duration::from_millis(20),
        primary_wait_max: PATIENCE,
        ..Settings::new()
    }
}

/// One process of a service, as far as logins go.
pub(crate) struct Replica {
    pub(crate) logins: Logins,
    data: Data,
    tasks: JoinSet<()>,
    stop: CancellationToken,
}

impl Replica {
    pub(crate) async fn over_files(directory: &Path, logins: LoginSettings) -> Self {
        let directory = DataDirectory::create(directory).unwrap();
        let embedded = EmbeddedSettings { busy_timeout: PATIENCE, ..EmbeddedSettings::default() };
        let one = NonZeroU16::MIN;
        let opened = Data::open_embedded(&directory, one, MIGRATIONS, embedded, settings()).await.unwrap();
        Self::start(opened, logins).await
    }

    pub(crate) async fn over_servers(servers: &Servers, settings: Settings, logins: LoginSettings) -> Self {
        Self::start(Data::open(servers, settings).await.unwrap(), logins).await
    }

    async fn start((data, upkeep): (Data, Upkeep), logins: LoginSettings) -> Self {
        let (mut tasks, stop) = (JoinSet::new(), CancellationToken::new());
        tasks.spawn(upkeep.run());
        let (ids, lease) = Ids::lease(&data).await.unwrap();
        tasks.spawn(lease.run(stop.clone()));
        Self { logins: Logins::new(data.clone(), ids, logins), data, tasks, stop }
    }

    pub(crate) async fn begin(&self, account: Id) -> Begun {
        self.logins.begin(account, Device::default(), BEGUN).await.unwrap()
    }

    pub(crate) async fn refresh(&self, token: &str, milliseconds: u64) -> Result<Refreshed, RefreshError> {
        self.logins.refresh(token, at(milliseconds)).await
    }

    /// The token that a refresh must answer with.
    pub(crate) async fn refreshed(&self, token: &str, milliseconds: u64) -> String {
        self.refresh(token, milliseconds).await.unwrap().refresh_token.as_str().to_owned()
    }

    /// What a refresh comes to, as a word.
    pub(crate) async fn outcome(&self, token: &str, milliseconds: u64) -> &'static str {
        match self.refresh(token, milliseconds).await {
            Ok(refreshed) if refreshed.replayed => "replayed",
            Ok(_) => "rotated",
            Err(RefreshError::Invalid) => "invalid",
            Err(RefreshError::Expired) => "expired",
            Err(RefreshError::Ended { .. }) => "ended",
            Err(RefreshError::Reused { .. }) => "reused",
            Err(error) => panic!("{error:?}"),
        }
    }

    pub(crate) async fn close(mut self) {
        self.stop.cancel();
        self.data.close();
        let ended = async { while self.tasks.join_next().await.is_some() {} };
        tokio::time::timeout(PATIENCE, ended).await.expect("the upkeep ends when the data is closed");
    }
}

/// Waits for a condition that nothing announces.
pub(crate) async fn eventually(what: &str, mut condition: impl AsyncFnMut() -> bool) {
    let begun = clock::now();
    while !condition().await {
        assert!(begun.elapsed() < PATIENCE, "{what} does not come");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}
