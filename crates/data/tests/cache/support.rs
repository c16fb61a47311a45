//! A cache with its upkeep, and a store whose readers lag.

use std::{
    collections::HashMap,
    convert::Infallible,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use phalanx_data::{Cache, CachePolicy, CachePosition, CacheSettings, LoadError, Reading};
use tokio::task::JoinSet;

pub(crate) const MINUTE: CachePolicy = CachePolicy {
    jitter: 0.0,
    refresh_beta: 0.0,
    ..CachePolicy::new(Duration::from_secs(60), Duration::from_secs(60))
};

pub(crate) fn at(lsn: u64) -> CachePosition {
    CachePosition { shard: 1, timeline: 1, lsn }
}

/// One process of a service.
pub(crate) struct Node {
    pub(crate) cache: Cache,
    upkeep: JoinSet<()>,
}

impl Node {
    pub(crate) fn start(settings: CacheSettings) -> Self {
        let (cache, upkeep) = Cache::open(settings).unwrap();
        let mut tasks = JoinSet::new();
        tasks.spawn(upkeep.run());
        Self { cache, upkeep: tasks }
    }

    /// One that has Redis in use and hears the others.
    pub(crate) async fn connected(settings: CacheSettings) -> Self {
        let node = Self::start(settings);
        let cache = node.cache.clone();
        eventually("redis is in use", || cache.redis_is_up() && cache.totals().clearings > 0).await;
        node
    }

    pub(crate) async fn end_upkeep(&mut self) {
        self.upkeep.shutdown().await;
    }

    pub(crate) async fn get(&self, store: &Store, key: &'static str) -> Result<String, LoadError> {
        self.get_with(store, key, &MINUTE, None).await
    }

    pub(crate) async fn get_with(
        &self,
        store: &Store,
        key: &'static str,
        policy: &CachePolicy,
        after: Option<CachePosition>,
    ) -> Result<String, LoadError> {
        let store = store.clone();
        let load = move |floor| async move { Ok::<_, Infallible>(store.load(key, floor)) };
        self.cache.get_or_load(key, policy, after, load).await.map(|reading| text(&reading))
    }
}

pub(crate) fn text(reading: &Reading) -> String {
    reading
        .content
        .as_ref()
        .map_or_else(|| "-".to_owned(), |content| String::from_utf8(content.to_vec()).unwrap())
}

/// A primary, and a replica that stands where the test wants it. A value is the position of its write.
#[derive(Clone, Default)]
pub(crate) struct Store(Arc<StoreState>);

#[derive(Default)]
struct StoreState {
    writes: Mutex<HashMap<&'static str, Vec<u64>>>,
    head: AtomicU64,
    replica: AtomicU64,
    loads: AtomicU64,
}

impl Store {
    pub(crate) fn write(&self, key: &'static str) -> CachePosition {
        let lsn = self.0.head.fetch_add(10, Ordering::Relaxed) + 10;
        self.0.writes.lock().unwrap().entry(key).or_default().push(lsn);
        at(lsn)
    }

    pub(crate) fn head(&self) -> u64 {
        self.0.head.load(Ordering::Relaxed)
    }

    /// The replica replays up to a position.
    pub(crate) fn replay(&self, lsn: u64) {
        self.0.replica.store(lsn, Ordering::Relaxed);
    }

    pub(crate) fn loads(&self) -> u64 {
        self.0.loads.load(Ordering::Relaxed)
    }

    /// Reads from the replica, or from the primary where the replica has yet to reach `floor`.
    pub(crate) fn load(&self, key: &str, floor: Option<CachePosition>) -> Reading {
        let replica = self.0.replica.load(Ordering::Relaxed);
        let lsn = if floor.is_some_and(|floor| floor.lsn > replica) { self.head() } else { replica };
        self.load_at(key, lsn)
    }

    pub(crate) fn load_at(&self, key: &str, lsn: u64) -> Reading {
        self.0.loads.fetch_add(1, Ordering::Relaxed);
        match self.newest(key, lsn) {
            Some(written) => Reading::found(written.to_string().into(), at(lsn)),
            None => Reading::absent(at(lsn)),
        }
    }

    pub(crate) fn newest(&self, key: &str, lsn: u64) -> Option<u64> {
        let writes = self.0.writes.lock().unwrap();
        writes.get(key).and_then(|writes| writes.iter().rev().find(|written| **written <= lsn)).copied()
    }
}

pub(crate) async fn eventually(what: &str, mut condition: impl FnMut() -> bool) {
    let waited = tokio::time::timeout(Duration::from_secs(20), async {
        while !condition() {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    });
    assert!(waited.await.is_ok(), "in vain: {what}");
}
