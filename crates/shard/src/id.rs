//! Ids: positive numbers of 63 bits that say their bucket and grow with time. The layout is frozen, most significant first:
//!
//! | bits | what |
//! |---|---|
//! | 1 | 0, so that the number is positive where numbers have a sign |
//! | 37 | time in units of 8 ms since 2025-01-01T00:00:00Z, until late 2059 |
//! | 4 | number within the unit |
//! | 10 | worker |
//! | 12 | bucket |
//!
//! So `id & 4095` is the bucket, in SQL too. An id is written in decimal digits, and in JSON as a string of them, since JavaScript
//! keeps 53 bits.
//!
//! Elsewhere: who makes ids, and from which lease (`generator`). A database that was adopted with ids of its own has `Id`s all
//! the same; only `crate::map::Placement` says what their bits mean.

mod generator;

use std::{fmt, num::NonZeroU64, str::FromStr};

pub use self::generator::{AHEAD_MAX, GenerateError, Generator};
use crate::bucket::{BUCKETS, Bucket};

/// How many numbers workers can have.
pub const WORKERS: u16 = 1024;
/// 2025-01-01T00:00:00Z in milliseconds of Unix time.
const EPOCH_UNIX_MS: u64 = 1_735_689_600_000;
const TICK_MS: u64 = 8;
const TICK_BITS: u32 = 37;
const SEQUENCE_BITS: u32 = 4;
const WORKER_BITS: u32 = WORKERS.trailing_zeros();
const BUCKET_BITS: u32 = BUCKETS.trailing_zeros();

/// A positive number of 63 bits that names a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Id(NonZeroU64);

impl Id {
    /// The id as a database and a program hold it; always positive.
    #[must_use]
    pub fn get(self) -> i64 {
        i64::try_from(self.0.get()).expect("an id has 63 bits")
    }

    /// The id as a number without a sign.
    #[must_use]
    pub fn unsigned(self) -> u64 {
        self.0.get()
    }

    /// The bucket it carries.
    #[must_use]
    pub fn bucket(self) -> Bucket {
        Bucket::of_low_bits(self.0.get())
    }

    /// The worker that made it.
    #[must_use]
    pub fn worker(self) -> Worker {
        let number = (self.0.get() >> BUCKET_BITS) % u64::from(WORKERS);
        Worker(u16::try_from(number).expect("a remainder of 1024 fits"))
    }

    /// The unit of time it was made for.
    #[must_use]
    pub fn time(self) -> Tick {
        Tick(self.0.get() >> (SEQUENCE_BITS + WORKER_BITS + BUCKET_BITS))
    }

    /// `moment` is time and number within it as one: what a counter holds.
    fn new(moment: u64, worker: Worker, bucket: Bucket) -> Option<Self> {
        let worker_and_bucket = u64::from(worker.0) << BUCKET_BITS | u64::from(bucket.get());
        NonZeroU64::new(moment << (WORKER_BITS + BUCKET_BITS) | worker_and_bucket).map(Self)
    }
}

/// The number is zero or negative.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("an id is positive, and {0} is not")]
pub struct NotPositive(pub i64);

impl TryFrom<i64> for Id {
    type Error = NotPositive;

    fn try_from(number: i64) -> Result<Self, NotPositive> {
        u64::try_from(number).ok().and_then(NonZeroU64::new).map(Self).ok_or(NotPositive(number))
    }
}

impl fmt::Display for Id {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(formatter)
    }
}

/// Why a text is no id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ParseIdError {
    /// It is empty, or has a sign, a space, an exponent, or anything else that is no decimal digit.
    #[error("an id is written in decimal digits")]
    NotDecimal,
    /// It is 0 or begins with 0: every id has one text, so that texts can be compared.
    #[error("an id does not begin with 0")]
    LeadingZero,
    /// It is more than 2^63 - 1.
    #[error("an id is at most 9223372036854775807")]
    TooLarge,
}

impl FromStr for Id {
    type Err = ParseIdError;

    fn from_str(text: &str) -> Result<Self, ParseIdError> {
        if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(ParseIdError::NotDecimal);
        }
        if text.starts_with('0') {
            return Err(ParseIdError::LeadingZero);
        }
        // Nothing but its size is left that can be wrong.
        let number: i64 = text.parse().map_err(|_| ParseIdError::TooLarge)?;
        Self::try_from(number).map_err(|_| ParseIdError::TooLarge)
    }
}

/// The number of one who makes ids, below [`WORKERS`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Worker(u16);

impl Worker {
    /// The worker as a number.
    #[must_use]
    pub fn get(self) -> u16 {
        self.0
    }
}

/// There is no worker of this number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("worker {0} is not below {WORKERS}")]
pub struct NoSuchWorker(pub u16);

impl TryFrom<u16> for Worker {
    type Error = NoSuchWorker;

    fn try_from(number: u16) -> Result<Self, NoSuchWorker> {
        if number < WORKERS { Ok(Self(number)) } else { Err(NoSuchWorker(number)) }
    }
}

/// A unit of the time in ids: so many times 8 ms since 2025-01-01T00:00:00Z.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Tick(u64);

impl Tick {
    /// The unit in which the epoch begins. Ids begin one later, or an id could be 0.
    pub const FIRST: Self = Self(1);
    /// The first for which there are no ids.
    pub const END: Self = Self(1 << TICK_BITS);

    /// The unit that `unix_ms` lies in; none before the epoch and after the last.
    #[must_use]
    pub fn at_unix_ms(unix_ms: u64) -> Option<Self> {
        let tick = Self(unix_ms.checked_sub(EPOCH_UNIX_MS)? / TICK_MS);
        (Self::FIRST..Self::END).contains(&tick).then_some(tick)
    }

