//! One client connection: request after request, each received, decided, and answered before the next is looked at.
//!
//! Elsewhere: how a request becomes a decision ([`receive`]), how it is forwarded (`crate::exchange`).

mod client;
mod judged;
mod presence;
mod receive;
mod sender;
#[cfg(test)]
mod tests;
mod unread;

use std::{net::SocketAddr, rc::Rc, time::Duration};

pub(crate) use client::{CLIENT_WRITE_STALL_MAX, Client};
use judged::Pending;
use phalanx_http1::{Version, request::RequestBody, rewrite::Persistence};
pub(crate) use presence::Presence;
use receive::{Decision, HEAD_TIMEOUT, Plan, Waited};
pub(crate) use receive::{Forward, Request};
use tokio::net::TcpStream;

use crate::{
    answer::{self, Answer, BodySent, RETRY_AFTER},
    client_places::Place,
    exchange,
    worker::Worker,
};

/// How long a connection may stay between two requests.
const IDLE_MAX: Duration = Duration::from_secs(75);
/// How long it counts as busy after a request.
const BURST_GAP_MAX: Duration = Duration::from_millis(100);

/// What becomes of a connection after a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum After {
    /// The next request may come.
    Next,
    /// Everything was said, but the client may still be sending: it is closed so that the answer arrives.
    Linger,
    /// The client is gone, or the rest of the response is: nothing more can be said.
    Abandon,
}

/// Whether a connection goes on after a burst of requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Burst {
    /// It is idle.
    Over,
    /// It is not to be used any more.
    Last,
}

/// Serves a connection until either side has had enough; it keeps its place until it is closed.
///
/// What serving takes is allocated when bytes come and freed when none have come for a moment: a busy connection allocates
/// nothing for a request, and an idle one keeps nothing but its socket.
pub(crate) fn serve(
    worker: Rc<Worker>,
    stream: TcpStream,
    peer: SocketAddr,
    place: Place,
) -> impl Future<Output = ()> {
    // Answers are written whole, so waiting for more to send would only delay them.
    let _ = stream.set_nodelay(true);
    let mut client = Client::new(&worker, stream, peer);
    // A block, which keeps what it is given where it was put: an `async fn` would hold room in every idle connection for its
    // arguments too.
    async move {
        // Who connects has something to say: a connection on which nothing comes is a scan, or was opened in advance.
        let mut idle_max = HEAD_TIMEOUT;
        while let Waited::Received = client.wait(idle_max).await {
            if Box::pin(serve_burst(&worker, &mut client)).await == Burst::Last {
                break;
            }
            idle_max = IDLE_MAX;
        }
        // The socket is closed before its place is free.
        drop((client, place));
    }
}

/// Tells a client, whatever it wants, that there are too many.
pub(crate) async fn refuse(worker: Rc<Worker>, stream: TcpStream, peer: SocketAddr, _place: Place) {
    let mut client = Client::new(&worker, stream, peer);
    let answer = Answer::unavailable("the gateway has as many connections as it takes", RETRY_AFTER);
    let mut out = worker.buffers.output();
    answer::write(&answer, Version::Http11, BodySent::Yes, Persistence::Close, &mut out);
    if client.write(&out).await.is_ok() {
        client.linger().await;
    }
}

/// Serves requests as long as each comes soon after the one before it; bytes of the first are here.
async fn serve_burst(worker: &Rc<Worker>, client: &mut Client) -> Burst {
    loop {
        let after = match client.receive(worker).await {
            Some((mut request, Decision::Settled(mut plan))) => {
                answer_to(worker, client, &mut request, &mut plan).await
            }
            Some((mut request, Decision::Open(pending))) => {
                // In a place of its own: every busy connection would make room for it.
                Box::pin(answer_once_known(worker, client, &mut request, *pending)).await
            }
            None => return Burst::Last,
        };
        match after {
            After::Next if client.skip_unread().await => {}
            After::Next | After::Linger => {
                client.linger().await;
                return Burst::Last;
            }
            After::Abandon => return Burst::Last,
        }
        match client.wait(BURST_GAP_MAX).await {
            Waited::Received => {}
            Waited::Nothing if !worker.is_draining() => return Burst::Over,
            Waited::Nothing | Waited::Closed => return Burst::Last,
        }
    }
}

/// Answers a request of which it is not known yet whether it may pass.
async fn answer_once_known(
    worker: &Worker,
    client: &mut Client,
    request: &mut Request,
    pending: Pending,
) -> After {
    let Some(mut plan) = judged::settle(worker, client, pending).await else { return After::Abandon };
    // What it waited for is not the endpoint's time.
    request.attempt_begins();
    answer_to(worker, client, request, &mut plan).await
}

async fn answer_to(worker: &Worker, client: &mut Client, request: &mut Request, plan: &mut Plan) -> After {
    match plan {
        Plan::Forward(forward) if announced_bytes(request) > forward.policy.max_body => {
            // Before an endpoint hears of it, and could ask for it with a 100. What is sent all the same is not waited for.
            request.keep_alive = false;
            let answer = Answer::problem(413, "the body of the request is larger than this route takes");
            respond(worker, client, request, &answer).await
        }
        Plan::Forward(forward) => exchange::forward(worker, client, request, forward).await,
        Plan::Answer(answer) => respond(worker, client, request, answer).await,
    }
}

/// How long the body of a request is for certain.
fn announced_bytes(request: &Request) -> u64 {
    match request.body {
        RequestBody::Length(length) => length,
        RequestBody::Chunked => 0,
    }
}

/// Answers a request without an endpoint.
pub(crate) async fn respond(
    worker: &Worker,
    client: &mut Client,
    request: &mut Request,
    answer: &Answer,
) -> After {
    request.status = answer.status();
    let persistence = match request.keep_alive && !worker.is_draining() && client.forgo_body(request) {
        true => Persistence::KeepAlive,
        false => Persistence::Close,
    };
    let body_sent = if request.is_head() { BodySent::No } else { BodySent::Yes };
    let mut out = worker.buffers.output();
    answer::write(answer, request.version, body_sent, persistence, &mut out);
    match (client.write(&out).await, persistence) {
        (Err(_), _) => After::Abandon,
        (Ok(()), Persistence::KeepAlive) => After::Next,
        (Ok(()), Persistence::Close) => After::Linger,
    }
}
