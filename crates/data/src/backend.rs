//! The seam between the topology and a store: one [`Endpoint`] is one PostgreSQL server or one SQLite file.
//!
//! Whoever stands above it chooses an endpoint and judges failures by [`AccessError::verdict`]; an endpoint repeats nothing
//! by itself, so what is not known to be harmless is never done twice.
//! Elsewhere: which endpoint (the topology), connections (`crate::postgres`).

use std::{fmt, time::Duration};

use phalanx_shard::read::Moment;

use crate::{AccessError, Again, ConnectError, Row, Statement, Value, Written, postgres, sqlite};

/// Which shard of the topology.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ShardId(pub u16);

/// A point in a shard's history of writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Position {
    /// Whose history.
    pub shard: ShardId,
    /// Which of its branches: a failover begins another. SQLite has one, 0.
    pub timeline: u32,
    /// How far.
    pub lsn: u64,
}

impl Position {
    pub(crate) fn at(shard: ShardId, moment: Moment) -> Self {
        Self { shard, timeline: moment.timeline, lsn: moment.lsn.0 }
    }
}

/// One statement and its parameters.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Query<'a> {
    pub(crate) statement: &'a Statement,
    pub(crate) values: &'a [Value],
}

/// What a transaction sees of others.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Isolation {
    /// Each statement sees what was committed before it began.
    #[default]
    ReadCommitted,
    /// All statements see what was committed before the first.
    RepeatableRead,
    /// As if transactions ran one after the other.
    Serializable,
}

/// What an endpoint says about itself.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Probe {
    pub(crate) role: Role,
    /// Of the writes it takes, or of the stream it replays.
    pub(crate) timeline: u32,
    /// The end of what it has written (a primary) or replayed (a standby); 0 where a standby has replayed nothing.
    pub(crate) lsn: u64,
    /// The same for every copy of one cluster, and different for every two clusters.
    pub(crate) system_identifier: i64,
    /// The database's name: two shards may be two databases of one cluster.
    pub(crate) database: String,
    /// `server_version_num`.
    pub(crate) version: u32,
    /// Those of all its clients; a file has none.
    pub(crate) connections: Option<ServerConnections>,
}

/// The connections of a server, whoever has them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ServerConnections {
    /// Those that stand, to any of its databases.
    pub used: u32,
    /// Of these, those to the database of the topology.
    pub to_database: u32,
    /// How many it takes (`max_connections`).
    pub max: u32,
    /// Of these, how many it keeps for superusers.
    pub reserved: u32,
}

/// What an endpoint is at the moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    /// It takes writes.
    Primary,
    /// It replays another's writes.
    Standby {
        /// The age of the last transaction replayed: says nothing on an idle primary. `None` before the first.
        replay_age: Option<Duration>,
        /// The end of what it has received, where it is connected.
        received_lsn: Option<u64>,
        /// Since the primary was last heard of, where it is connected and this user may know.
        heard_ago: Option<Duration>,
    },
}

/// What the connections to an endpoint are doing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PoolStatus {
    /// Those that carry many statements at a time.
    pub shared: Occupancy,
    /// Those that carry one transaction or statement.
    pub exclusive: Occupancy,
}

/// One kind of connection.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Occupancy {
    /// Connections that stand.
    pub connections: usize,
    /// Statements on their way (shared), or connections taken (exclusive).
    pub in_use: usize,
    /// Callers that wait for a place.
    pub waiting: usize,
    /// All the time that callers have waited.
    pub waited: Duration,
    /// Callers that waited in vain.
    pub timeouts: u64,
    /// Connections made since the start, those that replaced others among them.
    pub connects: u64,
}

/// One server or one file; cheap to clone.
#[derive(Clone)]
pub(crate) enum Endpoint {
    Postgres(postgres::Server),
    Sqlite(sqlite::File),
}

impl Endpoint {
    /// What errors and metrics call it: for a server `host:port/database`.
    pub(crate) fn name(&self) -> &str {
        match self {
            Self::Postgres(server) => server.name(),
            Self::Sqlite(file) => file.name(),
        }
    }

    /// Runs a statement that changes nothing.
    pub(crate) async fn read(&self, query: Query<'_>) -> Result<Vec<Row>, AccessError> {
        match self {
            Self::Postgres(server) => server.read(query).await,
            Self::Sqlite(file) => file.read(query).await,
        }
    }

    /// The same where the endpoint is as far as `position`; `None` where it is not, and for a primary that was never a standby.
    pub(crate) async fn read_guarded(
        &self,
        position: Position,
        query: Query<'_>,
    ) -> Result<Option<Vec<Row>>, AccessError> {
        match self {
            Self::Postgres(server) => server.read_guarded(position, query).await,
            Self::Sqlite(file) => file.read_guarded(position, query).await,
        }
    }

    /// Runs a statement in a transaction of its own.
    pub(crate) async fn write(&self, query: Query<'_>) -> Result<Written, AccessError> {
        match self {
            Self::Postgres(server) => server.write(query).await,
            Self::Sqlite(file) => file.write(query).await,
        }
    }

