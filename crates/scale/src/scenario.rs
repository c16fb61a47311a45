//! Decisions in writing: one case of kind `reconcile` in JSON, as `phalanx autoscale explain` and the tests read it.
//!
//! The form is neutral: values are in thousandths (`…_milli`), times in seconds before the decision (`…_s_ago`). What is absent
//! or `null` has its default. Keys that are not known are passed over here; a reader who wants them refused can tell them by
//! wrapping the deserializer.
//!
//! Elsewhere: the checks of a policy (`crate::policy`).

pub mod entry;
mod reconcile;

use std::time::Duration;

pub use self::reconcile::{Case, ScenarioError};

/// The time of the decision: late enough for everything that a scenario can say about the past.
pub const NOW: Duration = Duration::from_secs(1 << 33);

/// So many seconds before the decision; after it where they are negative. Never before the beginning of time.
#[must_use]
pub fn ago(seconds: f64) -> Duration {
    let distance = Duration::try_from_secs_f64(seconds.abs()).unwrap_or(Duration::MAX);
    if seconds < 0.0 { NOW.saturating_add(distance) } else { NOW.saturating_sub(distance) }
}

#[cfg(test)]
mod tests;
