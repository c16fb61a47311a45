//! The lease of a worker's number: what makes ids of several processes different without any of them asking another.
//!
//! Invariant: the stretches of id time that the table has given out for one number never overlap. A lease is taken where the
//! horizon of the one before has passed, and begins there at the earliest; it is renewed by its holder alone, by a statement
//! that changes nothing once another holds it. So a clock that is wrong costs a number, never an id.
//! Elsewhere: the ids (`phalanx_shard::id`); where the table is (the first shard).

use std::{
    sync::Arc,
    time::{Duration, UNIX_EPOCH},
};

use arc_swap::ArcSwap;
use phalanx_shard::{
    Bucket, Id,
    id::{GenerateError, Generator, Tick, Worker},
};
use phalanx_telemetry::clock;
use tokio_util::sync::CancellationToken;

use crate::{AccessError, Data, Row, Shard, ShardId, Statement, Value, migrations::Store};

/// How far ahead a lease reaches: a process that cannot renew goes on for so long.
const LEASE_LENGTH: Duration = Duration::from_secs(60);
/// How often it is renewed.
const RENEWAL_PERIOD: Duration = Duration::from_secs(15);
/// Several processes that start at once try for the same number, and all but one of them try again.
const ATTEMPTS_MAX: usize = 2048;

/// The statements in one dialect: only the name of the table differs.
struct Statements {
    reuse: Statement,
    extend_table: Statement,
    renew: Statement,
}

macro_rules! statements {
    ($table:literal) => {
        Statements {
            // The condition stands twice: the second is looked at again when another has just taken the same number.
            reuse: Statement::new(
                "phalanx_lease_reuse",
                concat!(
                    "UPDATE ", $table, " SET holder = $1, horizon = $3 WHERE horizon <= $2 AND number = (",
                    "SELECT number FROM ", $table, " WHERE horizon <= $2 ORDER BY random() LIMIT 1) RETURNING number"
                ),
            ),
            extend_table: Statement::new(
                "phalanx_lease_add",
                concat!(
                    "INSERT INTO ", $table, " (number, holder, horizon) ",
                    "SELECT count(*), $1, $2 FROM ", $table, " HAVING count(*) < 1024 ",
                    "ON CONFLICT (number) DO NOTHING RETURNING number"
                ),
            ),
            renew: Statement::new(
                "phalanx_lease_renew",
                concat!("UPDATE ", $table, " SET horizon = $3 WHERE number = $1 AND holder = $2 AND horizon < $3"),
            ),
        }
    };
}

static POSTGRES: Statements = statements!("phalanx.workers");
static SQLITE: Statements = statements!("phalanx_workers");

/// Why there is no worker's number.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LeaseError {
    /// The clock is before 2025 or after 2059.
    #[error("the clock says {unix_ms} ms of Unix time, for which there are no ids: set it")]
    Clock {
        /// What it says.
        unix_ms: u64,
    },
    /// All numbers are taken.
    #[error(
        "all worker numbers are leased: more than 1024 processes make ids, or that many have started within a minute"
    )]
    NoneFree,
    /// The table cannot be used.
    #[error("cannot lease a worker number")]
    Access(#[from] AccessError),
}

/// Whether a lease still holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Renewal {
    Extended,
    /// Another process has the number: this one made no id beyond its horizon, and needs another number.
    Lost,
}

/// Makes ids for new rows under a lease; cheap to clone.
#[derive(Clone)]
pub struct Ids {
    generator: Arc<ArcSwap<Generator>>,
}

/// Renews the lease: a future that its owner runs for as long as ids are made. Without it no ids are made after a minute.
#[must_use = "without it no ids are made after a minute"]
pub struct IdsUpkeep {
    data: Data,
    lease: Lease,
    generator: Arc<ArcSwap<Generator>>,
}

