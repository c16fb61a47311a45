//! Which shared connection a statement goes to, and who waits for a place on one.
//!
//! Invariants: no connection carries more than its bound, those counted whose callers went away; one whose oldest statement
//! has been running for too long gets no others; nobody overtakes those who wait.

use std::{
    collections::VecDeque,
    mem,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use phalanx_telemetry::clock;
use tokio::{sync::oneshot, task::Id, time::timeout};

use super::{Acquire, Limits, live::Live};
use crate::backend::Occupancy;

pub(super) struct Shared {
    limits: Limits,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    lanes: Vec<Lane>,
    waiters: VecDeque<Waiter>,
    last_ticket: u64,
    waited: Duration,
    timeouts: u64,
    connects: u64,
    closed: bool,
}

/// A connection, and the statements on it in the order in which they were given a place.
struct Lane {
    live: Arc<Live>,
    flights: VecDeque<Flight>,
    /// When it last answered, or was last idle.
    progressed: Instant,
}

struct Flight {
    ticket: u64,
    since: Instant,
    statement: &'static str,
    caller: Caller,
}

#[derive(PartialEq, Eq)]
enum Caller {
    Waits,
    /// It went away; the server works on, and the place is free once an answer to a later statement has come.
    Left,
}

struct Waiter {
    statement: &'static str,
    place: oneshot::Sender<Place>,
}

/// A place on a connection, held until the statement's answer has come.
pub(super) struct Place {
    shared: Arc<Shared>,
    live: Arc<Live>,
    ticket: u64,
    answered: bool,
}

/// What the upkeep has to do.
#[derive(Default)]
pub(super) struct Chores {
    /// To be asked whether they stand.
    pub(super) pings: Vec<Place>,
    /// To be replaced by as many.
    pub(super) missing: usize,
}

impl Shared {
    pub(super) fn new(limits: Limits) -> Self {
        Self { limits, state: Mutex::default() }
    }

    /// A place on the least loaded connection that moves, or a turn in the queue for one.
    pub(super) async fn place(self: &Arc<Self>, statement: &'static str) -> Result<Place, Acquire> {
        let now = clock::now();
        let waiting = {
            let mut state = self.lock();
            if state.closed {
                return Err(Acquire::Closed);
            }
            if state.waiters.is_empty()
                && let Some((live, ticket)) = state.take(&self.limits, statement, now)
            {
                drop(state);
                return Ok(Place { shared: Arc::clone(self), live, ticket, answered: false });
            }
            if state.waiters.len() >= self.limits.waiting_max {
                return Err(state.cause(&self.limits, now, Duration::ZERO));
            }
            let (place, waiting) = oneshot::channel();
            state.waiters.push_back(Waiter { statement, place });
            waiting
        };
        let outcome = timeout(self.limits.acquire_timeout, waiting).await;
        let waited = clock::now().duration_since(now);
        let mut state = self.lock();
        state.waited += waited;
        match outcome {
            Ok(Ok(place)) => {
                drop(state); // The place takes the lock when it goes.
                Ok(place)
            }
            Ok(Err(_)) => Err(Acquire::Closed),
            Err(_) => {
                state.timeouts += 1;
                state.waiters.retain(|waiter| !waiter.place.is_closed());
                Err(state.cause(&self.limits, clock::now(), waited))
            }
        }
    }

    pub(super) fn admit(self: &Arc<Self>, live: Arc<Live>) {
        let now = clock::now();
        let mut state = self.lock();
        if state.closed {
            return;
        }
        state.connects += 1;
        state.lanes.push(Lane { live, flights: VecDeque::new(), progressed: now });
        let served = state.serve(self, now);
        drop(state);
        hand_over(served);
    }

    /// Its driver has ended: whoever is on it learns that from the connection.
    pub(super) fn remove(&self, id: Id) {
        self.lock().lanes.retain(|lane| lane.live.id() != id);
    }

    /// Takes expired connections out, kills stuck ones, and says what else is to be done.
    pub(super) fn tend(self: &Arc<Self>, now: Instant) -> Chores {
        let mut state = self.lock();
        if state.closed {
            return Chores::default();
        }
        // One by one, and never the last that works: what replaces it has to stand first.
        if state.lanes.len() > 1
            && let Some(expired) = state.lanes.iter().position(|lane| lane.live.expires <= now)
        {
            state.lanes.swap_remove(expired);
        }
        let mut chores = Chores::default();
        let mut last_ticket = state.last_ticket;
        for lane in &mut state.lanes {
            if lane.stalled(now) > self.limits.stuck_after {
                lane.live.kill();
            } else if lane.wants_ping(&self.limits, now) {
                last_ticket += 1;
                lane.enter(last_ticket, "health check", now);
                let live = Arc::clone(&lane.live);
                chores.pings.push(Place {
                    shared: Arc::clone(self),
                    live,
                    ticket: last_ticket,
                    answered: false,
                });
            }
        }
        state.last_ticket = last_ticket;
        let fresh = state.lanes.iter().filter(|lane| lane.live.expires > now).count();
        chores.missing = self.limits.connections_max.saturating_sub(fresh);
        let served = state.serve(self, now);
        drop(state);
        hand_over(served);
        chores
    }

    pub(super) fn close(&self) {
        let mut state = self.lock();
        state.closed = true;
        let emptied = (mem::take(&mut state.lanes), mem::take(&mut state.waiters));
        drop(state);
        drop(emptied);
    }

    pub(super) fn occupancy(&self) -> Occupancy {
        let state = self.lock();
        Occupancy {
            connections: state.lanes.len(),
            in_use: state.in_flight(),
            waiting: state.waiters.len(),
            waited: state.waited,
            timeouts: state.timeouts,
            connects: state.connects,
        }
    }

    fn release(self: &Arc<Self>, id: Id, ticket: u64, caller: &Caller) {
        let now = clock::now();
        let mut state = self.lock();
        // None where the connection has been taken out meanwhile.
        let Some(lane) = state.lanes.iter_mut().find(|lane| lane.live.id() == id) else { return };
        match caller {
            Caller::Waits => lane.leave(ticket, now),
            Caller::Left => lane.abandon(ticket),
        }
        let served = state.serve(self, now);
        drop(state);
        hand_over(served);
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Outside of the lock, since a place whose waiter has gone takes it to go back.
fn hand_over(served: Vec<(Waiter, Place)>) {
    for (waiter, place) in served {
        let _ = waiter.place.send(place);
    }
}

impl State {
    fn take(&mut self, limits: &Limits, statement: &'static str, now: Instant) -> Option<(Arc<Live>, u64)> {
        let free = |lane: &&mut Lane| {
            lane.flights.len() < limits.in_flight_max
                && lane.stalled(now) <= limits.stall_max
                && !lane.live.is_closed()
        };
        let lane = self.lanes.iter_mut().filter(free).min_by_key(|lane| lane.flights.len())?;
        self.last_ticket += 1;
        lane.enter(self.last_ticket, statement, now);
        Some((Arc::clone(&lane.live), self.last_ticket))
    }

    fn serve(&mut self, shared: &Arc<Shared>, now: Instant) -> Vec<(Waiter, Place)> {
        let mut served = Vec::new();
        while let Some(waiter) = self.waiters.pop_front() {
            if waiter.place.is_closed() {
                continue;
            }
            let Some((live, ticket)) = self.take(&shared.limits, waiter.statement, now) else {
                self.waiters.push_front(waiter);
                break;
            };
            served.push((waiter, Place { shared: Arc::clone(shared), live, ticket, answered: false }));
        }
        served
    }

    fn in_flight(&self) -> usize {
        self.lanes.iter().map(|lane| lane.flights.len()).sum()
    }

    fn cause(&self, limits: &Limits, now: Instant, waited: Duration) -> Acquire {
        let slowest = self.lanes.iter().max_by_key(|lane| lane.stalled(now));
        let Some(lane) = slowest else { return Acquire::CannotConnect { waited } };
        let running = lane.stalled(now);
        match lane.flights.front() {
            Some(flight) if running > limits.stall_max => {
                Acquire::HeldBySlowQueries { waited, running, statement: flight.statement }
            }
            _ => Acquire::Backlog { waited, in_use: self.in_flight(), waiting: self.waiters.len() },
        }
    }
}

impl Lane {
    fn enter(&mut self, ticket: u64, statement: &'static str, now: Instant) {
        if self.flights.is_empty() {
            self.progressed = now;
        }
        self.flights.push_back(Flight { ticket, since: now, statement, caller: Caller::Waits });
    }

    fn leave(&mut self, ticket: u64, now: Instant) {
        self.progressed = now;
        // Answers come in the order of the statements, so what was sent before this one has been answered too.
        self.flights.retain(|flight| {
            flight.ticket != ticket && (flight.ticket > ticket || flight.caller == Caller::Waits)
        });
    }

    fn abandon(&mut self, ticket: u64) {
        if let Some(flight) = self.flights.iter_mut().find(|flight| flight.ticket == ticket) {
            flight.caller = Caller::Left;
        }
    }

    /// For how long its oldest statement has been at the server's, alone.
    fn stalled(&self, now: Instant) -> Duration {
        let oldest = self.flights.front().map(|flight| flight.since.max(self.progressed));
        oldest.map_or(Duration::ZERO, |since| now.saturating_duration_since(since))
    }

    fn wants_ping(&self, limits: &Limits, now: Instant) -> bool {
        match self.flights.back() {
            // Nobody else will notice that the last statements have been answered.
            Some(flight) => flight.caller == Caller::Left,
            None => now.saturating_duration_since(self.progressed) >= limits.health_check_period,
        }
    }
}

impl Place {
    pub(super) fn live(&self) -> &Arc<Live> {
        &self.live
    }

    /// The answer has come, whatever it says.
    pub(super) fn answered(mut self) {
        self.answered = true;
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let caller = if self.answered { Caller::Waits } else { Caller::Left };
        self.shared.release(self.live.id(), self.ticket, &caller);
    }
}
