//! The gateway as a whole: requests come, go to endpoints, and end.

mod checks;
mod room;
mod traffic;

use std::{collections::BTreeSet, rc::Rc, time::Duration};

use phalanx_balance::{breaker, health, outlier, selection::Mode};

use crate::{
    agenda::{Agenda, Event, Note, Report, exponential},
    control::{Control, Table},
    endpoint::{Condition, Endpoint, Outcome},
    gate::Gate,
    promises::{Seen, Trials},
    request::{Request, Stage},
    setup::{self, Setup},
    worker::Worker,
};

pub(crate) struct Simulation {
    pub(crate) agenda: Agenda,
    random: fastrand::Rng,
    endpoints: Vec<Endpoint>,
    workers: Vec<Worker>,
    gate: Gate,
    control: Control,
    tables: Vec<Rc<Table>>,
    requests: Vec<Request>,
    /// Those that have not ended.
    open: BTreeSet<usize>,
    breaker_trials: Trials,
    pub(crate) seen: Seen,
}

impl Simulation {
    pub(crate) fn new(seed: u64) -> Self {
        let mut random = fastrand::Rng::with_seed(seed);
        let setup = Setup::new(seed, &mut random);
        let endpoints = setup.endpoints();
        let control = Control::new(&endpoints);
        let table = Rc::new(control.table.clone());
        let mut agenda = Agenda::default();
        for worker in 0..setup.workers {
            agenda.after(Duration::ZERO, Event::Arrives { worker });
            // They do not sweep at the same time.
            agenda.after(setup::SWEEP.mul_f64(random.f64()), Event::Sweeps { worker });
        }
        for event in [Event::Ticks, Event::Checks, Event::Trouble] {
            agenda.after(setup::TICK, event);
        }
        agenda.after(setup::CALM_AT, Event::Calm);
        Self {
            agenda,
            random,
            workers: (0..setup.workers).map(|index| Worker::new(index, &setup, table.clone())).collect(),
            gate: Gate::new(&setup),
            endpoints,
            control,
            tables: vec![table],
            requests: Vec::new(),
            open: BTreeSet::new(),
            breaker_trials: Trials::default(),
            seen: Seen::default(),
        }
    }

    pub(crate) fn run(&mut self) {
        while let Some(event) = self.agenda.next_before(setup::END) {
            self.on(event);
        }
        self.assert_all_is_well();
    }

    fn on(&mut self, event: Event) {
        match event {
            Event::Arrives { worker } => self.arrives(worker),
            Event::AttemptEnds { request, attempt, outcome } => self.attempt_ends(request, attempt, outcome),
            Event::AttemptExpires { request, attempt } => {
                if self.is_current(request, attempt) {
                    self.conclude(request, Outcome::Expired);
                }
            }
            Event::ClientLeaves { request } => self.client_leaves(request),
            Event::Reported { endpoint, report } => {
                let event = match report {
                    Report::Failed => self.control.failed(endpoint),
                    Report::Succeeded => health::Event::AttemptSucceeded,
                };
                self.tell(endpoint, event);
            }
            Event::Published { worker, generation } => {
                if generation > self.workers[worker].generation {
                    self.workers[worker].generation = generation;
                    self.workers[worker].table = self.tables[generation].clone();
                }
            }
            Event::Woken { request } => self.woken(request),
            Event::Sweeps { worker } => {
                self.agenda.after(setup::SWEEP, event);
                self.sweep(worker);
            }
            Event::Ticks => {
                self.agenda.after(setup::TICK, event);
                self.tick();
            }
            Event::Checks => {
                self.agenda.after(setup::CHECK, event);
                self.check();
            }
            Event::Trouble => self.trouble(),
            Event::Calm => self.calm(),
        }
    }

    fn tell(&mut self, index: usize, event: health::Event) {
        let mode = self.control.table.mode;
        let Some(standing) = self.control.tell(index, event, &self.endpoints, self.agenda.now) else {
            return;
        };
        self.agenda.note(Note::Standing { endpoint: index, standing });
        self.seen.panics += u32::from(mode != Mode::Panic && self.control.table.mode == Mode::Panic);
        self.publish();
    }

    fn publish(&mut self) {
        let generation = self.tables.len();
        self.tables.push(Rc::new(self.control.table.clone()));
        for worker in 0..self.workers.len() {
            let delay = self.message_delay();
            self.agenda.after(delay, Event::Published { worker, generation });
        }
        self.make_room();
    }

    fn message_delay(&mut self) -> Duration {
        setup::MESSAGE_MAX.mul_f64(self.random.f64())
    }

    fn tick(&mut self) {
        for index in 0..self.endpoints.len() {
            self.tell(index, health::Event::Tick);
        }
        for (index, event) in self.control.outlying(&self.endpoints, self.agenda.now) {
            self.seen.outliers += 1;
            self.tell(index, event);
        }
        if let Some(state) = self.control.judge(&self.endpoints, self.agenda.now) {
            self.agenda.note(Note::Breaker(state));
            self.seen.openings += u32::from(matches!(state, breaker::State::Open { .. }));
            self.gate.become_breaker(state);
            self.make_room();
        }
        self.assert_counts_are_true();
    }

    fn check(&mut self) {
        for index in 0..self.endpoints.len() {
            let is_down = self.endpoints[index].is_down(self.agenda.now);
            self.tell(index, if is_down { health::Event::CheckFailed } else { health::Event::CheckPassed });
        }
    }

    fn trouble(&mut self) {
        if self.agenda.now >= setup::CALM_AT {
            return;
        }
        let next = exponential(&mut self.random, Duration::from_millis(500));
        self.agenda.after(next, Event::Trouble);
        let index = self.random.usize(..self.endpoints.len());
        match self.random.u32(..10) {
            0 => self.tell(index, health::Event::Drain),
            1 => self.tell(index, health::Event::Resume),
            // It is forgotten with its counts, and known again at once.
            2 => self.endpoints[index].totals = outlier::Totals::default(),
            3..6 => self.become_condition(index, Condition::Well),
            _ => {
                let condition = Condition::BAD[self.random.usize(..Condition::BAD.len())];
                // What all endpoints share is likelier to break than one after another.
                let all = self.random.u32(..8) == 0;
                for index in if all { 0..self.endpoints.len() } else { index..index + 1 } {
                    self.become_condition(index, condition);
                }
            }
        }
    }

    fn calm(&mut self) {
        for index in 0..self.endpoints.len() {
            self.become_condition(index, Condition::Well);
            self.tell(index, health::Event::Resume);
        }
    }

    fn become_condition(&mut self, index: usize, condition: Condition) {
        self.agenda.note(Note::Condition { endpoint: index, condition });
        self.endpoints[index].condition = condition;
        if condition != Condition::Crashed {
            return;
        }
        let is_there = |id: &usize| {
            let stage = self.requests[*id].stage;
            matches!(stage, Stage::Attempting { endpoint, .. } if endpoint == index)
        };
        let lost: Vec<usize> = self.open.iter().copied().filter(is_there).collect();
        for id in lost {
            // Others may be sent here in their place; they are refused.
            self.conclude(id, Outcome::Reset);
        }
    }
}
