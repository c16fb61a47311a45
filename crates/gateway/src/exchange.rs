//! One request and an endpoint: chosen, connected, sent, answered; and sent again where that is safe.
//!
//! A request is sent again in three cases only. Where nothing was sent, because no connection stood, it goes to another
//! endpoint, whatever its method. Where the endpoint says over HTTP/2 that it has not processed it, it is sent again, whatever
//! its method, as long as its body is here: on another connection after GOAWAY, else to another endpoint. Where not one byte
//! came back, it is repeated if its method is idempotent and its body is still here: on another connection if this one had been
//! idle (its peer may just have closed it), else to another endpoint; that includes one that waits at an endpoint which has stopped
//! being ready. Where something was sent, another endpoint gets it within the budget of retries ([`retries`]).

mod attempt;
mod chunks;
mod download;
mod failure;
mod multiplexed;
mod retries;
mod room;
mod tunnel;
mod upload;

use attempt::{Attempt, Attempted, Connections};
use failure::{Failure, Remedy};
use phalanx_http1::request::RequestBody;
use phalanx_telemetry::upstream::Shed;
use retries::Retries;
use room::{Admitted, NotAdmitted};

use crate::{
    connection::{After, Client, Forward, Request, respond},
    health::Outcome,
    table::{Observed, Pass},
    worker::{BUFFER_BYTES, Repeatable, Slot, Worker},
};

/// How the body of a request is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Sending {
    /// All of it, this many bytes, has been received: it can be sent twice.
    Whole(usize),
    /// It is passed on as it comes.
    Stream,
}

impl Sending {
    fn of(request: &Request, received: &[u8]) -> Self {
        match request.body {
            RequestBody::Length(length) => match usize::try_from(length) {
                Ok(length) if length <= received.len().min(BUFFER_BYTES) => Self::Whole(length),
                _ => Self::Stream,
            },
            RequestBody::Chunked => Self::Stream,
        }
    }
}

/// Forwards a request, and answers it in any case.
pub(crate) async fn forward(
    worker: &Worker,
    client: &mut Client,
    request: &mut Request,
    forward: &mut Forward,
) -> After {
    let Admitted { pass, mut slot } = match room::find(worker, client, request, forward).await {
        Ok(admitted) => admitted,
        Err(NotAdmitted::TurnedAway(answer)) => return respond(worker, client, request, &answer).await,
        Err(NotAdmitted::ClientGone) => return After::Abandon,
    };
    let sending = Sending::of(request, client.input.filled());
    let repeatable = match sending {
        Sending::Whole(_) => request.repeatable,
        Sending::Stream => Repeatable::No,
    };
    let mut connections = Connections::IdleOrFresh(repeatable);
    let retries = Retries::new(worker, forward, repeatable);
    loop {
        let attempt = Attempt { worker, client, request, forward, slot: &slot, sending, retries: &retries };
        let failure = match attempt.run(connections).await {
            Ok(Attempted::Over(after)) => {
                conclude(request, pass);
                return after;
            }
            Ok(Attempted::Switch(tunnel)) => {
                // A tunnel stands for long: it keeps its room at the endpoint, and nobody else's, and no buffer.
                conclude(request, pass);
                let timeouts = forward.policy.timeouts;
                forward.head = worker.buffers.output();
                // In a place of its own: every busy connection would make room for it.
                Box::pin(tunnel.run(worker, client, timeouts)).await;
                return After::Abandon;
            }
            Err(failure) => failure,
        };
        note(worker, request, &slot, &failure);
        if let Some(pass) = pass.as_ref().filter(|_| failure.is_timeout()) {
            pass.observe(Observed::NotAnswered);
        }
        if failure.remedy(repeatable) == Remedy::FreshConnection && !slot.upstream.is_withdrawn() {
            connections = Connections::Fresh;
            continue;
        }
        let Some(other) = retries.other(slot, &failure) else {
            if matches!(failure, Failure::TooManyPending) {
                forward.service.counters.shed(Shed::Full);
            }
            let answer = failure.answer(&forward.service.name);
            return respond(worker, client, request, &answer).await;
        };
        slot = other;
        connections = Connections::IdleOrFresh(repeatable);
    }
}

/// Tells the limit how long the endpoint took. What the endpoint is judged by has been told with the head of its response.
fn conclude(request: &Request, pass: Option<Pass>) {
    if let (Some(pass), Some(elapsed)) = (pass, request.answered_after.get()) {
        pass.observe(Observed::AnsweredAfter(elapsed));
    }
}

/// Counts a failure, and tells it where it is judged.
fn note(worker: &Worker, request: &Request, slot: &Slot, failure: &Failure) {
    let upstream = &slot.upstream;
    if failure.is_timeout() {
        // An endpoint that does not answer is slow, not unknown.
        upstream.observe(request.attempt_elapsed(), worker.deadlines.now());
    }
    if failure.blames_endpoint() {
        upstream.counters.failed();
        slot.conclude(worker, Outcome::Failed);
    }
    request.attempt_begins();
    // Counted in metrics, and no louder here: one line a request would turn an outage into a flood.
    tracing::debug!(endpoint = %upstream.endpoint.address, %failure, "an attempt failed");
}
