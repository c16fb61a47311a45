//! How long a replica that failed waits before its next start.

use std::time::Duration;

/// The pause doubles from `first` to `longest`, and begins again once a run has been ready for `forgiven_after`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BackOff {
    /// The pause after the first failed run.
    pub first: Duration,
    /// The longest pause.
    pub longest: Duration,
    /// How long a run must have been ready for the failures before it to be forgotten.
    pub forgiven_after: Duration,
}

impl BackOff {
    /// 1 s doubling to 60 s, forgiven after 60 s of readiness.
    pub const STANDARD: Self = Self {
        first: Duration::from_secs(1),
        longest: Duration::from_secs(60),
        forgiven_after: Duration::from_secs(60),
    };

    /// The pause after `failures` failed runs in a row, at least one; up to a fifth shorter, by ordinal, so that replicas
    /// that fall together do not come back together. Not by chance: what a test or a person saw once happens again.
    pub(crate) fn pause(self, failures: u32, ordinal: u32) -> Duration {
        let doublings = failures.saturating_sub(1).min(u32::BITS - 1);
        let pause = self.first.saturating_mul(1 << doublings).min(self.longest);
        // Steps of the golden ratio fall far from each other, however many replicas there are.
        let share = (f64::from(ordinal) * 0.618_033_988_75).fract();
        pause.mul_f64(1.0 - share / 5.0)
    }
}
