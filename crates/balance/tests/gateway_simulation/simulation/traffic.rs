//! The way of requests through the gateway, once there is room for them.

use std::time::Duration;

use phalanx_balance::Withdrawal;

use super::Simulation;
use crate::{
    agenda::{Event, Note, Report, exponential},
    endpoint::{Condition, Outcome},
    gate::Gate,
    request::{Ending, Repeatable, Request, Shedding, Stage},
    setup,
};

/// What a failed attempt leaves to do.
enum Remedy {
    /// Another endpoint may get it; this costs nothing where nothing was sent.
    OtherEndpoint,
    /// So it may, within the budget.
    OtherEndpointInBudget,
    Answer(Ending),
}

/// Whether an attempt showed how the endpoint is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Decided {
    Yes,
    No,
}

impl Simulation {
    pub(super) fn arrives(&mut self, worker: usize) {
        let now = self.agenda.now;
        if now >= setup::LAST_REQUEST_AT {
            return;
        }
        let mean = self.time_between_requests();
        let between = exponential(&mut self.random, mean);
        self.agenda.after(between, Event::Arrives { worker });
        let id = self.requests.len();
        self.requests.push(Request {
            worker,
            came_at: now,
            shedding: if self.random.u32(..50) == 0 { Shedding::Exempt } else { Shedding::Sheds },
            repeatable: if self.random.u32(..4) == 0 { Repeatable::No } else { Repeatable::Yes },
            key: self.random.u64(..),
            tried: Vec::new(),
            stage: Stage::Arrived,
        });
        self.open.insert(id);
        if self.random.u32(..10) == 0 {
            let patience = exponential(&mut self.random, Duration::from_millis(200));
            self.agenda.after(patience, Event::ClientLeaves { request: id });
        }
        self.admit(id);
    }

    /// Of one worker: bursts every few seconds until it gets calm.
    fn time_between_requests(&self) -> Duration {
        let now = self.agenda.now;
        let all = if now >= setup::CALM_AT {
            Duration::from_millis(25)
        } else if now.as_secs() % 4 == 3 {
            Duration::from_micros(2_500)
        } else {
            Duration::from_micros(12_500)
        };
        all * u32::try_from(self.workers.len()).expect("workers are few")
    }

    /// Sends a request that has room at an endpoint, for the first time.
    pub(super) fn begin_first(&mut self, id: usize, index: usize) {
        let now = self.agenda.now;
        let request = &self.requests[id];
        self.workers[request.worker].deposit(now);
        if request.shedding == Shedding::Sheds {
            self.breaker_trials.assert_may_pass(&self.control);
        }
        self.begin(id, index);
    }

    fn begin(&mut self, id: usize, index: usize) {
        let now = self.agenda.now;
        self.agenda.note(Note::Begins { request: id, endpoint: index });
        let request = &mut self.requests[id];
        let worker = &mut self.workers[request.worker];
        let endpoint = &mut self.endpoints[index];
        let trial = worker.table.trial(index);
        if let Some(trial) = trial {
            self.seen.trials += 1;
            assert_eq!(
                endpoint.trial_request.replace(id),
                None,
                "a second request to endpoint {index} on trial"
            );
            endpoint.trial_taken = trial;
        }
        assert!(endpoint.has_room(request.shedding));
        let outcome = endpoint.outcome(now, &mut self.random);
        endpoint.in_flight += 1;
        request.tried.push(index);
        request.stage = Stage::Attempting { endpoint: index, since: now, trial };
        let attempt = request.attempt();
        if let Some((delay, outcome)) = outcome {
            self.agenda.after(delay, Event::AttemptEnds { request: id, attempt, outcome });
        }
        self.agenda.after(setup::ATTEMPT_TIMEOUT, Event::AttemptExpires { request: id, attempt });
    }

    pub(super) fn is_current(&self, id: usize, attempt: u32) -> bool {
        let request = &self.requests[id];
        matches!(request.stage, Stage::Attempting { .. }) && request.attempt() == attempt
    }

    pub(super) fn attempt_ends(&mut self, id: usize, attempt: u32, outcome: Outcome) {
        let Stage::Attempting { endpoint, .. } = self.requests[id].stage else { return };
        // One that has begun to hang does not answer what it got before either.
        if self.is_current(id, attempt) && self.endpoints[endpoint].condition != Condition::Hanging {
            self.conclude(id, outcome);
        }
    }

    /// An attempt is over: takes it off the counts.
    fn release(&mut self, id: usize, decided: Decided) {
        let request = &mut self.requests[id];
        let Stage::Attempting { endpoint: index, trial, .. } = request.stage else {
            panic!("request {id} is with no endpoint")
        };
        request.stage = Stage::Failed;
        let endpoint = &mut self.endpoints[index];
        endpoint.in_flight -= 1;
        if let Some(trial) = trial {
            assert_eq!(endpoint.trial_request.take(), Some(id));
            if decided == Decided::No {
                endpoint.trial_taken = trial - 1;
            }
        }
        self.make_room();
    }

