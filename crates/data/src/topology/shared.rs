//! What all handles of a topology share: its shards with the map of buckets as one snapshot, and what is counted.

use std::{sync::Arc, time::Instant};

use arc_swap::ArcSwap;
use phalanx_shard::{Bucket, BucketMap};
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
    pub(crate) map: Arc<BucketMap>,
}

impl Shards {
    /// The shard of this number, if the topology has it.
    pub(crate) fn state(&self, id: ShardId) -> Option<&Arc<ShardState>> {
        self.states.iter().find(|state| state.id == id)
    }

    /// The number of the shard that holds a bucket.
    pub(crate) fn owner(&self, bucket: Bucket) -> ShardId {
        ShardId(self.map.owner(bucket).get())
    }
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
    pub(crate) changing: Mutex<()>,
    pub(crate) closed: CancellationToken,
}

impl Shared {
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
