//! The connections of one worker to one endpoint that carry many requests at a time (HTTP/2 without TLS).
//!
//! The first connection with room is taken, so that one write carries many requests and the others can idle out. Another is
//! opened when none has room; past [`CONNECTIONS_MAX`] a request waits for another to end, as long as it may wait for a
//! connection.
//!
//! Invariant: a connection that goes away, or that the peer has asked not to use, is given to nobody.
//! Elsewhere: one connection's life ([`connection`]), when it is asked whether it lives ([`vigil`]), what is sent on it
//! (`crate::exchange::multiplexed`).

mod connection;
mod vigil;
mod wire;

use std::{
    cell::{Cell, RefCell},
    io,
    pin::pin,
    rc::Rc,
    sync::Arc,
    time::Duration,
};

use bytes::Bytes;
use connection::{Connection, Link};
use h2::{
    SendStream,
    client::{ResponseFuture, SendRequest},
};
use phalanx_telemetry::{clock, upstream::EndpointCounters};
use tokio::{net::TcpStream, sync::Notify};

use super::{Deadline, Deadlines, Elapsed, Repeatable, Worker, upstream::IDLE_MAX_FOR_UNREPEATABLE};
use crate::table::{Endpoint, Look, Spoken};

/// Connections to one endpoint, per worker, that take requests.
const CONNECTIONS_MAX: usize = 4;
/// How long an endpoint that need not speak HTTP/2 may take to show that it does.
const PROOF_MAX: Duration = Duration::from_secs(1);
/// Requests at a time on one connection, where the peer allows as many.
const STREAMS_MAX: usize = 100;

/// Why an endpoint is spoken to over HTTP/2.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Trust {
    /// The configuration says so.
    Configured,
    /// It has been found out, and each connection finds it out again: what listens at an address may have been replaced.
    Learned,
}

/// Why no connection was to be had.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum OpenError {
    /// There is none.
    Connect {
        /// What the system said, where it was the system.
        code: Option<i32>,
        kind: io::ErrorKind,
    },
    /// None stood in time.
    Timeout,
    /// The peer speaks something else than HTTP/2.
    NotHttp2,
}

impl OpenError {
    fn connecting(error: &io::Error) -> Self {
        Self::Connect { code: error.raw_os_error(), kind: error.kind() }
    }
}

/// The connections of one worker to one endpoint.
pub(crate) struct Multiplex {
    endpoint: Arc<Endpoint>,
    trust: Trust,
    counters: Arc<EndpointCounters>,
    /// Those that take requests, in the order in which they are tried.
    connections: RefCell<Vec<Connection>>,
    /// Connections that are being opened.
    opening: Cell<usize>,
    /// Requests that wait for room.
    waiting: Cell<usize>,
    /// There may be room for one that waits, or none any more.
    changed: Notify,
    /// How often opening failed, and why it did last.
    failures: Cell<(u64, Option<OpenError>)>,
    is_withdrawn: Cell<bool>,
}

impl Multiplex {
    pub(super) fn new(endpoint: Arc<Endpoint>, counters: Arc<EndpointCounters>, trust: Trust) -> Self {
        Self {
            endpoint,
            trust,
            counters,
            connections: RefCell::default(),
            opening: Cell::new(0),
            waiting: Cell::new(0),
            changed: Notify::new(),
            failures: Cell::new((0, None)),
            is_withdrawn: Cell::new(false),
        }
    }

