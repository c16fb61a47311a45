//! Servers as a topology, and clients of it.

use std::time::Duration;

use phalanx_data::{
    Consistency, Data, ServerSettings, ServerUrl, Servers, Settings, Shard, ShardServers, StartError,
    Statement,
};
use phalanx_telemetry::clock;
use phalanx_test_servers::Postgres;
use tokio::task::JoinSet;

pub(crate) const TABLE: &str = "CREATE TABLE notes (id bigint PRIMARY KEY, body text NOT NULL)";
pub(crate) const INSERT: Statement =
    Statement::new("note_insert", "INSERT INTO notes (id, body) VALUES ($1, $2)");
pub(crate) const BY_ID: Statement = Statement::new("note_by_id", "SELECT body FROM notes WHERE id = $1");
pub(crate) const COUNT: Statement = Statement::new("note_count", "SELECT count(*) AS notes FROM notes");

/// How long anything may take that is waited for.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// A topology that is kept going.
pub(crate) struct Running {
    pub(crate) data: Data,
    pub(crate) tasks: JoinSet<()>,
}

impl Running {
    pub(crate) async fn open(servers: &Servers, settings: Settings) -> Result<Self, StartError> {
        let (data, upkeep) = Data::open(servers, settings).await?;
        let mut tasks = JoinSet::new();
        tasks.spawn(upkeep.run());
        Ok(Self { data, tasks })
    }

    pub(crate) fn shard(&self) -> Shard {
        self.data.shards().remove(0)
    }

    /// Waits until the servers of the topology are good for that, in its order.
    pub(crate) async fn until(&self, wanted: &[&str]) {
        let fitness = || self.data.status().iter().map(|server| server.fitness).collect::<Vec<_>>();
        let begun = clock::now();
        while fitness() != wanted {
            assert!(begun.elapsed() < PATIENCE, "{:?} instead of {wanted:?}", self.data.status());
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// Closes it and waits for its tasks.
    pub(crate) async fn close(mut self) {
        self.data.close();
        let ended = tokio::time::timeout(PATIENCE, self.tasks.join_next()).await;
        ended.expect("the upkeep ends when the topology is closed").unwrap().unwrap();
    }
}

/// Settings that notice everything soon, and bear a machine that is busy with other tests.
pub(crate) fn settings() -> Settings {
    let connections = ServerSettings {
        connect_timeout: PATIENCE,
        acquire_timeout: Duration::from_secs(5),
        shared_statement_timeout: Duration::from_secs(10),
        ..ServerSettings::new("")
    };
    Settings {
        connections,
        probe_timeout: Duration::from_secs(5),
        probe_period: Duration::from_millis(100),
        search_period: Duration::from_millis(20),
        primary_wait_max: Duration::from_secs(20),
        ..Settings::new()
    }
}

/// A topology of shards, each its primary and its replicas.
pub(crate) fn servers(shards: &[(&Postgres, &[&Postgres])]) -> Servers {
    let shard = |(primary, replicas): &(&Postgres, &[&Postgres])| ShardServers {
        primary: url(primary),
        replicas: replicas.iter().map(|replica| url(replica)).collect(),
    };
    Servers::new(shards.iter().map(shard).collect()).unwrap()
}

pub(crate) fn url(server: &Postgres) -> ServerUrl {
    ServerUrl::parse(&server.url()).unwrap()
}

pub(crate) async fn bodies(shard: &Shard, consistency: &Consistency, id: i64) -> Vec<String> {
    let rows = shard.read(consistency, &BY_ID, &[id.into()]).await.unwrap();
    rows.iter().map(|row| row.get("body").unwrap()).collect()
}
