//! What bucket a row has: as its id says, or as `user_id % N` said before Phalanx came.
//!
//! A database that lies on N servers by `user_id % N` is adopted without moving a row. With M the greatest multiple of N up to
//! 4096, the bucket of an id is `id % M`, and bucket b lies on the shard b % N: since N divides M, that is `id % N`. The buckets
//! from M on stay empty. From then on buckets move like any others, and ids need not know it.
//!
//! New ids of such a database are its own (a sequence, or whatever made them before), so a row's shard follows from its id and
//! cannot be wished for: who inserts takes the id first, on any shard, and writes where `id % M` belongs. Ids that
//! `crate::id::Generator` makes are placed by their remainder too, not by the bucket that they carry.

use super::{BucketMap, ShardId};
use crate::{
    bucket::{self, BUCKETS, Bucket},
    id::Id,
};

/// The N of a database that was divided by `user_id % N`: 1 to 4096.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Modulus(u16);

impl Modulus {
    /// How many shards there were.
    #[must_use]
    pub fn shards(self) -> u16 {
        self.0
    }

    /// The greatest multiple of it up to 4096.
    fn buckets(self) -> u16 {
        BUCKETS - BUCKETS % self.0
    }
}

/// No database is divided by this remainder.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a modulus of {0} is not from 1 to {BUCKETS}")]
pub struct NoSuchModulus(pub u16);

impl TryFrom<u16> for Modulus {
    type Error = NoSuchModulus;

    fn try_from(shards: u16) -> Result<Self, NoSuchModulus> {
        if (1..=BUCKETS).contains(&shards) { Ok(Self(shards)) } else { Err(NoSuchModulus(shards)) }
    }
}

/// How a row's bucket follows from its key. It never changes once rows are there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Placement {
    /// Ids carry their bucket, other keys are hashed.
    Hashed,
    /// The remainder of the id, as in a database that was adopted.
    Modulo(Modulus),
}

impl Placement {
    /// The bucket of the row that `id` names.
    #[must_use]
    pub fn bucket_of_id(self, id: Id) -> Bucket {
        match self {
            Self::Hashed => id.bucket(),
            Self::Modulo(modulus) => Bucket::of_low_bits(id.unsigned() % u64::from(modulus.buckets())),
        }
    }

    /// The bucket of a row whose key is no id. In an adopted database that is the remainder of its whole hash, so that
    /// nothing falls into buckets that stay empty.
    #[must_use]
    pub fn bucket_of_key(self, key: &str) -> Bucket {
        match self {
            Self::Hashed => Bucket::of_key(key),
            Self::Modulo(modulus) => Bucket::of_low_bits(bucket::hash(key) % u64::from(modulus.buckets())),
        }
    }

    /// How many buckets can hold rows: those below this number.
    #[must_use]
    pub fn buckets(self) -> u16 {
        match self {
            Self::Hashed => BUCKETS,
            Self::Modulo(modulus) => modulus.buckets(),
        }
    }

    /// The map that an adopted database begins with, at epoch 1: every row is where it was. Remainder 0 is shard 1.
    /// None where ids carry their bucket, since the number of shards is free there.
    #[must_use]
    pub fn adopted_map(self) -> Option<BucketMap> {
        match self {
            Self::Hashed => None,
            Self::Modulo(Modulus(shards)) => {
                Some(BucketMap::from_owner(1, |bucket| ShardId::of_remainder(bucket.get() % shards)))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn modulo(shards: u16) -> Placement {
        Placement::Modulo(Modulus::try_from(shards).unwrap())
    }

    #[test]
    fn adopted_maps_have_short_texts() {
        for (shards, expected) in
            [(1, "1:0-4095"), (2, "1:0-4094/2 2:1-4095/2"), (3, "1:0-4095/3 2:1-4093/3 3:2-4094/3")]
        {
            assert_eq!(modulo(shards).adopted_map().unwrap().to_string(), expected);
        }
        assert_eq!(Placement::Hashed.adopted_map(), None);
    }

    #[test]
    fn a_modulus_has_its_bounds() {
        for shards in [0, 4097, u16::MAX] {
            assert_eq!(Modulus::try_from(shards), Err(NoSuchModulus(shards)));
        }
        let buckets = [1, 2, 3, 5, 2048, 2049, 4096].map(|shards| modulo(shards).buckets());
        assert_eq!(buckets, [4096, 4096, 4095, 4095, 4096, 2049, 4096]);
    }

    proptest! {
        #[test]
        fn an_adopted_row_is_where_it_was(shards in 1..=BUCKETS, id in 1..=i64::MAX, small in 1_i64..20_000) {
            let placement = modulo(shards);
            let map = placement.adopted_map().unwrap();
            for id in [id, small] {
                let bucket = placement.bucket_of_id(Id::try_from(id).unwrap());
                prop_assert!(bucket.get() < placement.buckets());
                prop_assert_eq!(i64::from(map.owner(bucket).get()) - 1, id % i64::from(shards));
            }
            prop_assert_eq!(map.shards().len(), usize::from(shards));
        }

        #[test]
        fn keys_stay_out_of_empty_buckets(shards in 1..=BUCKETS, key in ".*", id in 1..=i64::MAX) {
            prop_assert!(modulo(shards).bucket_of_key(&key).get() < modulo(shards).buckets());
            prop_assert_eq!(Placement::Hashed.bucket_of_key(&key), Bucket::of_key(&key));
            prop_assert_eq!(i64::from(Placement::Hashed.bucket_of_id(Id::try_from(id).unwrap()).get()), id % 4096);
        }
    }
}
