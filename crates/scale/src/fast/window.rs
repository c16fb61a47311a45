//! Values of the last while, by the second.
//!
//! Invariant: no more seconds are kept than the longest window has. A second without a value is not a zero: it is left out.

use std::{collections::VecDeque, time::Duration};

use crate::number;

/// Values of one signal.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Window {
    /// From the oldest to the newest; no second twice.
    buckets: VecDeque<Bucket>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Bucket {
    second: u64,
    sum_milli: i128,
    values: u32,
}

impl Window {
    /// Adds a value, and drops what is older than `longest`. Time that goes back counts as standing still.
    pub(super) fn record(&mut self, milli: i64, now: Duration, longest: Duration) {
        let second = self.buckets.back().map_or(0, |newest| newest.second).max(now.as_secs());
        match self.buckets.back_mut().filter(|newest| newest.second == second) {
            Some(newest) => {
                newest.sum_milli += i128::from(milli);
                newest.values = newest.values.saturating_add(1);
            }
            None => self.buckets.push_back(Bucket { second, sum_milli: milli.into(), values: 1 }),
        }
        while self.buckets.front().is_some_and(|oldest| !is_within(oldest.second, longest, second)) {
            self.buckets.pop_front();
        }
    }

    /// The mean of the seconds of the last `window` that have a value, if one has.
    pub(super) fn mean(&self, window: Duration, now: Duration) -> Option<i64> {
        let within =
            self.buckets.iter().rev().take_while(|bucket| is_within(bucket.second, window, now.as_secs()));
        let (sum, count) = within.fold((0_i128, 0_i128), |(sum, count), bucket| {
            (sum + bucket.sum_milli / i128::from(bucket.values.max(1)), count + 1)
        });
        sum.checked_div(count).map(number::narrow)
    }
}

/// The current second counts, so a window of one second is the current one.
fn is_within(second: u64, window: Duration, now: u64) -> bool {
    second.saturating_add(window.as_secs().max(1)) > now
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn at(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn a_second_counts_once_and_an_empty_one_not_at_all() {
        let mut window = Window::default();
        assert_eq!(window.mean(at(60), at(0)), None);
        for (second, milli) in [(0, 100), (1, 200), (1, 400), (9, 700)] {
            window.record(milli, at(second), at(60));
        }
        assert_eq!(window.mean(at(60), at(9)), Some((100 + 300 + 700) / 3));
        assert_eq!(window.mean(at(9), at(9)), Some((300 + 700) / 2));
        assert_eq!(window.mean(at(1), at(9)), Some(700));
        assert_eq!(window.mean(at(1), at(10)), None);
    }

    #[test]
    fn no_more_is_kept_than_the_longest_window() {
        let mut window = Window::default();
        for second in 0..1_000 {
            window.record(1, at(second), at(60));
        }
        assert_eq!(window.buckets.len(), 60);
    }

    #[test]
    fn time_that_goes_back_stands_still() {
        let mut window = Window::default();
        window.record(100, at(5), at(60));
        window.record(300, at(4), at(60));
        assert_eq!(window.mean(at(60), at(5)), Some(200));
    }
}
