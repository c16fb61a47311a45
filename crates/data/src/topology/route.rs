//! Where a read goes, by the map of buckets and by what the read has to see.
//!
//! Invariant: a read goes by a map that is no older than the one its positions were written by. Where there is none, as after a
//! backup was restored, it goes to the primary of the owner by the newest there is, once that has said that it knows no newer one:
//! a shard that has given a bucket away knows that.
//! How it fails: where the owner cannot be asked, or is a shard that the topology has not; then nothing stale is read.

use std::sync::Arc;

use phalanx_shard::{Bucket, map::ShardId as MapShard, read::Reason};

use super::{
    map::{self, Refresh},
    shared::{Shards, Shared},
    state::ShardState,
};
use crate::{AccessError, Consistency, ShardId, consistency::ShardDemand};

/// What a shard is named by.
#[derive(Clone, Copy)]
pub(crate) enum By {
    /// A bucket of it.
    Bucket(Bucket),
    /// Its number.
    Id(ShardId),
}

/// Where a read goes and what it has to see there.
pub(crate) struct Route {
    pub(crate) state: Arc<ShardState>,
    pub(crate) demand: ShardDemand,
}

impl Shards {
    fn route(&self, by: By, consistency: &Consistency) -> Result<Route, AccessError> {
        let (id, demand) = match by {
            By::Bucket(bucket) => self.route_of_bucket(bucket, consistency),
            By::Id(id) => {
                let shard = MapShard::try_from(id.0).ok();
                (id, consistency.of(id, shard.and_then(|shard| self.routes.since_all(shard))))
            }
        };
        let state = Arc::clone(self.state(id).ok_or(AccessError::Unreachable)?);
        Ok(Route { state, demand })
    }

    fn route_of_bucket(&self, bucket: Bucket, consistency: &Consistency) -> (ShardId, ShardDemand) {
        match self.routes.reader(bucket) {
            Some(reader) if consistency.asks_for_nothing() => {
                (ShardId(reader.get()), ShardDemand::Eventual(None))
            }
            _ => {
                let owner = self.owner(bucket);
                (owner, consistency.of(owner, self.routes.since(bucket)))
            }
        }
    }
}

impl Shared {
    /// Where a read goes. One whose positions are of a newer map looks for that first.
    pub(crate) async fn route(&self, by: By, consistency: &Consistency) -> Result<Route, AccessError> {
        {
            let shards = self.shards.load();
            if shards.epoch() >= consistency.epoch() {
                return shards.route(by, consistency);
            }
        }
        // In a box, so that reads that need none of it are no larger for it.
        Box::pin(self.route_anew(by, consistency)).await
    }

    async fn route_anew(&self, by: By, consistency: &Consistency) -> Result<Route, AccessError> {
        let epoch = consistency.epoch();
        self.reach_epoch(epoch).await;
        let shards = self.shards.load_full();
        if shards.epoch() >= epoch {
            return shards.route(by, consistency);
        }
        let owner = shards.route(by, &Consistency::primary())?.state;
        // There is a newer one, and it cannot be used, if it names a shard that the topology has not. Other buckets are where it says.
        let newest = match map::ask(&owner, shards.routes.version()).await? {
            Some(routes) => Arc::new(Shards { states: shards.states.clone(), routes: Arc::new(routes) }),
            None => shards,
        };
        if newest.epoch() >= epoch {
            return newest.route(by, consistency);
        }
        let Route { state, .. } = newest.route(by, &Consistency::primary())?;
        Ok(Route { state, demand: ShardDemand::Primary(Reason::Epoch) })
    }

    /// Looks for a map of this epoch, if the one in use is older.
    pub(crate) async fn reach_epoch(&self, epoch: u64) {
        // A look that had begun before may have missed it; the one after that cannot.
        for _ in 0..2 {
            if self.shards.load().epoch() >= epoch || map::refresh(self).await == Refresh::Own {
                return;
            }
        }
    }
}
