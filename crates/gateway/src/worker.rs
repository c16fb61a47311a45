//! One thread of the gateway: takes connections, serves them, and swaps its table when another is published.
//!
//! Everything here belongs to one thread; what other threads may see is in [`Seat`].

mod accept;
mod buffer;
mod deadline;
mod local_table;
mod multiplex;
mod request_id;
mod service;
mod slot;
mod tasks;
mod upstream;
mod write;

use std::{
    cell::{Cell, RefCell},
    io,
    net::{IpAddr, SocketAddr},
    rc::Rc,
    sync::Arc,
    time::{Duration, Instant},
};

use accept::Acceptor;
pub(crate) use buffer::{BUFFER_BYTES, Buffers, Inbox, Output, Sink, Source};
use deadline::TICK;
pub(crate) use deadline::{Deadline, Deadlines, Elapsed, GivenUp};
use ipnet::IpNet;
pub(crate) use local_table::LocalTable;
pub(crate) use multiplex::{BodyFollows, Lease, Multiplex, OpenError};
use phalanx_telemetry::{clock, requests::RequestFamily, upstream::UpstreamFamily};
pub(crate) use request_id::RequestIds;
pub(crate) use service::{LocalService, NoSlot};
pub(crate) use slot::Slot;
use tasks::Tasks;
use tokio::{
    net::TcpStream,
    runtime::{Builder, LocalOptions},
    sync::{mpsc, watch},
    task::{JoinError, JoinSet},
    time::MissedTickBehavior,
};
use tokio_util::sync::CancellationToken;
use upstream::Timing;
pub(crate) use upstream::{Origin, Repeatable, Upstream, UpstreamConnection};
pub(crate) use write::{WriteError, write_all, write_all_unless_in_vain};

use crate::{
    client_places::{Admitted, ClientPlaces},
    connection,
    guard::{Guard, Verification},
    health::{Attempted, Outcome},
    table::{Endpoint, Reports, Table},
};

/// What a worker is given, and what others see of it.
pub(crate) struct Seat {
    /// Its place among the workers, from zero.
    pub(crate) index: usize,
    /// How many workers there are.
    pub(crate) workers: usize,
    pub(crate) listeners: Vec<std::net::TcpListener>,
    pub(crate) tables: watch::Receiver<Arc<Table>>,
    /// The generation of the table it works with.
    pub(crate) applied: watch::Sender<u64>,
    pub(crate) client_places: Arc<ClientPlaces>,
    pub(crate) requests: RequestFamily,
    pub(crate) upstreams: UpstreamFamily,
    pub(crate) attempts: mpsc::Sender<Attempted>,
    /// Who is believed about where a request comes from.
    pub(crate) trusted_proxies: Arc<[IpNet]>,
    /// What tokens are verified with, where routes ask for some.
    pub(crate) verification: Option<Verification>,
    pub(crate) stop: CancellationToken,
    /// How long open requests may go on after `stop`.
    pub(crate) drain_deadline: Duration,
}

/// What the connections of one worker share.
pub(crate) struct Worker {
    pub(crate) buffers: Rc<Buffers>,
    pub(crate) deadlines: Rc<Deadlines>,
    pub(crate) request_ids: RequestIds,
    /// Judges who may come to routes that ask for a token.
    pub(crate) guard: Option<Guard>,
    tasks: Tasks,
    table: RefCell<Rc<LocalTable>>,
    is_draining: Cell<bool>,
    attempts: mpsc::Sender<Attempted>,
    trusted_proxies: Arc<[IpNet]>,
}

impl Worker {
    fn new(table: LocalTable, seat: &Seat, now: Instant) -> Rc<Self> {
        Rc::new(Self {
            buffers: Rc::default(),
            deadlines: Deadlines::new(now),
            request_ids: RequestIds::new(),
            guard: seat.verification.clone().map(Guard::new),
            tasks: Tasks::default(),
            table: RefCell::new(Rc::new(table)),
            is_draining: Cell::new(false),
            attempts: seat.attempts.clone(),
            trusted_proxies: seat.trusted_proxies.clone(),
        })
    }

    /// The table for one request.
    pub(crate) fn table(&self) -> Rc<LocalTable> {
        self.table.borrow().clone()
    }

    /// Whether connections end after their present request.
    pub(crate) fn is_draining(&self) -> bool {
        self.is_draining.get()
    }

    /// Whether an address is that of a proxy whose word is taken.
    pub(crate) fn trusts(&self, address: IpAddr) -> bool {
        self.trusted_proxies.iter().any(|network| network.contains(&address))
    }

    /// Tells the control side what became of an attempt, where somebody judges by that; whether it has been told.
    pub(crate) fn report(&self, endpoint: &Arc<Endpoint>, outcome: Outcome) -> bool {
        // When the queue is full the control side has more failures than it needs to act on.
        endpoint.reports == Reports::Outcomes
            && self.attempts.try_send(Attempted { endpoint: endpoint.clone(), outcome }).is_ok()
    }
}

/// Runs a worker until it has drained. To be called on a thread of its own.
pub(crate) fn run(seat: Seat) -> io::Result<()> {
    let runtime =
        Builder::new_current_thread().enable_io().enable_time().build_local(LocalOptions::default())?;
    runtime.block_on(serve(seat))
}

enum Event {
    Accepted(io::Result<(TcpStream, SocketAddr)>),
    Stop,
    Upkeep(Upkeep),
}

