//! Finds reads that would not have seen what their own session wrote: for development, where replicas lag by nothing.

use std::{
    future::Future,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use crate::{Position, ShardId};

tokio::task_local! {
    static SESSION: Session;
}

/// Whoever expects to see their own writes: one user's request, or several of them. Clones are the same session.
///
/// Reads and writes that run within [`Self::scope`] belong to it. Where the detector is on
/// ([`Detector`](crate::Detector)), a read with eventual consistency that would not show what the session wrote a moment ago
/// is logged with its statement's name and counted.
#[derive(Clone, Debug, Default)]
pub struct Session {
    /// The last write to each shard; a handful.
    writes: Arc<Mutex<Vec<Wrote>>>,
}

#[derive(Clone, Copy, Debug)]
struct Wrote {
    position: Position,
    at: Instant,
}

impl Session {
    /// A session that has written nothing.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Runs `future` as part of the session.
    pub async fn scope<F: Future>(&self, future: F) -> F::Output {
        SESSION.scope(self.clone(), future).await
    }

    /// The session that runs this task, if there is one.
    pub(crate) fn of_task() -> Option<Self> {
        SESSION.try_with(Clone::clone).ok()
    }

    pub(crate) fn wrote(&self, position: Position, at: Instant) {
        let mut writes = self.writes.lock().unwrap_or_else(PoisonError::into_inner);
        writes.retain(|write| write.position.shard != position.shard);
        writes.push(Wrote { position, at });
    }

    /// Its last write to `shard`, if that was within `window` before `now`.
    pub(crate) fn recent(&self, shard: ShardId, window: Duration, now: Instant) -> Option<Position> {
        let writes = self.writes.lock().unwrap_or_else(PoisonError::into_inner);
        let write = writes.iter().find(|write| write.position.shard == shard)?;
        (now.saturating_duration_since(write.at) <= window).then_some(write.position)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_write_to_a_shard_is_recent_for_the_window() {
        let (session, begun) = (Session::new(), phalanx_telemetry::clock::now());
        let position = |shard, lsn| Position { shard: ShardId(shard), timeline: 1, lsn };
        session.wrote(position(1, 10), begun);
        session.wrote(position(2, 90), begun);
        session.wrote(position(1, 20), begun);
        let recent = |shard, millis| {
            session.recent(ShardId(shard), Duration::from_millis(50), begun + Duration::from_millis(millis))
        };
        assert_eq!(recent(1, 50), Some(position(1, 20)));
        assert_eq!(recent(1, 51), None);
        assert_eq!(recent(3, 0), None);
    }
}
