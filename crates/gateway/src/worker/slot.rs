//! A request in flight to an endpoint: the room it takes, until it is over.

use std::{cell::Cell, rc::Rc, sync::Arc};

use super::{Upstream, Worker};
use crate::{
    health::Outcome,
    table::{Begun, Bound, Gate},
};

/// The room of one request at one endpoint.
///
/// It is taken before a connection is sought: whoever waits until the endpoint has drained waits for this request too.
pub(crate) struct Slot {
    pub(crate) upstream: Rc<Upstream>,
    trial: Cell<Trial>,
    /// Where somebody may wait for this room.
    gate: Option<Arc<Gate>>,
}

/// Whether what becomes of a request decides about its endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Trial {
    No,
    Undecided,
    Decided,
}

impl Slot {
    /// Takes the room, unless others were faster.
    pub(super) fn take(upstream: &Rc<Upstream>, bound: Bound, gate: Option<&Arc<Gate>>) -> Option<Self> {
        let trial = match upstream.endpoint.begin_request(bound)? {
            Begun::Usual => Trial::No,
            Begun::OnTrial => Trial::Undecided,
        };
        upstream.counters.request_begun();
        Some(Self { upstream: upstream.clone(), trial: Cell::new(trial), gate: gate.cloned() })
    }

    /// Tells what became of the request where somebody judges by it: of every failure, and of an answer where it was on trial.
    pub(crate) fn conclude(&self, worker: &Worker, outcome: Outcome) {
        let decides = self.trial.get() == Trial::Undecided;
        if outcome == Outcome::Answered && !decides {
            return;
        }
        let is_told = worker.report(&self.upstream.endpoint, outcome);
        if decides && is_told {
            self.trial.set(Trial::Decided);
        }
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        if self.trial.get() == Trial::Undecided {
            self.upstream.endpoint.give_trial_back();
        }
        self.upstream.endpoint.request_ended();
        self.upstream.counters.request_ended();
        if let Some(gate) = &self.gate {
            gate.make_room();
        }
    }
}
