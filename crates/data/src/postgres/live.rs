//! One connection that stands: what it has prepared, and how a statement runs on it.

use std::{
    collections::HashMap,
    pin::pin,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Instant,
};

use futures_util::TryStreamExt as _;
use tokio::{
    sync::OnceCell,
    task::{AbortHandle, Id},
};
use tokio_postgres::{CancelToken, Client};

use super::{
    fault::Fault,
    wire::{self, Parameter},
};
use crate::{ColumnError, Row, Statement, backend::Query, row::Columns};

/// A session of the server's. When the last holder lets go, the task that drives it says good-bye and ends.
pub(super) struct Live {
    client: Client,
    driver: AbortHandle,
    /// `None` behind a pooler, whose next transaction may be in another session.
    prepared: Option<Mutex<Cache>>,
    /// The epoch that the session was last told; 0 for none.
    epoch: AtomicU64,
    /// It is replaced after this.
    pub(super) expires: Instant,
}

/// By the address and length of the statement's text: that is a constant, so there are no more than the program has.
type Cache = HashMap<(usize, usize), Arc<OnceCell<Prepared>>>;

#[derive(Clone)]
struct Prepared {
    statement: tokio_postgres::Statement,
    columns: Columns,
}

/// A statement that waits for nothing more: it is sent when its future is first polled, so that two that are polled in
/// order are sent in order.
pub(super) struct Ready<'a> {
    live: &'a Live,
    query: Query<'a>,
    prepared: Option<Prepared>,
}

/// Rows, and how many rows the statement changed.
pub(super) type Outcome = Result<(Vec<Row>, u64), Fault>;

impl Live {
    pub(super) fn new(client: Client, driver: AbortHandle, expires: Instant, pooler: super::Pooler) -> Self {
        let prepared = match pooler {
            super::Pooler::None => Some(Mutex::default()),
            super::Pooler::Transaction => None,
        };
        Self { client, driver, prepared, epoch: AtomicU64::new(0), expires }
    }

    /// That of the task that drives it.
    pub(super) fn id(&self) -> Id {
        self.driver.id()
    }

    pub(super) fn is_closed(&self) -> bool {
        self.client.is_closed()
    }

    /// Ends it at once; what is in flight on it fails.
    pub(super) fn kill(&self) {
        self.driver.abort();
    }

    pub(super) fn cancel_token(&self) -> CancelToken {
        self.client.cancel_token()
    }

    /// Asks for nothing but an answer.
    pub(super) async fn ping(&self) -> Result<(), Fault> {
        self.client.check_connection().await.map_err(Fault::Failed)
    }

    /// Runs statements without parameters that answer nothing.
    pub(super) async fn command(&self, sql: &str) -> Result<(), Fault> {
        if self.client.is_closed() {
            return Err(Fault::Unsent);
        }
        self.client.batch_execute(sql).await.map_err(Fault::Failed)
    }

    /// What the session has to be told before a write, where the map of buckets is newer than what it knows.
    pub(super) fn outdated_epoch(&self, epoch: u64) -> Option<u64> {
        (self.epoch.load(Ordering::Relaxed) < epoch).then_some(epoch)
    }

    pub(super) fn told_epoch(&self, epoch: u64) {
        self.epoch.fetch_max(epoch, Ordering::Relaxed);
    }

    /// Prepares the statement where it is not, and checks its parameters.
    pub(super) async fn ready<'a>(&'a self, query: Query<'a>) -> Result<Ready<'a>, Fault> {
        if self.client.is_closed() {
            return Err(Fault::Unsent);
        }
        let prepared = match &self.prepared {
            Some(cache) => Some(self.prepared(cache, query.statement).await?),
            None => None,
        };
        match &prepared {
            Some(prepared) => wire::check(query, prepared.statement.params()),
            None => wire::check_typed(query),
        }
        .map_err(Fault::Refused)?;
        Ok(Ready { live: self, query, prepared })
    }

    /// The two steps together.
    pub(super) async fn run(&self, query: Query<'_>) -> Outcome {
        self.ready(query).await?.send().await
    }

    /// Forgets the statement's plan: its next use prepares it anew.
    pub(super) fn forget(&self, statement: &Statement) {
        if let Some(cache) = &self.prepared {
            cache.lock().unwrap_or_else(PoisonError::into_inner).remove(&key(statement));
        }
    }

    async fn prepared(&self, cache: &Mutex<Cache>, statement: &Statement) -> Result<Prepared, Fault> {
        let cell = {
            let mut cache = cache.lock().unwrap_or_else(PoisonError::into_inner);
            let cell = cache.entry(key(statement)).or_default();
            if let Some(prepared) = cell.get() {
                return Ok(prepared.clone());
            }
            Arc::clone(cell)
        };
        // Whoever comes meanwhile waits for this one, and takes over if its caller goes away.
        let preparing = cell.get_or_try_init(|| async {
            let prepared = self.client.prepare(statement.sql()).await.map_err(Fault::of_preparing)?;
            let columns = wire::columns(prepared.columns()).map_err(|error| Fault::Refused(error.into()))?;
            Ok(Prepared { statement: prepared, columns })
        });
        preparing.await.cloned()
    }
}

fn key(statement: &Statement) -> (usize, usize) {
    (statement.sql().as_ptr().addr(), statement.sql().len())
}

impl Ready<'_> {
    /// Sends it at the first poll and collects what it answers.
    pub(super) async fn send(self) -> Outcome {
        let live = self.live;
        let outcome = self.collect().await;
        // After an answer that made no sense the next ones may belong to other statements.
        if outcome.as_ref().is_err_and(Fault::is_of_connection) {
            live.kill();
        }
        outcome
    }

    async fn collect(self) -> Outcome {
        let Query { statement, values } = self.query;
        let client = &self.live.client;
        let Some(Prepared { statement, columns }) = &self.prepared else {
            let typed = values.iter().map(|value| (Parameter(value), wire::type_of(value)));
            let mut stream =
                pin!(client.query_typed_raw(statement.sql(), typed).await.map_err(Fault::Failed)?);
            let mut rows = Vec::new();
            let mut columns = None;
            while let Some(row) = stream.try_next().await.map_err(Fault::Failed)? {
                let columns = match &mut columns {
                    Some(columns) => columns,
                    None => columns.insert(wire::columns(row.columns()).map_err(unread)?),
                };
                rows.push(wire::row(columns, &row).map_err(unread)?);
            }
            return Ok((rows, stream.rows_affected().unwrap_or(0)));
        };
        let parameters = values.iter().map(Parameter);
        let mut stream = pin!(client.query_raw(statement, parameters).await.map_err(Fault::Failed)?);
        let mut rows = Vec::new();
        while let Some(row) = stream.try_next().await.map_err(Fault::Failed)? {
            rows.push(wire::row(columns, &row).map_err(unread)?);
        }
        Ok((rows, stream.rows_affected().unwrap_or(0)))
    }
}

fn unread(error: ColumnError) -> Fault {
    match error {
        ColumnError::Malformed { .. } => Fault::Malformed,
        // Behind a pooler a column's type is known no earlier.
        _ => Fault::Refused(error.into()),
    }
}