    pub(super) fn conclude(&mut self, id: usize, outcome: Outcome) {
        let now = self.agenda.now;
        self.agenda.note(Note::Concludes { request: id, outcome });
        let Request { worker, repeatable, .. } = self.requests[id];
        let Stage::Attempting { endpoint, since, .. } = self.requests[id].stage else {
            panic!("request {id} is with no endpoint")
        };
        let elapsed = now - since;
        match outcome {
            Outcome::Answered | Outcome::Erred | Outcome::CutShort | Outcome::Expired => {
                self.workers[worker].observe(endpoint, elapsed, now);
            }
            Outcome::Refused | Outcome::Reset => {}
        }
        self.tell_limit(id, outcome, elapsed);
        self.release(id, Decided::Yes);
        self.count(endpoint, outcome, elapsed);
        let remedy = match (outcome, repeatable) {
            (Outcome::Answered, _) => Remedy::Answer(Ending::Answered),
            (Outcome::Erred, _) => Remedy::Answer(Ending::Erred),
            (Outcome::CutShort, _) => Remedy::Answer(Ending::CutShort),
            (Outcome::Refused, _) => Remedy::OtherEndpoint,
            (Outcome::Reset, Repeatable::Yes) => Remedy::OtherEndpointInBudget,
            // After a timeout the endpoint may still be at work on it, and a second one would make that worse.
            (Outcome::Reset, Repeatable::No) | (Outcome::Expired, _) => Remedy::Answer(Ending::Failed),
        };
        self.remedy(id, &remedy);
    }

    /// Tells the limit how a request went, if it has passed the gate. Whoever refuses or resets says nothing about how busy anyone is.
    fn tell_limit(&mut self, id: usize, outcome: Outcome, elapsed: Duration) {
        if self.requests[id].shedding == Shedding::Exempt {
            return;
        }
        match outcome {
            Outcome::Answered | Outcome::Erred | Outcome::CutShort => {
                self.with_gate(|gate, now| gate.answered(elapsed, now));
            }
            Outcome::Expired => self.with_gate(Gate::dropped),
            Outcome::Refused | Outcome::Reset => {}
        }
    }

    /// What everyone gets to know of an attempt.
    fn count(&mut self, index: usize, outcome: Outcome, elapsed: Duration) {
        let totals = &mut self.endpoints[index].totals;
        totals.requests += 1;
        let report = match outcome {
            // The head of an answer that is cut short is an answer, and nothing later is reported.
            Outcome::Answered | Outcome::Erred | Outcome::CutShort => {
                totals.answered += 1;
                totals.response_time += elapsed;
                Report::Succeeded
            }
            Outcome::Refused | Outcome::Reset | Outcome::Expired => Report::Failed,
        };
        totals.failures += u64::from(outcome != Outcome::Answered);
        let delay = self.message_delay();
        self.agenda.after(delay, Event::Reported { endpoint: index, report });
    }

    fn remedy(&mut self, id: usize, remedy: &Remedy) {
        match remedy {
            Remedy::Answer(ending) => self.end(id, *ending),
            Remedy::OtherEndpoint | Remedy::OtherEndpointInBudget => match self.other(id, remedy) {
                Some(endpoint) => self.begin(id, endpoint),
                None => self.end(id, Ending::Failed),
            },
        }
    }

    /// Room at another endpoint for a request whose attempt failed; the one that it had is given back.
    fn other(&mut self, id: usize, remedy: &Remedy) -> Option<usize> {
        let now = self.agenda.now;
        let Request { worker, shedding, .. } = self.requests[id];
        if self.requests[id].attempt() >= setup::ATTEMPTS_MAX {
            return None;
        }
        let endpoint = self.pick(id).ok()?;
        if shedding == Shedding::Sheds && !self.gate.takes_request() {
            return None;
        }
        if matches!(remedy, Remedy::OtherEndpointInBudget) {
            if self.workers[worker].withdraw(now) == Withdrawal::Refused {
                self.seen.refused_retries += 1;
                // The room that it had taken for a moment.
                self.make_room();
                return None;
            }
            self.seen.retries += 1;
        }
        if shedding == Shedding::Sheds {
            self.breaker_trials.assert_may_pass(&self.control);
        }
        Some(endpoint)
    }

    pub(super) fn client_leaves(&mut self, id: usize) {
        match self.requests[id].stage {
            Stage::Waiting { .. } => self.end_waiting(id),
            Stage::Attempting { .. } => self.release(id, Decided::No),
            Stage::Ended => return,
            Stage::Arrived | Stage::Failed => panic!("request {id} is nowhere"),
        }
        self.end(id, Ending::ClientLeft);
    }

    pub(super) fn end(&mut self, id: usize, ending: Ending) {
        self.agenda.note(Note::Ends { request: id, ending });
        assert!(self.open.remove(&id), "request {id} ends twice");
        let request = &mut self.requests[id];
        request.stage = Stage::Ended;
        self.seen.ended(ending, request.came_at);
        if request.has_passed() {
            self.gate.leave();
            self.make_room();
        }
    }
}