    /// Room for one request. Waits for it without end: who asks bounds that. A connection that has to be opened for it may
    /// take `open_max`.
    pub(crate) async fn lease(
        self: &Rc<Self>,
        worker: &Worker,
        repeatable: Repeatable,
        open_max: Duration,
    ) -> Result<Lease, OpenError> {
        if repeatable == Repeatable::No && self.is_idle() {
            // What the peer has said so far may be that it closes: its connection's task is to hear it first.
            tokio::task::yield_now().await;
        }
        // Who waits is served first.
        if self.waiting.get() == 0
            && let Some(lease) = self.room(repeatable, worker.deadlines.now())
        {
            return Ok(lease);
        }
        let _waiting = Counted::one(&self.waiting);
        let (failures_before, _) = self.failures.get();
        let mut changed = pin!(self.changed.notified());
        let mut stands_behind = self.waiting.get() > 1;
        loop {
            // Before looking, so that what changes after it is not missed.
            changed.as_mut().enable();
            if !std::mem::take(&mut stands_behind)
                && let Some(lease) = self.room(repeatable, worker.deadlines.now())
            {
                return Ok(lease);
            }
            let (failures, error) = self.failures.get();
            if failures == failures_before {
                if self.wants_another() {
                    self.open(worker, open_max, None);
                }
            } else if let Some(error) = error
                && self.connections.borrow().is_empty()
                && self.opening.get() == 0
            {
                // Where another connection stands, one of its requests will end.
                return Err(error);
            }
            changed.as_mut().await;
            changed.set(self.changed.notified());
        }
    }

    /// Room on a connection that stands.
    fn room(self: &Rc<Self>, repeatable: Repeatable, now: Duration) -> Option<Lease> {
        let mut connections = self.connections.borrow_mut();
        let mut index = 0;
        while let Some(connection) = connections.get(index) {
            let link = &connection.link;
            let has_room = link.streams.get() < link.streams_max.get();
            let idle = now.saturating_sub(link.idle_since.get());
            let is_stale = link.streams.get() == 0 && idle > IDLE_MAX_FOR_UNREPEATABLE;
            if has_room && !(is_stale && repeatable == Repeatable::No) {
                if let Some(requests) = connection.ready() {
                    let was_idle = link.streams.get() == 0;
                    link.begin_stream(now);
                    return Some(Lease { pool: self.clone(), link: link.clone(), requests, was_idle });
                }
                connections.remove(index);
            } else if is_stale && repeatable == Repeatable::No {
                // It closes: whether it still stands is not known, and another costs one round trip.
                connections.remove(index);
            } else {
                index += 1;
            }
        }
        None
    }

    /// Whether connections stand, and none of them carries anything.
    fn is_idle(&self) -> bool {
        let connections = self.connections.borrow();
        !connections.is_empty() && connections.iter().all(|connection| connection.link.streams.get() == 0)
    }

    /// Whether the connections that are being opened leave some who wait without room.
    fn wants_another(&self) -> bool {
        let opening = self.opening.get();
        self.connections.borrow().len() + opening < CONNECTIONS_MAX
            && self.waiting.get() > opening * STREAMS_MAX
    }

    /// Finds out whether the endpoint speaks HTTP/2; the connection that shows it is kept.
    pub(super) fn look(self: &Rc<Self>, worker: &Worker, look: Look) {
        self.open(worker, PROOF_MAX, Some(look));
    }

    /// Opens a connection and runs it, in the background; a `look` ends when it stands or does not.
    fn open(self: &Rc<Self>, worker: &Worker, open_max: Duration, look: Option<Look>) {
        let (pool, deadlines) = (self.clone(), worker.deadlines.clone());
        // Counted here: the next who looks for room must see it.
        let opening = Opening::begin(self.clone());
        worker.tasks.spawn(async move {
            let deadline = deadlines.deadline();
            let opened = pool.opened(&deadlines, &deadline, open_max).await;
            pool.learn(opened.as_ref().map(|_| ()));
            drop((opening, look));
            match opened {
                // Whoever wanted it has gone, and nobody else will come.
                Ok(_) if pool.is_withdrawn.get() && pool.waiting.get() == 0 => {}
                Ok((connection, task)) => {
                    pool.connections.borrow_mut().push(connection);
                    pool.changed.notify_waiters();
                    task.run(&pool, &deadlines, &deadline).await;
                }
                Err(error) => {
                    let (count, _) = pool.failures.get();
                    pool.failures.set((count + 1, Some(error)));
                    pool.changed.notify_waiters();
                }
            }
        });
    }

