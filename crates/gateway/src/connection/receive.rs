//! From bytes to a decision: the head is parsed, routed and rewritten while it is borrowed, and what stays is a [`Request`]
//! that owns all it needs.

use std::{
    cell::Cell,
    io,
    rc::Rc,
    sync::Arc,
    task::{Poll, ready},
    time::{Duration, Instant},
};

use phalanx_config::{ForwardPolicy, Protocol, Shedding};
use phalanx_http1::{
    FieldSlots, HeadLimits, HeadScan, RequestFault, Target, Upgrade, Version,
    request::{self, RequestBody, RequestHead},
    response::RequestKind,
    rewrite::{self, Forwarded},
};
use phalanx_telemetry::{
    clock,
    requests::{MethodLabel, RequestSeries},
    upstream::Shed,
};

use super::{
    Client,
    judged::{self, Pending},
    sender::{Peer, Sender},
};
use crate::{
    answer::{Answer, RETRY_AFTER},
    table::{Action, METHODS, Memory, Refused},
    worker::{Elapsed, LocalService, LocalTable, Output, Repeatable, Worker},
};

const EMPTY_LINE: &[u8] = b"\r\n";
/// From the first byte of a head to its last.
pub(super) const HEAD_TIMEOUT: Duration = Duration::from_secs(10);
/// The status under which a request counts whose client left (nginx's convention).
const CLIENT_CLOSED_REQUEST: u16 = 499;

/// What has come of waiting.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Waited {
    /// Bytes.
    Received,
    /// Nothing.
    Nothing,
    /// The end.
    Closed,
}

/// One request, decided.
pub(crate) struct Request {
    pub(crate) version: Version,
    pub(crate) kind: RequestKind,
    pub(crate) repeatable: Repeatable,
    pub(crate) body: RequestBody,
    /// Whether the client waits for 100 before it sends its body.
    pub(crate) awaits_continue: Cell<bool>,
    pub(crate) keep_alive: bool,
    /// What it asks to switch to, which HTTP/1.1 alone can do.
    pub(crate) upgrade: Option<Upgrade>,
    /// The status it is counted under.
    pub(crate) status: u16,
    begun: Instant,
    attempt_begun: Cell<Instant>,
    /// How long an attempt took from its beginning to the head of a response, once one did.
    pub(crate) answered_after: Cell<Option<Duration>>,
    method: MethodLabel,
    series: Arc<RequestSeries>,
}

/// What is to be done.
pub(crate) enum Plan {
    Forward(Forward),
    Answer(Answer),
}

/// What follows from the head of a request.
pub(crate) enum Decision {
    Settled(Plan),
    /// Something has to be asked first.
    Open(Box<Pending>),
}

/// A request on its way to an endpoint.
pub(crate) struct Forward {
    pub(crate) service: Rc<LocalService>,
    /// What keeps requests together, where `balance` does that.
    pub(crate) key: u64,
    pub(crate) policy: ForwardPolicy,
    /// The head for the endpoint, whichever it is.
    pub(crate) head: Output,
}

impl Request {
    pub(crate) fn is_head(&self) -> bool {
        self.kind == RequestKind::Head
    }

    /// Notes that another attempt begins; the first began with the request.
    pub(crate) fn attempt_begins(&self) {
        self.attempt_begun.set(clock::now());
    }

    /// Time since the present attempt began.
    pub(crate) fn attempt_elapsed(&self) -> Duration {
        clock::now().saturating_duration_since(self.attempt_begun.get())
    }

    /// A request that is refused before its head could be read to the end.
    fn refused(table: &LocalTable) -> Self {
        let series = table.series(None).clone();
        series.begun();
        let begun = clock::now();
        Self {
            version: Version::Http11,
            kind: RequestKind::Other,
            repeatable: Repeatable::No,
            body: RequestBody::Length(0),
            awaits_continue: Cell::new(false),
            // Where the next request would begin is not known.
            keep_alive: false,
            upgrade: None,
            status: CLIENT_CLOSED_REQUEST,
            begun,
            attempt_begun: Cell::new(begun),
            answered_after: Cell::new(None),
            method: MethodLabel::Other,
            series,
        }
    }
}

