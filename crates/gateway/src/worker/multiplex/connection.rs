//! One connection: opened and proved to speak HTTP/2, run by a task, and ended when it is of no more use.

use std::{
    cell::Cell,
    pin::Pin,
    rc::Rc,
    sync::Arc,
    task::{Context, Poll, Waker},
    time::Duration,
};

use bytes::Bytes;
use h2::{
    Ping, PingPong,
    client::{self, SendRequest},
};
use phalanx_http1::HeadLimits;
use phalanx_telemetry::upstream::EndpointCounters;
use tokio::io::{AsyncRead, AsyncWrite};

use super::{
    Multiplex, OpenError, STREAMS_MAX,
    vigil::{Seen, Verdict, Vigil},
    wire::Wire,
};
use crate::worker::{BUFFER_BYTES, Deadline, Deadlines};

/// What a peer may send of one response that its client has not taken: what many megabytes a second need over a network of
/// one data centre.
const STREAM_WINDOW_BYTES: usize = 256 * 1024;
/// The same of all responses of a connection. As large as all of them together, or clients that take nothing could keep the
/// others from getting theirs.
const CONNECTION_WINDOW_BYTES: usize = STREAMS_MAX * STREAM_WINDOW_BYTES;
/// What of the body of a request waits to be sent.
const SEND_BUFFER_BYTES_MAX: usize = 128 * 1024;
/// Requests that were cancelled, and of whose responses frames may still come, are remembered: to answer such a frame with a
/// fault is taken for one by peers that count them.
const CANCELLED_STREAMS_MAX: usize = 1024;

/// What the task of a connection and those who use it both see.
pub(super) struct Link {
    /// Requests on it.
    pub(super) streams: Cell<usize>,
    /// How many there may be.
    pub(super) streams_max: Cell<usize>,
    busy_since: Cell<Duration>,
    pub(super) idle_since: Cell<Duration>,
    /// When the peer last sent anything.
    heard: Cell<Duration>,
    deadlines: Rc<Deadlines>,
}

impl Link {
    fn new(deadlines: &Rc<Deadlines>) -> Self {
        let now = deadlines.now();
        Self {
            streams: Cell::new(0),
            streams_max: Cell::new(STREAMS_MAX),
            busy_since: Cell::new(now),
            idle_since: Cell::new(now),
            heard: Cell::new(now),
            deadlines: deadlines.clone(),
        }
    }

    pub(super) fn begin_stream(&self, now: Duration) {
        if self.streams.replace(self.streams.get() + 1) == 0 {
            self.busy_since.set(now);
        }
    }

    pub(super) fn end_stream(&self) {
        self.streams.set(self.streams.get() - 1);
        self.idle_since.set(self.deadlines.now());
    }

    /// Notes that the peer sent something.
    pub(super) fn hear(&self) {
        self.heard.set(self.deadlines.now());
    }

    fn seen(&self) -> Seen {
        Seen {
            streams: self.streams.get(),
            busy_since: self.busy_since.get(),
            idle_since: self.idle_since.get(),
            heard: self.heard.get(),
        }
    }
}

/// A connection that takes requests. The task ends soon after the last of these and of the leases on it is dropped.
pub(super) struct Connection {
    pub(super) link: Rc<Link>,
    requests: SendRequest<Bytes>,
}

impl Connection {
    /// What a request is sent with, unless the connection is going away.
    pub(super) fn ready(&self) -> Option<SendRequest<Bytes>> {
        let mut requests = self.requests.clone();
        match requests.poll_ready(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(Ok(())) => Some(requests),
            // Pending is what a handle says that has sent one request too many, and this one has sent none.
            Poll::Ready(Err(_)) | Poll::Pending => None,
        }
    }
}

/// A connection, counted as long as it is open.
struct Open {
    counters: Arc<EndpointCounters>,
}

impl Open {
    fn new(counters: Arc<EndpointCounters>) -> Self {
        counters.connection_opened();
        Self { counters }
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.counters.connection_closed();
    }
}

