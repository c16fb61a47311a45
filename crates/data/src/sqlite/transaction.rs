//! A transaction of several statements, driven from outside of the writer thread and run on it.
//!
//! While it is open the thread does nothing else, so it has bounds: one that sends no statement for a while, or takes too long in
//! all, is rolled back, and so is one that is dropped.

use std::{
    sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel},
    time::{Duration, Instant},
};

use phalanx_telemetry::clock;
use rusqlite::Connection;
use tokio::sync::oneshot;

use super::{position, statement::Bound};
use crate::{AccessError, Position, Row, ShardId, backend::Query};

/// Statements happen one after the other, so one at a time is on its way.
const STEPS_MAX: usize = 1;

/// What the writer thread is told of an open transaction.
enum Step {
    Run(Bound, oneshot::Sender<Result<(Vec<Row>, u64), AccessError>>),
    Commit(oneshot::Sender<Result<(), AccessError>>),
    Rollback(oneshot::Sender<Result<(), AccessError>>),
}

/// The caller's end.
pub(crate) struct Transaction {
    steps: SyncSender<Step>,
    shard: ShardId,
}

impl Transaction {
    pub(crate) async fn run(&mut self, query: Query<'_>) -> Result<(Vec<Row>, u64), AccessError> {
        let (reply, outcome) = oneshot::channel();
        self.send(Step::Run(Bound::of(query)?, reply))?;
        outcome.await.unwrap_or(Err(AccessError::TransactionLost))
    }

    pub(crate) async fn commit(self) -> Result<Option<Position>, AccessError> {
        let (reply, outcome) = oneshot::channel();
        self.send(Step::Commit(reply))?;
        outcome.await.unwrap_or(Err(AccessError::TransactionLost))?;
        Ok(Some(position(self.shard)))
    }

    pub(crate) async fn rollback(self) -> Result<(), AccessError> {
        let (reply, outcome) = oneshot::channel();
        self.send(Step::Rollback(reply))?;
        outcome.await.unwrap_or(Err(AccessError::TransactionLost))
    }

    /// Never waits: a caller that dropped a statement half way finds the place of the next one taken, and loses the transaction.
    fn send(&self, step: Step) -> Result<(), AccessError> {
        self.steps.try_send(step).map_err(|_| AccessError::TransactionLost)
    }
}

/// The thread's end.
pub(super) struct Opening {
    steps: Receiver<Step>,
    begun: oneshot::Sender<Result<(), AccessError>>,
    bounds: Bounds,
}

/// How long an open transaction may keep the writer.
#[derive(Clone, Copy)]
pub(super) struct Bounds {
    /// Without a statement.
    pub(super) idle_max: Duration,
    /// In all.
    pub(super) length_max: Duration,
}

/// Both ends, and where it is told that the transaction has begun.
pub(super) fn channel(
    shard: ShardId,
    bounds: Bounds,
) -> (Transaction, Opening, oneshot::Receiver<Result<(), AccessError>>) {
    let (sender, steps) = sync_channel(STEPS_MAX);
    let (begun, has_begun) = oneshot::channel();
    (Transaction { steps: sender, shard }, Opening { steps, begun, bounds }, has_begun)
}

impl Opening {
    /// Runs the transaction to its end.
    pub(super) fn run(self, connection: &Connection) {
        if self.begun.is_closed() {
            return;
        }
        let begun = connection.execute_batch("BEGIN IMMEDIATE").map_err(AccessError::from);
        let is_open = begun.is_ok();
        if self.begun.send(begun).is_ok() && is_open {
            drive(connection, &self.steps, self.bounds);
        }
        // Of what has ended already nothing is left to be rolled back.
        if !connection.is_autocommit() {
            let _ = connection.execute_batch("ROLLBACK");
        }
    }
}

/// Takes steps until the transaction has ended or must end.
fn drive(connection: &Connection, steps: &Receiver<Step>, bounds: Bounds) {
    let deadline = clock::now() + bounds.length_max;
    while let Some(step) = next(steps, bounds.idle_max, deadline) {
        match step {
            Step::Run(statement, reply) => {
                let outcome = statement.run(connection);
                // Some faults, a full disk among them, make SQLite roll the whole transaction back.
                let is_lost = connection.is_autocommit();
                let _ = reply.send(outcome);
                if is_lost {
                    return;
                }
            }
            Step::Commit(reply) => {
                let _ = reply.send(connection.execute_batch("COMMIT").map_err(AccessError::from));
                return;
            }
            Step::Rollback(reply) => {
                let _ = reply.send(connection.execute_batch("ROLLBACK").map_err(AccessError::from));
                return;
            }
        }
    }
}

fn next(steps: &Receiver<Step>, idle_max: Duration, deadline: Instant) -> Option<Step> {
    let left = deadline.saturating_duration_since(clock::now());
    match steps.recv_timeout(idle_max.min(left)) {
        Ok(step) => Some(step),
        Err(RecvTimeoutError::Timeout) => {
            tracing::warn!("a transaction kept the writer for too long and was rolled back");
            None
        }
        Err(RecvTimeoutError::Disconnected) => None,
    }
}
