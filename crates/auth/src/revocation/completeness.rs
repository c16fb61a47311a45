//! Up to which moment everything that was published is in the set.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::{Duration, Instant},
};

use phalanx_telemetry::clock;

/// A moment that every check reads and one task moves.
pub(super) struct Completeness {
    begun: Instant,
    /// Microseconds after `begun`; zero before it ever was.
    known_at: AtomicU64,
}

impl Completeness {
    pub(super) fn new() -> Self {
        Self { begun: clock::now(), known_at: AtomicU64::new(0) }
    }

    pub(super) fn reach(&self, moment: Instant) {
        let passed = moment.saturating_duration_since(self.begun).as_micros();
        let passed = u64::try_from(passed).unwrap_or(u64::MAX).max(1);
        self.known_at.store(passed, Ordering::Relaxed);
    }

    pub(super) fn age(&self, now: Instant) -> Option<Duration> {
        let known_at = self.known_at.load(Ordering::Relaxed);
        let passed = now.saturating_duration_since(self.begun);
        (known_at != 0).then(|| passed.saturating_sub(Duration::from_micros(known_at)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_has_an_age_once_it_was_reached() {
        let completeness = Completeness::new();
        let begun = completeness.begun;
        let at = |seconds| begun + Duration::from_secs(seconds);
        assert_eq!(completeness.age(at(9)), None);
        for (reached, now, age) in [(0, 0, 0), (0, 5, 5), (3, 5, 2), (5, 5, 0), (6, 5, 0)] {
            completeness.reach(at(reached));
            let rounded = completeness.age(at(now)).map(|age| age.as_secs_f64().round());
            assert_eq!(rounded, Some(f64::from(age)), "reached at {reached}, seen at {now}");
        }
    }
}
