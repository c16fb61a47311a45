//! A session with the primary of a shard, which holds the lock of the executor there.
//!
//! Invariant: whatever a session does, it does under the lock, since the lock is the session's own: an executor that was held up
//! and lost its sessions to another can change nothing any more.
//! Invariant: a transaction is one message to the server. An executor that is held up never leaves one open, with locks that
//! every writer waits for.
//! How it fails: [`ReshardError::Connect`] and [`ReshardError::Statement`], which tell by `may_pass` whether to try again.

use std::{sync::Arc, time::Duration};

use phalanx_shard::map::ShardId;
use phalanx_telemetry::clock;
use tokio::{task::JoinSet, time};
use tokio_postgres::{Client, Row, SimpleQueryMessage, types::ToSql};

use super::ReshardError;
use crate::{ConnectError, Pooler, ServerSettings, ServerUrl, ShardServers, postgres};

/// Two numbers that no other use of advisory locks in this database takes: `PHLX` and 2.
const LOCK: &str = "1346915416, 2";
/// How long the lock of an executor that has just ended may outlive it.
const LOCK_PATIENCE: Duration = Duration::from_secs(5);
const LOOK_AGAIN: Duration = Duration::from_millis(50);
/// Texts of rows are compared between servers, so they have to be the same everywhere; names are to show their schema. What waits for
/// a lock holds up whoever comes after it, so it waits shortly and tries again. A server that lost its client ends the statement.
const SETTINGS: &str = "
    SET search_path = pg_catalog;
    SET timezone = 'UTC';
    SET datestyle = 'ISO, MDY';
    SET intervalstyle = 'postgres';
    SET extra_float_digits = 1;
    SET bytea_output = 'hex';
    SET lc_monetary = 'C';
    SET client_min_messages = warning;
    SET statement_timeout = 0;
    SET lock_timeout = '2s';
    SET idle_in_transaction_session_timeout = '5s';
    SET client_connection_check_interval = '1s';";

/// Whether a session may change anything.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Standing {
    /// It holds the lock.
    Executor,
    /// It looks, and stores what an operator wants.
    Onlooker,
}

/// A connection, with what does not change while it stands.
pub(super) struct Session {
    pub(super) shard: ShardId,
    /// `host:port/database`.
    pub(super) server: Arc<str>,
    pub(super) timeline: i32,
    /// Of the database: names in the cluster that are to be this database's carry it.
    pub(super) database: u32,
    /// How another server connects to it; holds the password.
    pub(super) conninfo: String,
    client: Client,
}

impl Session {
    /// Finds the primary of a shard: of those that take writes the one that was promoted last.
    pub(super) async fn open(
        shard: ShardId,
        servers: &ShardServers,
        connections: &ServerSettings,
        standing: Standing,
        drivers: &mut JoinSet<()>,
    ) -> Result<Self, ReshardError> {
        if connections.pooler != Pooler::None {
            return Err(ReshardError::Pooler);
        }
        let (mut found, mut refused) = (None::<Self>, None);
        for url in servers.all() {
            match Self::connect(shard, url, connections, drivers).await {
                Ok(Some(session)) if found.as_ref().is_none_or(|found| found.timeline < session.timeline) => {
                    found = Some(session);
                }
                Ok(_) => {}
                Err(ReshardError::Connect { source, .. }) => refused = source,
                Err(error) => return Err(error),
            }
        }
        let session = found.ok_or(ReshardError::Connect { shard: shard.get(), source: refused })?;
        if standing == Standing::Executor {
            session.lock().await?;
        }
        Ok(session)
    }

    /// `None` where the server takes no writes.
    async fn connect(
        shard: ShardId,
        url: &ServerUrl,
        connections: &ServerSettings,
        drivers: &mut JoinSet<()>,
    ) -> Result<Option<Self>, ReshardError> {
        let settings = ServerSettings {
            url: url.secret().to_owned(),
            application_name: "phalanx reshard".to_owned(),
            ..connections.clone()
        };
        let refused =
            |source: ConnectError| ReshardError::Connect { shard: shard.get(), source: Some(source) };
        let conninfo = postgres::conninfo(&settings.url).map_err(refused)?;
        let (server, client, driver) = postgres::dedicated(&settings).await.map_err(refused)?;
        drivers.spawn(async move {
            // Whoever uses the connection is told of its end as well.
            let _ = driver.await;
        });
        let mut session = Self { shard, server, timeline: 0, database: 0, conninfo, client };
        session.execute("prepare the session", SETTINGS).await?;
        let about =
            "SELECT pg_is_in_recovery(), (SELECT oid FROM pg_database WHERE datname = current_database())";
        let row = session.one("ask what it is", about, &[]).await?;
        if row.get(0) {
            return Ok(None);
        }
        session.database = row.get(1);
        // As in the positions of writes: the control file would be behind after a failover.
        let timeline = "SELECT ('x' || left(pg_walfile_name(pg_current_wal_insert_lsn()), 8))::bit(32)::int4";
        session.timeline = session.one("ask for the timeline", timeline, &[]).await?.get(0);
        Ok(Some(session))
    }

    async fn lock(&self) -> Result<(), ReshardError> {
        let begun = clock::now();
        loop {
            let text = format!("SELECT pg_try_advisory_lock({LOCK})");
            if self.one("take the lock", &text, &[]).await?.get(0) {
                return Ok(());
            }
            if begun.elapsed() > LOCK_PATIENCE {
                return Err(ReshardError::Busy { shard: self.shard.get(), server: self.server.to_string() });
            }
            time::sleep(LOOK_AGAIN).await;
        }
    }

    /// Whether the connection has ended.
    pub(super) fn is_closed(&self) -> bool {
        self.client.is_closed()
    }

    /// Runs statements as one transaction. `action` completes "cannot … on the server".
    pub(super) async fn execute(&self, action: &'static str, sql: &str) -> Result<(), ReshardError> {
        self.client.batch_execute(sql).await.map_err(|source| self.failed(action, source))
    }

    /// The same; answers how many rows all of them together changed or returned.
    pub(super) async fn count(&self, action: &'static str, sql: &str) -> Result<u64, ReshardError> {
        let messages = self.client.simple_query(sql).await.map_err(|source| self.failed(action, source))?;
        let counts = messages.iter().map(|message| match message {
            SimpleQueryMessage::CommandComplete(rows) => *rows,
            _ => 0,
        });
        Ok(counts.sum())
    }

    /// The rows of a query.
    pub(super) async fn rows(
        &self,
        action: &'static str,
        sql: &str,
        values: &[&(dyn ToSql + Sync)],
    ) -> Result<Vec<Row>, ReshardError> {
        self.client.query(sql, values).await.map_err(|source| self.failed(action, source))
    }

    /// The only row of a query.
    pub(super) async fn one(
        &self,
        action: &'static str,
        sql: &str,
        values: &[&(dyn ToSql + Sync)],
    ) -> Result<Row, ReshardError> {
        self.client.query_one(sql, values).await.map_err(|source| self.failed(action, source))
    }

    /// The first row of a query, if it has any.
    pub(super) async fn optional(
        &self,
        action: &'static str,
        sql: &str,
        values: &[&(dyn ToSql + Sync)],
    ) -> Result<Option<Row>, ReshardError> {
        Ok(self.rows(action, sql, values).await?.into_iter().next())
    }

    fn failed(&self, action: &'static str, source: tokio_postgres::Error) -> ReshardError {
        ReshardError::Statement { action, server: self.server.to_string(), source }
    }
}
