//! One attempt over a connection that carries many requests at a time (HTTP/2).
//!
//! The request is made from the head that was rewritten for HTTP/1.1, so that one place decides what an endpoint is told; the
//! response is written as HTTP/1.1 from the fields as they were decoded.
//!
//! `Expect: 100-continue` goes to the endpoint, whose `100` goes to the client. Many servers keep it to themselves over
//! HTTP/2 and wait for the body: when an endpoint has said nothing for a second, the gateway answers the expectation itself.
//!
//! Elsewhere: which connection, and how many ([`crate::worker::Multiplex`]).

mod relay;
mod request;
mod upload;

use std::{
    cell::Cell,
    future::Future as _,
    pin::pin,
    rc::Rc,
    task::{Context, Poll},
};

use bytes::Bytes;
use phalanx_http1::request::RequestBody;
use tokio::net::tcp::ReadHalf;

use self::upload::StreamUpload;
use super::{
    Sending,
    attempt::{Attempt, Connections},
    download::{Broken, Delivered, Download},
    failure::Failure,
    upload::{Interrupted, Upload, UploadState},
};
use crate::{
    connection::Client,
    worker::{BUFFER_BYTES, BodyFollows, Elapsed, Inbox, Lease, Multiplex, Repeatable},
};

/// Makes the attempt.
pub(super) async fn exchange(
    attempt: &mut Attempt<'_>,
    multiplex: &Rc<Multiplex>,
    connections: Connections,
) -> Result<Delivered, Broken> {
    let mut lease = lease(attempt, multiplex).await.map_err(Broken::Untold)?;
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

async fn lease(attempt: &Attempt<'_>, multiplex: &Rc<Multiplex>) -> Result<Lease, Failure> {
    let repeatable = match attempt.sending {
        Sending::Whole(_) => attempt.request.repeatable,
        Sending::Stream => Repeatable::No,
    };
    let connect_timeout = attempt.forward.policy.timeouts.connect;
    let lease = multiplex.lease(attempt.worker, repeatable, connect_timeout);
    let lease = attempt.client.reading.within(connect_timeout, lease).await;
    lease.map_err(|Elapsed| Failure::ConnectTimeout)?.map_err(Failure::of_opening)
}

/// Sends a request whose body is here, and relays the response.
async fn exchange_whole(
    attempt: &mut Attempt<'_>,
    lease: &mut Lease,
    body_bytes: usize,
) -> Result<Delivered, Broken> {
    let Client { stream: client, input, writing, response_is_open, .. } = &mut *attempt.client;
    let body = &input.filled()[..body_bytes];
    let follows = if body.is_empty() { BodyFollows::No } else { BodyFollows::Yes };
    let parsed = request::parse(&attempt.forward.head);
    let (response, mut sending) = lease.send(parsed.request, follows).map_err(untold)?;
    if !body.is_empty() {
        // It waits there for the peer's window, which it could not overrun. If it is refused the response tells why.
        let _ = sending.send_data(Bytes::copy_from_slice(body), true);
    }
    let (mut from_client, mut to_client) = client.split();
    let download = Download {
        worker: attempt.worker,
        request: attempt.request,
        upstream: attempt.upstream,
        deadline: writing,
        read_timeout: attempt.forward.policy.timeouts.read,
        upload: &Cell::new(UploadState::Done),
        has_begun: response_is_open,
    };
    let outcome = {
        // Whoever sends with the body does not wait to be asked for it.
        let relay = relay::run(&download, response, relay::Expectation::None, &mut to_client);
        let mut relay = pin!(relay);
        std::future::poll_fn(|context| match relay.as_mut().poll(context) {
            Poll::Pending => poll_left(input, body_bytes, &mut from_client, context)
                .map(|ClientLeft| Err(Broken::ClientGone)),
            delivered => delivered,
        })
        .await
    };
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
        let Client { stream: client, input, reading, writing, response_is_open, .. } = &mut *attempt.client;
        let (mut from_client, mut to_client) = client.split();
        let parsed = request::parse(&attempt.forward.head);
        let (response, sending) = lease.send(parsed.request, BodyFollows::Yes).map_err(untold)?;
        let upload = Upload {
            buffers: &attempt.worker.buffers,
            deadline: reading,
            send_timeout: attempt.forward.policy.timeouts.send,
            body: attempt.request.body,
        };
        let download = Download {
            worker: attempt.worker,
            request: attempt.request,
            upstream: attempt.upstream,
            deadline: writing,
            read_timeout: attempt.forward.policy.timeouts.read,
            upload: &upload_state,
            has_begun: response_is_open,
        };
        let upload = StreamUpload { upload: &upload, has_read: &has_read, to: sending };
        let mut upload = pin!(upload.run(input, &mut from_client));
        let mut relay = pin!(relay::run(&download, response, parsed.expectation, &mut to_client));
        std::future::poll_fn(|context| {
            if upload_state.get() == UploadState::Running
                && let Poll::Ready(ended) = upload.as_mut().poll(context)
            {
                match ended {
                    Ok(()) => {
                        upload_state.set(UploadState::Done);
                        // How long the client took to send is not the endpoint's time.
                        attempt.request.attempt_begins();
                    }
                    // The endpoint may have answered before it stopped reading: the response tells.
                    Err(Interrupted::EndpointGone) => upload_state.set(UploadState::Refused),
                    Err(interrupted) => {
                        return Poll::Ready(Err(interrupted.broken(response_is_open.get())));
                    }
                }
            }
            relay.as_mut().poll(context)
        })
        .await
    };
    if !has_read.get() && matches!(outcome, Err(Broken::Untold(Failure::GoneAway | Failure::Refused))) {
        // Nobody has had any of the body: it can still be sent to another.
        return outcome;
    }
    if upload_state.get() == UploadState::Done {
        // Whoever discards the body of a failed request must not find it in the next one.
        attempt.request.body = RequestBody::Length(0);
    } else {
        // Where the next request begins is unknown.
        attempt.request.keep_alive = false;
    }
    outcome.map_err(|broken| match broken {
        // What the endpoint has not processed is gone all the same.
        Broken::Untold(Failure::GoneAway | Failure::Refused) => Broken::Untold(Failure::Closed),
        broken => broken,
    })
}

fn untold(error: h2::Error) -> Broken {
    Broken::Untold(Failure::of_stream(error))
}

/// The client has gone.
struct ClientLeft;

/// Ready when the client has left; bytes that it sends ahead stay in `input`, behind the body of this request.
fn poll_left(
    input: &mut Inbox,
    body_bytes: usize,
    from: &mut ReadHalf<'_>,
    context: &mut Context<'_>,
) -> Poll<ClientLeft> {
    // Who sends ahead waits for answers. More is read when its turn comes.
    if input.filled().len() > body_bytes || body_bytes == BUFFER_BYTES {
        return Poll::Pending;
    }
    match input.poll_fill(from, context) {
        Poll::Ready(Ok(1..)) | Poll::Pending => Poll::Pending,
        Poll::Ready(Ok(0) | Err(_)) => Poll::Ready(ClientLeft),
    }
}