    async fn opened(
        &self,
        deadlines: &Rc<Deadlines>,
        deadline: &Deadline,
        open_max: Duration,
    ) -> Result<(Connection, connection::Task<TcpStream>), OpenError> {
        let began = deadlines.now();
        let connecting = TcpStream::connect(self.endpoint.address);
        let stream = deadline.within(open_max, connecting).await.map_err(|Elapsed| OpenError::Timeout)?;
        let stream = stream.map_err(|error| OpenError::connecting(&error))?;
        // What is to go out goes out in one piece, so waiting for more to send would only delay it.
        let _ = stream.set_nodelay(true);
        let establishing = connection::establish(stream, self.counters.clone(), deadlines);
        match self.trust {
            Trust::Configured => {
                let left = open_max.saturating_sub(deadlines.now().saturating_sub(began));
                deadline.within(left, establishing).await.unwrap_or(Err(OpenError::Timeout))
            }
            Trust::Learned => {
                deadline.within(PROOF_MAX, establishing).await.unwrap_or(Err(OpenError::NotHttp2))
            }
        }
    }

    /// Notes what opening a connection has shown, for all workers.
    fn learn(&self, opened: Result<(), &OpenError>) {
        let spoken = match (self.trust, opened) {
            (Trust::Learned, Ok(())) => Spoken::H2c,
            (Trust::Learned, Err(OpenError::NotHttp2)) => Spoken::Http1,
            // Whoever cannot be reached shows nothing.
            (Trust::Learned, Err(OpenError::Connect { .. } | OpenError::Timeout))
            | (Trust::Configured, _) => {
                return;
            }
        };
        self.endpoint.learned.learn(spoken, clock::now());
    }

    /// Gives the connection to nobody any more; it ends when its last request has.
    fn retire(&self, link: &Rc<Link>) {
        self.connections.borrow_mut().retain(|connection| !Rc::ptr_eq(&connection.link, link));
    }

    /// A connection has ended, or has room for more than before.
    fn rethink(&self) {
        if self.waiting.get() > 0 {
            self.changed.notify_waiters();
        }
    }

    /// Closes the connections that carry nothing, and the others when their last request ends.
    pub(super) fn withdraw(&self) {
        self.is_withdrawn.set(true);
        if self.waiting.get() == 0 {
            self.connections.borrow_mut().clear();
        }
    }
}

/// One more, until it is dropped.
struct Counted<'a> {
    count: &'a Cell<usize>,
}

impl<'a> Counted<'a> {
    fn one(count: &'a Cell<usize>) -> Self {
        count.set(count.get() + 1);
        Self { count }
    }
}

impl Drop for Counted<'_> {
    fn drop(&mut self) {
        self.count.set(self.count.get() - 1);
    }
}

/// A connection that is being opened, counted until it is dropped.
struct Opening {
    pool: Rc<Multiplex>,
}

impl Opening {
    fn begin(pool: Rc<Multiplex>) -> Self {
        pool.opening.set(pool.opening.get() + 1);
        Self { pool }
    }
}

impl Drop for Opening {
    fn drop(&mut self) {
        self.pool.opening.set(self.pool.opening.get() - 1);
    }
}

/// Room for one request on a connection, until it is dropped.
pub(crate) struct Lease {
    pool: Rc<Multiplex>,
    link: Rc<Link>,
    requests: SendRequest<Bytes>,
    was_idle: bool,
}

impl Lease {
    /// Whether the connection carried nothing else when this began.
    pub(crate) fn was_idle(&self) -> bool {
        self.was_idle
    }

    /// Sends the head of a request; without a body it `ends` with that.
    pub(crate) fn send(
        &mut self,
        request: http::Request<()>,
        body: BodyFollows,
    ) -> Result<(ResponseFuture, SendStream<Bytes>), h2::Error> {
        self.requests.send_request(request, body == BodyFollows::No)
    }
}

/// Whether anything follows the head of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum BodyFollows {
    Yes,
    No,
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.link.end_stream();
        if self.pool.waiting.get() > 0 {
            self.pool.changed.notify_one();
        } else if self.pool.is_withdrawn.get() && self.link.streams.get() == 0 {
            self.pool.retire(&self.link);
        }
    }
}

#[cfg(test)]
mod tests;