impl Ids {
    /// Leases a worker's number in the first shard.
    ///
    /// # Errors
    /// When none is free, or the shard cannot be written to.
    pub async fn lease(data: &Data) -> Result<(Self, IdsUpkeep), LeaseError> {
        let (lease, generator) = Lease::acquire(data, unix_ms()).await?;
        let generator = Arc::new(ArcSwap::from_pointee(generator));
        let upkeep = IdsUpkeep { data: data.clone(), lease, generator: Arc::clone(&generator) };
        Ok((Self { generator }, upkeep))
    }

    /// The next id in a bucket.
    ///
    /// # Errors
    /// When the lease could not be renewed for a minute, or the clock went back too far.
    pub fn next(&self, bucket: Bucket) -> Result<Id, GenerateError> {
        self.generator.load().next(bucket, unix_ms())
    }
}

impl IdsUpkeep {
    /// Runs until `stop`.
    pub async fn run(mut self, stop: CancellationToken) {
        loop {
            // A quarter more or less: a fleet that started together does not renew together.
            let period = RENEWAL_PERIOD.mul_f64(0.75 + fastrand::f64() / 2.0);
            tokio::select! {
                () = tokio::time::sleep(period) => {}
                () = stop.cancelled() => return,
            }
            if let Err(error) = self.renew().await {
                let error: &dyn std::error::Error = &error;
                tracing::warn!(error, "the lease of a worker number was not renewed");
            }
        }
    }

    async fn renew(&mut self) -> Result<(), LeaseError> {
        if self.lease.renew(&self.data, &self.generator.load(), unix_ms()).await? == Renewal::Extended {
            return Ok(());
        }
        let (lease, generator) = Lease::acquire(&self.data, unix_ms()).await?;
        tracing::warn!(worker = lease.worker.get(), "a worker number was lost and another taken");
        self.lease = lease;
        self.generator.store(Arc::new(generator));
        Ok(())
    }
}

/// A worker's number that this process holds.
struct Lease {
    holder: i64,
    worker: Worker,
}

impl Lease {
    /// Takes a number that nobody holds.
    async fn acquire(data: &Data, unix_ms: u64) -> Result<(Self, Generator), LeaseError> {
        let statements = statements(data);
        let (start, horizon) = stretch(unix_ms)?;
        // Told apart from every other holder by chance: 63 bits, where a thousand are alive at a time.
        let holder = fastrand::i64(0..=i64::MAX);
        for _ in 0..ATTEMPTS_MAX {
            let reuse = [holder.into(), start.get().into(), horizon.get().into()];
            let add = [holder.into(), horizon.get().into()];
            let number = match number_of(data, &statements.reuse, &reuse).await? {
                None => number_of(data, &statements.extend_table, &add).await?,
                number => number,
            };
            if let Some(worker) = number.and_then(|number| Worker::try_from(number).ok()) {
                return Ok((Self { holder, worker }, Generator::new(worker, start, horizon)));
            }
        }
        Err(LeaseError::NoneFree)
    }

    /// Moves the horizon on, in the table first and then in the generator.
    async fn renew(&self, data: &Data, generator: &Generator, unix_ms: u64) -> Result<Renewal, LeaseError> {
        let (_, horizon) = stretch(unix_ms)?;
        let values = [self.worker.get().into(), self.holder.into(), horizon.get().into()];
        if first_shard(data)?.write(&statements(data).renew, &values).await?.count == 0 {
            return Ok(Renewal::Lost);
        }
        generator.extend(horizon);
        Ok(Renewal::Extended)
    }
}

fn first_shard(data: &Data) -> Result<Shard, AccessError> {
    data.shard(ShardId(1)).ok_or(AccessError::Unreachable)
}

fn statements(data: &Data) -> &'static Statements {
    match data.store() {
        Store::Postgres => &POSTGRES,
        Store::Sqlite => &SQLITE,
    }
}

