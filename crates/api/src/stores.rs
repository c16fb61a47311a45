//! Databases of a test's own, with the tables of the service.

use std::num::NonZeroU16;

use phalanx_data::{
    Data, DataDirectory, EmbeddedSettings, Ids, MigrateMode, ServerUrl, Servers, Settings, ShardServers,
    Statement, Upkeep, Value, migrate,
};
use phalanx_test_servers::Postgres;
use tempfile::TempDir;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::accounts::Accounts;

/// An opened database, which goes when this is dropped.
pub(crate) struct Opened {
    pub(crate) data: Data,
    pub(crate) ids: Ids,
    _tasks: JoinSet<()>,
    _home: Home,
}

#[expect(dead_code, reason = "kept for as long as the database is used")]
enum Home {
    Files(TempDir),
    Server(Postgres),
}

impl Opened {
    /// One of each kind.
    pub(crate) async fn both() -> [Self; 2] {
        [Self::embedded().await, Self::servers().await]
    }

    async fn embedded() -> Self {
        let files = tempfile::tempdir().unwrap();
        let directory = DataDirectory::create(files.path()).unwrap();
        let bounds = (EmbeddedSettings::default(), Settings::new());
        let opened =
            Data::open_embedded(&directory, NonZeroU16::MIN, Accounts::MIGRATIONS, bounds.0, bounds.1).await;
        Self::of(opened.unwrap(), Home::Files(files)).await
    }

    async fn servers() -> Self {
        let server = Postgres::start(phalanx_test_servers::Settings::default());
        let shard = ShardServers { primary: ServerUrl::parse(&server.url()).unwrap(), replicas: Vec::new() };
        let (servers, settings) = (Servers::new(vec![shard]).unwrap(), Settings::new());
        migrate(&servers, &settings, Accounts::MIGRATIONS, MigrateMode::Apply).await.unwrap();
        Self::of(Data::open(&servers, settings).await.unwrap(), Home::Server(server)).await
    }

    async fn of((data, upkeep): (Data, Upkeep), home: Home) -> Self {
        let mut tasks = JoinSet::new();
        tasks.spawn(upkeep.run());
        let (ids, ids_upkeep) = Ids::lease(&data).await.unwrap();
        tasks.spawn(ids_upkeep.run(CancellationToken::new()));
        Self { data, ids, _tasks: tasks, _home: home }
    }

    /// Runs a statement on its one shard.
    pub(crate) async fn write(&self, statement: &Statement, values: &[Value]) {
        self.data.shards().remove(0).write(statement, values).await.unwrap();
    }
}
