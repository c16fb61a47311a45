//! When each request is due: evenly spaced, from index 0 at the start.
//!
//! Due times are computed from the index and not added up, so no rounding accumulates.

use std::{
    num::NonZeroU32,
    time::{Duration, Instant},
};

const NANOSECONDS_PER_SECOND: u128 = 1_000_000_000;

/// The requests of one run.
#[derive(Clone, Copy, Debug)]
pub(super) struct Timetable {
    start: Instant,
    requests_per_second: NonZeroU32,
    /// How many there are.
    pub(super) requests: u64,
}

impl Timetable {
    /// From `start` for `length`; at least one request.
    pub(super) fn new(start: Instant, requests_per_second: NonZeroU32, length: Duration) -> Self {
        let requests = length.as_nanos() * u128::from(requests_per_second.get()) / NANOSECONDS_PER_SECOND;
        let requests = u64::try_from(requests).unwrap_or(u64::MAX).max(1);
        Self { start, requests_per_second, requests }
    }

    /// When the request of that index is due.
    pub(super) fn due(&self, index: u64) -> Instant {
        let offset = u128::from(index) * NANOSECONDS_PER_SECOND / u128::from(self.requests_per_second.get());
        self.start + Duration::from_nanos(u64::try_from(offset).unwrap_or(u64::MAX))
    }

    /// How many requests are due at `now`.
    pub(super) fn due_by(&self, now: Instant) -> u64 {
        let Some(elapsed) = now.checked_duration_since(self.start) else { return 0 };
        // The exact inverse of the rounding down in `due`.
        let due = (elapsed.as_nanos() + 1) * u128::from(self.requests_per_second.get());
        u64::try_from(due.div_ceil(NANOSECONDS_PER_SECOND)).unwrap_or(u64::MAX).min(self.requests)
    }
}

#[cfg(test)]
mod tests {
    use std::{num::NonZeroU32, time::Duration};

    use phalanx_telemetry::clock;

    use super::Timetable;

    const NANOSECOND: Duration = Duration::from_nanos(1);

    #[test]
    fn a_request_is_due_from_its_moment_on_and_not_before() {
        let start = clock::now();
        for rate in [1, 3, 7, 1_000, 33_333, 999_983] {
            let rate = NonZeroU32::new(rate).unwrap();
            let timetable = Timetable::new(start, rate, Duration::from_secs(3_600));
            assert_eq!(timetable.requests, 3_600 * u64::from(rate.get()));
            for index in [0, 1, 2, 3, 100, 3_599, timetable.requests - 1] {
                let due = timetable.due(index);
                assert_eq!(timetable.due_by(due), index + 1, "index {index} at {rate}/s");
                assert_eq!(timetable.due_by(due - NANOSECOND), index, "before index {index} at {rate}/s");
            }
        }
    }

    #[test]
    fn due_times_do_not_drift_and_end() {
        let start = clock::now();
        let timetable = Timetable::new(start, NonZeroU32::new(3).unwrap(), Duration::from_secs(2));
        assert_eq!(timetable.due(3), start + Duration::from_secs(1));
        assert_eq!(timetable.due_by(start + Duration::from_secs(1_000)), 6);
        assert_eq!(Timetable::new(start, NonZeroU32::MIN, Duration::ZERO).requests, 1);
    }
}
