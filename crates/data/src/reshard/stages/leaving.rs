//! Takes away what a resharding has made, on whichever side does not keep the buckets.

use std::time::Duration;

use super::Work;
use crate::reshard::{
    ReshardError, buckets,
    executor::Executor,
    rows,
    state::Stored,
    stream::Way,
    undo::{self, Kind},
};

/// Twice what a client's position may live, so that none from before the move is out there any more.
const SINCE_KEPT: Duration = Duration::from_secs(60);

impl Executor {
    /// Drops streams and rows, and puts back what was changed for them. `way` leads to the side whose rows go.
    pub(super) async fn leave(&mut self, stored: &Stored, way: Way) -> Result<Work, ReshardError> {
        self.read_tables().await?;
        if !self.drop_streams().await? {
            return Ok(Work::Underway);
        }
        for (shard, buckets) in self.leaving(way.reversed()) {
            let board = &self.board;
            let count = |deleted| board.update(|report| report.rows_deleted += deleted);
            rows::delete(self.shards.session(shard)?, &self.memory.tables, &buckets, count).await?;
        }
        for shard in self.involved() {
            let session = self.shards.session(shard)?;
            undo::restore(session, Kind::Index).await?;
            undo::restore(session, Kind::Identity).await?;
        }
        if stored.moved_age.is_some_and(|age| age > SINCE_KEPT) {
            let moving = self.moving();
            for shard in self.shards.all() {
                self.shards.connected(&[shard]).await?;
                buckets::forget_since(self.shards.session(shard)?, &moving).await?;
            }
        }
        self.board.update(|report| report.lag_bytes = 0);
        Ok(Work::Achieved)
    }

    /// Drops the streams of both directions; answers whether they are gone.
    pub(super) async fn drop_streams(&mut self) -> Result<bool, ReshardError> {
        self.connect_involved().await?;
        let mut gone = true;
        for step in &self.moves {
            for way in [Way::There, Way::Back] {
                gone &= self.stream(step, way)?.drop().await?;
            }
        }
        Ok(gone)
    }
}
