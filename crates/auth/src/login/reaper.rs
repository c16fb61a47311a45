//! Removes the rows of logins that are long over.

use std::time::Duration;

use phalanx_data::{AccessError, Consistency, Shard, Statement};
use phalanx_telemetry::{
    clock,
    registry::{Counter, Registry},
};
use tokio_util::sync::CancellationToken;

use super::{Logins, UnixMs, store::login_id};

const OVER: Statement = Statement::new(
    "logins_over",
    "SELECT id, valid_until FROM logins WHERE valid_until <= $1 AND (valid_until, id) > ($2, $3) \
     ORDER BY valid_until, id LIMIT $4",
);
const REMOVE: Statement =
    Statement::new("login_remove", "DELETE FROM logins WHERE id = $1 AND valid_until <= $2");

/// Whoever asks what became of a login asks within a day.
const KEPT: Duration = Duration::from_hours(24);
const PERIOD: Duration = Duration::from_secs(60);
const REMOVED_AT_A_TIME_MAX: u16 = 200;

/// Removes the rows of logins that have been over for a day. Every replica may: a row is removed once, whoever comes first.
pub struct LoginReaper {
    logins: Logins,
    removed: Counter,
}

/// Where a pass over a shard has come to.
type Place = (UnixMs, i64);

impl LoginReaper {
    /// What it removes is counted in `registry`.
    #[must_use]
    pub fn new(logins: Logins, registry: &mut Registry) -> Self {
        let removed = Counter::default();
        registry.register("phalanx_logins_removed", "Rows of logins that were long over", removed.clone());
        Self { logins, removed }
    }

    /// Runs until `stop`.
    pub async fn run(self, stop: CancellationToken) {
        loop {
            tokio::select! {
                () = self.pass() => {}
                // A statement that is cut off has removed one row or none.
                () = stop.cancelled() => return,
            }
            tokio::select! {
                () = tokio::time::sleep(PERIOD) => {}
                () = stop.cancelled() => return,
            }
        }
    }

    async fn pass(&self) {
        for shard in self.logins.data.shards() {
            if let Err(error) = self.pass_over(&shard).await {
                let error: &dyn std::error::Error = &error;
                tracing::warn!(shard = shard.id().0, error, "cannot remove the logins that are long over");
            }
        }
    }

    async fn pass_over(&self, shard: &Shard) -> Result<(), AccessError> {
        let until = UnixMs::from(clock::wall()).before(KEPT);
        let mut place = Some((UnixMs::new(0), 0));
        while let Some(behind) = place {
            place = self.remove_some(shard, until, behind).await?;
        }
        Ok(())
    }

    /// Removes a batch; where to go on if there may be more. A row that is found in a bucket which has moved away, or is yet to come, is
    /// judged and removed where the bucket is at home.
    async fn remove_some(
        &self,
        shard: &Shard,
        until: UnixMs,
        (after, after_id): Place,
    ) -> Result<Option<Place>, AccessError> {
        let values = [until.value(), after.value(), after_id.into(), REMOVED_AT_A_TIME_MAX.into()];
        let rows = shard.read(&Consistency::primary(), &OVER, &values).await?;
        let mut last = None;
        for row in &rows {
            let login = login_id(row)?;
            last = Some((UnixMs::new(row.get("valid_until")?), login.id().get()));
            let owner = self.logins.data.shard_for(login.id());
            self.removed.inc_by(owner.write(&REMOVE, &[login.value(), until.value()]).await?.count);
        }
        Ok(last.filter(|_| rows.len() == usize::from(REMOVED_AT_A_TIME_MAX)))
    }
}
