//! How long an endpoint is expected to take: a peak-sensitive, exponentially decaying average.
//!
//! A slower answer counts at once, a faster one by and by; and without any answer the expectation decays, so that an endpoint that was
//! slow once is asked again. (Finagle's peak EWMA is the model.)

use std::time::Duration;

/// After this long an answer counts for 1/e of what it did.
const DECAY: Duration = Duration::from_secs(10);

/// The expected response time of one endpoint. Time is the time since the owner began.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct ResponseTime {
    nanos: f64,
    observed_at: Duration,
}

impl ResponseTime {
    /// Takes in an answer that took `elapsed` and came at `now`.
    pub fn observe(&mut self, elapsed: Duration, now: Duration) {
        let observed = elapsed.as_nanos() as f64;
        let remains = self.remains(now);
        self.nanos = if observed > self.nanos * remains {
            observed
        } else {
            self.nanos * remains + observed * (1.0 - remains)
        };
        self.observed_at = self.observed_at.max(now);
    }

    /// The expectation at `now`, in nanoseconds; zero before the first answer.
    #[must_use]
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "the cast saturates, and it is never negative"
    )]
    pub fn nanos(&self, now: Duration) -> u64 {
        if self.nanos == 0.0 { 0 } else { ((self.nanos * self.remains(now)) as u64).max(1) }
    }

    fn remains(&self, now: Duration) -> f64 {
        (-(now.saturating_sub(self.observed_at).as_secs_f64() / DECAY.as_secs_f64())).exp()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_expectation_decays_without_answers() {
        let mut time = ResponseTime::default();
        time.observe(Duration::from_millis(100), Duration::ZERO);
        assert_eq!(time.nanos(Duration::ZERO), 100_000_000);
        assert!(time.nanos(Duration::from_secs(10)) < 40_000_000);
        assert_eq!(time.nanos(Duration::from_secs(3_600)), 1);
    }

    #[test]
    fn a_slower_answer_counts_at_once() {
        let mut time = ResponseTime::default();
        time.observe(Duration::from_millis(1), Duration::ZERO);
        time.observe(Duration::from_millis(50), Duration::from_millis(1));
        assert_eq!(time.nanos(Duration::from_millis(1)), 50_000_000);
    }
}
