//! Before anything is sent: a request gets room at an endpoint, waits for it, or is turned away.
//!
//! All wait in one line, and only the first looks for room, with the table of its own worker. Whoever makes room wakes the first, and so
//! does one that leaves the line; a moment passes until a request that was woken looks.

use std::time::Duration;

use phalanx_admission::gradient_limit::Admission;

use super::Simulation;
use crate::{
    agenda::{Event, Note},
    gate::Gate,
    promises,
    request::{Ending, Request, Shedding, Stage, Turn},
    setup,
    worker::NoRoom,
};

impl Simulation {
    /// Finds room for a request that has just come, or lets it wait.
    pub(super) fn admit(&mut self, id: usize) {
        let now = self.agenda.now;
        if self.requests[id].shedding == Shedding::Exempt {
            return match self.pick(id) {
                Ok(endpoint) => self.begin_first(id, endpoint),
                Err(none) => self.end(id, none.ending()),
            };
        }
        // Nobody overtakes those who wait.
        if !self.gate.has_waiting() {
            match self.look(id) {
                Ok(endpoint) => return self.begin_first(id, endpoint),
                Err(NoRoom::Full) => {}
                Err(none) => return self.end(id, none.ending()),
            }
        }
        let Some(ticket) = self.gate.begin_waiting(id, now) else { return self.end(id, Ending::Shed) };
        self.agenda.note(Note::Waits { request: id });
        self.requests[id].stage = Stage::Waiting { ticket, since: now, turn: Turn::Awaited, looks_at: now };
        self.wait_on(id);
    }

    /// Wakes whoever has waited longest: some room was made, or limits or endpoints have changed.
    pub(super) fn make_room(&mut self) {
        let Some(id) = self.gate.first(self.agenda.now) else { return };
        let delay = self.message_delay();
        let Stage::Waiting { turn, .. } = &mut self.requests[id].stage else {
            panic!("request {id} does not wait")
        };
        // To be woken twice before one looks is to be woken.
        if *turn == Turn::Awaited {
            *turn = Turn::Come;
            self.agenda.after(delay, Event::Woken { request: id });
        }
    }

    /// Tells the limit something, and wakes the first where it grows by that.
    pub(super) fn with_gate<T>(&mut self, tell: impl FnOnce(&mut Gate, Duration) -> T) -> T {
        let before = self.gate.limit();
        let told = tell(&mut self.gate, self.agenda.now);
        if before < self.gate.limit() {
            self.make_room();
        }
        told
    }

    pub(super) fn woken(&mut self, id: usize) {
        // It may have left meanwhile, or looked by itself.
        if matches!(self.requests[id].stage, Stage::Waiting { turn: Turn::Come, .. }) {
            self.wait_on(id);
        }
    }

    /// A worker finds the requests whose time to look has come.
    pub(super) fn sweep(&mut self, index: usize) {
        let now = self.agenda.now;
        self.workers[index].swept_at = now;
        let is_due = |id: &usize| {
            let Request { worker, stage, .. } = self.requests[*id];
            worker == index && matches!(stage, Stage::Waiting { looks_at, .. } if looks_at <= now)
        };
        let due: Vec<usize> = self.gate.waiting().filter(is_due).collect();
        for id in due {
            self.wait_on(id);
        }
    }

    /// A request in the line is awake: it ends, or looks where it is the first, or goes on waiting.
    fn wait_on(&mut self, id: usize) {
        let now = self.agenda.now;
        let Stage::Waiting { ticket, since, .. } = self.requests[id].stage else {
            panic!("request {id} does not wait")
        };
        let waited = now - since;
        let left = setup::QUEUE_TIMEOUT.saturating_sub(waited);
        if left.is_zero() {
            assert!(
                waited <= setup::QUEUE_TIMEOUT + setup::SWEEP * 2,
                "request {id} is told after {waited:?}"
            );
            self.end_waiting(id);
            return self.end(id, Ending::Late);
        }
        if self.gate.first(now) == Some(id) {
            match self.look(id) {
                Ok(endpoint) => {
                    self.seen.called += 1;
                    self.end_waiting(id);
                    return self.begin_first(id, endpoint);
                }
                Err(NoRoom::Full) => {}
                Err(none) => {
                    self.end_waiting(id);
                    return self.end(id, none.ending());
                }
            }
        }
        // The worker's clock is that of its last sweep.
        let worker = &self.workers[self.requests[id].worker];
        let looks_at = worker.swept_at + left.min(setup::LOOK_AGAIN) + setup::SWEEP;
        self.requests[id].stage = Stage::Waiting { ticket, since, turn: Turn::Awaited, looks_at };
    }

    /// Takes a request out of the line.
    pub(super) fn end_waiting(&mut self, id: usize) {
        let Stage::Waiting { ticket, .. } = self.requests[id].stage else {
            panic!("request {id} does not wait")
        };
        self.gate.end_waiting(ticket);
        self.requests[id].stage = Stage::Arrived;
        self.make_room();
    }

    /// Takes the room that there is.
    fn look(&mut self, id: usize) -> Result<usize, NoRoom> {
        if self.gate.is_broken() {
            return Err(NoRoom::BreakerOpen);
        }
        let (in_flight, limit) = (self.gate.in_flight, self.gate.limit());
        if self.with_gate(Gate::enter) == Admission::Refused {
            return Err(NoRoom::Full);
        }
        let picked = self.pick(id);
        if picked.is_err() {
            // Nobody is woken: it would be whoever has just found no use for it.
            self.gate.leave();
            return picked;
        }
        assert!(self.gate.takes_request(), "nobody else has taken a permit meanwhile");
        assert!(in_flight < limit, "above the limit");
        self.assert_overtakes_nobody(id);
        picked
    }

    /// An endpoint that has not got the request.
    pub(super) fn pick(&mut self, id: usize) -> Result<usize, NoRoom> {
        let now = self.agenda.now;
        let request = &self.requests[id];
        let worker = &mut self.workers[request.worker];
        let picked = worker.pick(&self.endpoints, request, now)?;
        assert!(!request.tried.contains(&picked), "request {id} goes to endpoint {picked} again");
        promises::assert_may_get_requests(&self.control, picked, now);
        Ok(picked)
    }

    /// Who came earlier and still waits must be late.
    fn assert_overtakes_nobody(&self, id: usize) {
        for other in self.open.range(..id) {
            if let Stage::Waiting { since, .. } = self.requests[*other].stage {
                let waited = self.agenda.now - since;
                assert!(waited >= setup::QUEUE_TIMEOUT, "request {id} overtakes {other}");
            }
        }
        if let Stage::Waiting { since, .. } = self.requests[id].stage {
            assert!(self.agenda.now < since + setup::QUEUE_TIMEOUT, "request {id} is served late");
        }
    }
}
