//! A histogram of durations that many threads may add to and one scrape reads.
//!
//! Invariant: the count of a reading is the sum of its buckets, so `_count`, the `+Inf` bucket and every counter derived
//! from it agree within one scrape, whatever is added meanwhile.

use std::{
    fmt,
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use prometheus_client::encoding::{MetricEncoder, NoLabelSet};

/// Upper bounds of the buckets; one more bucket holds everything above.
const BOUNDS_NANOS: [u64; 14] = [
    500_000,
    1_000_000,
    2_500_000,
    5_000_000,
    10_000_000,
    25_000_000,
    50_000_000,
    100_000_000,
    250_000_000,
    500_000_000,
    1_000_000_000,
    2_500_000_000,
    5_000_000_000,
    10_000_000_000,
];
const BUCKETS: usize = BOUNDS_NANOS.len() + 1;

/// How many durations fell into each bucket, and their sum.
#[derive(Default)]
pub(crate) struct Durations {
    buckets: [AtomicU64; BUCKETS],
    nanos: AtomicU64,
}

impl Durations {
    /// Adds one duration.
    pub(crate) fn observe(&self, elapsed: Duration) {
        // The sum of u64 nanoseconds lasts for 584 years of waiting.
        let nanos = u64::try_from(elapsed.as_nanos()).unwrap_or(u64::MAX);
        let bucket = BOUNDS_NANOS.iter().position(|bound| nanos <= *bound).unwrap_or(BOUNDS_NANOS.len());
        self.buckets[bucket].fetch_add(1, Ordering::Relaxed);
        self.nanos.fetch_add(nanos, Ordering::Relaxed);
    }
}

/// What the histograms of all writers held when they were read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DurationTotals {
    buckets: [u64; BUCKETS],
    nanos: u64,
}

impl DurationTotals {
    /// Adds what one writer has counted.
    pub(crate) fn add(&mut self, durations: &Durations) {
        for (total, bucket) in self.buckets.iter_mut().zip(&durations.buckets) {
            *total += bucket.load(Ordering::Relaxed);
        }
        self.nanos = self.nanos.wrapping_add(durations.nanos.load(Ordering::Relaxed));
    }

    /// How many durations were counted.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.buckets.iter().sum()
    }

    /// Their sum.
    #[must_use]
    pub fn sum(&self) -> Duration {
        Duration::from_nanos(self.nanos)
    }

    /// Writes the samples of a histogram; the encoder accumulates the buckets.
    pub(crate) fn encode(&self, mut encoder: MetricEncoder<'_>) -> fmt::Result {
        let bounds = BOUNDS_NANOS.iter().map(|nanos| Duration::from_nanos(*nanos).as_secs_f64());
        let buckets: Vec<(f64, u64)> = bounds.chain([f64::INFINITY]).zip(self.buckets).collect();
        encoder.encode_histogram::<NoLabelSet>(self.sum().as_secs_f64(), self.count(), &buckets, None)
    }
}
