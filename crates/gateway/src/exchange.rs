//! One request and an endpoint: chosen, connected, sent, answered; and sent again where that is safe.
//!
//! A request is sent again in two cases only. Where nothing was sent, because no connection stood, it goes once to another
//! endpoint, whatever its method. Where not one byte came back, it is repeated if its method is idempotent and its body is
//! still here: on another connection if this one had been idle (its peer may just have closed it), else once to another
//! endpoint.

mod attempt;
mod chunks;
mod download;
mod failure;
mod multiplexed;
mod upload;

use attempt::{Attempt, Connections};
use failure::Remedy;
use phalanx_http1::request::RequestBody;

use crate::{
    answer::Answer,
    connection::{After, Client, Forward, Request, respond},
    worker::{BUFFER_BYTES, Repeatable, Worker},
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
    forward: Forward,
) -> After {
    let service = &forward.service;
    let Some(mut upstream) = service.pick(forward.key, None, worker.deadlines.now()) else {
        let detail = format!("service `{}` has no endpoint that serves", service.name);
        return respond(worker, client, request, &Answer::unavailable(detail)).await;
    };
    let sending = Sending::of(request, client.input.filled());
    let repeatable = match sending {
        Sending::Whole(_) => request.repeatable,
        Sending::Stream => Repeatable::No,
    };
    let mut connections = Connections::IdleOrFresh(repeatable);
    let mut endpoints_left = 1;
    loop {
        let attempt = Attempt { worker, client, request, forward: &forward, upstream: &upstream, sending };
        let failure = match attempt.run(connections).await {
            Ok(after) => return after,
            Err(failure) => failure,
        };
        if failure.is_timeout() {
            // An endpoint that does not answer is slow, not unknown.
            upstream.observe(request.attempt_elapsed(), worker.deadlines.now());
        }
        if failure.blames_endpoint() {
            upstream.counters.failed();
            worker.report_failed_attempt(&upstream.endpoint);
        }
        request.attempt_begins();
        let other = match failure.remedy(repeatable) {
            Remedy::FreshConnection if !upstream.is_withdrawn() => {
                connections = Connections::Fresh;
                continue;
            }
            Remedy::FreshConnection | Remedy::OtherEndpoint if endpoints_left > 0 => {
                service.pick(forward.key, Some(&upstream), worker.deadlines.now())
            }
            Remedy::FreshConnection | Remedy::OtherEndpoint | Remedy::Answer => None,
        };
        // Counted in metrics, and no louder here: one line a request would turn an outage into a flood.
        tracing::debug!(service = %service.name, endpoint = %upstream.endpoint.address, %failure, "an attempt failed");
        let Some(other) = other else {
            let answer = Answer::problem(failure.status(), failure.detail(&service.name));
            return respond(worker, client, request, &answer).await;
        };
        upstream.counters.retried();
        endpoints_left -= 1;
        connections = Connections::IdleOrFresh(repeatable);
        upstream = other;
    }
}
