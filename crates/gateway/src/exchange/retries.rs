//! Whether a request that failed at an endpoint goes to another.
//!
//! Three bounds hold: attempts for one request, never the same endpoint twice, and, where something was sent, a budget in
//! proportion to all requests, since repeating everything makes an overload an outage (S. Bronson and others, "Metastable
//! Failures in Distributed Systems", HotOS 2021).
//!
//! An endpoint that stopped being ready may hang, and a request that waits there for its answer leaves it under the same bounds.
//! It does so only once room elsewhere has been taken and paid for: whoever finds none goes on waiting.

use std::{
    cell::{Cell, RefCell},
    rc::Rc,
};

use phalanx_balance::Withdrawal;
use phalanx_telemetry::upstream::Shed;

use super::{
    failure::{Failure, Remedy},
    room::bound,
};
use crate::{
    connection::Forward,
    table::Bound,
    worker::{Repeatable, Slot, Upstream, Worker},
};

/// The retries of one request.
pub(super) struct Retries<'a> {
    worker: &'a Worker,
    forward: &'a Forward,
    repeatable: Repeatable,
    tried: RefCell<Vec<Rc<Upstream>>>,
    /// Room elsewhere, for the request that leaves its endpoint.
    reserved: Cell<Option<Slot>>,
    /// Whether it was counted that the budget keeps the request where it is.
    is_kept: Cell<bool>,
}

impl<'a> Retries<'a> {
    /// Of a request that is about to be sent for the first time.
    pub(super) fn new(worker: &'a Worker, forward: &'a Forward, repeatable: Repeatable) -> Self {
        let retry = forward.policy.retry;
        if retry.attempts.get() > 1 {
            forward.service.earn_retries(retry.budget, worker.deadlines.now());
        }
        Self {
            worker,
            forward,
            repeatable,
            tried: RefCell::default(),
            reserved: Cell::default(),
            is_kept: Cell::new(false),
        }
    }

    /// Room at another endpoint after `failure` at the one of `slot`; `None` when the client has to be told.
    pub(super) fn other(&self, slot: Slot, failure: &Failure) -> Option<Slot> {
        let may_go = failure.remedy(self.repeatable) != Remedy::Answer && self.has_attempts();
        let failed = slot.upstream.clone();
        self.tried.borrow_mut().push(failed.clone());
        let other = match self.reserved.take() {
            Some(reserved) => Some(reserved),
            None if !may_go => None,
            None => {
                // Before another room is taken, which could be the same request's only one.
                drop(slot);
                self.take(&self.tried.borrow(), Cost::of(failure))
            }
        }?;
        failed.counters.retried();
        Some(other)
    }

    /// Whether the request, which waits for an answer at the endpoint of `slot`, is to leave it: then room elsewhere is its own.
    pub(super) fn leaves(&self, slot: &Slot) -> bool {
        let upstream = &slot.upstream;
        if !upstream.endpoint.has_lost_readiness()
            || self.repeatable == Repeatable::No
            || !self.has_attempts()
        {
            return false;
        }
        // Asked first, and again at every sweep: to take room that is given back would count as an attempt there.
        if !self.forward.service.affords_retry(self.worker.deadlines.now()) {
            if !self.is_kept.replace(true) {
                self.forward.service.counters.shed(Shed::RetryBudget);
            }
            return false;
        }
        let mut tried = self.tried.borrow().clone();
        tried.push(upstream.clone());
        let other = self.take(&tried, Cost::Retry);
        let leaves = other.is_some();
        self.reserved.set(other);
        leaves
    }

    fn has_attempts(&self) -> bool {
        self.tried.borrow().len() + 1 < self.forward.policy.retry.attempts.get() as usize
    }

    /// Room at an endpoint that is none of `tried`, paid for.
    fn take(&self, tried: &[Rc<Upstream>], cost: Cost) -> Option<Slot> {
        let Self { worker, forward, .. } = self;
        let now = worker.deadlines.now();
        // Endpoints may have come since: during a rolling update all of those that the request knows may be gone.
        let table = worker.table();
        let service = table.service(&forward.service.name)?;
        let other = service.slot(forward.key, bound(forward), tried, now).ok()?;
        let gate = service.gate.as_ref().filter(|_| bound(forward) == Bound::ByLimits);
        if gate.is_some_and(|gate| gate.is_broken()) {
            return None;
        }
        if cost == Cost::Retry && service.spend_retry(now) == Withdrawal::Refused {
            service.counters.shed(Shed::RetryBudget);
            return None;
        }
        // Last of all, since a trial that is taken has to be sent.
        if gate.is_some_and(|gate| !gate.takes_request()) {
            return None;
        }
        Some(other)
    }
}

/// What another attempt costs the budget.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Cost {
    Nothing,
    Retry,
}

impl Cost {
    fn of(failure: &Failure) -> Self {
        if failure.sent_nothing() { Self::Nothing } else { Self::Retry }
    }
}
