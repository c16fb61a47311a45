//! Whether a request that failed at an endpoint goes to another.
//!
//! Three bounds hold: attempts for one request, never the same endpoint twice, and, where something was sent, a budget in
//! proportion to all requests, since repeating everything makes an overload an outage (S. Bronson and others, "Metastable
//! Failures in Distributed Systems", HotOS 2021).

use std::rc::Rc;

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
    tried: Vec<Rc<Upstream>>,
}

impl<'a> Retries<'a> {
    /// Of a request that is about to be sent for the first time.
    pub(super) fn new(worker: &'a Worker, forward: &Forward) -> Self {
        let retry = forward.policy.retry;
        if retry.attempts.get() > 1 {
            forward.service.earn_retries(retry.budget, worker.deadlines.now());
        }
        Self { worker, tried: Vec::new() }
    }

    /// Room at another endpoint after `failure` at the one of `slot`; `None` when the client has to be told.
    pub(super) fn other(
        &mut self,
        forward: &Forward,
        slot: Slot,
        failure: &Failure,
        repeatable: Repeatable,
    ) -> Option<Slot> {
        let Self { worker, tried } = self;
        let attempts = tried.len() + 1;
        if failure.remedy(repeatable) == Remedy::Answer
            || attempts >= forward.policy.retry.attempts.get() as usize
        {
            return None;
        }
        let failed = slot.upstream.clone();
        tried.push(failed.clone());
        // Before another room is taken, which could be the same request's only one.
        drop(slot);
        let now = worker.deadlines.now();
        // Endpoints may have come since: during a rolling update all of those that the request knows may be gone.
        let table = worker.table();
        let service = table.service(&forward.service.name)?;
        let other = service.slot(forward.key, bound(forward), tried, now).ok()?;
        let gate = service.gate.as_ref().filter(|_| bound(forward) == Bound::ByLimits);
        if gate.is_some_and(|gate| gate.is_broken()) {
            return None;
        }
        if !failure.sent_nothing() && service.spend_retry(now) == Withdrawal::Refused {
            service.counters.shed(Shed::RetryBudget);
            return None;
        }
        // Last of all, since a trial that is taken has to be sent.
        if gate.is_some_and(|gate| !gate.takes_request()) {
            return None;
        }
        failed.counters.retried();
        Some(other)
    }
}
