//! What statements cost, by name.
//!
//! Invariant: a statement that ends adds to counters that its name resolved to, without a lock; only a name that is met for the
//! first time takes one. Names past the bound are counted together, so a program that makes names up cannot grow this.

use std::{
    collections::HashMap,
    num::NonZeroUsize,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use arc_swap::ArcSwap;

/// What names past the bound are counted as.
const OTHERS: &str = "other";

/// Buckets for every doubling of a time, from four microseconds on: a percentile is at most a quarter too high.
const PER_DOUBLING: u64 = 4;
/// The last of them begins at an hour.
const BUCKETS: usize = 128;

/// The statistics of all statements.
#[derive(Debug)]
pub(crate) struct Statistics {
    by_name: ArcSwap<HashMap<&'static str, Arc<Counters>>>,
    others: Arc<Counters>,
    names_max: NonZeroUsize,
    /// Taken by whoever adds a name.
    adding: Mutex<()>,
}

#[derive(Debug)]
pub(crate) struct Counters {
    calls: AtomicU64,
    errors: AtomicU64,
    rows: AtomicU64,
    nanos: AtomicU64,
    times: [AtomicU64; BUCKETS],
}

/// What one statement has cost so far.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StatementTotals {
    /// Its name; `other` for those past the bound.
    pub name: &'static str,
    /// How often it was run.
    pub calls: u64,
    /// Of these, how often it failed.
    pub errors: u64,
    /// The rows it answered.
    pub rows: u64,
    /// All the time it took.
    pub time: Duration,
    times: Vec<u64>,
}

impl Statistics {
    pub(crate) fn new(names_max: NonZeroUsize) -> Self {
        Self {
            by_name: ArcSwap::default(),
            others: Arc::new(Counters::new()),
            names_max,
            adding: Mutex::new(()),
        }
    }

    /// Counts a statement that took `elapsed` and answered `rows`, or failed.
    pub(crate) fn ended(&self, name: &'static str, elapsed: Duration, rows: Option<usize>) {
        match self.by_name.load().get(name) {
            Some(counters) => counters.ended(elapsed, rows),
            None => self.add(name).ended(elapsed, rows),
        }
    }

    fn add(&self, name: &'static str) -> Arc<Counters> {
        let _adding = self.adding.lock().unwrap_or_else(PoisonError::into_inner);
        let known = self.by_name.load_full();
        if let Some(counters) = known.get(name) {
            return Arc::clone(counters);
        }
        if known.len() >= self.names_max.get() {
            return Arc::clone(&self.others);
        }
        let counters = Arc::new(Counters::new());
        let mut names = (*known).clone();
        names.insert(name, Arc::clone(&counters));
        self.by_name.store(Arc::new(names));
        counters
    }

    /// Every statement that was run, by name.
    pub(crate) fn totals(&self) -> Vec<StatementTotals> {
        let known = self.by_name.load();
        let mut totals: Vec<StatementTotals> =
            known.iter().map(|(name, counters)| counters.totals(name)).collect();
        totals.sort_unstable_by_key(|total| total.name);
        let others = self.others.totals(OTHERS);
        if others.calls > 0 {
            totals.push(others);
        }
        totals
    }
}

impl Counters {
    fn new() -> Self {
        let zero = || AtomicU64::new(0);
        Self {
            calls: zero(),
            errors: zero(),
            rows: zero(),
            nanos: zero(),
            times: [const { AtomicU64::new(0) }; BUCKETS],
        }
    }

    fn ended(&self, elapsed: Duration, rows: Option<usize>) {
        self.calls.fetch_add(1, Ordering::Relaxed);
        match rows {
            Some(rows) => self.rows.fetch_add(rows as u64, Ordering::Relaxed),
            None => self.errors.fetch_add(1, Ordering::Relaxed),
        };
        // The sum of u64 nanoseconds lasts for 584 years of statements.
        self.nanos.fetch_add(u64::try_from(elapsed.as_nanos()).unwrap_or(u64::MAX), Ordering::Relaxed);
        self.times[bucket_of(elapsed)].fetch_add(1, Ordering::Relaxed);
    }

