//! One shard: reads, writes and transactions on it.

use std::{sync::Arc, time::Duration};

use phalanx_shard::Bucket;
use phalanx_telemetry::clock;

use crate::{
    AccessError, Again, Consistency, Isolation, Position, Row, ShardId, Statement, Transaction, Value,
    Written,
    backend::Query,
    topology::{map, primary::Attempts, reading::Reading, shared::Shared},
};

/// Between two runs of a transaction that others were in the way of; doubled each time, and jittered.
const TRANSACTION_PAUSE: Duration = Duration::from_millis(5);

/// A shard, by its number or by a bucket, which it holds until the bucket moves; cheap to clone.
#[derive(Clone)]
pub struct Shard {
    shared: Arc<Shared>,
    by: By,
}

#[derive(Clone, Copy)]
enum By {
    Bucket(Bucket),
    Id(ShardId),
}

impl Shard {
    pub(crate) fn of_bucket(shared: Arc<Shared>, bucket: Bucket) -> Self {
        Self { shared, by: By::Bucket(bucket) }
    }

    pub(crate) fn of_id(shared: Arc<Shared>, id: ShardId) -> Self {
        Self { shared, by: By::Id(id) }
    }

    /// Its number at the moment.
    #[must_use]
    pub fn id(&self) -> ShardId {
        match self.by {
            By::Bucket(bucket) => self.shared.shards.load().owner(bucket),
            By::Id(id) => id,
        }
    }

    /// Runs a statement that changes nothing, on a replica where `consistency` allows it.
    ///
    /// # Errors
    /// When it fails, no server can answer it, or none that may has what it has to see.
    pub async fn read(
        &self,
        consistency: &Consistency,
        statement: &Statement,
        values: &[Value],
    ) -> Result<Vec<Row>, AccessError> {
        let (begun, shard) = (clock::now(), self.id());
        let reading = Reading { shared: &self.shared, shard, query: Query { statement, values } };
        let outcome = reading.run(consistency).await;
        self.shared.ended(shard, statement, begun, outcome.as_ref().map(Vec::len));
        outcome
    }

    /// Runs a statement in a transaction of its own, on the primary. While there is none, it waits for one.
    ///
    /// # Errors
    /// When it fails; [`AccessError::OutcomeUnknown`] where it may have been done all the same.
    pub async fn write(&self, statement: &Statement, values: &[Value]) -> Result<Written, AccessError> {
        let query = Query { statement, values };
        let begun = clock::now();
        let mut outcome = self.written(query).await;
        if let Err(error) = &outcome
            && self.has_moved(error).await
        {
            outcome = self.written(query).await;
        }
        let rows = outcome.as_ref().map(|written| written.rows.len());
        self.shared.ended(self.id(), statement, begun, rows);
        let mut written = outcome?;
        written.position = self.or_end(written.position).await;
        self.shared.session_wrote(written.position);
        Ok(written)
    }

    /// Runs a transaction on the primary. `run` begins again from its start when others are in its way, so what it does
    /// beside its statements has to bear that.
    ///
    /// # Errors
    /// When `run` fails, which undoes everything, or the transaction cannot begin or commit.
    pub async fn transaction<T, E: From<AccessError>>(
        &self,
        isolation: Isolation,
        run: impl AsyncFn(&mut Transaction) -> Result<T, E>,
    ) -> Result<(T, Option<Position>), E> {
        let attempts_max = self.shared.settings.transaction_attempts_max.get();
        let mut pause = TRANSACTION_PAUSE;
        for attempt in 1.. {
            match self.attempt(isolation, &run).await {
                Ok((done, position)) => {
                    let position = self.or_end(position).await;
                    self.shared.session_wrote(position);
                    return Ok((done, position));
                }
                Err(Failed::Run(error)) => return Err(error),
                Err(Failed::Access(error)) => {
                    if attempt >= attempts_max || !self.may_run_again(&error).await {
                        return Err(error.into());
                    }
                }
            }
            tokio::time::sleep(pause.mul_f64(0.5 + fastrand::f64())).await;
            pause *= 2;
        }
        Err(AccessError::Unreachable.into())
    }

    /// Whether a transaction that failed so, and was undone, may be run again; learns from the failure first.
    async fn may_run_again(&self, error: &AccessError) -> bool {
        match error.verdict().again {
            Again::Transaction => true,
            Again::Map => self.has_moved(error).await,
            Again::Primary => {
                let state = self.shared.shards.load().state(self.id()).cloned();
                if let Some((state, primary)) =
                    state.and_then(|state| Some((state.clone(), state.view().primary.clone()?)))
                {
                    state.refused_writes(&primary);
                }
                true
            }
            Again::Never | Again::Elsewhere => false,
        }
    }

    async fn attempt<T, E>(
        &self,
        isolation: Isolation,
        run: &impl AsyncFn(&mut Transaction) -> Result<T, E>,
    ) -> Result<(T, Option<Position>), Failed<E>> {
        // Until it has begun nothing has happened, so that may be repeated; what follows is repeated as a whole or not at all.
        let mut transaction = self.begin(isolation).await.map_err(Failed::Access)?;
        match run(&mut transaction).await {
            Ok(done) => match transaction.commit().await {
                Ok(position) => Ok((done, position)),
                Err(error) => Err(Failed::Access(error)),
            },
            Err(error) => {
                let again = transaction.take_again();
                // A connection that cannot even do that is closed, which undoes the transaction as well.
                let _ = transaction.rollback().await;
                Err(again.map_or(Failed::Run(error), Failed::Access))
            }
        }
    }

    async fn written(&self, query: Query<'_>) -> Result<Written, AccessError> {
        let mut attempts = Attempts::new(&self.shared, self.id());
        loop {
            let primary = attempts.primary().await?;
            let outcome = {
                let _in_flight = primary.statement();
                primary.endpoint.write(query).await
            };
            match outcome {
                Ok(written) => return Ok(written),
                Err(error) => attempts.failed(error).await?,
            }
        }
    }

    async fn begin(&self, isolation: Isolation) -> Result<Transaction, AccessError> {
        let mut attempts = Attempts::new(&self.shared, self.id());
        loop {
            let primary = attempts.primary().await?;
            match primary.endpoint.begin(isolation).await {
                Ok(transaction) => return Ok(transaction),
                Err(error) => attempts.failed(error).await?,
            }
        }
    }

    /// The position of a write, or where the shard's log ends now if the connection broke before the write could tell: all that
    /// was written is before that.
    async fn or_end(&self, position: Option<Position>) -> Option<Position> {
        if position.is_some() {
            return position;
        }
        let mut attempts = Attempts::new(&self.shared, self.id());
        loop {
            let primary = attempts.primary().await.ok()?;
            match primary.endpoint.end().await {
                // It waited for a connection, and got one to a server that was the primary: its log has another end.
                Ok(_) if attempts.has_moved() => {}
                Ok(end) => return end,
                Err(error) => attempts.failed(error).await.ok()?,
            }
        }
    }

    /// Whether the database said that the bucket is elsewhere, and a map was looked for that says where.
    async fn has_moved(&self, error: &AccessError) -> bool {
        let is_worth_it = error.verdict().again == Again::Map && matches!(self.by, By::Bucket(_));
        if is_worth_it {
            map::refresh(&self.shared).await;
        }
        is_worth_it
    }
}

/// Who failed.
enum Failed<E> {
    /// The caller's part.
    Run(E),
    /// The shard.
    Access(AccessError),
}
