//! How many replicas boot at once.
//!
//! Those that failed to come up the last time have places of their own: as many of them as there may be would otherwise take
//! turns in all places, and whoever was well until it crashed would stand behind them.
//! Elsewhere: how long a replica needs its place (`crate::life`).

use std::{num::NonZeroUsize, sync::Arc};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::life::Record;

/// The places of a fleet.
pub(crate) struct Places {
    usual: Arc<Semaphore>,
    doubtful: Arc<Semaphore>,
}

impl Places {
    /// So many of either kind.
    pub(crate) fn new(starts_max: NonZeroUsize) -> Self {
        let places = || Arc::new(Semaphore::new(starts_max.get()));
        Self { usual: places(), doubtful: places() }
    }

    /// Waits for a place, in turn. Cancel-safe: whoever does not wait on has none.
    pub(crate) async fn take(&self, record: Record) -> OwnedSemaphorePermit {
        let places = match record {
            Record::Clear => &self.usual,
            Record::FailedBeforeReady => &self.doubtful,
        };
        Arc::clone(places).acquire_owned().await.expect("the semaphores are never closed")
    }
}
