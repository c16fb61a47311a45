//! What happened within the last while: a ring of buckets.

use std::time::Duration;

/// Buckets that a window is cut into: it reaches back between nine tenths of its length and all of it.
const BUCKETS: u32 = 10;

/// What was counted for an endpoint. The counts may be taken one after another, while requests end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// Requests sent to it, or those that have ended; the failed ones included.
    pub requests: u64,
    /// Of these, those that got no answer, and those that were answered 500 or above.
    pub failures: u64,
    /// Those that were answered, with whatever status.
    pub answered: u64,
    /// How long these took, together.
    pub response_time: Duration,
}

impl Totals {
    /// What came after `earlier`, unless counting began anew in between.
    pub(super) fn since(&self, earlier: &Self) -> Option<Self> {
        Some(Self {
            requests: self.requests.checked_sub(earlier.requests)?,
            failures: self.failures.checked_sub(earlier.failures)?,
            answered: self.answered.checked_sub(earlier.answered)?,
            response_time: self.response_time.checked_sub(earlier.response_time)?,
        })
    }

    fn plus(&self, other: &Self) -> Self {
        Self {
            requests: self.requests + other.requests,
            failures: self.failures + other.failures,
            answered: self.answered + other.answered,
            response_time: self.response_time.saturating_add(other.response_time),
        }
    }
}

/// The totals of the last while.
#[derive(Clone, Debug)]
pub(super) struct Window {
    bucket_duration: Duration,
    buckets: [Bucket; BUCKETS as usize],
}

#[derive(Clone, Copy, Debug, Default)]
struct Bucket {
    /// Which bucket since time began it is: its place in the ring is taken by another later.
    number: u128,
    totals: Totals,
}

impl Window {
    pub(super) fn new(duration: Duration) -> Self {
        let bucket_duration = (duration / BUCKETS).max(Duration::from_nanos(1));
        Self { bucket_duration, buckets: Default::default() }
    }

    pub(super) fn add(&mut self, news: &Totals, now: Duration) {
        let number = self.number(now);
        let place = number % u128::from(BUCKETS);
        let Some(bucket) = usize::try_from(place).ok().and_then(|place| self.buckets.get_mut(place)) else {
            return;
        };
        if bucket.number != number {
            *bucket = Bucket { number, totals: Totals::default() };
        }
        bucket.totals = bucket.totals.plus(news);
    }

    pub(super) fn sum(&self, now: Duration) -> Totals {
        let number = self.number(now);
        self.buckets
            .iter()
            .filter(|bucket| number < bucket.number + u128::from(BUCKETS))
            .fold(Totals::default(), |sum, bucket| sum.plus(&bucket.totals))
    }

    pub(super) fn clear(&mut self) {
        self.buckets = Default::default();
    }

    fn number(&self, now: Duration) -> u128 {
        now.as_nanos() / self.bucket_duration.as_nanos()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn of_requests(requests: u64) -> Totals {
        Totals { requests, ..Totals::default() }
    }

    #[test]
    fn totals_that_shrink_in_any_way_began_anew() {
        let one = Totals { requests: 1, failures: 1, answered: 1, response_time: SECOND };
        assert_eq!(one.plus(&one).since(&one), Some(one));
        for shrunk in [
            Totals { requests: 0, ..one },
            Totals { failures: 0, ..one },
            Totals { answered: 0, ..one },
            Totals { response_time: Duration::ZERO, ..one },
        ] {
            assert_eq!(shrunk.since(&one), None);
        }
    }

    proptest! {
        #[test]
        fn it_holds_what_came_within_it_give_or_take_a_bucket(
            news in prop::collection::vec((0_u64..3_000, 1_u64..100), 1..50),
        ) {
            let mut window = Window::new(10 * SECOND);
            let mut came = Vec::new();
            let mut now = Duration::ZERO;
            for (pause_ms, requests) in news {
                now += Duration::from_millis(pause_ms);
                window.add(&of_requests(requests), now);
                came.push((now, requests));
                let within = |duration: Duration| {
                    came.iter().filter(|(at, _)| now - *at < duration).map(|(_, requests)| requests).sum()
                };
                let sum = window.sum(now).requests;
                prop_assert!((within(9 * SECOND)..=within(10 * SECOND)).contains(&sum));
            }
        }
    }
}
