//! A worker thread of the model: what it alone decides, with what it knows.

use std::{collections::BTreeMap, rc::Rc, time::Duration};

use phalanx_admission::{GradientLimit, Queue, gradient_limit::Admission, queue::Ticket};
use phalanx_balance::{
    Algorithm, ResponseTime, RetryBudget, Share, Weight, Withdrawal, algorithm::Candidates, health::Standing,
    selection::Mode, slow_start,
};

use crate::{
    control::Table,
    endpoint::Endpoint,
    promises::Ledger,
    setup::{self, Setup},
};

pub(crate) struct Worker {
    pub(crate) table: Rc<Table>,
    pub(crate) generation: usize,
    pub(crate) in_flight: u32,
    algorithm: Algorithm,
    times: Vec<ResponseTime>,
    budget: RetryBudget,
    pub(crate) ledger: Ledger,
    limit: Option<GradientLimit>,
    queue: Option<Queue>,
    /// Who waits, and since when.
    waiting: BTreeMap<Ticket, (usize, Duration)>,
}

/// The endpoints at one choice.
struct Choices<'a> {
    endpoints: &'a [Endpoint],
    table: &'a Table,
    times: &'a [ResponseTime],
    tried: &'a [usize],
    now: Duration,
}

impl Worker {
    pub(crate) fn new(index: usize, setup: &Setup, table: Rc<Table>) -> Self {
        Self {
            table,
            generation: 0,
            in_flight: 0,
            algorithm: setup.algorithm(index),
            times: vec![ResponseTime::default(); setup.endpoints.len()],
            budget: RetryBudget::new(setup::RETRIES_PER_SECOND_MIN),
            ledger: Ledger::default(),
            limit: setup.limit(),
            queue: setup.queue(),
            waiting: BTreeMap::new(),
        }
    }

    pub(crate) fn deposit(&mut self, now: Duration) {
        self.budget.deposit(setup::RETRY_RATIO, now);
        self.ledger.deposited(now);
    }

    pub(crate) fn withdraw(&mut self, now: Duration) -> Withdrawal {
        let withdrawal = self.budget.withdraw(now);
        if withdrawal == Withdrawal::Granted {
            self.ledger.retried(now);
        }
        withdrawal
    }

    /// Whether the limit lets another request in.
    pub(crate) fn admits(&mut self) -> Admission {
        self.limit.as_mut().map_or(Admission::Admitted, |limit| limit.admits(self.in_flight))
    }

    pub(crate) fn limit(&self) -> u32 {
        self.limit.as_ref().map_or(u32::MAX, GradientLimit::limit)
    }

    pub(crate) fn answered(&mut self, endpoint: usize, elapsed: Duration, now: Duration) {
        self.times[endpoint].observe(elapsed, now);
        if let Some(limit) = &mut self.limit {
            limit.answered(elapsed, self.in_flight, now);
        }
    }

    pub(crate) fn dropped(&mut self, now: Duration) {
        if let Some(limit) = &mut self.limit {
            limit.dropped(self.in_flight, now);
        }
    }

    /// Whether somebody waits already.
    pub(crate) fn has_queue(&self) -> bool {
        self.queue.as_ref().is_some_and(|queue| !queue.is_empty())
    }

    /// Lets a request wait, if there is where.
    pub(crate) fn enter(&mut self, request: usize, now: Duration) -> Option<Ticket> {
        let ticket = self.queue.as_mut()?.enter(now).ok()?;
        self.waiting.insert(ticket, (request, now));
        Some(ticket)
    }

    pub(crate) fn leave(&mut self, ticket: Ticket) {
        self.queue.as_mut().expect("somebody waits in it").leave(ticket);
        self.waiting.remove(&ticket).expect("who waits is known");
    }

    pub(crate) fn next(&mut self, now: Duration) -> Option<usize> {
        let ticket = self.queue.as_ref()?.first(now)?;
        let (request, _) = self.waiting[&ticket];
        self.leave(ticket);
        Some(request)
    }

    pub(crate) fn expired(&mut self, now: Duration) -> Option<usize> {
        let (ticket, (request, since)) =
            self.waiting.first_key_value().map(|(ticket, waits)| (*ticket, *waits))?;
        if now - since < setup::QUEUE_TIMEOUT {
            return None;
        }
        self.leave(ticket);
        Some(request)
    }

    /// Whether any endpoint may get a request that none has got yet.
    pub(crate) fn has_room(&self, endpoints: &[Endpoint]) -> bool {
        let choices =
            Choices { endpoints, table: &self.table, times: &self.times, tried: &[], now: Duration::ZERO };
        choices.eligible().next().is_some()
    }

    pub(crate) fn pick(
        &mut self,
        endpoints: &[Endpoint],
        tried: &[usize],
        key: u64,
        now: Duration,
    ) -> Option<usize> {
        let choices = Choices { endpoints, table: &self.table, times: &self.times, tried, now };
        self.algorithm.pick(&choices, key)
    }
}

impl Table {
    /// The number of the trial that a request to this endpoint would be; none if it is not on trial, or needed too much for one.
    pub(crate) fn trial(&self, index: usize) -> Option<u32> {
        let is_on_trial = self.standings[index] == Standing::Trial && self.mode != Mode::Panic;
        is_on_trial.then_some(self.trials[index])
    }
}

impl Candidates for Choices<'_> {
    fn count(&self) -> usize {
        self.endpoints.len()
    }

    fn is_eligible(&self, index: usize) -> bool {
        let endpoint = &self.endpoints[index];
        let is_trial_free = self.table.trial(index).is_none_or(|trial| endpoint.trial_taken < trial);
        self.table.is_selected[index] && endpoint.has_room() && is_trial_free && !self.tried.contains(&index)
    }

    fn base_weight(&self, index: usize) -> Weight {
        self.endpoints[index].weight
    }

    fn weight(&self, index: usize) -> Share {
        let since = self.table.serving_since[index];
        slow_start::share(self.endpoints[index].weight, self.now.saturating_sub(since), setup::SLOW_START)
    }

    fn in_flight(&self, index: usize) -> u32 {
        self.endpoints[index].in_flight
    }

    fn response_nanos(&self, index: usize) -> u64 {
        self.times[index].nanos(self.now)
    }

    fn identity(&self, index: usize) -> u64 {
        index as u64
    }
}
