//! The map: which shard holds each bucket, under an epoch that grows with every change. Who sees two maps takes the one with
//! the greater epoch.
//!
//! Its text is that of `phalanx data status` and of the tables: `1:0-2047 2:2048-4095`, each shard with its buckets as
//! [`BucketSet`] writes them. The epoch stands beside it.
//!
//! Invariant: every bucket has exactly one owner.
//! Elsewhere: what bucket an id or a key has (`placement`), what is special about buckets that move (`routes`), the way from one
//! map to another (`crate::plan`).

mod placement;
mod routes;

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    num::NonZeroU16,
};

pub use self::{
    placement::{Modulus, NoSuchModulus, Placement},
    routes::{MapVersion, Routes, Transit},
};
use crate::bucket::{BUCKETS, Bucket, BucketSet, ParseBucketsError};

/// The number of a shard, from 1 on, as in `DATABASE_SHARD_1_PRIMARY`; at most as many as there are buckets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ShardId(NonZeroU16);

impl ShardId {
    /// The first shard, and the only one of a database that is not divided.
    pub const FIRST: Self = Self(NonZeroU16::MIN);

    /// The shard as a number.
    #[must_use]
    pub fn get(self) -> u16 {
        self.0.get()
    }

    /// The shards 1 to `count`.
    pub fn first(count: u16) -> impl Iterator<Item = Self> {
        (1..=count).filter_map(|number| Self::try_from(number).ok())
    }

    /// Of a remainder, which begins at 0.
    fn of_remainder(remainder: u16) -> Self {
        Self(NonZeroU16::MIN.saturating_add(remainder))
    }
}

/// There is no shard of this number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("shard {0} is not from 1 to {BUCKETS}")]
pub struct NoSuchShard(pub u16);

impl TryFrom<u16> for ShardId {
    type Error = NoSuchShard;

    fn try_from(number: u16) -> Result<Self, NoSuchShard> {
        NonZeroU16::new(number).filter(|number| number.get() <= BUCKETS).map(Self).ok_or(NoSuchShard(number))
    }
}

impl fmt::Display for ShardId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(formatter)
    }
}

/// The owner of every bucket at one epoch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BucketMap {
    epoch: u64,
    /// By bucket; always [`BUCKETS`] of them.
    owners: Box<[ShardId]>,
}

impl BucketMap {
    /// The shards 1 to `shards`, each with one range of buckets, none with two more than another.
    pub fn evenly(epoch: u64, shards: u16) -> Result<Self, NoSuchShard> {
        let last = ShardId::try_from(shards)?;
        let share = |bucket: Bucket| u32::from(bucket.get()) * u32::from(last.get()) / u32::from(BUCKETS);
        let remainder =
            |bucket| u16::try_from(share(bucket)).expect("a share of the shards is below their number");
        Ok(Self::from_owner(epoch, |bucket| ShardId::of_remainder(remainder(bucket))))
    }

    /// The map in which `owner` says who holds each bucket.
    pub fn from_owner(epoch: u64, owner: impl FnMut(Bucket) -> ShardId) -> Self {
        Self { epoch, owners: Bucket::all().map(owner).collect() }
    }

    /// Reads the text of a map.
    pub fn parse(epoch: u64, text: &str) -> Result<Self, ParseMapError> {
        let mut owners = BTreeMap::new();
        for part in text.split_ascii_whitespace() {
            let (shard, buckets) = parsed_part(part)?;
            for bucket in buckets.iter() {
                if let Some(first) = owners.insert(bucket, shard) {
                    return Err(ParseMapError::TwoOwners { bucket, first, second: shard });
                }
            }
        }
        match Bucket::all().find(|bucket| !owners.contains_key(bucket)) {
            Some(bucket) => Err(ParseMapError::NoOwner(bucket)),
            None => Ok(Self { epoch, owners: owners.into_values().collect() }),
        }
    }

    /// How often the map has changed.
    #[must_use]
    pub fn epoch(&self) -> u64 {
        self.epoch
    }

    /// The shard that holds `bucket`.
    #[must_use]
    pub fn owner(&self, bucket: Bucket) -> ShardId {
        self.owners[bucket.index()]
    }

    /// The buckets of `shard`.
    #[must_use]
    pub fn buckets(&self, shard: ShardId) -> BucketSet {
        Bucket::all().filter(|bucket| self.owner(*bucket) == shard).collect()
    }

    /// Every shard that holds a bucket.
    #[must_use]
    pub fn shards(&self) -> BTreeSet<ShardId> {
        self.owners.iter().copied().collect()
    }
}

impl fmt::Display for BucketMap {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut buckets = BTreeMap::<_, Vec<_>>::new();
        for bucket in Bucket::all() {
            buckets.entry(self.owner(bucket)).or_default().push(bucket);
        }
        for (number, (shard, buckets)) in buckets.into_iter().enumerate() {
            let separator = if number == 0 { "" } else { " " };
            write!(formatter, "{separator}{shard}:{}", buckets.into_iter().collect::<BucketSet>())?;
        }
        Ok(())
    }
}

