//! How a connection to the file is opened, for the writer and for a reader.

use std::{fs, io, os::unix::fs::OpenOptionsExt as _, path::Path, thread, time::Duration};

use rusqlite::{Connection, ErrorCode, OpenFlags};

use crate::{
    Migration, OpenError,
    migrations::{sqlite::MigrationError, sqlite::apply},
};

/// A write-ahead log that grew in a burst is cut back to this when it is next emptied.
const LOG_BYTES_KEPT_MAX: u32 = 64 << 20;
const FILE_MODE: u32 = 0o600;
const BUSY_RETRY_PAUSE: Duration = Duration::from_millis(10);

/// The connections of one process to one file.
pub(crate) struct Connections {
    pub(crate) writer: Connection,
    pub(crate) readers: Vec<Connection>,
}

/// Opens the file, makes it one with a write-ahead log, migrates it and opens the readers. Blocks.
pub(crate) fn open(
    path: &Path,
    migrations: &'static [Migration],
    reader_count: usize,
    busy_timeout: Duration,
) -> Result<Connections, OpenError> {
    let failed = |source| OpenError::of(path, source);
    create_private(path).map_err(|source| OpenError::Create { path: path.to_owned(), source })?;
    let mut writer = connect(path, busy_timeout).map_err(failed)?;
    let mode = write_ahead(&writer, busy_timeout).map_err(failed)?;
    if mode != "wal" {
        return Err(OpenError::NoWriteAheadLog { path: path.to_owned(), mode });
    }
    apply(&mut writer, migrations).map_err(|error| migration_failed(path, error))?;
    let readers = (0..reader_count)
        .map(|_| {
            let reader = connect(path, busy_timeout)?;
            // A write by way of `read` is a mistake that SQLite then refuses. Opening the file read-only instead would
            // also forbid the recovery that a connection owes after another process was killed.
            reader.pragma_update(None, "query_only", true)?;
            Ok(reader)
        })
        .collect::<Result<_, rusqlite::Error>>()
        .map_err(failed)?;
    Ok(Connections { writer, readers })
}

/// What that means for the file.
pub(crate) fn migration_failed(path: &Path, error: MigrationError) -> OpenError {
    let owned = path.to_owned();
    match error {
        MigrationError::Newer { found, known } => OpenError::Newer { path: owned, found, known },
        MigrationError::Edited { number, name } => OpenError::Edited { path: owned, number, name },
        MigrationError::Failed { number, name, source } => {
            OpenError::Migration { path: owned, number, name, source }
        }
        MigrationError::Bookkeeping(source) => OpenError::of(path, source),
    }
}

/// Creates the file for its owner alone, since the directory may let others in. SQLite gives its other files the same mode.
fn create_private(path: &Path) -> io::Result<()> {
    fs::OpenOptions::new().append(true).create(true).mode(FILE_MODE).open(path).map(|_| ())
}

fn connect(path: &Path, busy_timeout: Duration) -> rusqlite::Result<Connection> {
    let flags =
        OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)?;
    connection.busy_timeout(busy_timeout)?;
    // NORMAL would survive a killed process, but a power cut could take back what a client was told is stored. The price
    // of FULL is one fsync for each commit, which all writes queued at that moment share.
    connection.pragma_update(None, "synchronous", "FULL")?;
    connection.pragma_update(None, "foreign_keys", true)?;
    connection.pragma_update(None, "journal_size_limit", LOG_BYTES_KEPT_MAX)?;
    Ok(connection)
}

/// Switches the file to a write-ahead log, so readers and the writer do not wait for each other; answers the mode it has.
fn write_ahead(connection: &Connection, busy_timeout: Duration) -> rusqlite::Result<String> {
    // The switch does not go through SQLite's busy timeout: replicas that start together get BUSY at once.
    let attempts_max = busy_timeout.as_millis() / BUSY_RETRY_PAUSE.as_millis();
    let mut attempt = 0;
    loop {
        match connection.pragma_update_and_check(None, "journal_mode", "WAL", |row| row.get(0)) {
            Err(error)
                if error.sqlite_error_code() == Some(ErrorCode::DatabaseBusy) && attempt < attempts_max =>
            {
                attempt += 1;
                thread::sleep(BUSY_RETRY_PAUSE);
            }
            outcome => return outcome,
        }
    }
}
