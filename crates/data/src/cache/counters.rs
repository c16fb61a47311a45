//! What the cache has done, for the metric registry.

use std::sync::atomic::{AtomicU64, Ordering};

macro_rules! counters {
    ($($(#[doc = $doc:literal])+ $name:ident,)+) => {
        /// What a cache has counted since it was opened.
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
        #[non_exhaustive]
        pub struct CacheTotals {
            $($(#[doc = $doc])+ pub $name: u64,)+
        }

        #[derive(Debug, Default)]
        pub(super) struct Counters {
            $(pub(super) $name: Counter,)+
        }

        impl Counters {
            pub(super) fn totals(&self) -> CacheTotals {
                CacheTotals { $($name: self.$name.0.load(Ordering::Relaxed),)+ }
            }
        }
    };
}

counters! {
    /// Reads that were answered from the process.
    process_hits,
    /// Loads that were spared because Redis had the value.
    redis_hits,
    /// Reads that neither level could answer.
    misses,
    /// Reads that waited for the load of another one.
    coalesced,
    /// Loads that failed.
    load_errors,
    /// Fills that were refused, for an invalidation that came in between or a reading that was too old.
    refused_fills,
    /// Values that were too big to keep.
    oversized,
    /// Loads begun before the old value had ended.
    refreshes,
    /// Refreshes that were due and found no room.
    refreshes_skipped,
    /// Invalidations of this process.
    invalidations,
    /// Invalidations that other processes told of.
    invalidations_heard,
    /// Times that the process level was emptied, because messages may have been missed.
    clearings,
    /// Commands that Redis failed or did not answer in time.
    redis_errors,
    /// Commands that were not sent, because Redis was known to be out.
    redis_skipped,
    /// Times that Redis went out of use.
    redis_outages,
}

#[derive(Debug, Default)]
pub(super) struct Counter(AtomicU64);

impl Counter {
    pub(super) fn increment(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}
