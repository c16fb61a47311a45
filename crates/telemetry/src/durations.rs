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

    /// Adds what another reading holds.
    pub(crate) fn merge(&mut self, other: &Self) {
        for (total, bucket) in self.buckets.iter_mut().zip(other.buckets) {
            *total += bucket;
        }
        self.nanos = self.nanos.wrapping_add(other.nanos);
    }

    /// What has come since an earlier reading. A series that has ended meanwhile takes what it had with it: then nothing.
    #[must_use]
    pub fn since(&self, earlier: &Self) -> Self {
        let mut buckets = self.buckets;
        for (bucket, before) in buckets.iter_mut().zip(earlier.buckets) {
            *bucket = bucket.saturating_sub(before);
        }
        Self { buckets, nanos: self.nanos.saturating_sub(earlier.nanos) }
    }

    /// The duration that this share of them, from 0 to 1, does not exceed, as well as the buckets tell: between two bounds by
    /// proportion, as Prometheus does it. `None` without durations.
    #[must_use]
    pub fn quantile(&self, share: f64) -> Option<Duration> {
        let count = self.count();
        if count == 0 {
            return None;
        }
        let (mut below, mut lower) = (0_u64, 0_u64);
        let rank = share.clamp(0.0, 1.0) * as_f64(count);
        for (bound, in_bucket) in BOUNDS_NANOS.into_iter().zip(self.buckets) {
            let reached = below + in_bucket;
            if in_bucket > 0 && as_f64(reached) >= rank {
                let part = (rank - as_f64(below)).max(0.0) / as_f64(in_bucket);
                let nanos = as_f64(lower) + part * as_f64(bound - lower);
                return Some(Duration::from_secs_f64(nanos / 1e9));
            }
            (below, lower) = (reached, bound);
        }
        // Of what lies above the last bound nothing more is known.
        BOUNDS_NANOS.last().map(|last| Duration::from_nanos(*last))
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

/// Exact below 2^53, which no count here reaches.
#[expect(clippy::cast_precision_loss, reason = "a share of a count needs no more than 53 bits of it")]
fn as_f64(count: u64) -> f64 {
    count as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn totals(millis: &[u64]) -> DurationTotals {
        let durations = Durations::default();
        millis.iter().for_each(|millis| durations.observe(Duration::from_millis(*millis)));
        let mut totals = DurationTotals::default();
        totals.add(&durations);
        totals
    }

    #[test]
    fn quantiles_lie_within_the_bucket_that_holds_them() {
        assert_eq!(totals(&[]).quantile(0.5), None);
        let spread = totals(&[1, 1, 1, 1, 1, 1, 1, 1, 1, 80]);
        let millis = |share| spread.quantile(share).unwrap().as_millis();
        assert!(millis(0.5) <= 1, "{}", millis(0.5));
        assert!((50..=100).contains(&millis(0.99)), "{}", millis(0.99));
        assert_eq!(millis(1.0), 100);
        assert_eq!(totals(&[60_000]).quantile(0.5), Some(Duration::from_secs(10)));
    }

    #[test]
    fn what_has_come_since_is_counted_alone() {
        let (before, mut after) = (totals(&[1, 80]), totals(&[1, 80]));
        after.merge(&totals(&[400]));
        let since = after.since(&before);
        assert_eq!((since.count(), since.sum()), (1, Duration::from_millis(400)));
        assert_eq!(before.since(&after).count(), 0);
    }
}