impl Drop for Request {
    fn drop(&mut self) {
        // Here, so that a request that was cut, at the drain deadline or by a panic, is counted too.
        let elapsed = clock::now().saturating_duration_since(self.begun);
        self.series.ended(self.method, self.status, elapsed);
    }
}

impl Client {
    /// Waits for the first bytes of a request, without a buffer, for at most `idle_max`.
    pub(super) async fn wait(&mut self, idle_max: Duration) -> Waited {
        if !self.input.filled().is_empty() {
            return Waited::Received;
        }
        let (input, stream) = (&mut self.input, &mut self.stream);
        let first_bytes = std::future::poll_fn(|context| {
            loop {
                let count = ready!(input.poll_fill(stream, context))?;
                if input.filled() != EMPTY_LINE {
                    return Poll::Ready(io::Result::Ok(count));
                }
                // Old clients send one behind a body (RFC 9112, section 2.2): no request has begun.
                input.consume(EMPTY_LINE.len());
            }
        });
        match self.reading.within_unless_draining(idle_max, first_bytes).await {
            Ok(Ok(1..)) => Waited::Received,
            Ok(Ok(0) | Err(_)) => Waited::Closed,
            Err(Elapsed) => Waited::Nothing,
        }
    }

    /// Waits for the whole of a request of which the first bytes are here; `None` when the client has left.
    pub(super) async fn receive(&mut self, worker: &Worker) -> Option<(Request, Decision)> {
        let (stream, peer, input) = (&mut self.stream, &self.peer, &mut self.input);
        let mut scan = HeadScan::new();
        let head = std::future::poll_fn(|context| {
            loop {
                if !input.filled().is_empty() {
                    match admit(worker, peer, input.filled(), &mut scan) {
                        Ok(None) => {}
                        Ok(Some((request, decision, consumed))) => {
                            input.consume(consumed);
                            return Poll::Ready(Some((request, decision)));
                        }
                        Err(fault) => {
                            tracing::debug!(client = %peer.ip, %fault, "refused a request");
                            let decision = Decision::Settled(Plan::Answer(refusal(fault)));
                            return Poll::Ready(Some((Request::refused(&worker.table()), decision)));
                        }
                    }
                }
                match ready!(input.poll_fill(stream, context)) {
                    Ok(0) | Err(_) => return Poll::Ready(None),
                    Ok(_) => {}
                }
            }
        });
        self.reading.within(HEAD_TIMEOUT, head).await.unwrap_or_else(|Elapsed| {
            let answer = Answer::problem(408, "the head of the request did not arrive in time");
            Some((Request::refused(&worker.table()), Decision::Settled(Plan::Answer(answer))))
        })
    }
}

fn refusal(fault: RequestFault) -> Answer {
    // RFC 9110, section 15.5.6. No route is known yet: it is what passes where a route names no methods.
    let allowed = (fault == RequestFault::MethodForbidden).then(|| ("Allow", METHODS.join(", ")));
    Answer::Problem { status: fault.status(), detail: fault.to_string(), field: allowed }
}

/// The request that `bytes` begin with, and how many of them are its head; `None` until the head is complete.
fn admit(
    worker: &Worker,
    peer: &Peer,
    bytes: &[u8],
    scan: &mut HeadScan,
) -> Result<Option<(Request, Decision, usize)>, RequestFault> {
    let skipped = request::leading_empty_lines(bytes)?;
    let mut slots = FieldSlots::new();
    let Some((head, head_bytes)) = request::parse(&bytes[skipped..], scan, &mut slots, &HeadLimits::REQUEST)?
    else {
        return Ok(None);
    };
    let (request, decision) = decide(worker, peer, &head);
    Ok(Some((request, decision, skipped + head_bytes)))
}

