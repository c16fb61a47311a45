//! A worker thread of the model: what it alone decides, with what it knows.

use std::{rc::Rc, time::Duration};

use phalanx_balance::{
    Algorithm, ResponseTime, RetryBudget, Share, Weight, Withdrawal, algorithm::Candidates, health::Standing,
    selection::Mode, slow_start,
};

use crate::{
    control::Table,
    endpoint::Endpoint,
    promises::Ledger,
    request::{Ending, Request},
    setup::{self, Setup},
};

pub(crate) struct Worker {
    pub(crate) table: Rc<Table>,
    pub(crate) generation: usize,
    /// What its coarse clock shows.
    pub(crate) swept_at: Duration,
    algorithm: Algorithm,
    times: Vec<ResponseTime>,
    budget: RetryBudget,
    pub(crate) ledger: Ledger,
}

/// The endpoints at one choice.
struct Choices<'a> {
    endpoints: &'a [Endpoint],
    table: &'a Table,
    times: &'a [ResponseTime],
    request: &'a Request,
    now: Duration,
}

/// Why there is no room for a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NoRoom {
    /// There will be some.
    Full,
    NobodyServes,
    BreakerOpen,
}

impl NoRoom {
    /// What becomes of a request that does not wait.
    pub(crate) fn ending(self) -> Ending {
        match self {
            Self::Full => Ending::Shed,
            Self::NobodyServes => Ending::NobodyServes,
            Self::BreakerOpen => Ending::BreakerOpen,
        }
    }
}

impl Worker {
    pub(crate) fn new(index: usize, setup: &Setup, table: Rc<Table>) -> Self {
        Self {
            table,
            generation: 0,
            swept_at: Duration::ZERO,
            algorithm: setup.algorithm(index),
            times: vec![ResponseTime::default(); setup.endpoints.len()],
            budget: RetryBudget::new(setup::RETRIES_PER_SECOND_MIN),
            ledger: Ledger::default(),
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

    /// Takes in that an endpoint needed so long to answer, or to fail to.
    pub(crate) fn observe(&mut self, endpoint: usize, elapsed: Duration, now: Duration) {
        self.times[endpoint].observe(elapsed, now);
    }

    /// An endpoint for the next attempt of a request, never one that has got it.
    pub(crate) fn pick(
        &mut self,
        endpoints: &[Endpoint],
        request: &Request,
        now: Duration,
    ) -> Result<usize, NoRoom> {
        let choices = Choices { endpoints, table: &self.table, times: &self.times, request, now };
        self.algorithm.pick(&choices, request.key).ok_or_else(|| {
            let is_full = (0..endpoints.len()).any(|index| choices.is_untried(index));
            if is_full { NoRoom::Full } else { NoRoom::NobodyServes }
        })
    }
}

impl Table {
    /// The number of the trial that a request to this endpoint would be; none if it is not on trial, or needed too much for one.
    pub(crate) fn trial(&self, index: usize) -> Option<u32> {
        let is_on_trial = self.standings[index] == Standing::Trial && self.mode != Mode::Panic;
        is_on_trial.then_some(self.trials[index])
    }
}

impl Choices<'_> {
    fn is_untried(&self, index: usize) -> bool {
        self.table.is_selected[index] && !self.request.tried.contains(&index)
    }
}

impl Candidates for Choices<'_> {
    fn count(&self) -> usize {
        self.endpoints.len()
    }

    fn is_eligible(&self, index: usize) -> bool {
        let endpoint = &self.endpoints[index];
        let is_trial_free = self.table.trial(index).is_none_or(|trial| endpoint.trial_taken < trial);
        self.is_untried(index) && endpoint.has_room(self.request.shedding) && is_trial_free
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
