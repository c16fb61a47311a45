//! Seeded interleavings of reads at lagging positions, writes and invalidations: no read is answered with a value older
//! than the last invalidation of its key that was acknowledged before the read began.
//!
//! Loaders stand at gates that the simulation opens in an order of its own, so that loads, fills and invalidations
//! overtake each other. A failure prints its seed.

use std::{
    collections::HashMap,
    convert::Infallible,
    sync::{Arc, Mutex},
    time::Duration,
};

use phalanx_data::{Cache, CachePolicy, CachePosition, CacheSettings, Reading};
use phalanx_test_servers::Redis;
use tokio::{sync::oneshot, task::JoinSet};

use crate::support::{Node, Store, at, eventually};

const KEYS: [&str; 3] = ["a", "b", "c"];
/// Short lives and early refreshes, so that every path is taken often.
const POLICY: CachePolicy = CachePolicy {
    refresh_beta: 8.0,
    ..CachePolicy::new(Duration::from_millis(40), Duration::from_millis(20))
};

/// What may go wrong beside the interleaving.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Faults {
    None,
    Redis,
}

/// A loader at its gate.
type Gates = Arc<Mutex<Vec<oneshot::Sender<()>>>>;

struct Simulation {
    nodes: Vec<Node>,
    redis: Option<Redis>,
    faults: Faults,
    random: fastrand::Rng,
    store: Store,
    gates: Gates,
    /// Loads that ignored the position they were told; `None` while one runs.
    reckless: Arc<Mutex<HashMap<String, Option<u64>>>>,
    step: u64,
    reads: JoinSet<Answer>,
    invalidations: JoinSet<(usize, &'static str, CachePosition)>,
    /// By node, then by key.
    acknowledged: Vec<HashMap<&'static str, u64>>,
    held: bool,
}

struct Answer {
    key: &'static str,
    begun: u64,
    expected: u64,
    after: Option<CachePosition>,
    reading: Reading,
}

impl Simulation {
    fn start_read(&mut self) {
        let node = self.random.usize(..self.nodes.len());
        let key = KEYS[self.random.usize(..KEYS.len())];
        let after = (self.random.u8(..4) == 0).then(|| at(self.random.u64(..=self.store.head())));
        let acknowledged = self.acknowledged[node].get(key).copied().unwrap_or(0);
        let begun = self.step;
        let load = self.loader(key);
        let cache = self.nodes[node].cache.clone();
        self.reads.spawn(async move {
            let reading = cache.get_or_load(key, &POLICY, after, load).await.unwrap();
            Answer { key, begun, expected: acknowledged, after, reading }
        });
    }

    /// Reads where a replica stands by chance, now; answers when its gate opens.
    fn loader(
        &mut self,
        key: &'static str,
    ) -> impl FnOnce(
        Option<CachePosition>,
    ) -> futures_util::future::BoxFuture<'static, Result<Reading, Infallible>>
    + Send
    + 'static {
        let (store, gates, reckless) =
            (self.store.clone(), Arc::clone(&self.gates), Arc::clone(&self.reckless));
        let lag = self.random.u64(..60);
        let ignores_floor = self.random.u8(..5) == 0;
        let id = format!("{:x}", self.random.u64(..));
        move |floor| {
            Box::pin(async move {
                let standing = store.head().saturating_sub(lag);
                let floor = floor.map_or(0, |floor| floor.lsn);
                let lsn = if ignores_floor { standing } else { standing.max(floor) };
                let written = store.newest(key, lsn).unwrap_or(0);
                if lsn < floor {
                    reckless.lock().unwrap().insert(id.clone(), None);
                }
                let (open, gate) = oneshot::channel();
                gates.lock().unwrap().push(open);
                let _ = gate.await;
                Ok(Reading::found(format!("{written}:{id}").into(), at(lsn)))
            })
        }
    }

    fn start_invalidation(&mut self) {
        let node = self.random.usize(..self.nodes.len());
        let key = KEYS[self.random.usize(..KEYS.len())];
        let position = self.store.write(key);
        let cache = self.nodes[node].cache.clone();
        self.invalidations.spawn(async move {
            cache.invalidate(key, position).await;
            (node, key, position)
        });
    }

    fn open_gate(&mut self) {
        let mut gates = self.gates.lock().unwrap();
        if !gates.is_empty() {
            let chosen = self.random.usize(..gates.len());
            // A reader that has gone needs no gate.
            let _ = gates.swap_remove(chosen).send(());
        }
    }

    fn fault(&mut self) {
        let Some(redis) = self.redis.as_ref().filter(|_| self.faults == Faults::Redis) else { return };
        match self.random.u8(..4) {
            0 if !self.held => redis.flush_all(),
            1 if !self.held => {
                redis.pause();
                self.held = true;
            }
            2 if !self.held => redis.restart(),
            _ => {
                redis.resume();
                self.held = false;
            }
        }
    }

    async fn run(&mut self, steps: u64) {
        for step in 0..steps {
            self.step = step;
            match self.random.u8(..100) {
                0..45 => self.start_read(),
                45..60 => self.start_invalidation(),
                60..94 => self.open_gate(),
                94..97 => tokio::time::sleep(Duration::from_millis(self.random.u64(1..30))).await,
                97 => self.settle().await,
                _ if self.faults == Faults::Redis && self.random.u8(..4) == 0 => self.fault(),
                _ => {}
            }
            for _ in 0..self.random.u8(..6) {
                tokio::task::yield_now().await;
            }
            self.look();
        }
        if let Some(redis) = &self.redis {
            redis.resume();
        }
        while !self.reads.is_empty() {
            self.open_gate();
            tokio::time::sleep(Duration::from_millis(1)).await;
            self.look();
        }
    }

