//! Which rows are whose, for questions that go to every shard.
//!
//! While a bucket moves, and until the shard that it came from has cleared it away, two shards have its rows. Invariant: by one
//! [`Ownership`] each row has one owner, so whoever takes from every shard what is the shard's takes each row once.
//! Elsewhere: asking the shards (`crate::scatter`); a read by key goes to the owner and needs none of this.

use std::sync::Arc;

use phalanx_shard::{
    Placement,
    map::{Routes, ShardId as MapShard},
};

use crate::{Consistency, Data, ShardId, ShardKey};

/// The owners of all buckets at one moment; cheap to clone.
#[derive(Clone, Debug)]
pub struct Ownership {
    routes: Arc<Routes>,
    placement: Placement,
}

impl Data {
    /// Who owns what, by a map that is no older than `consistency` asks for ([`Consistency::at_epoch`]) if any shard has one. To be
    /// taken once for each question, before the first shard is asked:
    ///
    /// ```no_run
    /// # use phalanx_data::{AccessError, Consistency, Data, Scatter, ScatterError, Statement};
    /// # use phalanx_shard::Id;
    /// const IDS: Statement = Statement::new("ids", "SELECT id FROM orders");
    ///
    /// async fn orders(data: &Data, bounds: Scatter) -> Result<usize, ScatterError> {
    ///     let consistency = &Consistency::eventual();
    ///     let ownership = &data.ownership(consistency).await;
    ///     let counted = data.scatter(bounds, |shard| async move {
    ///         if !ownership.holds_any(shard.id()) {
    ///             return Ok(0);
    ///         }
    ///         let rows = shard.read(consistency, &IDS, &[]).await?;
    ///         let ids = rows.iter().filter_map(|row| Id::try_from(row.get::<i64>("id").ok()?).ok());
    ///         Ok(ids.filter(|id| ownership.owns(shard.id(), *id)).count())
    ///     });
    ///     Ok(counted.await?.answers.iter().map(|(_, count)| count).sum())
    /// }
    /// ```
    pub async fn ownership(&self, consistency: &Consistency) -> Ownership {
        self.shared.reach_epoch(consistency.epoch()).await;
        let routes = Arc::clone(&self.shared.shards.load().routes);
        Ownership { routes, placement: self.placement() }
    }
}

impl Ownership {
    /// The shard that a row belongs to.
    #[must_use]
    pub fn owner<'a>(&self, key: impl Into<ShardKey<'a>>) -> ShardId {
        ShardId(self.routes.map().owner(key.into().bucket(self.placement)).get())
    }

    /// Whether a row that `shard` has is its own: if not, the shard has it no longer or not yet.
    #[must_use]
    pub fn owns<'a>(&self, shard: ShardId, key: impl Into<ShardKey<'a>>) -> bool {
        self.owner(key) == shard
    }

    /// Whether any row can be the shard's own. One that holds no bucket need not be asked, nor be there.
    #[must_use]
    pub fn holds_any(&self, shard: ShardId) -> bool {
        MapShard::try_from(shard.0).is_ok_and(|shard| self.routes.holds_any(shard))
    }
}

#[cfg(test)]
mod tests {
    use phalanx_shard::{Bucket, BucketMap, Id, map::Modulus};

    use super::*;

    fn ownership(placement: Placement, map: &str) -> Ownership {
        let map = BucketMap::parse(3, map).unwrap();
        Ownership { routes: Arc::new(Routes::settled(map)), placement }
    }

    #[test]
    fn a_row_is_owned_by_the_shard_of_its_bucket_whatever_its_key() {
        let ownership = ownership(Placement::Hashed, "1:0-4,6-4095 3:5");
        let id = Id::try_from(4096 * 7 + 5).unwrap();
        assert!(ownership.owns(ShardId(3), id) && !ownership.owns(ShardId(1), id));
        assert_eq!(ownership.owner(Bucket::of_low_bits(5)), ShardId(3));
        assert_eq!(ownership.owner("abc"), ShardId(1));
        assert_eq!([0, 1, 2, 3].map(|shard| ownership.holds_any(ShardId(shard))), [false, true, false, true]);
    }

    #[test]
    fn adopted_rows_are_owned_by_their_remainder() {
        let three = Placement::Modulo(Modulus::try_from(3).unwrap());
        let map = three.adopted_map().unwrap().to_string();
        let ownership = ownership(three, &map);
        for number in [4095_i64, 4096, 4097, 12_345_678] {
            let owner = ownership.owner(Id::try_from(number).unwrap());
            assert_eq!(i64::from(owner.0) - 1, number % 3, "{number}");
        }
    }
}
