//! Forgets the keys whose day is over.

use std::{slice, time::Duration};

use phalanx_data::{AccessError, Consistency, Shard, Statement};
use phalanx_shard::Bucket;
use tokio_util::sync::CancellationToken;

use super::{Idempotency, KEPT_SECONDS, ago, seconds};

const BUCKETS: Statement = Statement::new(
    "idempotency_old_buckets",
    "SELECT DISTINCT bucket FROM idempotency_keys WHERE claimed_at <= $1",
);
const FORGET_OF_BUCKET: Statement = Statement::new(
    "idempotency_forget_bucket",
    "DELETE FROM idempotency_keys WHERE bucket = $1 AND claimed_at <= $2",
);
/// So that a day's keys go in many small steps.
const PERIOD: Duration = Duration::from_secs(60);

/// Forgets old keys from time to time. Every replica does, which is harmless.
pub(crate) struct Reaper {
    idempotency: Idempotency,
}

impl Reaper {
    pub(crate) fn new(idempotency: Idempotency) -> Self {
        Self { idempotency }
    }

    /// Runs until `stop`.
    pub(crate) async fn run(self, stop: CancellationToken) {
        loop {
            for shard in self.idempotency.data.shards() {
                if let Err(error) = self.idempotency.reap(&shard).await {
                    let error: &dyn std::error::Error = &error;
                    tracing::warn!(shard = shard.id().0, error, "cannot forget old idempotency keys");
                }
            }
            tokio::select! {
                () = tokio::time::sleep(PERIOD) => {}
                () = stop.cancelled() => return,
            }
        }
    }
}

impl Idempotency {
    /// Forgets the old keys of a shard, but for those in buckets that are another's by now, or are yet to come.
    pub(super) async fn reap(&self, shard: &Shard) -> Result<(), AccessError> {
        let primary = &Consistency::primary();
        let ownership = self.data.ownership(primary).await;
        let until = seconds(ago(KEPT_SECONDS));
        for row in shard.read(primary, &BUCKETS, slice::from_ref(&until)).await? {
            let Ok(bucket) = Bucket::try_from(row.get::<u16>("bucket")?) else { continue };
            if ownership.owns(shard.id(), bucket) {
                let values = [bucket.get().into(), until.clone()];
                self.data.shard_for(bucket).write(&FORGET_OF_BUCKET, &values).await?;
            }
        }
        Ok(())
    }
}
