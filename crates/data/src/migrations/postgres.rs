//! Migrations of a PostgreSQL database: each in a transaction of its own, all under one advisory lock, so that any number of
//! processes may try at once.
//!
//! A migration waits a bounded time for the locks of its tables: everybody else who wants the table queues behind it meanwhile.
//! Elsewhere: the connection (`crate::postgres`).

use std::time::Duration;

use tokio_postgres::{Client, error::SqlState};

use super::{History, HistoryError, Migration, OWN, PendingMigration, Store, checksum, pending};

#[cfg(test)]
mod fence_tests;
#[cfg(test)]
mod tests;

/// Two numbers that no other use of advisory locks in this database takes: `PHLX` and 1.
const LOCK: &str = "1346915416, 1";
/// For the lock of the migrators, who may each have long ones to apply, and for that of a table.
const MIGRATOR_WAIT: &str = "5min";
const TABLE_WAIT: &str = "10s";

/// Why a database was not migrated, or not to the end; what was applied before stays.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum MigrateError {
    /// The schema cannot be brought forward.
    #[error("the schema cannot be migrated: {0}")]
    History(#[from] HistoryError),
    /// Another process migrates, and did not end in time.
    #[error("another process has been migrating this database for {MIGRATOR_WAIT}: wait for it, or end it")]
    Locked,
    /// Somebody holds a table that the migration changes.
    #[error(
        "migration {number} ({name}) waited {TABLE_WAIT} for a table: end the transaction that holds it, and try again"
    )]
    TableHeld {
        /// Its number.
        number: u16,
        /// Its name.
        name: &'static str,
    },
    /// A migration failed, and left nothing behind.
    #[error("cannot apply migration {number} ({name})")]
    Failed {
        /// Its number.
        number: u16,
        /// Its name.
        name: &'static str,
        /// What PostgreSQL said.
        source: tokio_postgres::Error,
    },
    /// The server was asked what it has, and did not answer in time.
    #[error("no answer within {waited:?}")]
    Silent {
        /// How long it was waited for.
        waited: Duration,
    },
    /// The tables in which migrations and the bucket map are recorded cannot be used.
    #[error("cannot use the schema `phalanx`: may this user create it?")]
    Bookkeeping(#[from] tokio_postgres::Error),
}

/// What the database lacks; changes nothing and waits for nobody.
pub(crate) async fn plan(
    client: &Client,
    migrations: &'static [Migration],
) -> Result<Vec<PendingMigration>, MigrateError> {
    let exists = client.query_one("SELECT to_regclass('phalanx.migrations') IS NOT NULL", &[]).await?.get(0);
    let mut missing = Vec::new();
    for (list, known) in [("phalanx", OWN), ("service", migrations)] {
        let history = if exists { history(client, list).await? } else { History::new() };
        missing.extend(pending(list, known, &history, Store::Postgres)?);
    }
    Ok(missing)
}

/// Whoever hears of each migration before it is applied.
pub(crate) type Applying<'a> = &'a mut (dyn FnMut(&PendingMigration) + Send);

/// Applies what the database lacks, and answers what that was.
#[cfg(test)]
pub(crate) async fn apply(
    client: &mut Client,
    migrations: &'static [Migration],
) -> Result<Vec<PendingMigration>, MigrateError> {
    apply_told(client, migrations, &mut |_| {}).await
}

/// The same, and `applying` hears of each.
pub(crate) async fn apply_told(
    client: &mut Client,
    migrations: &'static [Migration],
    applying: Applying<'_>,
) -> Result<Vec<PendingMigration>, MigrateError> {
    lock(client).await?;
    let applied = apply_locked(client, migrations, applying).await;
    // Whatever the connection is used for next, it does not keep others from migrating. If it broke, the lock went with it.
    let _ = client.batch_execute(&format!("SELECT pg_advisory_unlock({LOCK}); RESET lock_timeout")).await;
    applied
}

async fn lock(client: &Client) -> Result<(), MigrateError> {
    // A migration takes as long as it takes; only waiting has a bound.
    let text = format!(
        "SET statement_timeout = 0; SET idle_in_transaction_session_timeout = 0; SET lock_timeout = '{MIGRATOR_WAIT}';
         SELECT pg_advisory_lock({LOCK})"
    );
    client.batch_execute(&text).await.map_err(|error| {
        if error.code() == Some(&SqlState::LOCK_NOT_AVAILABLE) { MigrateError::Locked } else { error.into() }
    })
}

async fn apply_locked(
    client: &mut Client,
    migrations: &'static [Migration],
    applying: Applying<'_>,
) -> Result<Vec<PendingMigration>, MigrateError> {
    client
        .batch_execute(&format!(
            "SET lock_timeout = '{TABLE_WAIT}';
             SET client_min_messages = warning;
             CREATE SCHEMA IF NOT EXISTS phalanx;
             CREATE TABLE IF NOT EXISTS phalanx.migrations (
                 list       text        NOT NULL,
                 number     smallint    NOT NULL,
                 name       text        NOT NULL,
                 checksum   bigint      NOT NULL,
                 applied_at timestamptz NOT NULL DEFAULT now(),
                 PRIMARY KEY (list, number)
             )"
        ))
        .await?;
    // Read after the lock was taken: whoever held it may have applied them all.
    let missing = plan(client, migrations).await?;
    for migration in &missing {
        applying(migration);
        apply_one(client, migration).await.map_err(|source| {
            let PendingMigration { number, name, .. } = *migration;
            match source.code() {
                Some(code) if *code == SqlState::LOCK_NOT_AVAILABLE => {
                    MigrateError::TableHeld { number, name }
                }
                _ => MigrateError::Failed { number, name, source },
            }
        })?;
    }
    Ok(missing)
}

async fn apply_one(client: &mut Client, migration: &PendingMigration) -> Result<(), tokio_postgres::Error> {
    let PendingMigration { list, number, name, sql } = *migration;
    let transaction = client.transaction().await?;
    transaction.batch_execute(sql).await?;
    transaction
        .execute(
            "INSERT INTO phalanx.migrations (list, number, name, checksum) VALUES ($1, $2::int4, $3, $4)",
            &[&list, &i32::from(number), &name, &checksum(sql)],
        )
        .await?;
    transaction.commit().await
}

async fn history(client: &Client, list: &str) -> Result<History, tokio_postgres::Error> {
    let text = "SELECT checksum FROM phalanx.migrations WHERE list = $1 ORDER BY number";
    Ok(client.query(text, &[&list]).await?.iter().map(|row| Some(row.get(0))).collect())
}