    /// Begins a transaction on a connection of its own.
    pub(crate) async fn begin(&self, isolation: Isolation) -> Result<Transaction, AccessError> {
        let inner = match self {
            Self::Postgres(server) => Inner::Postgres(server.begin(isolation).await?),
            Self::Sqlite(file) => Inner::Sqlite(file.begin(isolation).await?),
        };
        Ok(Transaction { inner, again: None })
    }

    /// Connects once and lets go again, which names what is in the way.
    pub(crate) async fn check(&self) -> Result<(), ConnectError> {
        match self {
            Self::Postgres(server) => server.check().await,
            // It was opened, or there would be no endpoint.
            Self::Sqlite(_) => Ok(()),
        }
    }

    /// Asks what it is and how far.
    pub(crate) async fn probe(&self) -> Result<Probe, AccessError> {
        match self {
            Self::Postgres(server) => server.probe().await,
            Self::Sqlite(file) => file.probe().await,
        }
    }

    /// Where the log of a primary ends now; `None` for a file, of which every write tells its position.
    pub(crate) async fn end(&self) -> Result<Option<Position>, AccessError> {
        match self {
            Self::Postgres(server) => server.end().await,
            Self::Sqlite(_) => Ok(None),
        }
    }

    /// What its connections are doing.
    pub(crate) fn pool_status(&self) -> PoolStatus {
        match self {
            Self::Postgres(server) => server.pool_status(),
            Self::Sqlite(file) => file.pool_status(),
        }
    }

    /// The epoch of the map of buckets that statements go by from here on; sessions tell the fence.
    pub(crate) fn set_epoch(&self, epoch: u64) {
        match self {
            Self::Postgres(server) => server.set_epoch(epoch),
            // One process writes by one map here, and nothing moves.
            Self::Sqlite(_) => {}
        }
    }

    /// Takes writes from here on, as it does at the beginning.
    pub(crate) fn promote(&self) {
        match self {
            Self::Postgres(server) => server.promote(),
            // A file has nobody beside it.
            Self::Sqlite(_) => {}
        }
    }

    /// Takes no writes from here on, not even those that wait for a connection already.
    pub(crate) fn demote(&self) {
        match self {
            Self::Postgres(server) => server.demote(),
            Self::Sqlite(_) => {}
        }
    }

    /// Takes no more statements; its upkeep ends once those on their way have ended.
    pub(crate) fn close(&self) {
        match self {
            Self::Postgres(server) => server.close(),
            Self::Sqlite(file) => file.close(),
        }
    }
}

/// Statements that happen together or not at all. Dropped without a commit, nothing of them happens.
pub struct Transaction {
    inner: Inner,
    /// Why a statement failed, where that means that all of it may be run again.
    again: Option<AccessError>,
}

enum Inner {
    Postgres(postgres::Transaction),
    Sqlite(sqlite::Transaction),
}

impl Transaction {
    /// Runs a statement and answers its rows.
    ///
    /// # Errors
    /// When it fails; PostgreSQL then takes no further statement in this transaction.
    pub async fn query(&mut self, statement: &Statement, values: &[Value]) -> Result<Vec<Row>, AccessError> {
        Ok(self.run(Query { statement, values }).await?.0)
    }

    /// Runs a statement and answers how many rows it inserted, changed or deleted.
    ///
    /// # Errors
    /// When it fails; PostgreSQL then takes no further statement in this transaction.
    pub async fn execute(&mut self, statement: &Statement, values: &[Value]) -> Result<u64, AccessError> {
        Ok(self.run(Query { statement, values }).await?.1)
    }

    async fn run(&mut self, query: Query<'_>) -> Result<(Vec<Row>, u64), AccessError> {
        let outcome = match &mut self.inner {
            Inner::Postgres(transaction) => transaction.run(query).await,
            Inner::Sqlite(transaction) => transaction.run(query).await,
        };
        if let Err(error) = &outcome
            && matches!(error.verdict().again, Again::Transaction | Again::Map | Again::Primary)
        {
            self.again = Some(error.clone());
        }
        outcome
    }

    /// The failure of a statement, if it means that all of this may be run again.
    pub(crate) fn take_again(&mut self) -> Option<AccessError> {
        self.again.take()
    }

    /// Makes it happen; the position as in [`Written`].
    pub(crate) async fn commit(self) -> Result<Option<Position>, AccessError> {
        match self.inner {
            Inner::Postgres(transaction) => transaction.commit().await,
            Inner::Sqlite(transaction) => transaction.commit().await,
        }
    }

    /// Undoes it and gives the connection back. Dropping it does the same, at the price of the connection.
    pub(crate) async fn rollback(self) -> Result<(), AccessError> {
        match self.inner {
            Inner::Postgres(transaction) => transaction.rollback().await,
            Inner::Sqlite(transaction) => transaction.rollback().await,
        }
    }
}

impl fmt::Debug for Transaction {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Transaction").finish_non_exhaustive()
    }
}
