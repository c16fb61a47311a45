//! One attempt over a connection that carries many requests at a time (HTTP/2).
//!
//! The request is made from the head that was rewritten for HTTP/1.1, so that one place decides what an endpoint is told; the
//! response is written as HTTP/1.1 from the fields as they were decoded.
//!
//! `Expect: 100-continue` goes to the endpoint, whose `100` goes to the client. Many servers keep it to themselves over
//! HTTP/2 and wait for the body: when an endpoint has said nothing for a second, the gateway answers the expectation itself.
//!
//! Elsewhere: which connection, and how many ([`crate::worker::Multiplex`]).

mod body;
mod relay;
mod request;

use std::{cell::Cell, rc::Rc};

use bytes::Bytes;

use self::{body::StreamUpload, request::Untranslatable};
use super::{
    Sending,
    attempt::{Attempt, Connecting, Connections},
    download::{Broken, Delivered, Download},
    failure::Failure,
    upload::{self, Upload, UploadState},
};
use crate::{
    connection::Client,
    worker::{BodyFollows, GivenUp, Lease, Multiplex, Repeatable},
};

/// Makes the attempt.
pub(super) async fn exchange(
    attempt: &mut Attempt<'_>,
    multiplex: &Rc<Multiplex>,
    connections: Connections,
) -> Result<Delivered, Broken> {
    let mut lease = lease(attempt, multiplex).await?;
    let outcome = match attempt.sending {
        Sending::Whole(body_bytes) => exchange_whole(attempt, &mut lease, body_bytes).await,
        Sending::Stream => exchange_stream(attempt, &mut lease).await,
    };
    outcome.map_err(|broken| match (broken, connections) {
        (Broken::Untold(Failure::Closed), Connections::IdleOrFresh(_)) if lease.was_idle() => {
            Broken::Untold(Failure::IdleConnectionClosed)
        }
        // Whoever closes one connection after the other does not take the request.
        (Broken::Untold(Failure::GoneAway), Connections::Fresh) => Broken::Untold(Failure::Refused),
        (broken, _) => broken,
    })
}

async fn lease(attempt: &Attempt<'_>, multiplex: &Rc<Multiplex>) -> Result<Lease, Broken> {
    let repeatable = match attempt.sending {
        Sending::Whole(_) => attempt.request.repeatable,
        Sending::Stream => Repeatable::No,
    };
    let _connecting =
        Connecting::begin(&attempt.slot.upstream.endpoint, attempt.forward).map_err(Broken::Untold)?;
    let connect_timeout = attempt.forward.policy.timeouts.connect;
    let lease = multiplex.lease(attempt.worker, repeatable, connect_timeout);
    match attempt.client.awaiting(connect_timeout, lease).await {
        Ok(lease) => lease.map_err(|error| Broken::Untold(Failure::of_opening(error))),
        Err(GivenUp::Elapsed) => Err(Broken::Untold(Failure::ConnectTimeout)),
        Err(GivenUp::InVain) => Err(Broken::ClientGone),
    }
}

/// Sends a request whose body is here, and relays the response.
async fn exchange_whole(
    attempt: &mut Attempt<'_>,
    lease: &mut Lease,
    body_bytes: usize,
) -> Result<Delivered, Broken> {
    let Client { stream: client, input, presence, writing, response_is_open, .. } = &mut *attempt.client;
    let body = &input.filled()[..body_bytes];
    let follows = if body.is_empty() { BodyFollows::No } else { BodyFollows::Yes };
    let parsed = request::parse(&attempt.forward.head)
        .map_err(|Untranslatable| Broken::Untold(Failure::Untranslatable))?;
    let (response, mut sending) = lease.send(parsed.request, follows).map_err(untold)?;
    if !body.is_empty() {
        // It waits there for the peer's window, which it could not overrun. If it is refused the response tells why.
        let _ = sending.send_data(Bytes::copy_from_slice(body), true);
    }
    let download = Download {
        worker: attempt.worker,
        request: attempt.request,
        slot: attempt.slot,
        retries: attempt.retries,
        presence,
        deadline: writing,
        read_timeout: attempt.forward.policy.timeouts.read,
        upload: &Cell::new(UploadState::Done),
        has_begun: response_is_open,
    };
    // Whoever sends with the body does not wait to be asked for it.
    let outcome = relay::run(&download, response, relay::Expectation::None, client).await;
    if !matches!(outcome, Err(Broken::Untold(_))) {
        input.consume(body_bytes);
    }
    outcome
}

/// Sends the body as it comes while the response is relayed as it comes: either may end first.
async fn exchange_stream(attempt: &mut Attempt<'_>, lease: &mut Lease) -> Result<Delivered, Broken> {
    let upload_state = Cell::new(UploadState::Running);
    let has_read = Cell::new(false);
    let outcome = {
        let Client { stream: client, input, presence, reading, writing, response_is_open, .. } =
            &mut *attempt.client;
        let (mut from_client, mut to_client) = client.split();
        let parsed = request::parse(&attempt.forward.head)
            .map_err(|Untranslatable| Broken::Untold(Failure::Untranslatable))?;
        let (response, sending) = lease.send(parsed.request, BodyFollows::Yes).map_err(untold)?;
        let upload = Upload {
            buffers: &attempt.worker.buffers,
            presence,
            deadline: reading,
            policy: &attempt.forward.policy,
            request: attempt.request,
        };
        let download = Download {
            worker: attempt.worker,
            request: attempt.request,
            slot: attempt.slot,
            retries: attempt.retries,
            presence,
            deadline: writing,
            read_timeout: attempt.forward.policy.timeouts.read,
            upload: &upload_state,
            has_begun: response_is_open,
        };
        let upload = StreamUpload { upload: &upload, has_read: &has_read, to: sending };
        let upload = upload.run(input, &mut from_client);
        let relay = relay::run(&download, response, parsed.expectation, &mut to_client);
        upload::race(upload, relay, &upload_state, attempt.request, response_is_open).await
    };
    if !has_read.get() && matches!(outcome, Err(Broken::Untold(Failure::GoneAway | Failure::Refused))) {
        // Nobody has had any of the body: it can still be sent to another.
        return outcome;
    }
    upload_state.get().settle(attempt.request);
    outcome.map_err(|broken| match broken {
        // What the endpoint has not processed is gone all the same.
        Broken::Untold(Failure::GoneAway | Failure::Refused) => Broken::Untold(Failure::RefusedMidway),
        broken => broken,
    })
}

fn untold(error: h2::Error) -> Broken {
    Broken::Untold(Failure::of_stream(error))
}
