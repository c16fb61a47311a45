//! The writer thread: one connection, one transaction at a time, several writes in one commit.
//!
//! Writes that wait in the queue share a transaction and its fsync. Each runs in a savepoint, so one that fails takes
//! nothing of the others with it; none is answered before the commit. When the commit fails, all of them failed.

use std::panic::{self, AssertUnwindSafe};

use rusqlite::{Connection, Transaction, TransactionBehavior};
use tokio::sync::{mpsc, oneshot};

use super::transaction::Opening;
use crate::AccessError;

/// Writes in one commit. Past some dozens an fsync is spread thin already, and the others' wait for the first grows.
const COMMIT_WRITES_MAX: usize = 64;

/// What the writer thread is told.
pub(crate) enum Command {
    Run(Box<dyn Job>),
    /// A transaction whose statements come one by one.
    Open(Opening),
    /// Ends the thread once everything queued before is committed.
    Stop,
}

/// One write on its way through a shared transaction.
pub(crate) trait Job: Send {
    /// Runs in a savepoint of its own; answers the fault it had.
    fn run(&mut self, transaction: &mut Transaction<'_>) -> Option<AccessError>;

    /// Tells the caller how it ended.
    fn settle(self: Box<Self>, commit: Result<(), AccessError>);
}

/// A caller's closure, then its outcome, and where to send that.
pub(crate) struct Write<F, T> {
    closure: Option<F>,
    outcome: Result<T, AccessError>,
    reply: oneshot::Sender<Result<T, AccessError>>,
}

impl<F, T> Write<F, T> {
    pub(crate) fn new(closure: F, reply: oneshot::Sender<Result<T, AccessError>>) -> Self {
        Self { closure: Some(closure), outcome: Err(AccessError::Closed), reply }
    }
}

impl<F, T> Job for Write<F, T>
where
    F: FnOnce(&Connection) -> Result<T, AccessError> + Send,
    T: Send,
{
    fn run(&mut self, transaction: &mut Transaction<'_>) -> Option<AccessError> {
        // A caller that went away while its write was queued wants it no longer.
        let closure = self.closure.take().filter(|_| !self.reply.is_closed())?;
        self.outcome = in_savepoint(transaction, closure);
        self.outcome.as_ref().err().cloned()
    }

    fn settle(self: Box<Self>, commit: Result<(), AccessError>) {
        // A failed commit outweighs the write's own fault: that may be about a row of the same, lost, transaction.
        let _ = self.reply.send(commit.and(self.outcome));
    }
}

/// Runs the writer thread until it is told to stop or nobody can ask any more.
pub(crate) fn run(mut connection: Connection, mut queue: mpsc::Receiver<Command>) {
    let mut taken = None;
    while let Some(command) = taken.take().or_else(|| queue.blocking_recv()) {
        match command {
            Command::Run(first) => {
                let mut batch = vec![first];
                taken = gather(&mut batch, &mut queue);
                let commit = commit(&mut connection, &mut batch);
                for job in batch {
                    job.settle(commit.clone());
                }
            }
            Command::Open(opening) => opening.run(&connection),
            Command::Stop => return,
        }
    }
}

/// Takes the writes that wait; answers what came and is none.
fn gather(batch: &mut Vec<Box<dyn Job>>, queue: &mut mpsc::Receiver<Command>) -> Option<Command> {
    while batch.len() < COMMIT_WRITES_MAX {
        match queue.try_recv() {
            Ok(Command::Run(job)) => batch.push(job),
            Ok(other) => return Some(other),
            Err(_) => break,
        }
    }
    None
}

fn commit(connection: &mut Connection, batch: &mut [Box<dyn Job>]) -> Result<(), AccessError> {
    // IMMEDIATE waits for the other replicas here. A transaction that began as a reader could not wait: its snapshot is
    // stale as soon as another one commits, and SQLite refuses to upgrade it.
    let mut transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    for job in batch {
        let fault = job.run(&mut transaction);
        // Some faults, a full disk among them, make SQLite roll the whole transaction back. Whatever ran after that would
        // commit by itself, statement by statement.
        if transaction.is_autocommit() {
            return Err(fault.unwrap_or(AccessError::TransactionLost));
        }
    }
    Ok(transaction.commit()?)
}

fn in_savepoint<T>(
    transaction: &mut Transaction<'_>,
    closure: impl FnOnce(&Connection) -> Result<T, AccessError>,
) -> Result<T, AccessError> {
    // Dropped without a commit, as on every early return here, a savepoint rolls back.
    let savepoint = transaction.savepoint()?;
    let value = panic::catch_unwind(AssertUnwindSafe(|| closure(&savepoint)))
        .map_err(|_| AccessError::Panicked)??;
    savepoint.commit()?;
    Ok(value)
}
