//! Waiting for a bucket that the database lets nobody write: it is paused, or somewhere between two shards, or this process has an
//! old map.
//!
//! Invariant: a statement is sent again only after the fence has refused it, so it was not run.
//! How it fails: with the last refusal, when a primary would be given up as well; a move pauses its buckets for much less.

use std::time::{Duration, Instant};

use phalanx_shard::map::MapVersion;
use phalanx_telemetry::clock;

use super::{map, shared::Shared};
use crate::AccessError;

/// Between two attempts while nothing is known to have changed; doubled each time, and jittered.
const PAUSE_FIRST: Duration = Duration::from_millis(10);
const PAUSE_MAX: Duration = Duration::from_millis(100);

/// The attempts of one call at a bucket.
pub(crate) struct Waiting<'a> {
    shared: &'a Shared,
    deadline: Instant,
    pause: Duration,
}

impl<'a> Waiting<'a> {
    /// For a call that began then.
    pub(crate) fn new(shared: &'a Shared, begun: Instant) -> Self {
        Self { shared, deadline: begun + shared.settings.primary_wait_max, pause: PAUSE_FIRST }
    }

    /// Returns when what the fence refused may be sent again, by the map of that moment; the refusal when it has been waited for
    /// long enough. `tried` is the version of the map that it went by.
    pub(crate) async fn refused(&mut self, error: AccessError, tried: MapVersion) -> Result<(), AccessError> {
        let left = self.deadline.saturating_duration_since(clock::now());
        if left.is_zero() {
            return Err(error);
        }
        // A shard that hangs does not hold the refresh for longer than the call has.
        let refreshing = tokio::time::timeout(left, map::refresh(self.shared)).await;
        if refreshing.is_err() {
            return Err(error);
        }
        if self.shared.shards.load().routes.version() > tried {
            return Ok(());
        }
        let left = self.deadline.saturating_duration_since(clock::now());
        let pause = self.pause.mul_f64(0.5 + fastrand::f64());
        tokio::time::sleep(pause.min(left)).await;
        self.pause = (self.pause * 2).min(PAUSE_MAX);
        Ok(())
    }
}
