//! The bounds of one server's connections.

use std::{fmt, num::NonZeroUsize, time::Duration};

use super::Limits;
use crate::statement::Class;

/// How long a statement may be overdue before its connection counts as broken.
const OVERDUE_MAX: Duration = Duration::from_secs(1);

/// What stands between this program and the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pooler {
    /// Nothing: a connection is a session.
    None,
    /// A pooler whose connections share sessions, transaction by transaction (PgBouncer): no prepared statements and no settings
    /// of the session. Set the timeouts by `ALTER ROLE` there.
    Transaction,
}

/// How to reach a PostgreSQL server, and how many connections to hold. All spans of time but the timeouts are jittered,
/// so that a fleet that started together does not reconnect together.
#[derive(Clone)]
pub struct ServerSettings {
    /// `postgres://user:password@host:port/database`, with `sslmode` (`disable`, `prefer`, `require`, `verify-full`) and
    /// `sslrootcert`. `require` proves the server's certificate, as `verify-full` does.
    pub url: String,
    /// What stands before it.
    pub pooler: Pooler,
    /// What the server's administrator sees.
    pub application_name: String,
    /// Connections that carry many statements at a time.
    pub shared_connections: NonZeroUsize,
    /// Statements on one shared connection at a time.
    pub in_flight_max: NonZeroUsize,
    /// Callers that wait for a place on the shared connections, or for an exclusive one; one more is refused.
    pub waiting_max: usize,
    /// A shared connection whose oldest statement has been running for so long gets no others.
    pub stall_max: Duration,
    /// How long the server lets a statement on a shared connection run.
    pub shared_statement_timeout: Duration,
    /// How long the server lets a statement on an exclusive connection run.
    pub statement_timeout: Duration,
    /// How long the server lets a statement wait for a lock.
    pub lock_timeout: Duration,
    /// How long the server lets a transaction run no statement.
    pub idle_in_transaction_timeout: Duration,
    /// Exclusive connections that are kept even when idle.
    pub exclusive_min: usize,
    /// Exclusive connections at most.
    pub exclusive_max: NonZeroUsize,
    /// How long a caller waits for a connection.
    pub acquire_timeout: Duration,
    /// How long it may take to connect.
    pub connect_timeout: Duration,
    /// A connection is replaced after so long.
    pub max_lifetime: Duration,
    /// An exclusive connection above the minimum that nobody used for so long is closed.
    pub idle_timeout: Duration,
    /// A connection that nobody used for so long is asked whether it still stands.
    pub health_check_period: Duration,
}

impl ServerSettings {
    /// For the server at `url`; everything else as most want it.
    #[must_use]
    pub fn new(url: impl Into<String>) -> Self {
        let nonzero = |number| NonZeroUsize::new(number).expect("the literals below are not zero");
        Self {
            url: url.into(),
            pooler: Pooler::None,
            application_name: "phalanx".to_owned(),
            // 50 replicas with 4 connections each are the 200 that one primary is to hold.
            shared_connections: nonzero(3),
            in_flight_max: nonzero(64),
            waiting_max: 1024,
            stall_max: Duration::from_millis(50),
            shared_statement_timeout: Duration::from_secs(1),
            statement_timeout: Duration::from_secs(30),
            lock_timeout: Duration::from_secs(5),
            idle_in_transaction_timeout: Duration::from_secs(10),
            exclusive_min: 0,
            exclusive_max: nonzero(1),
            acquire_timeout: Duration::from_secs(2),
            connect_timeout: Duration::from_secs(2),
            max_lifetime: Duration::from_secs(30 * 60),
            idle_timeout: Duration::from_secs(60),
            health_check_period: Duration::from_secs(15),
        }
    }
}

impl ServerSettings {
    pub(super) fn limits(&self, class: Class) -> Limits {
        let (connections_min, connections_max, statement_timeout) = match class {
            Class::Shared => {
                (self.shared_connections.get(), self.shared_connections.get(), self.shared_statement_timeout)
            }
            Class::Exclusive => (
                self.exclusive_min.min(self.exclusive_max.get()),
                self.exclusive_max.get(),
                self.statement_timeout,
            ),
        };
        Limits {
            connections_min,
            connections_max,
            in_flight_max: self.in_flight_max.get(),
            waiting_max: self.waiting_max,
            acquire_timeout: self.acquire_timeout,
            stall_max: self.stall_max,
            stuck_after: statement_timeout + OVERDUE_MAX,
            idle_timeout: self.idle_timeout,
            health_check_period: self.health_check_period,
        }
    }
}

impl fmt::Debug for ServerSettings {
    /// Without the URL, which holds a password.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("ServerSettings").finish_non_exhaustive()
    }
}
