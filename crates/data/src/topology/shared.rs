//! What all handles of a topology share: its shards with the map of buckets as one snapshot, and what is counted.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Instant,
};

use arc_swap::ArcSwap;
use phalanx_shard::{
    Bucket,
    map::{MapVersion, Routes},
};
use tokio::sync::{Mutex, mpsc};
use tokio_util::sync::CancellationToken;

use super::{
    counters::ReadCounters, detector::Session, plans::PlanRequests, state::ShardState,
    statistics::Statistics, upkeep::Task,
};
use crate::{AccessError, Position, Settings, ShardId, Statement, settings::Detector};

/// The shards, and which of them holds what.
pub(crate) struct Shards {
    /// In the order of their numbers, never empty.
    pub(crate) states: Vec<Arc<ShardState>>,
    pub(crate) routes: Arc<Routes>,
}

impl Shards {
    /// The shard of this number, if the topology has it.
    pub(crate) fn state(&self, id: ShardId) -> Option<&Arc<ShardState>> {
        self.states.iter().find(|state| state.id == id)
    }

    /// The number of the shard that holds a bucket.
    pub(crate) fn owner(&self, bucket: Bucket) -> ShardId {
        ShardId(self.routes.map().owner(bucket).get())
    }

    /// That of the map.
    pub(crate) fn epoch(&self) -> u64 {
        self.routes.map().epoch()
    }
}

/// What is known to whoever replaces the topology or its map.
#[derive(Default)]
pub(crate) struct Changing {
    /// When all shards were asked for their map last.
    pub(crate) refreshed: Option<Instant>,
    /// The version of a map that cannot be used.
    pub(crate) refused: Option<MapVersion>,
}

/// See the module.
pub(crate) struct Shared {
    pub(crate) settings: Settings,
    pub(crate) shards: ArcSwap<Shards>,
    pub(crate) reads: ReadCounters,
    pub(crate) statistics: Statistics,
    pub(crate) plans: PlanRequests,
    /// For whoever keeps the tasks of the topology.
    pub(crate) tasks: mpsc::Sender<Task>,
    /// Taken while the topology or its map is replaced: readers never wait for it.
    pub(crate) changing: Mutex<Changing>,
    /// How often all shards have been asked for their map.
    pub(crate) refreshes: AtomicU64,
    pub(crate) closed: CancellationToken,
}

impl Shared {
    pub(crate) fn refreshes(&self) -> u64 {
        self.refreshes.load(Ordering::SeqCst)
    }

    pub(crate) fn count_refresh(&self) {
        self.refreshes.fetch_add(1, Ordering::SeqCst);
    }

    /// Counts a statement that began at `begun`, and has it explained when it took long.
    pub(crate) fn ended(
        &self,
        shard: ShardId,
        statement: &Statement,
        begun: Instant,
        outcome: Result<usize, &AccessError>,
    ) {
        let elapsed = phalanx_telemetry::clock::now().saturating_duration_since(begun);
        self.statistics.ended(statement.name(), elapsed, outcome.ok());
        if elapsed >= self.settings.slow_statement_min {
            let statement_name = statement.name();
            let milliseconds = elapsed.as_secs_f64() * 1e3;
            let fault = outcome.err().map(tracing::field::display);
            tracing::warn!(
                statement = statement_name,
                shard = shard.0,
                milliseconds,
                fault,
                "slow statement"
            );
            self.plans.ask(shard, *statement);
        }
    }

    /// Tells the session of the task, if the detector is on, that it has written.
    pub(crate) fn session_wrote(&self, position: Option<Position>) {
        if let (Detector::On { .. }, Some(position), Some(session)) =
            (self.settings.detector, position, Session::of_task())
        {
            session.wrote(position, phalanx_telemetry::clock::now());
        }
    }
}