fn decide(worker: &Worker, peer: &Peer, head: &RequestHead<'_, '_>) -> (Request, Decision) {
    let table = worker.table();
    let witness = peer.witness(worker, head);
    let (route, decision) = route(worker, &table, &peer.sender(witness.as_ref()), head);
    let series = table.series(route).clone();
    series.begun();
    let method = MethodLabel::of(head.method);
    let begun = clock::now();
    let upgrade = Upgrade::of(head);
    let request = Request {
        version: head.version,
        kind: if method == MethodLabel::Head { RequestKind::Head } else { RequestKind::Other },
        repeatable: match method {
            // An endpoint may have begun to speak another protocol.
            _ if upgrade.is_some() => Repeatable::No,
            // RFC 9110, section 9.2.2; of any other method nothing is known.
            MethodLabel::Get
            | MethodLabel::Head
            | MethodLabel::Options
            | MethodLabel::Put
            | MethodLabel::Delete => Repeatable::Yes,
            MethodLabel::Post | MethodLabel::Patch | MethodLabel::Other => Repeatable::No,
        },
        body: head.body,
        awaits_continue: Cell::new(head.expects_continue),
        keep_alive: head.keep_alive,
        upgrade,
        status: CLIENT_CLOSED_REQUEST,
        begun,
        attempt_begun: Cell::new(begun),
        answered_after: Cell::new(None),
        method,
        series,
    };
    (request, decision)
}

/// The route of a request, and what follows.
fn route(
    worker: &Worker,
    table: &LocalTable,
    sender: &Sender<'_>,
    head: &RequestHead<'_, '_>,
) -> (Option<usize>, Decision) {
    let Target::Resource { path, .. } = &head.target else {
        return (None, Decision::Settled(Plan::Answer(Answer::Empty)));
    };
    let Some((index, route)) = table.routes.find(head.authority, path.as_bytes()) else {
        let answer = Answer::problem(404, "no route takes this host and path");
        return (None, Decision::Settled(Plan::Answer(answer)));
    };
    let take = || match &route.action {
        Action::Respond { status, body } => {
            Plan::Answer(Answer::Text { status: *status, body: body.clone() })
        }
        Action::Forward { service, policy }
            if table.memory == Memory::Short && policy.shedding == Shedding::Sheds =>
        {
            table.services[*service].counters.shed(Shed::Memory);
            Plan::Answer(Answer::unavailable("the gateway is short of memory", RETRY_AFTER))
        }
        Action::Forward { service, policy } => {
            let service = table.services[*service].clone();
            let key = service.key(sender.client_ip, head, path.as_bytes());
            let head = rewritten(worker, sender, head, &service);
            Plan::Forward(Forward { service, key, policy: *policy, head })
        }
    };
    let decision = match (route.judge(head.method, path), &route.access) {
        (Ok(()), None) => Decision::Settled(take()),
        (Ok(()), Some(access)) => judged::decide(worker, access, head, take),
        (Err(refused), _) => Decision::Settled(Plan::Answer(not_taken(refused))),
    };
    (Some(index), decision)
}

/// What is answered where a route does not take a request.
fn not_taken(refused: Refused) -> Answer {
    match refused {
        Refused::MethodNotAllowed { allow } => Answer::Problem {
            status: 405,
            detail: "the route does not take this method".to_owned(),
            field: Some(("Allow", allow)),
        },
        Refused::MethodUnknown => Answer::problem(501, "no route was told of this method"),
        Refused::HiddenSeparator => {
            Answer::problem(400, "the path hides a separator in an encoding that this route does not allow")
        }
    }
}

fn rewritten(
    worker: &Worker,
    sender: &Sender<'_>,
    head: &RequestHead<'_, '_>,
    service: &LocalService,
) -> Output {
    let (fresh_id, fresh_traceparent);
    let request_id = match head.request_id {
        Some(id) => id,
        None => {
            fresh_id = worker.request_ids.next();
            &fresh_id
        }
    };
    let traceparent = match head.traceparent {
        Some(traceparent) => traceparent,
        None => {
            fresh_traceparent = worker.request_ids.next_traceparent();
            &fresh_traceparent
        }
    };
    let mut out = worker.buffers.output();
    let forwarded = Forwarded {
        client_ip: sender.client_ip,
        hops: sender.hops,
        scheme: sender.scheme,
        client_host: sender.host,
        request_id,
        traceparent,
        default_host: service.name.as_str(),
    };
    rewrite::request(head, &forwarded, &mut out);
    // Over HTTP/1.1 trailers are passed on unasked; over HTTP/2 some endpoints look for this.
    if service.protocol != Protocol::Http1 && head.takes_trailers() {
        rewrite::ask_for_trailers(&mut out);
    }
    out
}
