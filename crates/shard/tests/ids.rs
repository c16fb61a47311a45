//! No id is made twice: by workers whose clocks jump and whose leases are lost and taken over, and by threads that share one.

#![expect(clippy::unwrap_used, reason = "this crate is a test, its helpers included")]

use std::{
    collections::{BTreeMap, BTreeSet},
    thread,
};

use phalanx_shard::{
    Bucket, Id,
    id::{GenerateError, Generator, Tick, Worker},
};

const NOON: u64 = 1_800_000_000_000;
const SEEDS: u64 = 60;
const ROUNDS: usize = 3_000;
const PROCESSES: usize = 6;
/// Fewer than processes, so that leases are fought over.
const NUMBERS: u16 = 3;
const BUCKETS: u16 = 2;
const LEASE_MS: u64 = 400;

/// The table of leases: whose each number is, and up to when.
#[derive(Default)]
struct Leases(BTreeMap<u16, (usize, Tick)>);

impl Leases {
    /// What the statement does that takes or renews a lease: the horizon never goes back, and only the database knows the holder.
    fn take(&mut self, number: u16, holder: usize, clock: u64) -> (Tick, Tick) {
        let wanted = Tick::at_unix_ms(clock + LEASE_MS).unwrap();
        let (_, start) = *self.0.get(&number).unwrap_or(&(holder, Tick::FIRST));
        self.0.insert(number, (holder, start.max(wanted)));
        (start, start.max(wanted))
    }

    fn renew(&mut self, number: u16, holder: usize, clock: u64) -> Option<Tick> {
        let (_, horizon) = self.0.get_mut(&number).filter(|(owner, _)| *owner == holder)?;
        *horizon = (*horizon).max(Tick::at_unix_ms(clock + LEASE_MS).unwrap());
        Some(*horizon)
    }
}

/// A process that may be wrong about the time and about its lease.
struct Process {
    clock_error_ms: i64,
    generator: Option<Generator>,
}

struct Simulation {
    random: fastrand::Rng,
    now: u64,
    leases: Leases,
    processes: Vec<Process>,
    made: BTreeSet<Id>,
    /// The last id of each process's generator in each bucket.
    last: BTreeMap<(usize, u16), Id>,
    refused: usize,
}

impl Simulation {
    fn new(seed: u64) -> Self {
        let processes = (0..PROCESSES).map(|_| Process { clock_error_ms: 0, generator: None }).collect();
        Self {
            random: fastrand::Rng::with_seed(seed),
            now: NOON,
            leases: Leases::default(),
            processes,
            made: BTreeSet::new(),
            last: BTreeMap::new(),
            refused: 0,
        }
    }

    fn round(&mut self) {
        self.now += self.random.u64(0..20);
        let holder = self.random.usize(..PROCESSES);
        let clock = self.now.saturating_add_signed(self.processes[holder].clock_error_ms);
        match self.random.u8(..40) {
            0 => self.processes[holder].clock_error_ms = self.random.i64(-5_000..5_000),
            1 => self.processes[holder].clock_error_ms = 0,
            // The lease is taken from whoever has it, which goes on with what it was granted.
            2 => self.take(holder, clock),
            3 => self.processes[holder].generator = None,
            4 => self.release(holder),
            5..12 => self.renew(holder, clock),
            _ => self.generate(holder, clock),
        }
    }

    fn take(&mut self, holder: usize, clock: u64) {
        let number = self.random.u16(..NUMBERS);
        let (start, horizon) = self.leases.take(number, holder, clock);
        self.begin(holder, Some(Generator::new(Worker::try_from(number).unwrap(), start, horizon)));
    }

    fn release(&mut self, holder: usize) {
        let Some(generator) = self.processes[holder].generator.take() else { return };
        let number = generator.worker().get();
        let unused = generator.release();
        if self.leases.0[&number].0 == holder {
            self.leases.0.insert(number, (holder, unused));
        }
        self.begin(holder, None);
    }

    fn begin(&mut self, holder: usize, generator: Option<Generator>) {
        self.last.retain(|(process, _), _| *process != holder);
        self.processes[holder].generator = generator;
    }

    fn renew(&mut self, holder: usize, clock: u64) {
        let Some(generator) = &self.processes[holder].generator else { return };
        if let Some(horizon) = self.leases.renew(generator.worker().get(), holder, clock) {
            generator.extend(horizon);
        }
    }

    fn generate(&mut self, holder: usize, clock: u64) {
        let bucket = self.random.u16(..BUCKETS);
        let Some(generator) = &self.processes[holder].generator else { return };
        for _ in 0..self.random.usize(1..40) {
            match generator.next(Bucket::try_from(bucket).unwrap(), clock) {
                Ok(id) => {
                    assert!(self.made.insert(id), "{id} was made twice");
                    let before = self.last.insert((holder, bucket), id);
                    assert!(before.is_none_or(|before| before < id), "{before:?} before {id}");
                }
                Err(GenerateError::Ahead { .. } | GenerateError::LeaseOver { .. }) => self.refused += 1,
                Err(error @ GenerateError::Clock { .. }) => panic!("{error}"),
            }
        }
    }
}

/// Says which seed it was when a test panics.
struct Seed(u64);

impl Drop for Seed {
    fn drop(&mut self) {
        if thread::panicking() {
            eprintln!("seed {}", self.0);
        }
    }
}

#[test]
fn leases_that_change_hands_and_clocks_that_jump_make_no_id_twice() {
    let (mut made, mut refused) = (0, 0);
    for seed in 0..SEEDS {
        let _named = Seed(seed);
        let mut simulation = Simulation::new(seed);
        for _ in 0..ROUNDS {
            simulation.round();
        }
        made += simulation.made.len();
        refused += simulation.refused;
    }
    // Both happen often, or this would show nothing.
    assert!(made > 100_000 && refused > 10_000, "{made} made, {refused} refused");
}

#[test]
fn threads_share_a_generator() {
    let (start, horizon) = (Tick::at_unix_ms(NOON).unwrap(), Tick::at_unix_ms(NOON + 60_000).unwrap());
    let generator = Generator::new(Worker::try_from(1).unwrap(), start, horizon);
    let bucket = Bucket::try_from(77).unwrap();
    let ids: Vec<Id> = thread::scope(|scope| {
        let thread = || (0..900).map(|_| generator.next(bucket, NOON).unwrap()).collect::<Vec<_>>();
        let threads = [(); 4].map(|()| scope.spawn(thread));
        threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
    });
    assert_eq!(ids.iter().collect::<BTreeSet<_>>().len(), 3_600);
    assert_eq!(ids.iter().max().unwrap().time(), Tick::at_unix_ms(NOON + 8 * (3_600 / 16 - 1)).unwrap());
}
