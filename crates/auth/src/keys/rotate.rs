//! The rotation of keys, as a decision: nothing is read or written here.
//!
//! A key is published as `next` at one rotation and signs from the following one, so verifiers that fetch keys now and then have
//! it before they see a token of it. A retired key verifies until the last of its tokens has expired.

use std::time::Duration;

use super::{KeyRing, KeyRingError, KeyState, RingKey};

/// For how long a retired key verifies unless somebody says otherwise: as long as the longest access token lives.
pub const ROTATED_KEEP_DEFAULT: Duration = Duration::from_secs(7 * 24 * 60 * 60);

/// What a rotation did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rotation {
    /// There was no next key: the fresh one is published, and signs from the following rotation.
    Announced,
    /// The next key signs; the fresh one is next.
    Promoted,
}

impl KeyRing {
    /// The ring after a rotation at `now`, in Unix seconds: next signs, current is retired and may be dropped after `keep`,
    /// `fresh` is next. Retired keys whose time is over are dropped; one without a time gets one.
    ///
    /// # Errors
    /// [`KeyRingError`] if `fresh` does not fit: it is symmetric and the ring is not, or has the name of another key.
    pub fn rotated(
        &self,
        fresh: RingKey,
        now: u64,
        keep: Duration,
    ) -> Result<(Self, Rotation), KeyRingError> {
        let promotes = self.keys.iter().any(|key| key.state == KeyState::Next);
        let drop_after = now.saturating_add(keep.as_secs());
        let moved = |key: &RingKey| {
            let state = match key.state {
                KeyState::Current if promotes => KeyState::Retired { until: Some(drop_after) },
                KeyState::Next | KeyState::Current => KeyState::Current,
                KeyState::Retired { until: None } => KeyState::Retired { until: Some(drop_after) },
                KeyState::Retired { until: Some(until) } if until <= now => return None,
                KeyState::Retired { until } => KeyState::Retired { until },
            };
            Some(RingKey { state, ..key.clone() })
        };
        let mut keys: Vec<_> = self.keys.iter().filter_map(moved).collect();
        keys.push(RingKey { state: KeyState::Next, ..fresh });
        let rotation = if promotes { Rotation::Promoted } else { Rotation::Announced };
        Ok((Self::of(keys)?, rotation))
    }
}
