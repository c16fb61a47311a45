//! What the topology counts for the registry: `phalanx_reads_total{target,reason}`, to be read at each scrape.

use std::sync::atomic::{AtomicU64, Ordering};

use phalanx_shard::read::{Reason, Target};

const REASONS: usize = Reason::ALL.len();
const TARGETS: usize = Target::ALL.len();

/// The reads of all shards.
#[derive(Debug, Default)]
pub(crate) struct ReadCounters {
    reads: [[AtomicU64; REASONS]; TARGETS],
    would_be_stale: AtomicU64,
}

impl ReadCounters {
    pub(crate) fn read(&self, target: Target, reason: Reason) {
        self.reads[target as usize][reason as usize].fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn would_be_stale(&self) {
        self.would_be_stale.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn totals(&self) -> ReadTotals {
        let load = |count: &AtomicU64| count.load(Ordering::Relaxed);
        ReadTotals {
            reads: self.reads.each_ref().map(|reasons| reasons.each_ref().map(load)),
            would_be_stale: load(&self.would_be_stale),
        }
    }
}

/// The reads so far, as of one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReadTotals {
    reads: [[u64; REASONS]; TARGETS],
    /// Reads that the detector found to be stale for their session.
    pub would_be_stale: u64,
}

impl ReadTotals {
    /// How many reads `target` answered for `reason`.
    #[must_use]
    pub fn count(&self, target: Target, reason: Reason) -> u64 {
        self.reads[target as usize][reason as usize]
    }

    /// All that `target` answered.
    #[must_use]
    pub fn of(&self, target: Target) -> u64 {
        self.reads[target as usize].iter().sum()
    }

    /// Each pair that has been counted.
    pub fn each(&self) -> impl Iterator<Item = (Target, Reason, u64)> + '_ {
        let pairs = Target::ALL
            .into_iter()
            .flat_map(|target| Reason::ALL.into_iter().map(move |reason| (target, reason)));
        pairs
            .map(|(target, reason)| (target, reason, self.count(target, reason)))
            .filter(|(.., count)| *count > 0)
    }
}
