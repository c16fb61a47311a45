//! What shards say of their buckets beside who owns them: who answers reads while a bucket is about to move, and from which place
//! in its log the owner has all of a bucket that has just moved there.
//!
//! Invariant: a version names one content. It is newer by its epoch, which grows when a bucket is given away, and within an epoch
//! by its revision; revisions of two epochs say nothing of each other.
//! Elsewhere: the steps that change all this (`crate::reshard`), who asks for it and when (`phalanx-data`).

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use super::{BucketMap, ShardId};
use crate::{bucket::Bucket, read::Moment};

/// Which of two states of the same map is newer: the greater.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct MapVersion {
    /// How often buckets have been given away.
    pub epoch: u64,
    /// How often anything else has changed.
    pub revision: u64,
}

/// What holds of one bucket beside its owner.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Transit {
    /// Who answers reads that ask for no position; none for the owner.
    pub reader: Option<ShardId>,
    /// The place in the owner's log from which on it has all that was written to the bucket while others owned it; none if it
    /// has always been there.
    pub since: Option<Moment>,
}

/// Where reads and writes go: the map, and what is special about buckets that move.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Routes {
    map: Arc<BucketMap>,
    revision: u64,
    owners: BTreeSet<ShardId>,
    /// Those of which there is anything to say: none as a rule.
    transits: BTreeMap<Bucket, Transit>,
    /// For each shard the furthest of its buckets.
    since: BTreeMap<ShardId, Moment>,
}

impl Routes {
    /// Those of a map in which nothing moves, of revision 0.
    #[must_use]
    pub fn settled(map: BucketMap) -> Self {
        Self::new(map, 0, [])
    }

    /// Those of a map in which this is special.
    pub fn new(map: BucketMap, revision: u64, transits: impl IntoIterator<Item = (Bucket, Transit)>) -> Self {
        let mut since = BTreeMap::new();
        let mut special = BTreeMap::new();
        for (bucket, Transit { reader, since: bucket_since }) in transits {
            let owner = map.owner(bucket);
            let transit = Transit { reader: reader.filter(|reader| *reader != owner), since: bucket_since };
            if let Some(moment) = bucket_since {
                let furthest = since.entry(owner).or_insert(moment);
                *furthest = moment.max(*furthest);
            }
            if transit != Transit::default() {
                special.insert(bucket, transit);
            }
        }
        Self { owners: map.shards(), map: Arc::new(map), revision, transits: special, since }
    }

    /// How new it is.
    #[must_use]
    pub fn version(&self) -> MapVersion {
        MapVersion { epoch: self.map.epoch(), revision: self.revision }
    }

    /// The owners.
    #[must_use]
    pub fn map(&self) -> &Arc<BucketMap> {
        &self.map
    }

    /// Whether `shard` holds any bucket.
    #[must_use]
    pub fn holds_any(&self, shard: ShardId) -> bool {
        self.owners.contains(&shard)
    }

    /// Another shard than the owner, if reads of `bucket` that ask for no position go to one.
    #[must_use]
    pub fn reader(&self, bucket: Bucket) -> Option<ShardId> {
        self.transits.get(&bucket)?.reader
    }

    /// The place in the owner's log that shows all of `bucket`, if it has moved there.
    #[must_use]
    pub fn since(&self, bucket: Bucket) -> Option<Moment> {
        self.transits.get(&bucket)?.since
    }

    /// The place in the log of `shard` that shows all of each bucket that has moved there.
    #[must_use]
    pub fn since_all(&self, shard: ShardId) -> Option<Moment> {
        self.since.get(&shard).copied()
    }

    /// Every shard that holds a bucket or answers reads of one.
    #[must_use]
    pub fn shards(&self) -> BTreeSet<ShardId> {
        let readers = self.transits.values().filter_map(|transit| transit.reader);
        self.owners.iter().copied().chain(readers).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::position::Lsn;

    fn shard(number: u16) -> ShardId {
        ShardId::try_from(number).unwrap()
    }

    fn bucket(number: u16) -> Bucket {
        Bucket::try_from(number).unwrap()
    }

    fn moment(timeline: u32, lsn: u64) -> Moment {
        Moment { timeline, lsn: Lsn(lsn) }
    }

    #[test]
    fn revisions_count_within_one_epoch_only() {
        let version = |epoch, revision| MapVersion { epoch, revision };
        let ascending = [version(0, 0), version(0, 7), version(1, 0), version(1, 3), version(2, 1)];
        assert!(ascending.is_sorted_by(|one, next| one < next));
        let map = BucketMap::evenly(4, 2).unwrap();
        assert_eq!(Routes::settled(map.clone()).version(), version(4, 0));
        assert_eq!(Routes::new(map, 9, []).version(), version(4, 9));
    }

    #[test]
    fn nothing_is_special_about_a_bucket_that_does_not_move() {
        let here = Transit { reader: Some(shard(1)), since: None };
        let routes = Routes::new(BucketMap::evenly(1, 2).unwrap(), 3, [(bucket(5), here)]);
        assert!(routes.transits.is_empty(), "its reader is its owner");
        assert_eq!((routes.reader(bucket(5)), routes.since(bucket(5))), (None, None));
        assert_eq!(routes.since_all(shard(1)), None);
    }

    #[test]
    fn readers_and_moves_are_told_by_bucket_and_by_shard() {
        let transits = [
            (bucket(1), Transit { reader: Some(shard(7)), since: None }),
            (bucket(2), Transit { reader: None, since: Some(moment(2, 5)) }),
            (bucket(3), Transit { reader: None, since: Some(moment(1, 900)) }),
            (bucket(4), Transit { reader: None, since: Some(moment(2, 4)) }),
            (bucket(4000), Transit { reader: Some(shard(1)), since: Some(moment(1, 3)) }),
        ];
        let routes = Routes::new(BucketMap::evenly(1, 2).unwrap(), 1, transits);
        assert_eq!(routes.reader(bucket(1)), Some(shard(7)));
        assert_eq!(routes.reader(bucket(2)), None);
        assert_eq!(routes.since(bucket(3)), Some(moment(1, 900)));
        assert_eq!(routes.since_all(shard(1)), Some(moment(2, 5)), "a newer timeline is further");
        assert_eq!(routes.since_all(shard(2)), Some(moment(1, 3)));
        assert_eq!(routes.since_all(shard(7)), None);
        assert!(routes.shards().into_iter().eq([1, 2, 7].map(shard)));
        assert_eq!([1, 2, 7].map(|number| routes.holds_any(shard(number))), [true, true, false]);
    }
}
