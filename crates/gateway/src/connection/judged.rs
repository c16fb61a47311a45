//! Requests to routes that ask for a token: what follows from what the guard finds of them.

use std::{sync::Arc, time::Duration};

use phalanx_auth::Refusal;
use phalanx_http1::request::RequestHead;

use super::{
    Client,
    receive::{Decision, Plan},
};
use crate::{
    answer::Answer,
    guard::{Judgement, Question, Visitor},
    table::Access,
    worker::{GivenUp, Worker},
};

/// How long a request waits until it is known whether it may pass. Whoever is asked has shorter limits of its own.
const ANSWER_MAX: Duration = Duration::from_secs(5);

/// A request of which it is not known yet whether it may pass.
pub(crate) struct Pending {
    question: Question,
    access: Arc<Access>,
    /// What is to be done if it may.
    plan: Plan,
}

/// What follows for a request; `take` makes the plan for one that may pass.
pub(super) fn decide(
    worker: &Worker,
    access: &Arc<Access>,
    head: &RequestHead<'_, '_>,
    take: impl FnOnce() -> Plan,
) -> Decision {
    // A checked configuration has somebody who verifies tokens wherever a route asks for one.
    let Some(guard) = &worker.guard else { return Decision::Settled(refused(Refusal::KeysUnavailable)) };
    match guard.judge(access, head) {
        Judgement::Passes(visitor) => Decision::Settled(introduced(visitor.as_ref(), take())),
        Judgement::Refused(refusal) => Decision::Settled(refused(refusal)),
        Judgement::Open(question) => {
            Decision::Open(Box::new(Pending { question, access: access.clone(), plan: take() }))
        }
    }
}

fn refused(refusal: Refusal) -> Plan {
    Plan::Answer(Answer::Refused(refusal))
}

/// The plan, in the name of whoever it is for.
fn introduced(visitor: Option<&Visitor>, mut plan: Plan) -> Plan {
    if let (Some(visitor), Plan::Forward(forward)) = (visitor, &mut plan) {
        // Behind everything that the client sent, and after that was stripped: nothing of it can take these away.
        visitor.introduce(&mut forward.head);
    }
    plan
}

/// Waits until it is known whether the request may pass; `None` when its client has left.
pub(super) async fn settle(worker: &Worker, client: &Client, pending: Pending) -> Option<Plan> {
    let Pending { question, access, plan } = pending;
    let Some(guard) = &worker.guard else { return Some(refused(Refusal::KeysUnavailable)) };
    match client.awaiting(ANSWER_MAX, guard.answer(&access, question)).await {
        Ok(Ok(visitor)) => Some(introduced(Some(&visitor), renewed(worker, plan))),
        Ok(Err(refusal)) => Some(refused(refusal)),
        Err(GivenUp::Elapsed) => Some(refused(guard.gave_up())),
        Err(GivenUp::InVain) => None,
    }
}

/// The plan as of now: endpoints may have come and gone while it waited.
fn renewed(worker: &Worker, mut plan: Plan) -> Plan {
    if let Plan::Forward(forward) = &mut plan
        && let Some(service) = worker.table().service(&forward.service.name)
    {
        forward.service = service.clone();
    }
    plan
}
