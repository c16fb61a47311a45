//! A transaction on a connection of its own.

use std::sync::Arc;

use super::{
    Inner, POSITION,
    exclusive::Loan,
    fault::{Fault, Intent},
};
use crate::{AccessError, Isolation, Position, Row, backend::Query};

/// Dropped, it is cancelled and its connection closed.
pub(crate) struct Transaction {
    inner: Arc<Inner>,
    loan: Loan,
    state: State,
}

#[derive(PartialEq, Eq)]
enum State {
    Open,
    /// A statement failed: the server undoes everything, and would answer a commit as if nothing were wrong.
    Failed,
}

impl Transaction {
    pub(super) async fn begin(inner: &Arc<Inner>, isolation: Isolation) -> Result<Self, AccessError> {
        let loan = inner.exclusive.loan("begin").await.map_err(|error| inner.acquire(error))?;
        let isolation = match isolation {
            Isolation::ReadCommitted => "READ COMMITTED",
            Isolation::RepeatableRead => "REPEATABLE READ",
            Isolation::Serializable => "SERIALIZABLE",
        };
        let mut begin = format!("BEGIN ISOLATION LEVEL {isolation}");
        if let Some(epoch) = inner.epoch() {
            // For this transaction alone: the session may be shared by way of a pooler, and a rollback would undo it.
            begin.push_str(&format!("; SET LOCAL phalanx.epoch = {epoch}"));
        }
        inner.refuse_if_demoted()?;
        // Nothing is lost with a transaction that has not begun: it may be begun elsewhere.
        loan.live().command(&begin).await.map_err(|fault| inner.fault(fault, "begin", Intent::Read))?;
        loan.ended();
        Ok(Self { inner: Arc::clone(inner), loan, state: State::Open })
    }

    pub(crate) async fn run(&mut self, query: Query<'_>) -> Result<(Vec<Row>, u64), AccessError> {
        if self.state == State::Failed {
            return Err(AccessError::TransactionLost);
        }
        self.loan.begins(query.statement.name());
        let outcome = self.loan.live().run(query).await;
        self.loan.ended();
        outcome.map_err(|fault| {
            // What was refused on this side has not reached the server, and the transaction goes on.
            if !matches!(fault, Fault::Refused(_)) {
                self.state = State::Failed;
            }
            if fault.is_stale_plan() {
                self.loan.live().forget(query.statement);
                return AccessError::TransactionLost; // Run again from its start, it is prepared anew.
            }
            self.inner.fault(fault, query.statement.name(), Intent::InTransaction)
        })
    }

    /// Commits, and answers the position from which on everybody sees it.
    pub(crate) async fn commit(mut self) -> Result<Option<Position>, AccessError> {
        if self.state == State::Failed || self.inner.is_demoted() {
            self.rollback().await?;
            return Err(AccessError::TransactionLost);
        }
        let live = Arc::clone(self.loan.live());
        self.loan.begins("commit");
        let position = live.ready(Query { statement: &POSITION, values: &[] }).await;
        let position = position.map_err(|fault| self.inner.fault(fault, "commit", Intent::InTransaction))?;
        self.loan.commits();
        let (committed, position) = tokio::join!(live.command("COMMIT"), position.send());
        match committed {
            Ok(()) => {
                let position = position.ok().and_then(|(rows, _)| self.inner.position(&rows));
                self.loan.settle();
                Ok(position)
            }
            Err(fault) => {
                let keeps = !fault.is_of_connection();
                let error = self.inner.fault(fault, "commit", Intent::Write);
                if keeps {
                    self.loan.settle();
                }
                Err(error)
            }
        }
    }

    pub(crate) async fn rollback(self) -> Result<(), AccessError> {
        self.loan.begins("rollback");
        match self.loan.live().command("ROLLBACK").await {
            Ok(()) => self.loan.settle(),
            // The server undoes it with the connection's end.
            Err(_) => self.loan.live().kill(),
        }
        Ok(())
    }
}
