//! Numbers for stores, whose integers have a sign: what is beyond the last one is as good as without end.

use std::time::{Duration, UNIX_EPOCH};

use phalanx_telemetry::clock;

/// As a column of integers holds it.
pub(crate) fn integer(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// Whole milliseconds.
pub(crate) fn milliseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// Milliseconds of Unix time; none before 1970, which is a machine that has not been set up.
pub(crate) fn unix_milliseconds() -> u64 {
    clock::wall().duration_since(UNIX_EPOCH).map_or(0, milliseconds)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_too_much_is_the_last_there_is() {
        assert_eq!([0, 1, i64::MAX as u64, u64::MAX].map(integer), [0, 1, i64::MAX, i64::MAX]);
        assert_eq!([Duration::from_micros(1999), Duration::MAX].map(milliseconds), [1, u64::MAX]);
        assert!(unix_milliseconds() > 1_600_000_000_000);
    }
}
