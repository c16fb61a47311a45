//! The servers under load: PostgreSQL as production has it, with rows of a known kind.

use std::{sync::Arc, time::Duration};

use anyhow::{Context, ensure};
use phalanx_test_servers::{Durability, Postgres, Settings};

use crate::usage;

/// Rows of each table: more than any cache of a single core holds, less than the server's buffers.
pub(crate) const ROWS: u32 = 100_000;
/// The server would refuse what the comparisons ask for with its default of 100.
const CONNECTIONS_MAX: u16 = 400;
/// What a table of this size needs to lie in memory, as the tables of a tuned server do for the most part.
const BUFFERS: &str = "256MB";

/// A running server; cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Database(Arc<Postgres>);

impl Database {
    /// Starts an empty one.
    pub(crate) async fn start() -> anyhow::Result<Self> {
        blocking(|| {
            let settings = Settings {
                durability: Durability::Disk,
                connections_max: CONNECTIONS_MAX,
                ..Settings::default()
            };
            let settings = settings.parameter("shared_buffers", BUFFERS).parameter("max_wal_size", "1GB");
            // A server that was killed sends each of its thousand files to the disk before it recovers, which would be most
            // of the time that it is away.
            let settings = settings.parameter("recovery_init_sync_method", "syncfs");
            Self(Arc::new(Postgres::start(settings)))
        })
        .await
        .context("start PostgreSQL")
    }

    /// Starts a replica of this one.
    pub(crate) async fn replica(&self) -> anyhow::Result<Self> {
        self.with(|server| Self(Arc::new(server.replica()))).await.context("start a replica")
    }

    /// Creates the table that is asked for by key, of rows of about 100 bytes.
    pub(crate) async fn fill_items(&self) -> anyhow::Result<()> {
        self.execute(format!(
            "CREATE TABLE items (id bigint PRIMARY KEY, name text NOT NULL, body text NOT NULL);
             INSERT INTO items SELECT n, 'item ' || n, repeat(md5(n::text), 2) FROM generate_series(1, {ROWS}) AS n;"
        ))
        .await?;
        self.execute("VACUUM (ANALYZE) items".to_owned()).await
    }

    /// Fills the reference API's table, with hashes as long as true ones.
    pub(crate) async fn fill_accounts(&self) -> anyhow::Result<()> {
        self.execute(format!(
            "INSERT INTO accounts (id, email, name, role, password_hash)
             SELECT n, 'user-' || n || '@example.com', 'User ' || n, 'user', repeat('x', 97)
             FROM generate_series(1, {ROWS}) AS n;"
        ))
        .await?;
        self.execute("VACUUM (ANALYZE) accounts".to_owned()).await
    }

    /// Waits until this replica shows what the primary has written so far.
    pub(crate) async fn caught_up(&self, primary: &Self) -> anyhow::Result<()> {
        let primary = Arc::clone(&primary.0);
        self.with(move |server| server.wait_until_caught_up(&primary)).await
    }

    /// What a client needs to connect.
    pub(crate) fn url(&self) -> String {
        self.0.url()
    }

    /// CPU time of all its processes since its start.
    pub(crate) fn cpu(&self) -> anyhow::Result<Duration> {
        usage::lifetime_cpu(self.0.pid()).context("read the CPU time of PostgreSQL")
    }

    /// What it says of its version.
    pub(crate) async fn version(&self) -> anyhow::Result<String> {
        let version = self.with(|server| server.query_one_text("SHOW server_version")).await?;
        Ok(format!("PostgreSQL {version}"))
    }

    /// Stops it in order and starts it again.
    pub(crate) async fn restart(&self) -> anyhow::Result<()> {
        self.with(Postgres::restart).await
    }

    /// Kills all its processes and starts it again.
    pub(crate) async fn crash(&self) -> anyhow::Result<()> {
        self.with(|server| {
            server.kill();
            server.restart();
        })
        .await
    }

    /// Sends all that was written to the disk, so that the next window does not pay for it.
    pub(crate) async fn checkpoint(&self) -> anyhow::Result<()> {
        self.execute("CHECKPOINT".to_owned()).await
    }

    async fn execute(&self, sql: String) -> anyhow::Result<()> {
        self.with(move |server| server.execute(&sql)).await
    }

    async fn with<T: Send + 'static>(
        &self,
        ask: impl FnOnce(&Postgres) -> T + Send + 'static,
    ) -> anyhow::Result<T> {
        let server = Arc::clone(&self.0);
        blocking(move || ask(&server)).await
    }
}

/// The servers block, and panic where they fail: that is told as an error, after the panic's own words.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> anyhow::Result<T> {
    let ended = tokio::task::spawn_blocking(work).await;
    ensure!(ended.is_ok(), "a server failed");
    ended.context("work with a server")
}
