//! How one read or write fails.

use std::{sync::Arc, time::Duration};

use rusqlite::{ErrorCode, ffi};
use tokio::sync::mpsc::error::TrySendError;

use crate::{ColumnError, ConnectError};

/// Why a read or a write has no result. A failed write left nothing behind, but for [`Self::OutcomeUnknown`].
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AccessError {
    /// More work waits than the queue may hold; it was refused at once.
    #[error("the database queue is full")]
    QueueFull,
    /// Another process held the lock for longer than the busy timeout.
    #[error("the database is locked by another process")]
    Busy,
    /// No space is left; reads go on.
    #[error("the disk is full")]
    DiskFull,
    /// A row with this key exists.
    #[error("a row with the same `{constraint}` exists")]
    UniqueViolation {
        /// The constraint's name. SQLite has none for it and says `table.column`, several with a comma between.
        constraint: String,
    },
    /// The row breaks another rule of the schema: a missing value, a foreign key, a check.
    #[error("the row breaks `{constraint}`")]
    ConstraintViolation {
        /// The constraint's name, or the column's.
        constraint: String,
    },
    /// A parameter cannot be stored as it is; nothing was sent.
    #[error("parameter ${number} of `{statement}` {fault}")]
    Parameter {
        /// The statement's name.
        statement: &'static str,
        /// Its number, from 1.
        number: usize,
        /// What is wrong with it.
        fault: ParameterFault,
    },
    /// A value is outside of what its column can hold (SQLSTATE class 22).
    #[error("`{statement}` was refused for a value: {message}")]
    Value {
        /// The statement's name.
        statement: &'static str,
        /// What the server said.
        message: String,
    },
    /// A column of the result cannot be read.
    #[error(transparent)]
    Column(#[from] ColumnError),
    /// All connections are taken, and so many wait for one that this caller's turn did not come in time.
    #[error("no connection to {server} within {waited:?}: {in_use} in use, {waiting} waiting")]
    Backlog {
        /// The server.
        server: Arc<str>,
        /// How long it waited.
        waited: Duration,
        /// Connections, or places in the pipelines, that are in use.
        in_use: usize,
        /// Callers that wait.
        waiting: usize,
    },
    /// All connections are taken, and one of them by a transaction that runs no statement.
    #[error(
        "no connection to {server} within {waited:?}: a transaction has held one for {held:?}, idle since `{statement}`"
    )]
    Leaked {
        /// The server.
        server: Arc<str>,
        /// How long it waited.
        waited: Duration,
        /// For how long the oldest such transaction has had its connection.
        held: Duration,
        /// The last statement it ran.
        statement: &'static str,
    },
    /// All connections are taken, and one of them by a statement that takes long.
    #[error("no connection to {server} within {waited:?}: `{statement}` has been running for {running:?}")]
    HeldBySlowQueries {
        /// The server.
        server: Arc<str>,
        /// How long it waited.
        waited: Duration,
        /// For how long the slowest has been running.
        running: Duration,
        /// The name of the slowest.
        statement: &'static str,
    },
    /// There is no connection, and none can be made.
    #[error("no connection to {server} within {waited:?}")]
    CannotConnect {
        /// The server.
        server: Arc<str>,
        /// How long it waited.
        waited: Duration,
        /// How the last attempt failed. Shared, because all who wait fail with it.
        source: Arc<ConnectError>,
    },
    /// No server of the shard can do it.
    #[error("no server of the shard is reachable")]
    Unreachable,
    /// The shard has no server that takes writes, and none was found in time: nothing was sent.
    #[error("shard {shard} has no primary, and none was found within {waited:?}")]
    NoPrimary {
        /// The shard's number.
        shard: u16,
        /// How long it was waited for.
        waited: Duration,
    },
    /// No replica has replayed what the read has to see, and the primary was not to be asked.
    #[error("no replica of shard {shard} has replayed the write that is to be seen, after {waited:?}")]
    Behind {
        /// The shard's number.
        shard: u16,
        /// How long it was waited for.
        waited: Duration,
    },
    /// The connection broke before the statement was sent, or the statement was a read.
    #[error("the connection to {server} broke")]
    ConnectionLost {
        /// The server.
        server: Arc<str>,
    },
    /// While the statement waited for a connection, another server became the primary, or nobody knows who is; it was not sent.
    #[error("{server} is not the primary any more")]
    Demoted {
        /// The server.
        server: Arc<str>,
    },
    /// The connection broke after a write was sent: it may have been done. It is never repeated by itself.
    #[error("the connection to {server} broke after `{statement}` was sent: it may have been done")]
    OutcomeUnknown {
        /// The server.
        server: Arc<str>,
        /// The statement's name, or `commit`.
        statement: &'static str,
    },
    /// It took longer than the server's timeout for such a connection.
    #[error("`{statement}` took longer than its connection allows")]
    StatementTimeout {
        /// The statement's name.
        statement: &'static str,
    },
    /// Other transactions were in the way (a serialization failure or a deadlock): run it again from its start.
    #[error("`{statement}` was in conflict with another transaction")]
    Contended {
        /// The statement's name.
        statement: &'static str,
    },
    /// The server takes no writes: it is a standby, or has become one.
    #[error("{server} takes no writes")]
    ReadOnly {
        /// The server.
        server: Arc<str>,
    },
    /// The bucket is not this shard's, is paused here, or this process has an old map: the database refused the write.
    #[error("the bucket is not here: {message}")]
    Moved {
        /// What the fence said.
        message: String,
    },
    /// The server sent what is not PostgreSQL's protocol.
    #[error("{server} sent a malformed answer")]
    Malformed {
        /// The server.
        server: Arc<str>,
    },
    /// [`crate::Database::close`] was called.
    #[error("the database is closed")]
    Closed,
    /// The caller's closure panicked; its thread lives on.
    #[error("the statement panicked")]
    Panicked,
    /// The transaction that this write shared ended before its commit.
    #[error("the transaction ended before its commit")]
    TransactionLost,
    /// Any other fault that SQLite found.
    #[error("the database failed")]
    Sqlite {
        /// What SQLite said. Shared, because writes that are committed together fail together.
        source: Arc<rusqlite::Error>,
    },
    /// Any other fault that PostgreSQL found, in the statement most likely.
    #[error("`{statement}` failed on {server}")]
    Postgres {
        /// The server.
        server: Arc<str>,
        /// The statement's name.
        statement: &'static str,
        /// What PostgreSQL said.
        source: Arc<tokio_postgres::Error>,
    },
}