/// Why a text is no map.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ParseMapError {
    /// What stands between two spaces is nothing like `1:0-2047`.
    #[error("`{0}` is no shard with its buckets like 1:0-2047")]
    Part(String),
    /// The number before the colon is no shard's.
    #[error(transparent)]
    Shard(#[from] NoSuchShard),
    /// What stands behind the colon is no set of buckets.
    #[error("the buckets of shard {shard} are malformed")]
    Buckets {
        /// Whose buckets.
        shard: ShardId,
        /// What is wrong with them.
        source: ParseBucketsError,
    },
    /// A bucket is named twice.
    #[error("bucket {bucket} belongs to shard {first} and to shard {second}")]
    TwoOwners {
        /// Which bucket.
        bucket: Bucket,
        /// The shard that is named first.
        first: ShardId,
        /// The shard that is named second.
        second: ShardId,
    },
    /// A bucket is not named.
    #[error("bucket {0} belongs to no shard")]
    NoOwner(Bucket),
}

fn parsed_part(part: &str) -> Result<(ShardId, BucketSet), ParseMapError> {
    let malformed = || ParseMapError::Part(part.to_owned());
    let (shard, buckets) = part.split_once(':').ok_or_else(malformed)?;
    let shard: u16 = shard.parse().ok().filter(|_| !shard.starts_with('+')).ok_or_else(malformed)?;
    let shard = ShardId::try_from(shard)?;
    let buckets = buckets.parse().map_err(|source| ParseMapError::Buckets { shard, source })?;
    Ok((shard, buckets))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn shard(number: u16) -> ShardId {
        ShardId::try_from(number).unwrap()
    }

    fn bucket(number: u16) -> Bucket {
        Bucket::try_from(number).unwrap()
    }

    #[test]
    fn even_maps_have_one_range_for_each_shard() {
        for (shards, expected) in [
            (1, "1:0-4095"),
            (2, "1:0-2047 2:2048-4095"),
            (3, "1:0-1365 2:1366-2730 3:2731-4095"),
            (4, "1:0-1023 2:1024-2047 3:2048-3071 4:3072-4095"),
        ] {
            assert_eq!(BucketMap::evenly(1, shards).unwrap().to_string(), expected);
        }
        assert_eq!(BucketMap::evenly(1, 0), Err(NoSuchShard(0)));
        assert_eq!(BucketMap::evenly(1, 4097), Err(NoSuchShard(4097)));
    }

    #[test]
    fn faults_are_named() {
        use ParseMapError::{Buckets, NoOwner, Part, Shard, TwoOwners};
        for (text, expected) in [
            ("", NoOwner(bucket(0))),
            ("1:0-2047", NoOwner(bucket(2048))),
            ("0-4095", Part("0-4095".to_owned())),
            ("+1:0-4095", Part("+1:0-4095".to_owned())),
            ("70000:0-4095", Part("70000:0-4095".to_owned())),
            ("0:0-4095", Shard(NoSuchShard(0))),
            ("1:0-4096", Buckets { shard: shard(1), source: ParseBucketsError::Beyond("0-4096".to_owned()) }),
            ("1:0-4095 2:7", TwoOwners { bucket: bucket(7), first: shard(1), second: shard(2) }),
        ] {
            assert_eq!(BucketMap::parse(1, text), Err(expected), "{text:?}");
        }
        let text = BucketMap::parse(1, "1:0-4095 2:7").unwrap_err().to_string();
        assert_eq!(text, "bucket 7 belongs to shard 1 and to shard 2");
    }

    proptest! {
        // Each case looks at all buckets several times.
        #![proptest_config(ProptestConfig::with_cases(48))]

        #[test]
        fn even_maps_are_even_and_contiguous(shards in 1..=BUCKETS) {
            let map = BucketMap::evenly(3, shards).unwrap();
            prop_assert!(map.owners.is_sorted());
            let sizes: Vec<_> = map.owners.chunk_by(|one, other| one == other).map(<[_]>::len).collect();
            prop_assert_eq!(sizes.len(), usize::from(shards));
            prop_assert!(sizes.iter().max().unwrap() - sizes.iter().min().unwrap() <= 1);
            prop_assert!(map.shards().into_iter().eq(ShardId::first(shards)));
        }

        #[test]
        fn what_is_written_reads_back(
            runs in prop::collection::vec((1_usize..300, 1_u16..9), 1..60),
            epoch in any::<u64>(),
        ) {
            let mut owners = runs.iter().flat_map(|(length, owner)| vec![shard(*owner); *length]).cycle();
            let map = BucketMap::from_owner(epoch, |_| owners.next().unwrap());
            prop_assert_eq!(BucketMap::parse(epoch, &map.to_string()), Ok(map.clone()));
            let held: usize = map.shards().into_iter().map(|shard| map.buckets(shard).len()).sum();
            prop_assert_eq!(held, 4096);
            let first = map.owner(bucket(0));
            prop_assert!(map.buckets(first).iter().all(|bucket| map.owner(bucket) == first));
        }

        #[test]
        fn no_text_panics(text in "([0-9]{1,4}:[0-9,/-]{0,9} ){0,3}|.*") {
            if let Ok(map) = BucketMap::parse(0, &text) {
                prop_assert_eq!(BucketMap::parse(0, &map.to_string()), Ok(map));
            }
        }
    }
}