    /// When it begins.
    #[must_use]
    pub fn unix_ms(self) -> u64 {
        EPOCH_UNIX_MS + self.0 * TICK_MS
    }

    /// The unit as a number, as the table of leases holds it.
    #[must_use]
    pub fn get(self) -> i64 {
        i64::try_from(self.0).expect("a unit of time has 37 bits")
    }

    fn first_moment(self) -> u64 {
        self.0 << SEQUENCE_BITS
    }

    fn of_moment(moment: u64) -> Self {
        Self(moment >> SEQUENCE_BITS)
    }
}

/// There is no such unit of time in ids.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0} is no time of an id")]
pub struct NoSuchTick(pub i64);

/// From the table of leases; [`Tick::END`] is one, as the horizon of a lease.
impl TryFrom<i64> for Tick {
    type Error = NoSuchTick;

    fn try_from(number: i64) -> Result<Self, NoSuchTick> {
        let tick = u64::try_from(number).map(Self).map_err(|_| NoSuchTick(number))?;
        if (Self::FIRST..=Self::END).contains(&tick) { Ok(tick) } else { Err(NoSuchTick(number)) }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_layout_is_frozen() {
        // 2026-01-01T00:00:00Z, the sixth of its unit, of worker 3 in bucket 5.
        let tick = Tick::at_unix_ms(1_767_225_600_000).unwrap();
        assert_eq!(tick.get(), 31_536_000_000 / 8);
        let id = Id::new(tick.first_moment() | 5, Worker(3), Bucket::try_from(5).unwrap()).unwrap();
        assert_eq!(id.get(), 31_536_000_000 / 8 * 67_108_864 + 5 * 4_194_304 + 3 * 4096 + 5);
        assert_eq!(id.to_string(), "264543141908983813");
        assert_eq!((id.time(), id.worker(), id.bucket().get()), (tick, Worker(3), 5));
        assert_eq!(tick.unix_ms(), 1_767_225_600_000);
    }

    #[test]
    fn the_last_id_is_the_greatest_signed_number() {
        let moment = Tick::END.first_moment() - 1;
        let last = Id::new(moment, Worker(WORKERS - 1), Bucket::try_from(BUCKETS - 1).unwrap()).unwrap();
        assert_eq!(last.get(), i64::MAX);
        // The page of this module says so.
        assert!(last.time().unix_ms() > 2_834_000_000_000, "{}", last.time().unix_ms());
    }

    #[test]
    fn an_id_has_one_text() {
        use ParseIdError::{LeadingZero, NotDecimal, TooLarge};
        assert_eq!("9223372036854775807".parse::<Id>().map(Id::get), Ok(i64::MAX));
        for (text, expected) in [
            ("", NotDecimal),
            ("-1", NotDecimal),
            ("+1", NotDecimal),
            (" 1", NotDecimal),
            ("1\n", NotDecimal),
            ("1e3", NotDecimal),
            ("0x1", NotDecimal),
            ("1_000", NotDecimal),
            ("١", NotDecimal),
            ("{3f2504e0-4f89-11d3-9a0c-0305e82c3301}", NotDecimal),
            ("0", LeadingZero),
            ("007", LeadingZero),
            ("9223372036854775808", TooLarge),
            ("18446744073709551617", TooLarge),
            ("99999999999999999999999999", TooLarge),
        ] {
            assert_eq!(text.parse::<Id>(), Err(expected), "{text:?}");
        }
        for number in [0, -1, i64::MIN] {
            assert_eq!(Id::try_from(number), Err(NotPositive(number)));
        }
    }

    #[test]
    fn times_end_where_the_bits_do() {
        for (unix_ms, expected) in [
            (0, None),
            (EPOCH_UNIX_MS, None),
            (EPOCH_UNIX_MS + 7, None),
            (EPOCH_UNIX_MS + 8, Some(Tick::FIRST)),
            (Tick::END.unix_ms() - 1, Some(Tick(Tick::END.0 - 1))),
            (Tick::END.unix_ms(), None),
            (u64::MAX, None),
        ] {
            assert_eq!(Tick::at_unix_ms(unix_ms), expected, "{unix_ms}");
        }
        for number in [i64::MIN, -1, 0, Tick::END.get() + 1] {
            assert_eq!(Tick::try_from(number), Err(NoSuchTick(number)));
        }
        assert_eq!(Tick::try_from(Tick::END.get()), Ok(Tick::END));
    }

    proptest! {
        #[test]
        fn parts_come_back_and_order_is_by_time(
            earlier in 1_u64..1 << 41,
            later in 1_u64..1 << 41,
            worker in 0..WORKERS,
            bucket in 0..BUCKETS,
        ) {
            let bucket = Bucket::try_from(bucket).unwrap();
            let id = |moment, worker| Id::new(moment, worker, bucket).unwrap();
            let made = id(later, Worker(worker));
            prop_assert_eq!((made.worker(), made.bucket(), made.time()), (Worker(worker), bucket, Tick(later >> 4)));
            prop_assert_eq!(made.to_string().parse(), Ok(made));
            prop_assert_eq!(Id::try_from(made.get()), Ok(made));
            // What SQL computes.
            prop_assert_eq!(made.get() & 4095, i64::from(bucket.get()));
            if earlier < later {
                prop_assert!(id(earlier, Worker(WORKERS - 1)) < made);
            }
        }

        #[test]
        fn no_text_panics(text in "[0-9]{0,25}|.*") {
            if let Ok(id) = text.parse::<Id>() {
                prop_assert_eq!(id.to_string(), text);
            }
        }
    }
}
