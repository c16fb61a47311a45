//! A server with so many parallel slots, exponentially distributed service times and a queue of any length, behind workers that
//! each have a limit of their own: discrete events, by seed.

use std::{
    cmp::Reverse,
    collections::{BinaryHeap, VecDeque},
    num::NonZeroU32,
    time::Duration,
};

use phalanx_admission::gradient_limit::{Admission, GradientLimit, Policy};

/// Who asks.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Load {
    /// Requests come whether others are answered or not, so many times as fast as all slots together answer.
    Open(f64),
    /// So many clients, each of which asks again as soon as it is answered, and a service time after it was refused.
    Closed(u32),
}

/// What there is.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Setup {
    pub(crate) slots: u32,
    pub(crate) mean: Duration,
    pub(crate) load: Load,
    pub(crate) workers: u32,
    /// For all workers together; without one everything is admitted.
    pub(crate) policy: Option<Policy>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Event {
    /// Somebody asks; of a closed load a client, of an open one whoever comes next.
    Asks,
    Served {
        worker: usize,
        came_at: Duration,
    },
}

struct Worker {
    limit: Option<GradientLimit>,
    in_flight: u32,
}

pub(crate) struct Simulation {
    setup: Setup,
    random: fastrand::Rng,
    now: Duration,
    events: BinaryHeap<Reverse<(Duration, u64, Event)>>,
    scheduled: u64,
    workers: Vec<Worker>,
    busy: u32,
    queue: VecDeque<(usize, Duration)>,
    /// How many times as long everything takes.
    pub(crate) slowness: f64,
    answers: Vec<Duration>,
    refused: usize,
}

/// What a while has shown.
#[derive(Debug)]
pub(crate) struct Measured {
    /// Answers, relative to what all slots can give.
    pub(crate) throughput: f64,
    /// The 99th percentile of response times, in mean service times.
    pub(crate) p99: f64,
    pub(crate) refused: usize,
}

impl Simulation {
    pub(crate) fn new(seed: u64, setup: Setup) -> Self {
        let share =
            |of: NonZeroU32| NonZeroU32::new(of.get().div_ceil(setup.workers)).expect("it is rounded up");
        let worker = |_| {
            let limit = setup.policy.map(|policy| {
                // The same seed for all, as the limit wants it.
                GradientLimit::new(Policy { min: share(policy.min), max: share(policy.max), ..policy }, seed)
            });
            Worker { limit, in_flight: 0 }
        };
        let mut simulation = Self {
            setup,
            random: fastrand::Rng::with_seed(seed),
            now: Duration::ZERO,
            events: BinaryHeap::new(),
            scheduled: 0,
            workers: (0..setup.workers).map(worker).collect(),
            busy: 0,
            queue: VecDeque::new(),
            slowness: 1.0,
            answers: Vec::new(),
            refused: 0,
        };
        let clients = match setup.load {
            Load::Open(_) => 1,
            Load::Closed(clients) => clients,
        };
        for _ in 0..clients {
            simulation.schedule(setup.mean, Event::Asks);
        }
        simulation
    }

    pub(crate) fn set_load(&mut self, load: Load) {
        self.setup.load = load;
    }

    pub(crate) fn double_slots(&mut self) {
        self.setup.slots *= 2;
    }

    /// The limits of all workers together.
    pub(crate) fn limit(&self) -> u32 {
        self.workers.iter().filter_map(|worker| worker.limit.as_ref()).map(GradientLimit::limit).sum()
    }

    /// Lets so much time pass, and says what happened in it.
    pub(crate) fn run(&mut self, elapsed: Duration) -> Measured {
        let until = self.now + elapsed;
        self.answers.clear();
        self.refused = 0;
        while let Some(Reverse((at, _, event))) = self.events.pop_if_before(until) {
            self.now = at;
            match event {
                Event::Asks => self.asks(),
                Event::Served { worker, came_at } => self.served(worker, came_at),
            }
        }
        self.now = until;
        self.answers.sort_unstable();
        let capacity = f64::from(self.setup.slots) * elapsed.as_secs_f64() / self.setup.mean.as_secs_f64();
        let p99 = self.answers.get(self.answers.len() * 99 / 100).copied().unwrap_or_default();
        Measured {
            throughput: self.answers.len() as f64 / capacity,
            p99: p99.as_secs_f64() / self.setup.mean.as_secs_f64(),
            refused: self.refused,
        }
    }

    fn asks(&mut self) {
        if let Load::Open(factor) = self.setup.load {
            let between = self.setup.mean.div_f64(factor * f64::from(self.setup.slots));
            self.schedule(between, Event::Asks);
        }
        let index = self.random.usize(..self.workers.len());
        let worker = &mut self.workers[index];
        let admission =
            worker.limit.as_mut().map_or(Admission::Admitted, |limit| limit.admits(worker.in_flight));
        if admission == Admission::Refused {
            self.refused += 1;
            if let Load::Closed(_) = self.setup.load {
                self.schedule(self.setup.mean, Event::Asks);
            }
            return;
        }
        worker.in_flight += 1;
        self.queue.push_back((index, self.now));
        self.serve();
    }

    fn serve(&mut self) {
        while self.busy < self.setup.slots
            && let Some((worker, came_at)) = self.queue.pop_front()
        {
            self.busy += 1;
            self.schedule(self.setup.mean.mul_f64(self.slowness), Event::Served { worker, came_at });
        }
    }

    fn served(&mut self, index: usize, came_at: Duration) {
        self.busy -= 1;
        let elapsed = self.now - came_at;
        self.answers.push(elapsed);
        let worker = &mut self.workers[index];
        if let Some(limit) = &mut worker.limit {
            limit.answered(elapsed, worker.in_flight, self.now);
        }
        worker.in_flight -= 1;
        self.serve();
        if let Load::Closed(_) = self.setup.load {
            self.asks();
        }
    }

    /// Schedules an event after a time that is exponentially distributed around `mean`.
    fn schedule(&mut self, mean: Duration, event: Event) {
        let after = mean.mul_f64(-(1.0 - self.random.f64()).ln());
        self.scheduled += 1;
        self.events.push(Reverse((self.now + after, self.scheduled, event)));
    }
}

trait PopIfBefore {
    type Item;
    fn pop_if_before(&mut self, until: Duration) -> Option<Self::Item>;
}

impl PopIfBefore for BinaryHeap<Reverse<(Duration, u64, Event)>> {
    type Item = Reverse<(Duration, u64, Event)>;

    fn pop_if_before(&mut self, until: Duration) -> Option<Self::Item> {
        let is_before = self.peek().is_some_and(|Reverse((at, ..))| *at < until);
        if is_before { self.pop() } else { None }
    }
}
