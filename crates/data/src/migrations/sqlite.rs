//! Migrations of a file: all in one transaction that holds the write lock, so an opener sees either the schema it knows or
//! waits, and a crash half way leaves the old schema.

use rusqlite::{Connection, Transaction, TransactionBehavior};

use super::{History, HistoryError, Migration, OWN, Store, checksum, pending};

/// Why the schema is not the one this binary needs.
#[derive(Debug)]
pub(crate) enum MigrationError {
    Newer { found: u16, known: usize },
    Edited { number: u16, name: &'static str },
    Failed { number: u16, name: &'static str, source: rusqlite::Error },
    Bookkeeping(rusqlite::Error),
}

impl From<rusqlite::Error> for MigrationError {
    fn from(source: rusqlite::Error) -> Self {
        Self::Bookkeeping(source)
    }
}

impl From<HistoryError> for MigrationError {
    fn from(error: HistoryError) -> Self {
        match error {
            HistoryError::Newer { found, known } => Self::Newer { found, known },
            HistoryError::Edited { number, name } => Self::Edited { number, name },
        }
    }
}

/// Brings the schema up to the last of `migrations`.
pub(crate) fn apply(
    connection: &mut Connection,
    migrations: &'static [Migration],
) -> Result<(), MigrationError> {
    // The lock is taken before the table is read: two replicas that start at once must not both find it empty.
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    apply_list(&transaction, "phalanx", "phalanx_own_migrations", OWN)?;
    apply_list(&transaction, "service", "phalanx_migrations", migrations)?;
    Ok(transaction.commit()?)
}

fn apply_list(
    transaction: &Transaction<'_>,
    list: &'static str,
    table: &'static str,
    known: &'static [Migration],
) -> Result<(), MigrationError> {
    let history = history(transaction, table)?;
    for migration in pending(list, known, &history, Store::Sqlite)? {
        let (number, name) = (migration.number, migration.name);
        transaction.execute_batch(migration.sql).map_err(|source| MigrationError::Failed {
            number,
            name,
            source,
        })?;
        transaction.execute(
            &format!(
                "INSERT INTO {table} (number, name, applied_at, checksum) VALUES (?1, ?2, unixepoch(), ?3)"
            ),
            (number, name, checksum(migration.sql)),
        )?;
    }
    // What a version without checksums has applied is taken as it reads now; from here on an edit is told.
    for (number, migration) in (1_u16..).zip(known) {
        transaction.execute(
            &format!("UPDATE {table} SET checksum = ?2 WHERE number = ?1 AND checksum IS NULL"),
            (number, checksum(migration.sqlite)),
        )?;
    }
    Ok(())
}

fn history(transaction: &Transaction<'_>, table: &str) -> rusqlite::Result<History> {
    transaction.execute_batch(&format!(
        "CREATE TABLE IF NOT EXISTS {table} (
             number INTEGER PRIMARY KEY, name TEXT NOT NULL, applied_at INTEGER NOT NULL
         ) STRICT"
    ))?;
    let has_checksums: bool = transaction.query_one(
        "SELECT count(*) FROM pragma_table_info(?1) WHERE name = 'checksum'",
        [table],
        |row| row.get(0),
    )?;
    if !has_checksums {
        transaction.execute_batch(&format!("ALTER TABLE {table} ADD COLUMN checksum INTEGER"))?;
    }
    let mut statement = transaction.prepare(&format!("SELECT checksum FROM {table} ORDER BY number"))?;
    statement.query_map([], |row| row.get(0))?.collect()
}
