//! How one read or write fails.

use std::sync::Arc;

use rusqlite::{ErrorCode, ffi};
use tokio::sync::mpsc::error::TrySendError;

/// Why a read or a write has no result. A failed write left nothing behind.
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
    /// A row with these unique columns exists.
    #[error("a row with the same {columns} exists")]
    UniqueViolation {
        /// `table.column`, several with a comma between.
        columns: String,
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
    /// Any other fault.
    #[error("the database failed")]
    Sqlite {
        /// What SQLite said. Shared, because writes that are committed together fail together.
        source: Arc<rusqlite::Error>,
    },
}

impl From<rusqlite::Error> for AccessError {
    fn from(error: rusqlite::Error) -> Self {
        match &error {
            rusqlite::Error::SqliteFailure(failure, message) => match failure.code {
                ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked => Self::Busy,
                ErrorCode::DiskFull => Self::DiskFull,
                ErrorCode::ConstraintViolation if is_unique(failure.extended_code) => {
                    Self::UniqueViolation { columns: columns_of(message.as_deref()) }
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

fn is_unique(extended_code: i32) -> bool {
    extended_code == ffi::SQLITE_CONSTRAINT_UNIQUE || extended_code == ffi::SQLITE_CONSTRAINT_PRIMARYKEY
}

/// SQLite names the columns only in its message, `UNIQUE constraint failed: accounts.email`.
fn columns_of(message: Option<&str>) -> String {
    message.and_then(|text| text.split_once(": ")).map_or("key", |(_, columns)| columns).to_owned()
}