    fn totals(&self, name: &'static str) -> StatementTotals {
        let load = |count: &AtomicU64| count.load(Ordering::Relaxed);
        StatementTotals {
            name,
            calls: load(&self.calls),
            errors: load(&self.errors),
            rows: load(&self.rows),
            time: Duration::from_nanos(load(&self.nanos)),
            times: self.times.iter().map(load).collect(),
        }
    }
}

impl StatementTotals {
    /// The time that `share` of the calls (0 to 1) did not exceed; an upper bound. `None` before the first call.
    #[must_use]
    pub fn percentile(&self, share: f64) -> Option<Duration> {
        let calls: u64 = self.times.iter().sum();
        let wanted = share.clamp(0.0, 1.0) * calls as f64;
        let mut seen = 0;
        let reached = self.times.iter().position(|count| {
            seen += count;
            seen > 0 && seen as f64 >= wanted
        });
        reached.map(upper_bound)
    }
}

/// Whole microseconds up to three, then the place of the highest bit and the two after it.
fn bucket_of(elapsed: Duration) -> usize {
    let micros = u64::try_from(elapsed.as_micros()).unwrap_or(u64::MAX);
    let doubling = micros.checked_ilog2().unwrap_or(0);
    let bucket = match doubling {
        0 | 1 => micros,
        _ => u64::from(doubling - 1) * PER_DOUBLING + (micros >> (doubling - 2)) % PER_DOUBLING,
    };
    usize::try_from(bucket).map_or(BUCKETS - 1, |bucket| bucket.min(BUCKETS - 1))
}

/// What everything in the bucket is shorter than.
fn upper_bound(bucket: usize) -> Duration {
    let bucket = bucket as u64;
    Duration::from_micros(match bucket / PER_DOUBLING {
        0 => bucket + 1,
        doublings => (PER_DOUBLING + bucket % PER_DOUBLING + 1) << (doublings - 1),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn statistics(names_max: usize) -> Statistics {
        Statistics::new(NonZeroUsize::new(names_max).unwrap())
    }

    #[test]
    fn calls_errors_rows_and_times_are_counted_by_name() {
        let statistics = statistics(8);
        for milliseconds in 1..=100 {
            statistics.ended("by_id", Duration::from_millis(milliseconds), Some(2));
        }
        statistics.ended("by_id", Duration::from_millis(1), None);
        let totals = statistics.totals();
        let [total] = &totals[..] else { panic!("{totals:?}") };
        assert_eq!((total.name, total.calls, total.errors, total.rows), ("by_id", 101, 1, 200));
        assert_eq!(total.time, Duration::from_millis(5051));
        for (share, exact) in [(0.5, 0.050), (0.99, 0.099), (1.0, 0.1)] {
            let found = total.percentile(share).unwrap().as_secs_f64();
            assert!((exact..=exact * 1.25).contains(&found), "{share}: {found} for {exact}");
        }
    }

    #[test]
    fn names_past_the_bound_are_counted_together() {
        let statistics = statistics(1);
        for name in ["a", "b", "c", "b"] {
            statistics.ended(name, Duration::ZERO, Some(1));
        }
        let calls: Vec<(&str, u64)> =
            statistics.totals().iter().map(|total| (total.name, total.calls)).collect();
        assert_eq!(calls, [("a", 1), ("other", 3)]);
    }

    #[test]
    fn every_time_has_a_bucket() {
        assert_eq!(bucket_of(Duration::ZERO), 0);
        assert_eq!(bucket_of(Duration::MAX), BUCKETS - 1);
        for bucket in 0..BUCKETS - 1 {
            let bound = upper_bound(bucket);
            assert_eq!(bucket_of(bound - Duration::from_nanos(1)), bucket);
            assert_eq!(bucket_of(bound), bucket + 1);
        }
    }
}
