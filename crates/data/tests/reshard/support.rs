//! Shards for a resharding: databases of one server, which is harder than several servers, since slots and subscriptions share it.

use std::time::Duration;

use phalanx_data::{
    MigrateMode, Migration, ServerSettings, ServerUrl, Servers, Settings, ShardServers, migrate,
    reshard::{self, Options, Outcome, Report, ReshardError, Resharding, Status},
};
use phalanx_shard::{Placement, reshard::Stage};
use phalanx_test_servers::{Postgres, Settings as Server};
use tokio::task::JoinSet;
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
    /// One for all shards, as databases of it, or one for each.
    servers: Vec<Postgres>,
    shards: u16,
}

impl Cluster {
    /// `holding` of `shards` shards hold buckets; all are in one server.
    pub(crate) async fn start(holding: u16, shards: u16) -> Self {
        Self::start_with(holding, shards, 1, Server::default()).await
    }

    /// Each shard has a server.
    pub(crate) async fn start_apart(holding: u16, shards: u16) -> Self {
        Self::start_with(holding, shards, shards, Server::default()).await
    }

    pub(crate) async fn start_with(holding: u16, shards: u16, servers: u16, settings: Server) -> Self {
        let mut roomy = Server::default()
            .parameter("max_replication_slots", "40")
            .parameter("max_wal_senders", "40")
            .parameter("max_logical_replication_workers", "16")
            .parameter("max_worker_processes", "24");
        // The last one that names a parameter wins.
        roomy.parameters.extend(settings.parameters);
        let starting = tokio::task::spawn_blocking(move || {
            let started = (0..servers).map(|_| Postgres::start(roomy.clone())).collect();
            let cluster = Self { servers: started, shards };
            for shard in 1..=shards {
                cluster.server(shard).create_database(&format!("shard_{shard}"));
            }
            cluster
        });
        let cluster = starting.await.unwrap();
        for known in [holding, shards] {
            let settings = Settings { connections: connections(), ..Settings::new() };
            migrate(&cluster.first(known), &settings, MIGRATIONS, MigrateMode::Apply).await.unwrap();
        }
        cluster
    }

    /// The server of a shard.
    pub(crate) fn server(&self, shard: u16) -> &Postgres {
        &self.servers[usize::from(shard - 1) % self.servers.len()]
    }

    /// All shards.
    pub(crate) fn servers(&self) -> Servers {
        self.first(self.shards)
    }

    /// The first shards.
    pub(crate) fn first(&self, count: u16) -> Servers {
        let shard = |number| ShardServers {
            primary: ServerUrl::parse(&self.server(number).url_for(&format!("shard_{number}"))).unwrap(),
            replicas: vec![],
        };
        Servers::new((1..=count).map(shard).collect()).unwrap()
    }

    /// Statements in one shard, as an administrator; what they answer as text.
    pub(crate) fn ask(&self, shard: u16, sql: &str) -> String {
        self.server(shard).query_one_text_in(&format!("shard_{shard}"), sql)
    }

    /// Statements past the fence.
    pub(crate) fn force(&self, shard: u16, sql: &str) {
        self.server(shard)
            .execute_in(&format!("shard_{shard}"), &format!("SET session_replication_role = replica; {sql}"));
    }

    /// Statements that may fail.
    pub(crate) fn try_ask(&self, shard: u16, sql: &str) {
        let _ = self.server(shard).try_query(&format!("shard_{shard}"), sql);
    }

    /// Runs statements in a transaction that stays open until what this answers is dropped.
    pub(crate) async fn hold(&self, shard: u16, sql: &str) -> JoinSet<()> {
        let url = self.server(shard).url_for(&format!("shard_{shard}"));
        let (client, connection) = tokio_postgres::connect(&url, tokio_postgres::NoTls).await.unwrap();
        let mut tasks = JoinSet::new();
        tasks.spawn(async move { drop(connection.await) });
        client.batch_execute(&format!("BEGIN; {sql}")).await.unwrap();
        tasks.spawn(async move {
            let _open = client;
            std::future::pending::<()>().await;
        });
        tasks
    }

    /// Waits until something holds, looking at what is stored of a resharding.
    pub(crate) async fn until(&self, holds: impl AsyncFn(Status) -> bool) {
        let looking = async {
            loop {
                let status = reshard::status(&self.servers(), &connections()).await.unwrap();
                if holds(status.unwrap()).await {
                    return;
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        tokio::time::timeout(PATIENCE, looking).await.expect("it never comes");
    }

    /// Begins, or goes on, and runs to the end.
    pub(crate) async fn finish(&self, options: Options, expected: Outcome) {
        let outcome = match self.begin_with(options).await {
            // An earlier run has come to the end.
            Err(ReshardError::NothingToMove { .. }) => Outcome::Done,
            begun => run(begun.unwrap(), |_| {}).await.unwrap(),
        };
        assert_eq!(outcome, expected);
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

/// Runs as far as a stage, and ends as by a crash a little later; answers how it ended if it was sooner. What is going on in the databases
/// then goes on without it.
pub(crate) async fn run_until(
    resharding: Resharding,
    stage: Stage,
    later: Duration,
) -> Option<Result<Outcome, ReshardError>> {
    let reached = CancellationToken::new();
    let watch = |report: &Report| {
        if report.stage == stage {
            reached.cancel();
        }
    };
    let crash = async {
        reached.cancelled().await;
        if !later.is_zero() {
            tokio::time::sleep(later).await;
        }
    };
    tokio::select! {
        biased;
        () = crash => None,
        ended = run(resharding, watch) => Some(ended),
    }
}

/// Runs to the end, or until the reports were enough.
pub(crate) async fn run(
    resharding: Resharding,
    mut watch: impl FnMut(&Report) + Send,
) -> Result<Outcome, ReshardError> {
    let mut last = None;
    let watch = |report: &Report| {
        watch(report);
        last = Some(report.clone());
    };
    let running = resharding.run(watch, CancellationToken::new());
    let ended = tokio::time::timeout(PATIENCE, running).await;
    ended.unwrap_or_else(|_| panic!("a resharding of little data ends soon, this one is at {last:?}"))
}
