//! Buckets: the 4096 parts into which the rows of all shards are divided, whatever the number of shards.
//!
//! A row's bucket never changes; which shard holds the bucket is the map's to say (`crate::map`). An id carries its bucket
//! (`crate::id`). A key that is no id (the name of a tenant, an e-mail) has the bucket that its hash says: the twelve most
//! significant bits of XXH64 with seed 0 over its UTF-8 bytes. The hash is frozen, since rows lie where it put them:
//!
//! | key | XXH64 | bucket |
//! |---|---|---|
//! | (empty) | `ef46db3751d8e999` | 3828 |
//! | `a` | `d24ec4f1a98c6e5b` | 3364 |
//! | `abc` | `44bc2cf5ad770999` | 1099 |
//! | `ada@example.com` | `d9dac4843d038bcd` | 3485 |
//! | `Müller GmbH` | `caa08ed2bbce9475` | 3242 |
//! | `tenant-0123456789-0123456789-0123456789` | `d2bab171240d9a53` | 3371 |
//!
//! Elsewhere: normalising a key is its owner's; two spellings are two keys here.

mod set;

use std::fmt;

use twox_hash::XxHash64;

pub use self::set::{BucketSet, ParseBucketsError, Run};

/// How many buckets there are. Frozen: ids hold a bucket in twelve bits.
pub const BUCKETS: u16 = 4096;

const BUCKET_BITS: u32 = BUCKETS.trailing_zeros();
const SEED: u64 = 0;

/// One of the 4096 buckets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Bucket(u16);

impl Bucket {
    /// The bucket of a key that is no id.
    #[must_use]
    pub fn of_key(key: &str) -> Self {
        Self::of_low_bits(hash(key) >> (u64::BITS - BUCKET_BITS))
    }

    /// The bucket that the twelve least significant bits of `number` say: how an id carries its own.
    #[must_use]
    pub fn of_low_bits(number: u64) -> Self {
        Self(u16::try_from(number % u64::from(BUCKETS)).expect("a remainder of 4096 fits"))
    }

    /// The bucket as a number, below [`BUCKETS`].
    #[must_use]
    pub fn get(self) -> u16 {
        self.0
    }

    /// Every bucket, in order.
    pub fn all() -> impl DoubleEndedIterator<Item = Self> + ExactSizeIterator + Clone {
        (0..BUCKETS).map(Self)
    }

    pub(crate) fn index(self) -> usize {
        usize::from(self.0)
    }
}

/// The frozen hash of keys, whole.
pub(crate) fn hash(key: &str) -> u64 {
    XxHash64::oneshot(SEED, key.as_bytes())
}

/// There is no bucket of this number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("bucket {0} is not below {BUCKETS}")]
pub struct NoSuchBucket(pub u16);

impl TryFrom<u16> for Bucket {
    type Error = NoSuchBucket;

    fn try_from(number: u16) -> Result<Self, NoSuchBucket> {
        if number < BUCKETS { Ok(Self(number)) } else { Err(NoSuchBucket(number)) }
    }
}

impl fmt::Display for Bucket {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(formatter)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Those of the module's documentation. One that changes leaves rows where nobody looks for them.
    #[test]
    fn the_hash_is_frozen() {
        for (key, hashed, bucket) in [
            ("", 0xef46_db37_51d8_e999, 3828),
            ("a", 0xd24e_c4f1_a98c_6e5b, 3364),
            ("abc", 0x44bc_2cf5_ad77_0999, 1099),
            ("ada@example.com", 0xd9da_c484_3d03_8bcd, 3485),
            ("Müller GmbH", 0xcaa0_8ed2_bbce_9475, 3242),
            ("tenant-0123456789-0123456789-0123456789", 0xd2ba_b171_240d_9a53, 3371),
        ] {
            assert_eq!((hash(key), Bucket::of_key(key).get()), (hashed, bucket), "{key:?}");
        }
    }

    #[test]
    fn keys_spread_evenly() {
        let mut counts = vec![0_u32; usize::from(BUCKETS)];
        for key in 0..100 * u32::from(BUCKETS) {
            counts[Bucket::of_key(&format!("user-{key}")).index()] += 1;
        }
        // Six standard deviations of a Poisson distribution of mean 100.
        assert!(counts.iter().all(|count| (40..=160).contains(count)), "{counts:?}");
    }

    #[test]
    fn a_bucket_is_below_4096() {
        assert_eq!(Bucket::try_from(4095).map(Bucket::get), Ok(4095));
        assert_eq!(Bucket::try_from(4096), Err(NoSuchBucket(4096)));
        assert_eq!(Bucket::all().len(), 4096);
    }
}
