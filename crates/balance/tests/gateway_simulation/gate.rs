//! What stands before the endpoints, shared by all workers: a limit of requests at a time, the queue before it, and the requests that the
//! breaker lets through.
//!
//! Elsewhere: who is woken when (`crate::simulation`).

use std::{collections::BTreeMap, time::Duration};

use phalanx_admission::{GradientLimit, Queue, gradient_limit::Admission, queue::Ticket};
use phalanx_balance::breaker;

use crate::setup::Setup;

pub(crate) struct Gate {
    limit: Option<GradientLimit>,
    /// Requests that have passed, until they are over: those that are exempt do not pass.
    pub(crate) in_flight: u32,
    queue: Option<Queue>,
    /// The requests that wait, of all workers.
    waiting: BTreeMap<Ticket, usize>,
    breaker: breaker::State,
}

impl Gate {
    pub(crate) fn new(setup: &Setup) -> Self {
        Self {
            limit: setup.limit(),
            in_flight: 0,
            queue: setup.queue(),
            waiting: BTreeMap::new(),
            breaker: breaker::State::Closed,
        }
    }

    pub(crate) fn limit(&self) -> u32 {
        self.limit.as_ref().map_or(u32::MAX, GradientLimit::limit)
    }

    /// Counts a request in, if there is room.
    pub(crate) fn enter(&mut self, now: Duration) -> Admission {
        let Self { limit, in_flight, .. } = self;
        let admission = limit.as_mut().map_or(Admission::Admitted, |limit| limit.admits(*in_flight));
        match (admission, limit) {
            (Admission::Refused, Some(limit)) => limit.tick(now),
            _ => *in_flight += 1,
        }
        admission
    }

    /// Counts a request out.
    pub(crate) fn leave(&mut self) {
        self.in_flight -= 1;
    }

    /// A request has been answered that is still counted in.
    pub(crate) fn answered(&mut self, elapsed: Duration, now: Duration) {
        if let Some(limit) = &mut self.limit {
            limit.answered(elapsed, self.in_flight, now);
        }
    }

    /// A request that is still counted in was not answered in time.
    pub(crate) fn dropped(&mut self, now: Duration) {
        if let Some(limit) = &mut self.limit {
            limit.dropped(self.in_flight, now);
        }
    }

    /// Whether somebody waits, late or not.
    pub(crate) fn has_waiting(&self) -> bool {
        self.queue.as_ref().is_some_and(|queue| !queue.is_empty())
    }

    /// Lets a request wait, if there is where.
    pub(crate) fn begin_waiting(&mut self, request: usize, now: Duration) -> Option<Ticket> {
        let ticket = self.queue.as_mut()?.enter(now).ok()?;
        self.waiting.insert(ticket, request);
        Some(ticket)
    }

    pub(crate) fn end_waiting(&mut self, ticket: Ticket) {
        self.queue.as_mut().expect("somebody waits in it").leave(ticket);
        self.waiting.remove(&ticket).expect("who waits is known");
    }

    /// Whose turn it is to look for room.
    pub(crate) fn first(&self, now: Duration) -> Option<usize> {
        let ticket = self.queue.as_ref()?.first(now)?;
        Some(self.waiting[&ticket])
    }

    pub(crate) fn waiting(&self) -> impl Iterator<Item = usize> {
        self.waiting.values().copied()
    }

    pub(crate) fn become_breaker(&mut self, state: breaker::State) {
        self.breaker = state;
    }

    /// Whether the breaker lets nobody through.
    pub(crate) fn is_broken(&self) -> bool {
        matches!(self.breaker, breaker::State::Open { .. } | breaker::State::HalfOpen { permits: 0, .. })
    }

    /// Whether the breaker takes a request, which may be one of few.
    pub(crate) fn takes_request(&mut self) -> bool {
        let takes = !self.is_broken();
        if let breaker::State::HalfOpen { permits, .. } = &mut self.breaker {
            *permits = permits.saturating_sub(1);
        }
        takes
    }
}