/// What a worker sees to as long as it has connections, draining included.
enum Upkeep {
    TablePublished,
    Tick,
    Ended(Result<(), JoinError>),
}

async fn serve(mut seat: Seat) -> io::Result<()> {
    let mut acceptor = Acceptor::new(std::mem::take(&mut seat.listeners))?;
    let published = seat.tables.borrow_and_update().clone();
    let table = LocalTable::build(&published, None, &seat);
    seat.applied.send_replace(table.generation);
    let worker = Worker::new(table, &seat, clock::now());
    let mut connections = JoinSet::new();
    let mut ticks = tokio::time::interval(TICK);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        let accepts = acceptor.accepts(worker.deadlines.now());
        let event = tokio::select! {
            biased;
            () = seat.stop.cancelled() => Event::Stop,
            Ok(()) = seat.tables.changed() => Event::Upkeep(Upkeep::TablePublished),
            _ = ticks.tick() => Event::Upkeep(Upkeep::Tick),
            Some(ended) = connections.join_next() => Event::Upkeep(Upkeep::Ended(ended)),
            accepted = acceptor.next(), if accepts => Event::Accepted(accepted),
        };
        match event {
            Event::Accepted(Ok(accepted)) => {
                take_in(&worker, &seat.client_places, accepted, &mut connections);
            }
            Event::Accepted(Err(error)) => {
                acceptor.failed(&error, worker.deadlines.now(), &seat.client_places);
            }
            Event::Stop => break,
            Event::Upkeep(upkeep) => worker.on(upkeep, &mut seat),
        }
    }
    for accepted in acceptor.close() {
        take_in(&worker, &seat.client_places, accepted, &mut connections);
    }
    worker.drain(&mut connections, ticks, &mut seat).await;
    Ok(())
}

/// Begins to serve a connection, if there is a place for it.
fn take_in(
    worker: &Rc<Worker>,
    client_places: &ClientPlaces,
    (stream, peer): (TcpStream, SocketAddr),
    connections: &mut JoinSet<()>,
) {
    match client_places.admit() {
        Admitted::Client(place) => {
            connections.spawn_local(connection::serve(worker.clone(), stream, peer, place));
        }
        Admitted::Refusal(place) => {
            connections.spawn_local(connection::refuse(worker.clone(), stream, peer, place));
        }
        Admitted::Nothing => {}
    }
}

impl Worker {
    fn on(&self, upkeep: Upkeep, seat: &mut Seat) {
        match upkeep {
            Upkeep::TablePublished => {
                let previous = self.table();
                let published = seat.tables.borrow_and_update().clone();
                let next = LocalTable::build(&published, Some(&previous), seat);
                let generation = next.generation;
                self.table.replace(Rc::new(next));
                // Only now does no request of this worker begin with the previous table.
                seat.applied.send_replace(generation);
                self.table().let_the_waiting_look();
            }
            Upkeep::Tick => {
                self.deadlines.sweep(clock::now());
                self.table().sweep(self.deadlines.now());
                self.tasks.reap();
            }
            Upkeep::Ended(Err(error)) if error.is_panic() => {
                tracing::error!(%error, "a connection ended in a panic; please report this");
            }
            Upkeep::Ended(_) => {}
        }
    }

    /// Ends idle connections, and waits for the others until the deadline.
    async fn drain(&self, connections: &mut JoinSet<()>, mut ticks: tokio::time::Interval, seat: &mut Seat) {
        self.is_draining.set(true);
        self.deadlines.begin_draining();
        // No endpoint comes any more.
        self.table().let_all_held_look();
        let mut deadline = std::pin::pin!(tokio::time::sleep(seat.drain_deadline));
        while !connections.is_empty() {
            let upkeep = tokio::select! {
                () = &mut deadline => break,
                Ok(()) = seat.tables.changed() => Upkeep::TablePublished,
                _ = ticks.tick() => Upkeep::Tick,
                Some(ended) = connections.join_next() => Upkeep::Ended(ended),
            };
            self.on(upkeep, seat);
        }
        if !connections.is_empty() {
            tracing::warn!(
                connections = connections.len(),
                "cut connections that were open at the drain deadline"
            );
        }
        connections.shutdown().await;
        self.tasks.shutdown().await;
    }
}

#[cfg(test)]
impl Worker {
    /// A worker that nobody runs, with these routes and no services: time passes for it when a test sweeps its deadlines.
    pub(crate) fn at_rest(routes: &[phalanx_config::Route], now: Instant) -> Rc<Self> {
        let routes = Arc::new(crate::table::Routes::new(routes, &std::collections::HashMap::new()));
        let table = Arc::new(Table {
            generation: 1,
            routes,
            services: Vec::new(),
            memory: crate::table::Memory::Ample,
        });
        let seat = Seat {
            index: 0,
            workers: 1,
            listeners: Vec::new(),
            tables: watch::channel(table.clone()).1,
            applied: watch::channel(0).0,
            client_places: Arc::new(ClientPlaces::new(None)),
            requests: RequestFamily::new(),
            upstreams: UpstreamFamily::new(),
            attempts: mpsc::channel(1).0,
            trusted_proxies: Arc::default(),
            verification: None,
            stop: CancellationToken::new(),
            drain_deadline: Duration::ZERO,
        };
        Self::new(LocalTable::build(&table, None, &seat), &seat, now)
    }
}