fn unix_ms() -> u64 {
    let since = clock::wall().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

/// From the present to the horizon.
fn stretch(unix_ms: u64) -> Result<(Tick, Tick), LeaseError> {
    let length = u64::try_from(LEASE_LENGTH.as_millis()).expect("a minute");
    let start = Tick::at_unix_ms(unix_ms).ok_or(LeaseError::Clock { unix_ms })?;
    Ok((start, Tick::at_unix_ms(unix_ms + length).unwrap_or(Tick::END)))
}

async fn number_of(data: &Data, statement: &Statement, values: &[Value]) -> Result<Option<u16>, LeaseError> {
    let written = first_shard(data)?.write(statement, values).await?;
    let number = written.rows.first().map(|row: &Row| row.get("number")).transpose();
    Ok(number.map_err(AccessError::from)?)
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use phalanx_shard::Bucket;
    use tokio::task::JoinSet;

    use super::*;
    use crate::{DataDirectory, EmbeddedSettings, Settings};

    /// 2026-01-01.
    const NOW: u64 = 1_767_225_600_000;

    async fn data(directory: &tempfile::TempDir) -> Data {
        let directory = DataDirectory::create(directory.path()).unwrap();
        let one = std::num::NonZeroU16::MIN;
        let opening = Data::open_embedded(&directory, one, &[], EmbeddedSettings::default(), Settings::new());
        opening.await.unwrap().0
    }

    #[tokio::test]
    async fn processes_that_start_at_once_get_numbers_of_their_own() {
        let directory = tempfile::tempdir().unwrap();
        let mut starting = JoinSet::new();
        for _ in 0..20 {
            let data = data(&directory).await;
            starting.spawn(async move { Lease::acquire(&data, NOW).await.unwrap().0.worker.get() });
        }
        let numbers: HashSet<_> = starting.join_all().await.into_iter().collect();
        assert_eq!(numbers, (0..20).collect());
    }

    #[tokio::test]
    async fn the_next_holder_starts_where_the_one_before_may_not_go() {
        let directory = tempfile::tempdir().unwrap();
        let data = data(&directory).await;
        let bucket = Bucket::try_from(7).unwrap();
        let (first, ids) = Lease::acquire(&data, NOW).await.unwrap();
        // A clock that is two minutes ahead takes the number away from a holder that lives.
        let ahead = NOW + 120_000;
        let (second, other_ids) = Lease::acquire(&data, ahead).await.unwrap();
        assert_eq!(first.worker, second.worker);
        assert_eq!(first.renew(&data, &ids, NOW + 15_000).await.unwrap(), Renewal::Lost);
        assert!(
            ids.next(bucket, NOW + 59_000).unwrap()
                < other_ids.next(bucket, NOW).unwrap_or_else(|_| { other_ids.next(bucket, ahead).unwrap() })
        );
        ids.next(bucket, NOW + 60_001).expect_err("beyond its horizon");
    }

    #[tokio::test]
    async fn a_renewed_lease_goes_on() {
        let directory = tempfile::tempdir().unwrap();
        let data = data(&directory).await;
        let bucket = Bucket::try_from(7).unwrap();
        let (lease, ids) = Lease::acquire(&data, NOW).await.unwrap();
        assert_eq!(lease.renew(&data, &ids, NOW + 30_000).await.unwrap(), Renewal::Extended);
        ids.next(bucket, NOW + 80_000).unwrap();
        // Another number while this one is held.
        let (other, _) = Lease::acquire(&data, NOW + 80_000).await.unwrap();
        assert_ne!(lease.worker, other.worker);
    }

    #[tokio::test]
    async fn a_thousand_and_one_holders_are_one_too_many() {
        let directory = tempfile::tempdir().unwrap();
        let data = data(&directory).await;
        const FILL: Statement = Statement::new(
            "fill",
            "WITH RECURSIVE n (i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < 1023)
             INSERT INTO phalanx_workers (number, holder, horizon) SELECT i, 1, $1 FROM n",
        );
        let horizon = [Value::Int(Tick::at_unix_ms(NOW + 1_000).unwrap().get())];
        first_shard(&data).unwrap().write(&FILL, &horizon).await.unwrap();
        assert!(matches!(Lease::acquire(&data, NOW).await, Err(LeaseError::NoneFree)));
        Lease::acquire(&data, NOW + 2_000).await.unwrap();
    }
}
