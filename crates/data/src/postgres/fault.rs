//! What a failed statement means, by its SQLSTATE and by what it was about.

use std::sync::Arc;

use tokio_postgres::{
    Error,
    error::{DbError, Severity, SqlState},
};

use crate::AccessError;

/// The fence's own code: the bucket is not here.
const MOVED: &str = "PX001";

/// What is lost with the connection that carried a statement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Intent {
    /// Nothing.
    Read,
    /// The knowledge whether it was done.
    Write,
    /// The transaction, whose commit was not asked for.
    InTransaction,
}

/// A statement that failed.
#[derive(Debug)]
pub(super) enum Fault {
    /// It was refused on this side.
    Refused(AccessError),
    /// The connection broke before it was sent.
    Unsent,
    /// The server or the connection failed it.
    Failed(Error),
    /// The server's answer was not of the protocol.
    Malformed,
}

impl Fault {
    /// How preparing failed: nothing that changes anything has been sent.
    pub(super) fn of_preparing(error: Error) -> Self {
        match error.as_db_error() {
            Some(said) if !is_fatal(said) => Self::Failed(error),
            _ => Self::Unsent,
        }
    }

    /// Whether the server only asks for the statement to be prepared anew, since a table has changed under it or the
    /// session is another; it has done nothing.
    pub(super) fn is_stale_plan(&self) -> bool {
        let Self::Failed(error) = self else { return false };
        error.as_db_error().is_some_and(|said| match *said.code() {
            SqlState::INVALID_SQL_STATEMENT_NAME => true,
            SqlState::FEATURE_NOT_SUPPORTED => said.message().contains("cached plan"),
            _ => false,
        })
    }

    /// Whether the connection can no longer be relied on.
    pub(super) fn is_of_connection(&self) -> bool {
        match self {
            Self::Refused(_) => false,
            Self::Unsent | Self::Malformed => true,
            Self::Failed(error) => error.as_db_error().is_none_or(is_fatal),
        }
    }

    pub(super) fn access(self, server: &Arc<str>, statement: &'static str, intent: Intent) -> AccessError {
        let server = Arc::clone(server);
        match self {
            Self::Refused(error) => error,
            Self::Unsent if intent == Intent::InTransaction => AccessError::TransactionLost,
            Self::Unsent => AccessError::ConnectionLost { server },
            Self::Malformed if intent == Intent::Read => AccessError::Malformed { server },
            Self::Malformed => broken(server, statement, intent),
            Self::Failed(error) => match error.as_db_error() {
                None if error.is_closed() => broken(server, statement, intent),
                None if intent == Intent::Read => AccessError::Malformed { server },
                None => broken(server, statement, intent),
                Some(said) if is_fatal(said) => broken(server, statement, intent),
                Some(said) => match judge(said, &server, statement) {
                    Some(judged) => judged,
                    None => AccessError::Postgres { server, statement, source: Arc::new(error) },
                },
            },
        }
    }
}

/// The session has ended with it, and with the session whatever was not committed; a write may have been.
fn is_fatal(said: &DbError) -> bool {
    matches!(said.parsed_severity(), Some(Severity::Fatal | Severity::Panic))
}

fn broken(server: Arc<str>, statement: &'static str, intent: Intent) -> AccessError {
    match intent {
        Intent::Read => AccessError::ConnectionLost { server },
        Intent::Write => AccessError::OutcomeUnknown { server, statement },
        Intent::InTransaction => AccessError::TransactionLost,
    }
}

fn judge(said: &DbError, server: &Arc<str>, statement: &'static str) -> Option<AccessError> {
    let code = said.code();
    Some(match *code {
        SqlState::UNIQUE_VIOLATION => AccessError::UniqueViolation { constraint: constraint(said) },
        SqlState::T_R_SERIALIZATION_FAILURE | SqlState::T_R_DEADLOCK_DETECTED => {
            AccessError::Contended { statement }
        }
        SqlState::READ_ONLY_SQL_TRANSACTION => AccessError::ReadOnly { server: Arc::clone(server) },
        SqlState::QUERY_CANCELED | SqlState::LOCK_NOT_AVAILABLE => {
            AccessError::StatementTimeout { statement }
        }
        SqlState::DISK_FULL => AccessError::DiskFull,
        SqlState::IN_FAILED_SQL_TRANSACTION => AccessError::TransactionLost,
        _ if code.code() == MOVED => AccessError::Moved { message: said.message().to_owned() },
        _ if code.code().starts_with("22") => {
            AccessError::Value { statement, message: said.message().to_owned() }
        }
        _ if code.code().starts_with("23") => {
            AccessError::ConstraintViolation { constraint: constraint(said) }
        }
        _ => return None,
    })
}

fn constraint(said: &DbError) -> String {
    said.constraint().or(said.column()).unwrap_or("a constraint").to_owned()
}