    /// Takes in what has ended.
    fn look(&mut self) {
        while let Some(ended) = self.invalidations.try_join_next() {
            let (node, key, position) = ended.unwrap();
            let newest = self.acknowledged[node].entry(key).or_default();
            *newest = position.lsn.max(*newest);
        }
        while let Some(answer) = self.reads.try_join_next() {
            self.judge(&answer.unwrap());
        }
    }

    /// Where nothing fails, what one node has acknowledged holds for all as soon as they have heard it.
    async fn settle(&mut self) {
        if self.faults != Faults::None {
            return;
        }
        while let Some(ended) = self.invalidations.join_next().await {
            let (node, key, position) = ended.unwrap();
            let newest = self.acknowledged[node].entry(key).or_default();
            *newest = position.lsn.max(*newest);
        }
        let caches: Vec<Cache> = self.nodes.iter().map(|node| node.cache.clone()).collect();
        let made: u64 = caches.iter().map(|cache| cache.totals().invalidations).sum();
        let heard = |cache: &Cache| cache.totals().invalidations_heard + cache.totals().invalidations == made;
        eventually("every node has heard every invalidation", || caches.iter().all(heard)).await;
        for key in KEYS {
            let newest = self.acknowledged.iter().filter_map(|known| known.get(key)).max().copied();
            for known in &mut self.acknowledged {
                known.insert(key, newest.unwrap_or(0));
            }
        }
    }

    fn judge(&mut self, answer: &Answer) {
        let content = String::from_utf8(answer.reading.content.clone().unwrap().to_vec()).unwrap();
        let (written, load) = content.split_once(':').unwrap();
        // A load that ignores what it is told answers as it likes those who waited for it; first seen, it has just ended.
        if let Some(ended) = self.reckless.lock().unwrap().get_mut(load)
            && *ended.get_or_insert(self.step) >= answer.begun
        {
            return;
        }
        let written: u64 = written.parse().unwrap();
        assert!(
            written >= answer.expected,
            "{}: {written} after {} was invalidated; began in step {}, seen in {}, a load that ended in {:?}",
            answer.key,
            answer.expected,
            answer.begun,
            self.step,
            self.reckless.lock().unwrap().get(load),
        );
        if let Some(after) = answer.after {
            assert!(answer.reading.position.unwrap().reaches(after), "{}: {after:?}", answer.key);
        }
    }
}

async fn simulate(seed: u64, nodes: usize, redis: Option<Redis>, faults: Faults, steps: u64) -> Simulation {
    // The cache draws from the thread's own generator.
    fastrand::seed(seed);
    let settings = CacheSettings {
        redis_url: redis.as_ref().map(Redis::url),
        lease: Duration::from_millis(500),
        lease_wait: Duration::from_millis(50),
        response_timeout: Duration::from_millis(match faults {
            Faults::None => 5_000,
            Faults::Redis => 30,
        }),
        reconnect_delay_max: Duration::from_millis(100),
        undelivered_max: 2,
        // Every second run forgets keys at once, and goes by positions alone.
        marks_max: if seed.is_multiple_of(2) { 64 } else { 1 },
        ..CacheSettings::new(format!("simulation-{seed}"))
    };
    let mut started = Vec::new();
    for _ in 0..nodes {
        started.push(match redis {
            Some(_) => Node::connected(settings.clone()).await,
            None => Node::start(settings.clone()),
        });
    }
    let mut simulation = Simulation {
        nodes: started,
        redis,
        faults,
        random: fastrand::Rng::with_seed(seed),
        store: Store::default(),
        gates: Gates::default(),
        reckless: Arc::default(),
        step: 0,
        reads: JoinSet::new(),
        invalidations: JoinSet::new(),
        acknowledged: vec![HashMap::new(); nodes],
        held: false,
    };
    println!("seed {seed}");
    simulation.run(steps).await;
    simulation
}

#[tokio::test]
async fn a_process_never_shows_what_it_has_invalidated() {
    for seed in 0..12 {
        let simulation = simulate(seed, 1, None, Faults::None, 1_000).await;
        let totals = simulation.nodes[0].cache.totals();
        assert!(totals.process_hits > 20 && totals.coalesced > 20 && totals.refused_fills > 5, "{totals:?}");
        assert!(totals.refreshes > 0, "{totals:?}");
    }
}

#[tokio::test]
async fn no_process_shows_what_another_has_invalidated() {
    let mut hits = 0;
    for seed in 0..4 {
        let simulation = simulate(seed, 3, Some(Redis::start()), Faults::None, 1_000).await;
        for node in &simulation.nodes {
            let totals = node.cache.totals();
            assert_eq!(totals.redis_outages, 0);
            hits += totals.redis_hits;
        }
    }
    assert!(hits > 20, "{hits}");
}

#[tokio::test]
async fn a_failing_redis_brings_nothing_back() {
    let mut outages = 0;
    for seed in 100..104 {
        let simulation = simulate(seed, 3, Some(Redis::start()), Faults::Redis, 1_500).await;
        outages += simulation.nodes.iter().map(|node| node.cache.totals().redis_outages).sum::<u64>();
    }
    // How the runs go depends on the machine as well, but not so far that nothing ever fails.
    assert!(outages > 0);
}
