//! What was counted within a sliding window, in buckets of a tenth of it.

use std::time::Duration;

use super::Totals;

/// Parts of a window.
const PARTS: u32 = 10;
/// A bucket for each part and one that is being filled, so that what is counted never spans less than the window, and at most a
/// tenth more.
const BUCKETS: usize = PARTS as usize + 1;

/// The counts of a window.
#[derive(Clone, Debug)]
pub(super) struct Window {
    buckets: [Totals; BUCKETS],
    /// What one bucket spans, in nanoseconds; never zero.
    span_nanos: u128,
    /// The part of time that the newest bucket stands for.
    part: u128,
}

impl Window {
    pub(super) fn new(length: Duration) -> Self {
        let span_nanos = (length.as_nanos() / u128::from(PARTS)).max(1);
        Self { buckets: [Totals::default(); BUCKETS], span_nanos, part: 0 }
    }

    pub(super) fn add(&mut self, counted: Totals, now: Duration) {
        let part = (now.as_nanos() / self.span_nanos).max(self.part);
        let passed = (part - self.part).min(BUCKETS as u128);
        for forgotten in part + 1 - passed..=part {
            self.buckets[bucket(forgotten)] = Totals::default();
        }
        self.part = part;
        let newest = &mut self.buckets[bucket(part)];
        newest.requests += counted.requests;
        newest.failures += counted.failures;
    }

    pub(super) fn sum(&self) -> Totals {
        self.buckets.iter().fold(Totals::default(), |sum, bucket| Totals {
            requests: sum.requests + bucket.requests,
            failures: sum.failures + bucket.failures,
        })
    }
}

fn bucket(part: u128) -> usize {
    usize::try_from(part % BUCKETS as u128).expect("a remainder of eleven fits")
}