/// What is wrong with a parameter.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ParameterFault {
    /// PostgreSQL cannot store that character, and SQLite would cut the text there.
    #[error("contains NUL")]
    Nul,
    /// The column's type is smaller.
    #[error("is outside of the range of `{type_name}`")]
    OutOfRange {
        /// The type.
        type_name: String,
    },
    /// The column's type is another.
    #[error("is {kind}, which does not go into `{type_name}`")]
    Mismatch {
        /// What was given.
        kind: &'static str,
        /// The type.
        type_name: String,
    },
    /// There are more or fewer than the statement has.
    #[error("is the last of {wanted}, and {given} were given")]
    Count {
        /// How many the statement has.
        wanted: usize,
        /// How many were given.
        given: usize,
    },
}

/// What a fault means to whoever asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// Whether the same may be asked again, and how.
    pub again: Again,
    /// Whose fault it is.
    pub kind: Kind,
}

/// Whether a statement that failed may be run again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Again {
    /// Not by itself: it would fail again, or happen twice.
    Never,
    /// At once, on another server or another connection: it was not run, or was a read.
    Elsewhere,
    /// Its transaction, from the start.
    Transaction,
    /// Once the shard's primary has been looked for.
    Primary,
    /// Once the map of buckets has been read anew.
    Map,
}

