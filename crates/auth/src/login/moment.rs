//! Times of the wall clock, as they are stored.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use phalanx_data::Value;

/// A time of the wall clock in milliseconds of Unix time: what several machines store and compare.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct UnixMs(u64);

impl UnixMs {
    /// So many milliseconds after 1970 began.
    #[must_use]
    pub const fn new(milliseconds: u64) -> Self {
        Self(milliseconds)
    }

    /// The time in milliseconds.
    #[must_use]
    pub const fn get(self) -> u64 {
        self.0
    }

    /// The time in whole seconds, as tokens have it.
    #[must_use]
    pub const fn seconds(self) -> u64 {
        self.0 / 1000
    }

    /// So much later, or the last time there is.
    pub(super) fn after(self, duration: Duration) -> Self {
        Self(self.0.saturating_add(milliseconds(duration)))
    }

    /// So much earlier, or the beginning of 1970.
    pub(super) fn before(self, duration: Duration) -> Self {
        Self(self.0.saturating_sub(milliseconds(duration)))
    }

    /// How long ago `earlier` was. Nothing for a time that is yet to come: another machine's clock is a little ahead.
    pub(super) fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(self.0.saturating_sub(earlier.0))
    }

    /// As a column holds it.
    pub(super) fn value(self) -> Value {
        i64::try_from(self.0).unwrap_or(i64::MAX).into()
    }
}

impl From<SystemTime> for UnixMs {
    fn from(time: SystemTime) -> Self {
        // A clock before 1970 is a machine that has not been set up.
        Self(time.duration_since(UNIX_EPOCH).map_or(0, milliseconds))
    }
}

fn milliseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arithmetic_stays_within_what_can_be_stored() {
        let (second, last) = (Duration::from_secs(1), UnixMs::new(u64::MAX));
        assert_eq!(UnixMs::new(1500).after(second), UnixMs::new(2500));
        assert_eq!(last.after(Duration::MAX), last);
        assert_eq!(UnixMs::new(500).before(second), UnixMs::new(0));
        assert_eq!(UnixMs::new(1500).since(UnixMs::new(500)), second);
        assert_eq!(UnixMs::new(500).since(UnixMs::new(1500)), Duration::ZERO);
        assert_eq!(last.value(), Value::Int(i64::MAX));
        assert_eq!(UnixMs::from(UNIX_EPOCH + second), UnixMs::new(1000));
        assert_eq!(UnixMs::from(UNIX_EPOCH - second), UnixMs::new(0));
        assert_eq!(UnixMs::new(1999).seconds(), 1);
    }
}
