//! One SQLite file as an endpoint: the embedded form of a shard. Its one writer is the primary, its readers are the replicas.
//!
//! Invariants: a write that was answered `Ok` is on the disk; a write that was answered `Err` left nothing behind; the
//! event loop never waits for the disk, since every statement runs on a thread of this module behind a bounded queue.
//! Every reader of every process sees every commit that was answered, so there is one [`Position`], and it is always reached.
//! Elsewhere: the bucket map (the topology); the tables that this module keeps for itself (`migrations`).
//! How it fails: [`AccessError`] for one statement, [`OpenError`] at start, each naming the path.

mod connection;
mod database;
mod readers;
mod statement;
#[cfg(test)]
mod tests;
mod transaction;
mod writer;

use std::sync::Arc;

use tokio::sync::Notify;

pub use self::database::{Database, EmbeddedSettings, OpenError};
pub(crate) use self::{connection::migration_failed, transaction::Transaction};
use crate::{
    AccessError, DataDirectory, Isolation, Migration, Position, Row, ShardId, Written,
    backend::{Occupancy, PoolStatus, Probe, Query, Role},
};

/// What a commit's position and the end of the file are: whoever asks later sees it, so one number serves for all.
const EVERYTHING: u64 = 1;

/// A shard's file; cheap to clone.
#[derive(Clone)]
pub(crate) struct File {
    database: Database,
    shard: ShardId,
    name: Arc<str>,
    closing: Arc<Notify>,
}

/// Ends the file's threads in order: a future that its owner runs for as long as the file is used.
pub(crate) struct Upkeep {
    database: Database,
    closing: Arc<Notify>,
}

impl Upkeep {
    /// Runs until the file is closed and its last statement has ended.
    pub(crate) async fn run(self) {
        self.closing.notified().await;
        self.database.close().await;
    }
}

impl File {
    /// Opens the file of `shard`, creates it where it is missing, and brings it to the last of `migrations`.
    pub(crate) async fn open(
        directory: &DataDirectory,
        shard: ShardId,
        migrations: &'static [Migration],
        settings: EmbeddedSettings,
    ) -> Result<(Self, Upkeep), OpenError> {
        let path = directory.path().join(file_name(shard));
        let name = Arc::from(path.display().to_string());
        let database = Database::open_file(path, migrations, settings).await?;
        let closing = Arc::new(Notify::new());
        let upkeep = Upkeep { database: database.clone(), closing: Arc::clone(&closing) };
        Ok((Self { database, shard, name, closing }, upkeep))
    }

    /// Its path.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    pub(crate) async fn read(&self, query: Query<'_>) -> Result<Vec<Row>, AccessError> {
        let statement = statement::Bound::of(query)?;
        self.database.run_read(move |connection| Ok(statement.run(connection)?.0)).await
    }

    pub(crate) async fn read_guarded(
        &self,
        _position: Position,
        query: Query<'_>,
    ) -> Result<Option<Vec<Row>>, AccessError> {
        self.read(query).await.map(Some)
    }

    pub(crate) async fn write(&self, query: Query<'_>) -> Result<Written, AccessError> {
        let statement = statement::Bound::of(query)?;
        let (rows, count) = self.database.run_write(move |connection| statement.run(connection)).await?;
        Ok(Written { rows, count, position: Some(position(self.shard)) })
    }

    /// Begins a transaction; each is serializable here, whatever is asked for.
    pub(crate) async fn begin(&self, _isolation: Isolation) -> Result<Transaction, AccessError> {
        self.database.begin(self.shard).await
    }

    /// What stands for the answers of a server: a file has no copies, so nothing is compared with them but themselves.
    pub(crate) async fn probe(&self) -> Result<Probe, AccessError> {
        let identity = |connection: &rusqlite::Connection| {
            connection.query_row("SELECT 1", [], |_| Ok(())).map_err(AccessError::from)
        };
        self.database.run_read(identity).await?;
        Ok(Probe {
            role: Role::Primary,
            timeline: 0,
            lsn: EVERYTHING,
            system_identifier: i64::from(self.shard.0),
            database: self.name.to_string(),
            version: u32::try_from(rusqlite::version_number()).unwrap_or_default(),
            connections: None,
        })
    }

    /// Readers are the shared connections, the writer is the exclusive one.
    pub(crate) fn pool_status(&self) -> PoolStatus {
        let occupancy = |connections, waiting| Occupancy { connections, waiting, ..Occupancy::default() };
        let (readers, reads_waiting) = self.database.reads_waiting();
        PoolStatus {
            shared: occupancy(readers, reads_waiting),
            exclusive: occupancy(1, self.database.writes_waiting()),
        }
    }

    /// Takes no more statements once its upkeep has heard of it.
    pub(crate) fn close(&self) {
        self.closing.notify_one();
    }
}

fn position(shard: ShardId) -> Position {
    Position { shard, timeline: 0, lsn: EVERYTHING }
}

/// The first shard has the name that a database of one shard always had.
pub(crate) fn file_name(shard: ShardId) -> String {
    match shard.0 {
        0 | 1 => "phalanx.db".to_owned(),
        number => format!("phalanx-{number}.db"),
    }
}
