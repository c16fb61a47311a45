//! An endpoint as one worker sees it: its idle connections, its counters, its response time.

use std::{
    cell::{Cell, RefCell},
    collections::VecDeque,
    rc::Rc,
    sync::Arc,
    time::Duration,
};

use phalanx_balance::ResponseTime;
use phalanx_config::Protocol;
use phalanx_telemetry::{clock, upstream::EndpointCounters};
use tokio::{io::Interest, net::TcpStream};

use super::{
    Worker,
    multiplex::{Multiplex, Trust},
};
use crate::table::{Bound, Endpoint, Look, Spoken};

/// An idle connection older than this is not used again; common servers close theirs after 60 s or more.
pub(super) const IDLE_MAX: Duration = Duration::from_secs(50);
/// A request that must not be sent twice takes only a connection that was in use so recently: the shortest keep-alive in use
/// is 2 s, and a peer that closes just as the request arrives leaves no way to tell whether it was processed.
pub(super) const IDLE_MAX_FOR_UNREPEATABLE: Duration = Duration::from_secs(1);

/// An endpoint as one worker sees it.
pub(crate) struct Upstream {
    pub(crate) endpoint: Arc<Endpoint>,
    pub(crate) counters: Arc<EndpointCounters>,
    keepalive: usize,
    /// Those that carry one request at a time, oldest first.
    idle: RefCell<VecDeque<Idle>>,
    /// Those that carry many.
    multiplex: Option<Rc<Multiplex>>,
    protocol: Protocol,
    is_withdrawn: Cell<bool>,
    /// As this worker has seen it; `None` where nobody asks.
    response_time: Option<Cell<ResponseTime>>,
}

/// Whether an endpoint's response time is followed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Timing {
    Followed,
    Ignored,
}

/// Whether a connection was idle before an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Origin {
    Idle,
    Fresh,
}

struct Idle {
    connection: UpstreamConnection,
    since: Duration,
}

/// Whether a request may be sent a second time after it may have been processed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Repeatable {
    Yes,
    No,
}

impl Upstream {
    pub(crate) fn new(
        endpoint: Arc<Endpoint>,
        counters: Arc<EndpointCounters>,
        protocol: Protocol,
        keepalive: usize,
        timing: Timing,
    ) -> Self {
        let multiplexed = |trust| Rc::new(Multiplex::new(endpoint.clone(), counters.clone(), trust));
        let multiplex = match protocol {
            Protocol::Http1 => None,
            Protocol::H2c => Some(multiplexed(Trust::Configured)),
            Protocol::Auto => Some(multiplexed(Trust::Learned)),
        };
        Self {
            endpoint,
            counters,
            keepalive,
            idle: RefCell::default(),
            multiplex,
            protocol,
            is_withdrawn: Cell::new(false),
            response_time: (timing == Timing::Followed).then(Cell::default),
        }
    }

    /// The connections that carry many requests, if it is spoken to over such.
    pub(crate) fn multiplex(&self) -> Option<&Rc<Multiplex>> {
        let is_spoken = match self.protocol {
            Protocol::Http1 => false,
            Protocol::H2c => true,
            Protocol::Auto => self.endpoint.learned.spoken() == Spoken::H2c,
        };
        self.multiplex.as_ref().filter(|_| is_spoken)
    }

    /// Whether it may be spoken to over connections that carry one request at a time.
    pub(crate) fn may_speak_http1(&self) -> bool {
        self.protocol != Protocol::H2c
    }

    /// Has it found out in the background whether it speaks HTTP/2, where that is to be found out and is not known. A new
    /// connection is the time to ask again.
    pub(crate) fn look(&self, worker: &Worker, origin: Origin) {
        if self.protocol == Protocol::Auto
            && let Some(multiplex) = &self.multiplex
            && (origin == Origin::Fresh || self.endpoint.learned.spoken() == Spoken::Unknown)
            && let Some(look) = Look::claim(&self.endpoint, clock::now())
        {
            multiplex.look(worker, look);
        }
    }

    /// Takes in that it needed `elapsed` to answer, or to fail to.
    pub(crate) fn observe(&self, elapsed: Duration, now: Duration) {
        if let Some(response_time) = &self.response_time {
            let mut next = response_time.get();
            next.observe(elapsed, now);
            response_time.set(next);
        }
    }

    /// How long it is expected to need, in nanoseconds; zero where nothing is known.
    pub(crate) fn response_nanos(&self, now: Duration) -> u64 {
        self.response_time.as_ref().map_or(0, |response_time| response_time.get().nanos(now))
    }

    /// Whether another request may begin: what it may have at a time, and wait for.
    pub(crate) fn has_room(&self, bound: Bound) -> bool {
        self.endpoint.has_room(bound)
            && (bound == Bound::Exempt || self.endpoint.may_connect() || !self.idle.borrow().is_empty())
    }

    /// An idle connection that is believed to be open: the one used last.
    pub(crate) fn take_idle(&self, repeatable: Repeatable, now: Duration) -> Option<UpstreamConnection> {
        let age_max = match repeatable {
            Repeatable::Yes => IDLE_MAX,
            Repeatable::No => IDLE_MAX_FOR_UNREPEATABLE,
        };
        let mut idle = self.idle.borrow_mut();
        while let Some(Idle { connection, since }) = idle.pop_back() {
            if now.saturating_sub(since) > age_max {
                // The rest has been idle for longer still, but may serve a request that can be repeated.
                idle.push_back(Idle { connection, since });
                return None;
            }
            if connection.is_quiet() {
                return Some(connection);
            }
        }
        None
    }

    /// Keeps a connection for later, if there is room and the endpoint still gets requests.
    pub(crate) fn put_idle(&self, connection: UpstreamConnection, now: Duration) {
        let mut idle = self.idle.borrow_mut();
        if !self.is_withdrawn.get() && idle.len() < self.keepalive {
            idle.push_back(Idle { connection, since: now });
        }
    }

    /// Closes the idle connections that are too old, or that the peer has closed.
    pub(crate) fn sweep(&self, now: Duration) {
        self.idle
            .borrow_mut()
            .retain(|idle| now.saturating_sub(idle.since) <= IDLE_MAX && idle.connection.is_quiet());
    }

    /// Whether it is in no table of this worker any more: no request may begin there.
    pub(crate) fn is_withdrawn(&self) -> bool {
        self.is_withdrawn.get()
    }

    /// Closes the idle connections; those in use are closed when they are given back.
    pub(crate) fn withdraw(&self) {
        self.is_withdrawn.set(true);
        self.idle.borrow_mut().clear();
        if let Some(multiplex) = &self.multiplex {
            multiplex.withdraw();
        }
    }
}

/// A connection to an endpoint, counted as long as it is open.
pub(crate) struct UpstreamConnection {
    stream: TcpStream,
    counters: Arc<EndpointCounters>,
}

impl UpstreamConnection {
    pub(crate) fn new(stream: TcpStream, counters: Arc<EndpointCounters>) -> Self {
        counters.connection_opened();
        Self { stream, counters }
    }

    pub(crate) fn stream(&mut self) -> &mut TcpStream {
        &mut self.stream
    }

    /// Whether the peer has sent nothing as of the last turn of the event loop, neither bytes, which would answer a request
    /// that nobody made, nor an end. Costs no system call.
    fn is_quiet(&self) -> bool {
        // Nobody is woken by it, and a task's budget has no say in it: the endpoint's next answer is waited for by whoever reads.
        self.stream.try_io(Interest::READABLE, || Ok(())).is_err()
    }
}

impl Drop for UpstreamConnection {
    fn drop(&mut self) {
        self.counters.connection_closed();
    }
}