/// What moves the bytes of a connection.
pub(super) struct Task<S> {
    link: Rc<Link>,
    connection: client::Connection<Wire<S>, Bytes>,
    pings: PingPong,
    _open: Open,
}

/// Begins HTTP/2 on a connection that stands. It is believed once the peer has answered a PING, and with that, before it, told
/// its settings.
pub(super) async fn establish<S: AsyncRead + AsyncWrite + Unpin>(
    stream: S,
    counters: Arc<EndpointCounters>,
    deadlines: &Rc<Deadlines>,
) -> Result<(Connection, Task<S>), OpenError> {
    let open = Open::new(counters);
    let link = Rc::new(Link::new(deadlines));
    let wire = Wire { stream, link: link.clone() };
    let (requests, mut connection) = builder().handshake(wire).await.map_err(|_| OpenError::NotHttp2)?;
    let mut pings = connection.ping_pong().expect("it is taken once");
    pings.send_ping(Ping::opaque()).map_err(|_| OpenError::NotHttp2)?;
    std::future::poll_fn(|context| {
        if Pin::new(&mut connection).poll(context).is_ready() {
            return Poll::Ready(Err(OpenError::NotHttp2));
        }
        pings.poll_pong(context).map_err(|_| OpenError::NotHttp2)
    })
    .await?;
    let task = Task { link: link.clone(), connection, pings, _open: open };
    task.read_limits();
    Ok((Connection { link, requests }, task))
}

fn builder() -> client::Builder {
    let window = |bytes: usize| u32::try_from(bytes).expect("windows are far smaller");
    let mut builder = client::Builder::new();
    builder
        .enable_push(false)
        .initial_window_size(window(STREAM_WINDOW_BYTES))
        .initial_connection_window_size(window(CONNECTION_WINDOW_BYTES))
        .max_frame_size(window(BUFFER_BYTES))
        .max_header_list_size(window(HeadLimits::RESPONSE.head_bytes_max))
        .max_send_buffer_size(SEND_BUFFER_BYTES_MAX)
        .max_concurrent_reset_streams(CANCELLED_STREAMS_MAX)
        // Malformed responses fail alone: to count them until the connection falls would take the others along.
        .max_local_error_reset_streams(None);
    builder
}

impl<S: AsyncRead + AsyncWrite + Unpin> Task<S> {
    /// Runs the connection until either side has ended it.
    ///
    /// Requests that begin in one turn of the event loop go out in one write: the first of them wakes this task, which takes
    /// its turn behind all that were awake before it.
    pub(super) async fn run(mut self, pool: &Multiplex, deadlines: &Rc<Deadlines>, deadline: &Deadline) {
        let mut vigil = Vigil::default();
        std::future::poll_fn(|context| {
            loop {
                if Pin::new(&mut self.connection).poll(context).is_ready() {
                    return Poll::Ready(());
                }
                if self.read_limits() {
                    pool.rethink();
                }
                if self.pings.poll_pong(context).is_ready() {
                    vigil.answered();
                }
                match vigil.look(self.link.seen(), deadlines.now()) {
                    Verdict::Wait(limit) => deadline.arm(limit),
                    Verdict::Ping => {
                        // One that is still out serves as well.
                        let _ = self.pings.send_ping(Ping::opaque());
                        continue;
                    }
                    Verdict::Retire => {
                        pool.retire(&self.link);
                        // It says goodbye now that nobody holds it, if the peer reads.
                        let _ = Pin::new(&mut self.connection).poll(context);
                        return Poll::Ready(());
                    }
                    Verdict::Dead => return Poll::Ready(()),
                }
                if deadline.poll_elapsed(context).is_pending() {
                    return Poll::Pending;
                }
            }
        })
        .await;
        pool.retire(&self.link);
        pool.rethink();
    }

    /// Takes over how many requests the peer allows; whether there are more than before.
    fn read_limits(&self) -> bool {
        let allowed = self.connection.max_concurrent_send_streams().min(STREAMS_MAX);
        self.link.streams_max.replace(allowed) < allowed
    }
}
