//! The key set in use, which may be replaced while tokens are verified.

use std::sync::Arc;

use arc_swap::ArcSwap;

use super::KeySet;

/// A handle on the key set in use; cheap to clone, and all clones see a replacement.
#[derive(Clone, Debug)]
pub struct Keys {
    inner: Arc<ArcSwap<Snapshot>>,
}

/// The keys at one moment.
#[derive(Debug)]
pub struct Snapshot {
    /// Counts replacements: what was verified by an older set says nothing.
    pub generation: u64,
    /// The keys.
    pub set: Arc<KeySet>,
}

impl Keys {
    /// A set to begin with, and to stay with unless somebody replaces it.
    #[must_use]
    pub fn fixed(set: KeySet) -> Self {
        Self { inner: Arc::new(ArcSwap::from_pointee(Snapshot { generation: 0, set: Arc::new(set) })) }
    }

    /// Uses another set from here on. One that verifies the same as before is no change.
    pub fn replace(&self, set: KeySet) {
        let set = Arc::new(set);
        self.inner.rcu(|old| {
            if old.set == set {
                return Arc::clone(old);
            }
            Arc::new(Snapshot { generation: old.generation + 1, set: Arc::clone(&set) })
        });
    }

    /// How often the set has changed.
    #[must_use]
    pub fn generation(&self) -> u64 {
        self.inner.load().generation
    }

    /// Whether there is no key: nothing was fetched so far, and no token can be judged.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.inner.load().set.is_empty()
    }

    /// The keys as they are.
    #[must_use]
    pub fn snapshot(&self) -> Arc<Snapshot> {
        self.inner.load_full()
    }
}
