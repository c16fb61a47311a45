//! Forward-only schema changes, applied by whichever replica comes first.
//!
//! Invariant: all of a database's migrations run in one transaction that holds the write lock, so a replica sees either
//! the schema it knows or waits; a crash half way leaves the old schema.

use rusqlite::{Connection, TransactionBehavior};

/// One schema change. Its number is its position in the service's list, from 1: numbers cannot be missing or repeated.
#[derive(Clone, Copy, Debug)]
pub struct Migration {
    /// What it does, in a few words; recorded beside its number.
    pub name: &'static str,
    /// Its statements. An applied migration is never edited: another is added.
    pub sql: &'static str,
}

/// Why the schema is not the one this binary needs.
#[derive(Debug)]
pub(crate) enum MigrationError {
    Newer { found: u16, known: usize },
    Failed { number: u16, name: &'static str, source: rusqlite::Error },
    Bookkeeping(rusqlite::Error),
}

impl From<rusqlite::Error> for MigrationError {
    fn from(source: rusqlite::Error) -> Self {
        Self::Bookkeeping(source)
    }
}

/// Brings the schema up to the last of `migrations`.
pub(crate) fn apply(connection: &mut Connection, migrations: &[Migration]) -> Result<(), MigrationError> {
    // The lock is taken before the table is read: two replicas that start at once must not both find it empty.
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    transaction.execute_batch(
        "CREATE TABLE IF NOT EXISTS phalanx_migrations (
             number INTEGER PRIMARY KEY, name TEXT NOT NULL, applied_at INTEGER NOT NULL
         ) STRICT",
    )?;
    let found: u16 =
        transaction
            .query_one("SELECT coalesce(max(number), 0) FROM phalanx_migrations", [], |row| row.get(0))?;
    if usize::from(found) > migrations.len() {
        return Err(MigrationError::Newer { found, known: migrations.len() });
    }
    for (number, migration) in (1_u16..).zip(migrations).skip(usize::from(found)) {
        transaction.execute_batch(migration.sql).map_err(|source| MigrationError::Failed {
            number,
            name: migration.name,
            source,
        })?;
        transaction.execute(
            "INSERT INTO phalanx_migrations (number, name, applied_at) VALUES (?1, ?2, unixepoch())",
            (number, migration.name),
        )?;
    }
    Ok(transaction.commit()?)
}
