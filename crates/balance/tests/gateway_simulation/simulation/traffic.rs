//! The way of requests through the gateway.

use std::time::Duration;

use phalanx_admission::gradient_limit::Admission;
use phalanx_balance::{Withdrawal, breaker};

use super::Simulation;
use crate::{
    agenda::{Event, Note, Report, exponential},
    endpoint::{Condition, Outcome},
    promises,
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
        self.workers[worker].deposit(now);
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

    fn admit(&mut self, id: usize) {
        let now = self.agenda.now;
        let Request { worker: index, shedding, .. } = self.requests[id];
        let worker = &mut self.workers[index];
        if shedding == Shedding::Exempt {
            return self.send(id);
        }
        if !worker.table.is_selected.contains(&true) {
            return self.end(id, Ending::NobodyServes);
        }
        // Nobody overtakes those who wait.
        let must_wait =
            worker.has_queue() || worker.admits() == Admission::Refused || !worker.has_room(&self.endpoints);
        if !must_wait {
            self.send(id);
        } else if let Some(ticket) = worker.enter(id, now) {
            self.agenda.note(Note::Waits { request: id });
            self.requests[id].stage = Stage::Waiting { ticket, since: now };
        } else {
            self.end(id, Ending::Shed);
        }
    }

    /// Lets those in who wait, as long as there is room.
    pub(super) fn call_waiting(&mut self, index: usize) {
        let now = self.agenda.now;
        loop {
            let worker = &mut self.workers[index];
            let may_call = worker.has_queue()
                && worker.has_room(&self.endpoints)
                && worker.admits() == Admission::Admitted;
            let Some(id) = may_call.then(|| worker.next(now)).flatten() else { return };
            let Stage::Waiting { since, .. } = self.requests[id].stage else {
                panic!("request {id} does not wait")
            };
            assert!(now < since + setup::QUEUE_TIMEOUT, "request {id} is served late");
            self.seen.called += 1;
            self.send(id);
        }
    }

    pub(super) fn sweep(&mut self, index: usize) {
        let now = self.agenda.now;
        while let Some(id) = self.workers[index].expired(now) {
            let Stage::Waiting { since, .. } = self.requests[id].stage else {
                panic!("request {id} does not wait")
            };
            let waited = now - since;
            assert!(
                (setup::QUEUE_TIMEOUT..=setup::QUEUE_TIMEOUT + setup::SWEEP).contains(&waited),
                "{waited:?}"
            );
            self.end(id, Ending::Late);
        }
        self.call_waiting(index);
    }

    /// Begins an attempt at an endpoint that has not been tried, if there is one, and ends the request otherwise.
    fn send(&mut self, id: usize) {
        let now = self.agenda.now;
        let Request { worker: index, shedding, key, ref tried, .. } = self.requests[id];
        let in_vain = |ending| if tried.is_empty() { ending } else { Ending::Failed };
        let worker = &mut self.workers[index];
        let Some(endpoint) = worker.pick(&self.endpoints, tried, key, now) else {
            return self.end(id, in_vain(Ending::NobodyServes));
        };
        assert!(!tried.contains(&endpoint), "request {id} goes to endpoint {endpoint} again");
        if shedding == Shedding::Sheds {
            match worker.table.breaker {
                breaker::State::Closed => {}
                breaker::State::HalfOpen { .. } if self.control.permits > 0 => self.control.permits -= 1,
                breaker::State::HalfOpen { .. } | breaker::State::Open { .. } => {
                    return self.end(id, in_vain(Ending::BreakerOpen));
                }
            }
            self.breaker_trials.assert_may_pass(&self.control, now);
            assert!(!tried.is_empty() || worker.in_flight < worker.limit(), "above the limit");
        }
        promises::assert_may_get_requests(&self.control, endpoint, now);
        self.begin(id, endpoint);
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
        let outcome = endpoint.outcome(now, &mut self.random);
        worker.in_flight += 1;
        endpoint.in_flight += 1;
        assert!(endpoint.in_flight <= endpoint.in_flight_max);
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
        self.workers[request.worker].in_flight -= 1;
        if let Some(trial) = trial {
            assert_eq!(endpoint.trial_request.take(), Some(id));
            if decided == Decided::No {
                endpoint.trial_taken = trial - 1;
            }
        }
    }

    pub(super) fn conclude(&mut self, id: usize, outcome: Outcome) {
        let now = self.agenda.now;
        self.agenda.note(Note::Concludes { request: id, outcome });
        let Request { worker: index, repeatable, .. } = self.requests[id];
        let Stage::Attempting { endpoint, since, .. } = self.requests[id].stage else {
            panic!("request {id} is with no endpoint")
        };
        let worker = &mut self.workers[index];
        match outcome {
            Outcome::Answered | Outcome::Erred => worker.answered(endpoint, now - since, now),
            Outcome::Reset | Outcome::CutShort | Outcome::Expired => worker.dropped(now),
            // So fast a failure says nothing about how busy anyone is.
            Outcome::Refused => {}
        }
        self.release(id, Decided::Yes);
        self.count(endpoint, outcome, now - since);
        let remedy = match (outcome, repeatable) {
            (Outcome::Answered, _) => Remedy::Answer(Ending::Answered),
            (Outcome::Erred, _) => Remedy::Answer(Ending::Erred),
            (Outcome::CutShort, _) => Remedy::Answer(Ending::CutShort),
            (Outcome::Refused, _) => Remedy::OtherEndpoint,
            (Outcome::Reset | Outcome::Expired, Repeatable::Yes) => Remedy::OtherEndpointInBudget,
            (Outcome::Reset | Outcome::Expired, Repeatable::No) => Remedy::Answer(Ending::Failed),
        };
        self.remedy(id, &remedy);
        self.call_waiting(index);
    }

    /// What everyone gets to know of an attempt.
    fn count(&mut self, index: usize, outcome: Outcome, elapsed: Duration) {
        let totals = &mut self.endpoints[index].totals;
        totals.requests += 1;
        let report = match outcome {
            Outcome::Answered | Outcome::Erred => {
                totals.answered += 1;
                totals.response_time += elapsed;
                Report::Succeeded
            }
            Outcome::Refused | Outcome::Reset | Outcome::CutShort | Outcome::Expired => Report::Failed,
        };
        totals.failures += u64::from(outcome != Outcome::Answered);
        let delay = self.message_delay();
        self.agenda.after(delay, Event::Reported { endpoint: index, report });
    }

    fn remedy(&mut self, id: usize, remedy: &Remedy) {
        let now = self.agenda.now;
        let request = &self.requests[id];
        let is_left = request.attempt() < setup::ATTEMPTS_MAX;
        match remedy {
            Remedy::Answer(ending) => self.end(id, *ending),
            Remedy::OtherEndpoint if is_left => self.send(id),
            Remedy::OtherEndpointInBudget if is_left => match self.workers[request.worker].withdraw(now) {
                Withdrawal::Granted => {
                    self.seen.retries += 1;
                    self.send(id);
                }
                Withdrawal::Refused => {
                    self.seen.refused_retries += 1;
                    self.end(id, Ending::Failed);
                }
            },
            Remedy::OtherEndpoint | Remedy::OtherEndpointInBudget => self.end(id, Ending::Failed),
        }
    }

    pub(super) fn client_leaves(&mut self, id: usize) {
        let worker = self.requests[id].worker;
        match self.requests[id].stage {
            Stage::Waiting { ticket, .. } => self.workers[worker].leave(ticket),
            Stage::Attempting { .. } => self.release(id, Decided::No),
            Stage::Ended => return,
            Stage::Arrived | Stage::Failed => panic!("request {id} is nowhere"),
        }
        self.end(id, Ending::ClientLeft);
        self.call_waiting(worker);
    }

    fn end(&mut self, id: usize, ending: Ending) {
        self.agenda.note(Note::Ends { request: id, ending });
        assert!(self.open.remove(&id), "request {id} ends twice");
        let request = &mut self.requests[id];
        request.stage = Stage::Ended;
        self.seen.ended(ending, request.came_at);
    }
}
