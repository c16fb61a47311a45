//! One shard: reads, writes and transactions on it.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use phalanx_shard::{Bucket, map::MapVersion};
use phalanx_telemetry::clock;

use crate::{
    AccessError, Again, Consistency, Isolation, Position, Row, ShardId, Statement, Transaction, Value,
    Written,
    backend::Query,
    topology::{
        moved::Waiting,
        primary::Attempts,
        reading::Reading,
        route::{By, Route},
        shared::Shared,
    },
};

/// Between two runs of a transaction that others were in the way of; doubled each time, and jittered.
const TRANSACTION_PAUSE: Duration = Duration::from_millis(5);

/// A shard, by its number or by a bucket, which it holds until the bucket moves; cheap to clone.
#[derive(Clone)]
pub struct Shard {
    shared: Arc<Shared>,
    by: By,
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

    /// Runs a statement that changes nothing, on a replica where `consistency` allows it. What a bucket had before it moved is seen
    /// where it is.
    ///
    /// # Errors
    /// When it fails, no server can answer it, or none that may has what it has to see.
    pub async fn read(
        &self,
        consistency: &Consistency,
        statement: &Statement,
        values: &[Value],
    ) -> Result<Vec<Row>, AccessError> {
        let begun = clock::now();
        let Route { state, demand } = self.shared.route(self.by, consistency).await?;
        let shard = state.id;
        let reading = Reading { shared: &self.shared, state, query: Query { statement, values } };
        let outcome = reading.run(demand).await;
        self.shared.ended(shard, statement, begun, outcome.as_ref().map(Vec::len));
        outcome
    }

    /// Runs a statement in a transaction of its own, on the primary. While there is none, it waits for one; while the bucket takes
    /// no writes because it moves, it waits for that, both for at most [`Settings::primary_wait_max`](crate::Settings) in all.
    ///
    /// # Errors
    /// When it fails; [`AccessError::OutcomeUnknown`] where it may have been done all the same.
    pub async fn write(&self, statement: &Statement, values: &[Value]) -> Result<Written, AccessError> {
        let query = Query { statement, values };
        let begun = clock::now();
        let outcome = self.admitted(query, begun).await;
        let rows = outcome.as_ref().map(|written| written.rows.len());
        self.shared.ended(self.id(), statement, begun, rows);
        let mut written = outcome?;
        written.position = self.or_end(written.position).await;
        self.shared.session_wrote(written.position);
        Ok(written)
    }

    /// Runs a transaction on the primary. `run` begins again from its start when others are in its way, or when the bucket takes no
    /// writes because it moves, so what it does beside its statements has to bear that.
    ///
    /// # Errors
    /// When `run` fails, which undoes everything, or the transaction cannot begin or commit.
    pub async fn transaction<T, E: From<AccessError>>(
        &self,
        isolation: Isolation,
        run: impl AsyncFn(&mut Transaction) -> Result<T, E>,
    ) -> Result<(T, Option<Position>), E> {
        let mut contention = Contention::new(self.shared.settings.transaction_attempts_max.get());
        let mut waiting = Waiting::new(&self.shared, clock::now());
        loop {
            let version = self.version();
            let error = match self.attempt(isolation, &run).await {
                Ok((done, position)) => {
                    let position = self.or_end(position).await;
                    self.shared.session_wrote(position);
                    return Ok((done, position));
                }
                Err(Failed::Run(error)) => return Err(error),
                Err(Failed::Access(error)) => error,
            };
            if self.is_moved(&error) {
                waiting.refused(error, version).await?;
            } else {
                self.learn(&error);
                contention.met(error).await?;
            }
        }
    }

    /// Tells what is learnt from the failure of a transaction.
    fn learn(&self, error: &AccessError) {
        if error.verdict().again == Again::Primary
            && let Some(state) = self.shared.shards.load().state(self.id())
            && let Some(primary) = &state.view().primary
        {
            state.refused_writes(primary);
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

    /// A write that others were in the way of, or whose bucket takes none at the moment, was undone as a whole, and is run again.
    async fn admitted(&self, query: Query<'_>, begun: Instant) -> Result<Written, AccessError> {
        let mut contention = Contention::new(self.shared.settings.transaction_attempts_max.get());
        let mut waiting = Waiting::new(&self.shared, begun);
        loop {
            let version = self.version();
            match self.written(query, begun).await {
                Err(error) if self.is_moved(&error) => waiting.refused(error, version).await?,
                Err(error) if error.verdict().again == Again::Transaction => contention.met(error).await?,
                outcome => return outcome,
            }
        }
    }

    async fn written(&self, query: Query<'_>, begun: Instant) -> Result<Written, AccessError> {
        let mut attempts = Attempts::since(&self.shared, self.id(), begun);
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

    /// Whether the database lets nobody write the bucket, here or at all. Whoever has named the shard by its number wants no other.
    fn is_moved(&self, error: &AccessError) -> bool {
        error.verdict().again == Again::Map && matches!(self.by, By::Bucket(_))
    }

    /// That of the map which the next attempt goes by, or an older one.
    fn version(&self) -> MapVersion {
        self.shared.shards.load().routes.version()
    }
}

/// Who failed.
enum Failed<E> {
    /// The caller's part.
    Run(E),
    /// The shard.
    Access(AccessError),
}

/// How often others may be in the way of a transaction yet.
struct Contention {
    attempts_left: u32,
    pause: Duration,
}

impl Contention {
    fn new(attempts_max: u32) -> Self {
        Self { attempts_left: attempts_max, pause: TRANSACTION_PAUSE }
    }

    /// Returns when the transaction, of which nothing is left, may be run again; the failure if it may not.
    async fn met(&mut self, error: AccessError) -> Result<(), AccessError> {
        self.attempts_left -= 1;
        let may_run_again = match error.verdict().again {
            Again::Transaction | Again::Primary => true,
            Again::Never | Again::Elsewhere | Again::Map => false,
        };
        if self.attempts_left == 0 || !may_run_again {
            return Err(error);
        }
        tokio::time::sleep(self.pause.mul_f64(0.5 + fastrand::f64())).await;
        self.pause *= 2;
        Ok(())
    }
}
