//! Migrations of a file: all in one transaction that holds the write lock, so an opener sees either the schema it knows or
//! waits, and a crash half way leaves the old schema.

use rusqlite::{Connection, Transaction, TransactionBehavior};

use super::{History, HistoryError, Migration, OWN, PendingMigration, Store, checksum, pending};

/// Where each list is recorded.
const OWN_TABLE: &str = "phalanx_own_migrations";
const SERVICE_TABLE: &str = "phalanx_migrations";

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
    apply_list(&transaction, "phalanx", OWN_TABLE, OWN)?;
    apply_list(&transaction, "service", SERVICE_TABLE, migrations)?;
    Ok(transaction.commit()?)
}

/// What the file lacks; changes nothing.
pub(crate) fn lacking(
    connection: &Connection,
    migrations: &'static [Migration],
) -> Result<Vec<PendingMigration>, MigrationError> {
    let mut lacking = pending("phalanx", OWN, &history_of(connection, OWN_TABLE)?, Store::Sqlite)?;
    let history = history_of(connection, SERVICE_TABLE)?;
    lacking.extend(pending("service", migrations, &history, Store::Sqlite)?);
    Ok(lacking)
}

/// What a file lacks that is not there.
pub(crate) fn all(migrations: &'static [Migration]) -> Vec<PendingMigration> {
    let lists = [("phalanx", OWN), ("service", migrations)];
    let of_list = |(list, known)| pending(list, known, &[], Store::Sqlite);
    lists.into_iter().filter_map(|list| of_list(list).ok()).flatten().collect()
}

/// The history as it stands, where there is a table of it.
fn history_of(connection: &Connection, table: &str) -> rusqlite::Result<History> {
    let has = |wanted: &str| {
        connection.query_one(
            "SELECT count(*) FROM pragma_table_info(?1) WHERE name = ?2",
            [table, wanted],
            |row| row.get::<_, bool>(0),
        )
    };
    if !has("number")? {
        return Ok(History::new());
    }
    // A version that knew no checksums has made the table.
    let checksum = if has("checksum")? { "checksum" } else { "NULL" };
    let text = format!("SELECT {checksum} FROM {table} ORDER BY number");
    let mut statement = connection.prepare(&text)?;
    statement.query_map([], |row| row.get(0))?.collect()
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
