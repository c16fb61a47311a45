//! Counters by label pair, with one set of counters for each writer, so that no two threads share a cache line.
//!
//! Invariant: a label pair has at most as many sets as it ever had writers at the same time. A set whose writer has gone
//! goes to the next one, with its counts: a total never falls because a worker left.

use std::{
    collections::BTreeMap,
    fmt,
    sync::{Arc, Mutex, MutexGuard},
};

/// Values of the two labels that name a set of series.
type Labels = (Arc<str>, Arc<str>);

/// The counters of all writers, by label pair, in the order of the labels.
pub(crate) struct Writers<C> {
    by_labels: Mutex<BTreeMap<Labels, Vec<Arc<C>>>>,
}

impl<C> Default for Writers<C> {
    fn default() -> Self {
        Self { by_labels: Mutex::default() }
    }
}

impl<C> fmt::Debug for Writers<C> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Writers").finish_non_exhaustive()
    }
}

impl<C: Default> Writers<C> {
    /// Counters for one more writer under these labels.
    pub(crate) fn join(&self, first: &str, second: &str) -> Arc<C> {
        let mut by_labels = self.lock();
        let sets = by_labels.entry((first.into(), second.into())).or_default();
        // Only this map can hand out clones, and it is locked: a count of one means that the writer has gone for good.
        if let Some(orphan) = sets.iter().find(|set| Arc::strong_count(set) == 1) {
            return Arc::clone(orphan);
        }
        let joined = Arc::new(C::default());
        sets.push(Arc::clone(&joined));
        joined
    }

    /// Drops the series of these labels. A writer that is still there counts on, unseen.
    pub(crate) fn forget(&self, first: &str, second: &str) {
        self.lock().remove(&(first.into(), second.into()));
    }

    /// The total of one label pair, if it has a writer.
    pub(crate) fn total<T>(&self, first: &str, second: &str, sum: impl Fn(&[Arc<C>]) -> T) -> Option<T> {
        self.lock().get(&(first.into(), second.into())).map(|sets| sum(sets))
    }

    /// The totals of all label pairs.
    pub(crate) fn totals<T>(&self, sum: impl Fn(&[Arc<C>]) -> T) -> Vec<(Labels, T)> {
        self.lock().iter().map(|(labels, sets)| (labels.clone(), sum(sets))).collect()
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<Labels, Vec<Arc<C>>>> {
        self.by_labels.lock().expect("nothing panics while it holds this lock")
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU64, Ordering};

    use super::*;

    fn sum(sets: &[Arc<AtomicU64>]) -> u64 {
        sets.iter().map(|set| set.load(Ordering::Relaxed)).sum()
    }

    #[test]
    fn writers_count_apart_and_are_summed() {
        let writers = Writers::<AtomicU64>::default();
        let (one, other) = (writers.join("api", "a"), writers.join("api", "a"));
        one.fetch_add(2, Ordering::Relaxed);
        other.fetch_add(3, Ordering::Relaxed);
        assert_eq!(one.load(Ordering::Relaxed), 2);
        assert_eq!(writers.total("api", "a", sum), Some(5));
        assert_eq!(writers.total("api", "b", sum), None);
    }

    #[test]
    fn the_next_writer_goes_on_where_the_last_one_left_off() {
        let writers = Writers::<AtomicU64>::default();
        for _ in 0..100 {
            writers.join("api", "a").fetch_add(1, Ordering::Relaxed);
        }
        assert_eq!(writers.total("api", "a", |sets| (sets.len(), sum(sets))), Some((1, 100)));
    }

    #[test]
    fn a_forgotten_pair_begins_again_at_zero() {
        let writers = Writers::<AtomicU64>::default();
        let gone = writers.join("api", "a");
        writers.forget("api", "a");
        gone.fetch_add(1, Ordering::Relaxed);
        assert!(writers.totals(sum).is_empty());
        let _joined = writers.join("api", "a");
        assert_eq!(writers.total("api", "a", sum), Some(0));
    }
}
