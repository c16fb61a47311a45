//! Shards for a resharding: databases of one server, which is harder than several servers, since slots and subscriptions share it.

use std::time::Duration;

use phalanx_data::{
    MigrateMode, Migration, ServerSettings, ServerUrl, Servers, ShardServers, migrate,
    reshard::{Options, Outcome, Report, ReshardError, Resharding},
};
use phalanx_shard::Placement;
use phalanx_test_servers::{Postgres, Settings as Server};
use tokio_util::sync::CancellationToken;

/// How long anything may take that is waited for.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// A table that is fenced by its key, and one that is not, with indexes and a column that the server computes.
pub(crate) const MIGRATIONS: &[Migration] = &[Migration::new(
    "notes",
    "CREATE TABLE notes (id bigint PRIMARY KEY, body text NOT NULL, at timestamptz NOT NULL DEFAULT now(),
                         length integer GENERATED ALWAYS AS (length(body)) STORED);
     CREATE INDEX notes_body ON notes (body);
     CREATE TABLE names (name text PRIMARY KEY, bucket smallint NOT NULL, body text NOT NULL);
     SELECT phalanx.fence_table('notes', 'id');
     SELECT phalanx.fence_table('names', 'bucket')",
)];

/// Some shards, of which the first ones hold everything.
pub(crate) struct Cluster {
    server: Postgres,
    shards: u16,
}

impl Cluster {
    /// `holding` of `shards` shards hold buckets.
    pub(crate) async fn start(holding: u16, shards: u16) -> Self {
        Self::start_with(holding, shards, Server::default()).await
    }

    pub(crate) async fn start_with(holding: u16, shards: u16, settings: Server) -> Self {
        let settings = settings
            .parameter("max_replication_slots", "40")
            .parameter("max_wal_senders", "40")
            .parameter("max_logical_replication_workers", "16")
            .parameter("max_worker_processes", "24");
        let server = tokio::task::spawn_blocking(move || {
            let server = Postgres::start(settings);
            (1..=shards).for_each(|number| server.create_database(&format!("shard_{number}")));
            server
        });
        let cluster = Self { server: server.await.unwrap(), shards };
        for known in [holding, shards] {
            migrate(&cluster.first(known), &connections(), MIGRATIONS, MigrateMode::Apply).await.unwrap();
        }
        cluster
    }

    /// All shards.
    pub(crate) fn servers(&self) -> Servers {
        self.first(self.shards)
    }

    /// The first shards.
    pub(crate) fn first(&self, count: u16) -> Servers {
        let shard = |number| ShardServers {
            primary: ServerUrl::parse(&self.server.url_for(&format!("shard_{number}"))).unwrap(),
            replicas: vec![],
        };
        Servers::new((1..=count).map(shard).collect()).unwrap()
    }

    /// Statements in one shard, as an administrator; what they answer as text.
    pub(crate) fn ask(&self, shard: u16, sql: &str) -> String {
        self.server.query_one_text_in(&format!("shard_{shard}"), sql)
    }

    pub(crate) async fn begin(&self, shards_to: u16) -> Result<Resharding, ReshardError> {
        self.begin_with(Options { soak: Duration::ZERO, patience: PATIENCE, ..Options::new(shards_to) }).await
    }

    pub(crate) async fn begin_with(&self, options: Options) -> Result<Resharding, ReshardError> {
        Resharding::begin(&self.servers(), &connections(), Placement::Hashed, options).await
    }

    /// All rows of a shard: what names them, and their text.
    pub(crate) fn bodies(&self, shard: u16) -> Vec<String> {
        let rows = "SELECT string_agg(name || '=' || body, E'\\n' ORDER BY name) FROM (
                        SELECT id::text AS name, body FROM notes UNION ALL SELECT name, body FROM names) AS rows";
        self.ask(shard, rows).lines().map(str::to_owned).collect()
    }

    /// Rows that are not where their bucket is.
    pub(crate) fn strays(&self) -> i64 {
        let stray =
            "SELECT (SELECT count(*) FROM notes JOIN phalanx.buckets ON bucket = id % 4096 WHERE NOT here)
                          + (SELECT count(*) FROM names JOIN phalanx.buckets USING (bucket) WHERE NOT here)";
        (1..=self.shards).map(|shard| self.ask(shard, stray).parse::<i64>().unwrap()).sum()
    }

    /// What a resharding may not leave behind, in any shard.
    pub(crate) fn remains(&self) -> String {
        let remains = "SELECT concat_ws(' ',
            (SELECT string_agg(pubname, ' ') FROM pg_publication),
            (SELECT string_agg(subname, ' ') FROM pg_subscription),
            (SELECT string_agg(slot_name, ' ') FROM pg_replication_slots),
            (SELECT string_agg(statement, ' ') FROM phalanx.reshard_undo),
            (SELECT string_agg(relname, ' ') FROM pg_class WHERE relreplident = 'f'),
            (SELECT 'paused' FROM phalanx.buckets WHERE state = 'paused' OR paused_at IS NOT NULL LIMIT 1),
            (SELECT 'read elsewhere' FROM phalanx.buckets WHERE reader IS NOT NULL LIMIT 1),
            (SELECT 'no index' WHERE to_regclass('notes_body') IS NULL))";
        (1..=self.shards).map(|shard| self.ask(shard, remains)).collect()
    }

    /// Buckets of each shard by the word of each: the same in all.
    pub(crate) fn map(&self) -> String {
        let map = "SELECT string_agg(owner || ':' || buckets || '@' || epoch, ' ' ORDER BY owner, epoch) FROM (
                       SELECT owner, epoch, count(*) AS buckets FROM phalanx.buckets GROUP BY owner, epoch) AS owners";
        let mut maps: Vec<String> = (1..=self.shards).map(|shard| self.ask(shard, map)).collect();
        maps.dedup();
        maps.join(" | ")
    }
}

pub(crate) fn connections() -> ServerSettings {
    ServerSettings { connect_timeout: PATIENCE, ..ServerSettings::new("") }
}

/// Runs to the end, or until the reports were enough.
pub(crate) async fn run(
    resharding: Resharding,
    watch: impl FnMut(&Report) + Send,
) -> Result<Outcome, ReshardError> {
    let running = resharding.run(watch, CancellationToken::new());
    tokio::time::timeout(PATIENCE, running).await.expect("a resharding of little data ends soon")
}
