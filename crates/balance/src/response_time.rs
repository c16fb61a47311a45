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
