//! The one place where the clock is read.
//!
//! Pure crates take time as an argument; io crates read it here, so a reader finds every reading by one name.

use std::time::{Instant, SystemTime, UNIX_EPOCH};

/// The monotonic clock: for durations, deadlines and timers. It never goes back.
#[must_use]
#[expect(clippy::disallowed_methods, reason = "this is the reading that the lint sends everyone to")]
pub fn now() -> Instant {
    Instant::now()
}

/// Seconds since the Unix epoch: for tokens and stored timestamps only, since this clock can jump.
#[must_use]
#[expect(clippy::disallowed_methods, reason = "this is the reading that the lint sends everyone to")]
pub fn unix_seconds() -> u64 {
    // A clock before 1970 is a machine that has not been set up; zero makes every token on it expired.
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

/// The wall clock, for what a person or a peer reads as a date. It can jump; nothing waits by it.
#[must_use]
#[expect(clippy::disallowed_methods, reason = "this is the reading that the lint sends everyone to")]
pub fn wall() -> SystemTime {
    SystemTime::now()
}
