//! Invalidations that Redis has yet to hear of.
//!
//! Invariant: none is lost. Past the bound the keys are forgotten and their newest positions kept: every entry in Redis is
//! given up for them.

use std::{collections::HashMap, sync::Arc};

use super::super::position::{CachePosition, Floor};

#[derive(Debug)]
pub(super) struct Undelivered {
    keys: HashMap<Arc<str>, Floor>,
    overflow: Floor,
    overflows: u64,
    keys_max: usize,
}

/// Forgotten keys, as of one moment.
#[derive(Debug)]
pub(super) struct Overflow {
    pub(super) positions: Vec<CachePosition>,
    overflows: u64,
}

impl Undelivered {
    pub(super) fn new(keys_max: usize) -> Self {
        Self { keys: HashMap::new(), overflow: Floor::default(), overflows: 0, keys_max }
    }

    pub(super) fn add(&mut self, key: &str, position: CachePosition) {
        if let Some(floor) = self.keys.get_mut(key) {
            return floor.raise(position);
        }
        if self.keys.len() >= self.keys_max {
            self.overflows += 1;
            for (_, floor) in self.keys.drain() {
                floor.positions().iter().for_each(|position| self.overflow.raise(*position));
            }
        }
        self.keys.entry(Arc::from(key)).or_default().raise(position);
    }

    /// Redis has heard that `key` was written up to these positions; what came since stays.
    pub(super) fn settle(&mut self, key: &str, delivered: &[CachePosition]) {
        let is_delivered = |position: &CachePosition| delivered.iter().any(|known| known.reaches(*position));
        if self.keys.get(key).is_some_and(|floor| floor.positions().iter().all(is_delivered)) {
            self.keys.remove(key);
        }
    }

    /// All entries have been given up as of this overflow.
    pub(super) fn settle_overflow(&mut self, overflow: &Overflow) {
        if self.overflows == overflow.overflows {
            self.overflow = Floor::default();
        }
    }

    pub(super) fn overflow(&self) -> Option<Overflow> {
        let positions = self.overflow.positions().to_vec();
        (!positions.is_empty()).then_some(Overflow { positions, overflows: self.overflows })
    }

    pub(super) fn batch(&self, keys_max: usize) -> Vec<(Arc<str>, Vec<CachePosition>)> {
        let keys = self.keys.iter().take(keys_max);
        keys.map(|(key, floor)| (Arc::clone(key), floor.positions().to_vec())).collect()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.keys.is_empty() && self.overflow.positions().is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(lsn: u64) -> CachePosition {
        CachePosition { shard: 1, timeline: 1, lsn }
    }

    #[test]
    fn what_came_after_a_delivery_stays() {
        let mut undelivered = Undelivered::new(10);
        undelivered.add("a", at(1));
        let batch = undelivered.batch(10);
        undelivered.add("a", at(2));
        undelivered.settle("a", &batch[0].1);
        assert_eq!(undelivered.batch(10), [(Arc::from("a"), vec![at(2)])]);
        undelivered.settle("a", &[at(2)]);
        assert!(undelivered.is_empty());
    }

    #[test]
    fn an_overflow_keeps_the_newest_position() {
        let mut undelivered = Undelivered::new(2);
        for (key, lsn) in [("a", 5), ("b", 3), ("c", 1)] {
            undelivered.add(key, at(lsn));
        }
        let overflow = undelivered.overflow().unwrap();
        assert_eq!(overflow.positions, [at(5)]);
        assert_eq!(undelivered.batch(10), [(Arc::from("c"), vec![at(1)])]);
        for (key, lsn) in [("d", 7), ("e", 8)] {
            undelivered.add(key, at(lsn));
        }
        undelivered.settle_overflow(&overflow);
        assert_eq!(undelivered.overflow().unwrap().positions, [at(7)], "it overflowed again meanwhile");
    }
}
