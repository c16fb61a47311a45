//! One PostgreSQL server: a few shared connections whose statements are pipelined, and exclusive ones for transactions.
//!
//! Invariants: every task belongs to the server's [`Upkeep`]; a statement that may have reached the server is never sent
//! again; no error tells the password.
//! Elsewhere: which server a statement goes to (the topology).
//! How it fails: [`ConnectError`] at start, [`AccessError`] for a statement.

mod connect;
mod exclusive;
mod fault;
mod live;
mod probe;
mod settings;
mod shared;
mod target;
#[cfg(test)]
mod tests;
mod transaction;
mod upkeep;
mod wire;

use std::{
    future::Future,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use tokio::sync::Notify;

pub use self::{
    connect::ConnectError,
    settings::{Pooler, ServerSettings},
};
use self::{
    exclusive::Exclusive,
    fault::{Fault, Intent},
    live::{Live, Outcome},
    shared::Shared,
    target::Target,
};
pub(crate) use self::{transaction::Transaction, upkeep::Upkeep};
use crate::{
    AccessError, Isolation, Position, Row, ShardId, Statement, Written,
    backend::{PoolStatus, Probe, Query},
    statement::Class,
};

/// A separate statement behind the commit: taken inside of the transaction it would be before the commit's record, and
/// `pg_current_wal_lsn()` lags where commits are asynchronous.
const POSITION: Statement = Statement::new(
    "phalanx_position",
    "SELECT pg_current_wal_insert_lsn() AS lsn,
            ('x' || left(pg_walfile_name(pg_current_wal_insert_lsn()), 8))::bit(32)::int8 AS timeline",
);
const REPLAYED: Statement = Statement::new("phalanx_replayed", "SELECT pg_last_wal_replay_lsn() AS lsn");

/// A server; cheap to clone.
#[derive(Clone)]
pub(crate) struct Server {
    inner: Arc<Inner>,
}

struct Inner {
    shard: ShardId,
    target: Target,
    settings: ServerSettings,
    shared: Arc<Shared>,
    exclusive: Arc<Exclusive>,
    hint: Arc<Notify>,
    /// Why the last attempt to connect failed, if it did.
    refusal: Mutex<Option<Arc<ConnectError>>>,
    /// That of the map of buckets; 0 where none is known.
    epoch: AtomicU64,
    /// Whether another server is known to be the primary, or nobody knows who is.
    demoted: AtomicBool,
    closed: AtomicBool,
}

pub(crate) use self::connect::Driver;

/// A connection beside those of a [`Server`], for who needs one session for a while. Its driver is polled by whoever uses it.
pub(crate) async fn dedicated(
    settings: &ServerSettings,
) -> Result<(Arc<str>, tokio_postgres::Client, Driver), ConnectError> {
    let target = Target::parse(&settings.url)?;
    let (client, driver) = connect::connect(&target, settings, Class::Exclusive).await?;
    Ok((target.name, client, driver))
}

/// What `work` answers, while the connection under it is driven. A connection that ends tells the work, which then fails.
pub(crate) async fn driven<T>(driver: &mut Driver, work: impl Future<Output = T>) -> T {
    let mut work = std::pin::pin!(work);
    tokio::select! {
        biased;
        outcome = &mut work => return outcome,
        ended = driver => drop(ended),
    }
    work.await
}

/// Asks a server what it is, by a connection that is no [`Server`]'s.
pub(crate) async fn probe_by(
    client: &tokio_postgres::Client,
    server: &Arc<str>,
) -> Result<Probe, ConnectError> {
    let unanswered =
        |source| ConnectError::Unanswered { server: Arc::clone(server), source: Arc::new(source) };
    let found = client.query(probe::PROBE.sql(), &[]).await.map_err(|error| {
        let (server, statement) = (Arc::clone(server), probe::PROBE.name());
        unanswered(AccessError::Postgres { server, statement, source: Arc::new(error) })
    })?;
    let read = |row: &tokio_postgres::Row| wire::row(&wire::columns(row.columns())?, row);
    let rows = found.iter().map(read).collect::<Result<Vec<Row>, _>>().map_err(AccessError::from);
    rows.and_then(|rows| probe::read(&rows)).map_err(unanswered)
}

/// The server of a URL as another server's libpq is told of it; holds the password.
pub(crate) fn conninfo(url: &str) -> Result<String, ConnectError> {
    target::conninfo(url)
}

/// The bounds of one kind of connections.
#[derive(Clone, Copy)]
struct Limits {
    connections_min: usize,
    connections_max: usize,
    in_flight_max: usize,
    waiting_max: usize,
    acquire_timeout: Duration,
    stall_max: Duration,
    /// Past the server's own limit for a statement, it is the connection that is broken.
    stuck_after: Duration,
    idle_timeout: Duration,
    health_check_period: Duration,
}

/// Why there is no connection for a caller.
#[derive(Clone, Copy, Debug)]
enum Acquire {
    Closed,
    CannotConnect { waited: Duration },
    HeldBySlowQueries { waited: Duration, running: Duration, statement: &'static str },
    Leaked { waited: Duration, held: Duration, statement: &'static str },
    Backlog { waited: Duration, in_use: usize, waiting: usize },
}

impl Server {
    /// Connects nothing yet: [`Upkeep::run`] does, and [`Server::check`] says at once whether it can.
    pub(crate) fn new(shard: ShardId, settings: ServerSettings) -> Result<(Self, Upkeep), ConnectError> {
        let target = Target::parse(&settings.url)?;
        let hint = Arc::new(Notify::new());
        let inner = Arc::new(Inner {
            shard,
            target,
            shared: Arc::new(Shared::new(settings.limits(Class::Shared))),
            exclusive: Arc::new(Exclusive::new(settings.limits(Class::Exclusive), Arc::clone(&hint))),
            settings,
            hint,
            refusal: Mutex::new(None),
            epoch: AtomicU64::new(0),
            demoted: AtomicBool::new(false),
            closed: AtomicBool::new(false),
        });
        Ok((Self { inner: Arc::clone(&inner) }, Upkeep::new(inner)))
    }

    /// Connects once and lets go again: at the start, a fault is to be named.
    pub(crate) async fn check(&self) -> Result<(), ConnectError> {
        let Inner { target, settings, .. } = &*self.inner;
        connect::connect(target, settings, Class::Shared).await.map(drop)
    }

    /// `host:port/database`.
    pub(crate) fn name(&self) -> &str {
        &self.inner.target.name
    }

    pub(crate) async fn read(&self, query: Query<'_>) -> Result<Vec<Row>, AccessError> {
        let statement = query.statement;
        let outcome = match statement.class() {
            Class::Shared => {
                let place = self.inner.shared.place(statement.name()).await;
                let place = place.map_err(|error| self.inner.acquire(error))?;
                let outcome = again_if_stale(place.live(), query, place.live().run(query).await).await;
                place.answered();
                outcome
            }
            Class::Exclusive => {
                let loan = self.inner.exclusive.loan(statement.name()).await;
                let loan = loan.map_err(|error| self.inner.acquire(error))?;
                let outcome = again_if_stale(loan.live(), query, loan.live().run(query).await).await;
                loan.settle();
                outcome
            }
        };
        match outcome {
            Ok((rows, _)) => Ok(rows),
            Err(fault) => Err(self.inner.fault(fault, statement.name(), Intent::Read)),
        }
    }

    /// Asks how far it is and runs the statement right behind: the statement sees what was replayed when it was asked.
    /// PostgreSQL 19 can wait for a position by itself (`WAIT FOR LSN`); that is not used.
    pub(crate) async fn read_guarded(
        &self,
        position: Position,
        query: Query<'_>,
    ) -> Result<Option<Vec<Row>>, AccessError> {
        let statement = query.statement.name();
        let fault = |fault| self.inner.fault(fault, statement, Intent::Read);
        let (guard, outcome) = match query.statement.class() {
            Class::Shared => {
                let place = self.inner.shared.place(statement).await;
                let place = place.map_err(|error| self.inner.acquire(error))?;
                let both = behind_guard(place.live(), query).await;
                place.answered();
                both.map_err(fault)?
            }
            Class::Exclusive => {
                let loan = self.inner.exclusive.loan(statement).await;
                let loan = loan.map_err(|error| self.inner.acquire(error))?;
                let both = behind_guard(loan.live(), query).await;
                loan.settle();
                both.map_err(fault)?
            }
        };
        let (guard, _) = guard.map_err(fault)?;
        let replayed = guard.first().map(|row| row.get::<Option<u64>>("lsn")).transpose()?.flatten();
        if replayed.is_none_or(|lsn| lsn < position.lsn) {
            return Ok(None);
        }
        outcome.map(|(rows, _)| Some(rows)).map_err(fault)
    }

    pub(crate) async fn write(&self, query: Query<'_>) -> Result<Written, AccessError> {
        let statement = query.statement;
        // Behind a pooler only a transaction can tell the fence the epoch.
        if self.inner.settings.pooler == Pooler::Transaction && self.inner.epoch().is_some() {
            return self.write_in_transaction(query).await;
        }
        match statement.class() {
            Class::Shared => {
                let place = self.inner.shared.place(statement.name()).await;
                let place = place.map_err(|error| self.inner.acquire(error))?;
                let written = self.inner.write_on(place.live(), query).await;
                place.answered();
                written
            }
            Class::Exclusive => {
                let loan = self.inner.exclusive.loan(statement.name()).await;
                let mut loan = loan.map_err(|error| self.inner.acquire(error))?;
                // Its commit comes with it.
                loan.commits();
                let written = self.inner.write_on(loan.live(), query).await;
                loan.settle();
                written
            }
        }
    }

    pub(crate) async fn begin(&self, isolation: Isolation) -> Result<Transaction, AccessError> {
        Transaction::begin(&self.inner, isolation).await
    }

    pub(crate) async fn probe(&self) -> Result<Probe, AccessError> {
        probe::read(&self.read(Query { statement: &probe::PROBE, values: &[] }).await?)
    }

    /// Where the log of a primary ends now.
    pub(crate) async fn end(&self) -> Result<Option<Position>, AccessError> {
        let rows = self.read(Query { statement: &POSITION, values: &[] }).await?;
        Ok(self.inner.position(&rows))
    }

    pub(crate) fn pool_status(&self) -> PoolStatus {
        PoolStatus { shared: self.inner.shared.occupancy(), exclusive: self.inner.exclusive.occupancy() }
    }

    pub(crate) fn set_epoch(&self, epoch: u64) {
        self.inner.epoch.fetch_max(epoch, Ordering::Relaxed);
    }

    /// Takes writes from here on, as it does at the beginning.
    pub(crate) fn promote(&self) {
        self.inner.demoted.store(false, Ordering::Relaxed);
    }

    /// Takes no writes from here on, not even those that wait for a connection already: one that comes back after a failover
    /// would take them, and nobody would ever see them again.
    pub(crate) fn demote(&self) {
        self.inner.demoted.store(true, Ordering::Relaxed);
    }

    pub(crate) fn close(&self) {
        self.inner.closed.store(true, Ordering::Relaxed);
        self.inner.shared.close();
        self.inner.exclusive.close();
        self.inner.hint.notify_one();
    }

    async fn write_in_transaction(&self, query: Query<'_>) -> Result<Written, AccessError> {
        let mut transaction = self.begin(Isolation::ReadCommitted).await?;
        match transaction.run(query).await {
            Ok((rows, count)) => Ok(Written { rows, count, position: transaction.commit().await? }),
            Err(error) => {
                transaction.rollback().await?;
                Err(error)
            }
        }
    }
}

/// The guard is sent first, and both before either is answered.
async fn behind_guard(live: &Live, query: Query<'_>) -> Result<(Outcome, Outcome), Fault> {
    let guard = live.ready(Query { statement: &REPLAYED, values: &[] }).await?;
    let ready = live.ready(query).await?;
    let (guard, outcome) = tokio::join!(guard.send(), ready.send());
    Ok((guard, again_if_stale(live, query, outcome).await))
}

/// A statement that the server refused only because a table has changed since it was prepared was not run.
async fn again_if_stale(live: &Live, query: Query<'_>, outcome: Outcome) -> Outcome {
    match outcome {
        Err(fault) if fault.is_stale_plan() => {
            live.forget(query.statement);
            live.run(query).await
        }
        outcome => outcome,
    }
}

impl Inner {
    async fn write_on(&self, live: &Live, query: Query<'_>) -> Result<Written, AccessError> {
        let statement = query.statement.name();
        let fault = |fault| self.fault(fault, statement, Intent::Write);
        // Prepared before anything is sent: the position has to be asked for behind the write.
        let position = live.ready(Query { statement: &POSITION, values: &[] }).await.map_err(fault)?;
        let ready = live.ready(query).await.map_err(fault)?;
        if let Some(epoch) = self.epoch().and_then(|epoch| live.outdated_epoch(epoch)) {
            live.command(&format!("SET phalanx.epoch = {epoch}")).await.map_err(fault)?;
            live.told_epoch(epoch);
        }
        self.refuse_if_demoted()?;
        let (outcome, position) = tokio::join!(ready.send(), position.send());
        let (outcome, position) = match outcome {
            Err(stale) if stale.is_stale_plan() => {
                live.forget(query.statement);
                let ready = live.ready(query).await.map_err(fault)?;
                let position =
                    live.ready(Query { statement: &POSITION, values: &[] }).await.map_err(fault)?;
                tokio::join!(ready.send(), position.send())
            }
            outcome => (outcome, position),
        };
        let (rows, count) = outcome.map_err(fault)?;
        // Done is done: that the connection broke behind it only leaves open how far readers have to be.
        let position = position.ok().and_then(|(rows, _)| self.position(&rows));
        Ok(Written { rows, count, position })
    }

    fn position(&self, rows: &[Row]) -> Option<Position> {
        let row = rows.first()?;
        let (timeline, lsn) = (row.get("timeline").ok()?, row.get("lsn").ok()?);
        Some(Position { shard: self.shard, timeline, lsn })
    }

    fn epoch(&self) -> Option<u64> {
        Some(self.epoch.load(Ordering::Relaxed)).filter(|epoch| *epoch > 0)
    }

    /// Asked as late as can be: whoever waits for a connection waits through a whole failover.
    fn refuse_if_demoted(&self) -> Result<(), AccessError> {
        if self.is_demoted() {
            return Err(AccessError::Demoted { server: Arc::clone(&self.target.name) });
        }
        Ok(())
    }

    fn is_demoted(&self) -> bool {
        self.demoted.load(Ordering::Relaxed)
    }

    fn is_closed(&self) -> bool {
        self.closed.load(Ordering::Relaxed)
    }

    fn fault(&self, fault: Fault, statement: &'static str, intent: Intent) -> AccessError {
        fault.access(&self.target.name, statement, intent)
    }

    fn note_connect(&self, refusal: Option<Arc<ConnectError>>) {
        *self.refusal.lock().unwrap_or_else(PoisonError::into_inner) = refusal;
    }

    fn acquire(&self, acquire: Acquire) -> AccessError {
        let server = Arc::clone(&self.target.name);
        match acquire {
            Acquire::Closed => AccessError::Closed,
            Acquire::CannotConnect { waited } => {
                let refusal = self.refusal.lock().unwrap_or_else(PoisonError::into_inner).clone();
                let source = refusal.unwrap_or_else(|| {
                    Arc::new(ConnectError::Timeout { server: Arc::clone(&server), waited })
                });
                AccessError::CannotConnect { server, waited, source }
            }
            Acquire::HeldBySlowQueries { waited, running, statement } => {
                AccessError::HeldBySlowQueries { server, waited, running, statement }
            }
            Acquire::Leaked { waited, held, statement } => {
                AccessError::Leaked { server, waited, held, statement }
            }
            Acquire::Backlog { waited, in_use, waiting } => {
                AccessError::Backlog { server, waited, in_use, waiting }
            }
        }
    }
}