/// Whose fault it is that there is no result.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Too much is asked at once: 503, come back later.
    Overloaded,
    /// The store cannot be reached or is moving: 503, come back later.
    Unavailable,
    /// No space is left: 503.
    Full,
    /// It took too long: 504.
    Timeout,
    /// Such a row exists: 409.
    Duplicate,
    /// A value of the caller's cannot be stored: 422.
    Invalid,
    /// Whether it was done is not known: 503, without an invitation to repeat it.
    Unknown,
    /// This program or its schema is wrong: 500.
    Fault,
}

impl AccessError {
    /// What it means: decided here and nowhere else.
    #[must_use]
    pub fn verdict(&self) -> Verdict {
        let (again, kind) = match self {
            Self::QueueFull
            | Self::Busy
            | Self::Backlog { .. }
            | Self::Leaked { .. }
            | Self::HeldBySlowQueries { .. } => (Again::Never, Kind::Overloaded),
            Self::CannotConnect { .. }
            | Self::ConnectionLost { .. }
            | Self::Demoted { .. }
            | Self::Malformed { .. } => (Again::Elsewhere, Kind::Unavailable),
            Self::Unreachable | Self::NoPrimary { .. } | Self::Behind { .. } | Self::Closed => {
                (Again::Never, Kind::Unavailable)
            }
            Self::ReadOnly { .. } => (Again::Primary, Kind::Unavailable),
            Self::Moved { .. } => (Again::Map, Kind::Unavailable),
            // Nothing of a transaction that has not committed is left, wherever it broke.
            Self::Contended { .. } | Self::TransactionLost => (Again::Transaction, Kind::Unavailable),
            Self::DiskFull => (Again::Never, Kind::Full),
            Self::StatementTimeout { .. } => (Again::Never, Kind::Timeout),
            Self::UniqueViolation { .. } => (Again::Never, Kind::Duplicate),
            Self::Parameter { .. } | Self::Value { .. } => (Again::Never, Kind::Invalid),
            Self::OutcomeUnknown { .. } => (Again::Never, Kind::Unknown),
            Self::ConstraintViolation { .. }
            | Self::Column(_)
            | Self::Panicked
            | Self::Sqlite { .. }
            | Self::Postgres { .. } => (Again::Never, Kind::Fault),
        };
        Verdict { again, kind }
    }
}

impl From<rusqlite::Error> for AccessError {
    fn from(error: rusqlite::Error) -> Self {
        match &error {
            rusqlite::Error::SqliteFailure(failure, message) => match failure.code {
                ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked => Self::Busy,
                ErrorCode::DiskFull => Self::DiskFull,
                _ if is_refused_write(failure.extended_code) => Self::DiskFull,
                ErrorCode::ConstraintViolation if is_unique(failure.extended_code) => {
                    Self::UniqueViolation { constraint: columns_of(message.as_deref()) }
                }
                ErrorCode::ConstraintViolation => {
                    Self::ConstraintViolation { constraint: columns_of(message.as_deref()) }
                }
                _ => Self::Sqlite { source: Arc::new(error) },
            },
            _ => Self::Sqlite { source: Arc::new(error) },
        }
    }
}

impl<T> From<TrySendError<T>> for AccessError {
    fn from(error: TrySendError<T>) -> Self {
        match error {
            TrySendError::Full(_) => Self::QueueFull,
            TrySendError::Closed(_) => Self::Closed,
        }
    }
}

/// SQLite says `SQLITE_FULL` where the device is full. Where a quota, or the limit of a file's size, is used up, and where there is
/// no room for the index of the log, it says only that it could not write.
fn is_refused_write(extended_code: i32) -> bool {
    extended_code == ffi::SQLITE_IOERR_WRITE || extended_code == ffi::SQLITE_IOERR_SHMSIZE
}

fn is_unique(extended_code: i32) -> bool {
    extended_code == ffi::SQLITE_CONSTRAINT_UNIQUE || extended_code == ffi::SQLITE_CONSTRAINT_PRIMARYKEY
}

/// SQLite names the columns only in its message, `UNIQUE constraint failed: accounts.email`.
fn columns_of(message: Option<&str>) -> String {
    message.and_then(|text| text.split_once(": ")).map_or("key", |(_, columns)| columns).to_owned()
}
