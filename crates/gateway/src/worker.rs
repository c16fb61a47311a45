//! One thread of the gateway: takes connections, serves them, and swaps its table when another is published.
//!
//! Everything here belongs to one thread; what other threads may see is in [`Seat`].

mod buffer;
mod deadline;
mod local_table;
mod multiplex;
mod request_id;
mod service;
mod tasks;
mod upstream;
mod write;

use std::{
    cell::{Cell, RefCell},
    io,
    net::SocketAddr,
    rc::Rc,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    task::Poll,
    time::Duration,
};

pub(crate) use buffer::{BUFFER_BYTES, Buffers, Inbox, Output, Source};
use deadline::TICK;
pub(crate) use deadline::{Deadline, Deadlines, Elapsed};
pub(crate) use local_table::LocalTable;
pub(crate) use multiplex::{BodyFollows, Lease, Multiplex, OpenError};
use phalanx_telemetry::{clock, requests::RequestFamily, upstream::UpstreamFamily};
pub(crate) use request_id::RequestIds;
pub(crate) use service::LocalService;
use tasks::Tasks;
use tokio::{
    net::{TcpListener, TcpStream},
    runtime::{Builder, LocalOptions},
    sync::{mpsc, watch},
    task::{JoinError, JoinSet},
    time::MissedTickBehavior,
};
use tokio_util::sync::CancellationToken;
use upstream::Timing;
pub(crate) use upstream::{Origin, Repeatable, Upstream, UpstreamConnection};
pub(crate) use write::{WriteError, write_all};

use crate::{
    connection,
    health::AttemptFailed,
    table::{Endpoint, Table},
};

/// Connections that one worker serves at a time; with more it leaves them in the backlog.
const CONNECTIONS_MAX: usize = 50_000;
/// How long a worker takes no connections after the kernel had none to give, as when file descriptors run out.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// What a worker is given, and what others see of it.
pub(crate) struct Seat {
    /// Its place among the workers, from zero.
    pub(crate) index: usize,
    pub(crate) listeners: Vec<std::net::TcpListener>,
    pub(crate) tables: watch::Receiver<Arc<Table>>,
    /// The generation of the table it works with.
    pub(crate) applied: watch::Sender<u64>,
    pub(crate) connections: Arc<AtomicUsize>,
    pub(crate) requests: RequestFamily,
    pub(crate) upstreams: UpstreamFamily,
    pub(crate) failed_attempts: mpsc::Sender<AttemptFailed>,
    pub(crate) stop: CancellationToken,
    /// How long open requests may go on after `stop`.
    pub(crate) drain_deadline: Duration,
}

/// What the connections of one worker share.
pub(crate) struct Worker {
    pub(crate) buffers: Rc<Buffers>,
    pub(crate) deadlines: Rc<Deadlines>,
    pub(crate) request_ids: RequestIds,
    tasks: Tasks,
    table: RefCell<Rc<LocalTable>>,
    is_draining: Cell<bool>,
    failed_attempts: mpsc::Sender<AttemptFailed>,
}

impl Worker {
    /// The table for one request.
    pub(crate) fn table(&self) -> Rc<LocalTable> {
        self.table.borrow().clone()
    }

    /// Whether connections end after their present request.
    pub(crate) fn is_draining(&self) -> bool {
        self.is_draining.get()
    }

    /// Tells the control side that an endpoint could not be reached, or gave no answer.
    pub(crate) fn report_failed_attempt(&self, endpoint: &Arc<Endpoint>) {
        // When the queue is full the control side has more failures than it needs to act on.
        let _ = self.failed_attempts.try_send(AttemptFailed { endpoint: endpoint.clone() });
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
    let listeners: Vec<TcpListener> = std::mem::take(&mut seat.listeners)
        .into_iter()
        .map(TcpListener::from_std)
        .collect::<Result<_, _>>()?;
    let published = seat.tables.borrow_and_update().clone();
    let table = LocalTable::build(&published, None, &seat);
    seat.applied.send_replace(table.generation);
    let worker = Rc::new(Worker {
        buffers: Rc::default(),
        deadlines: Deadlines::new(clock::now()),
        request_ids: RequestIds::new(),
        tasks: Tasks::default(),
        table: RefCell::new(Rc::new(table)),
        is_draining: Cell::new(false),
        failed_attempts: seat.failed_attempts.clone(),
    });
    let mut connections = JoinSet::new();
    let mut ticks = tokio::time::interval(TICK);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut accept_from = 0;
    let mut accept_paused_until = Duration::ZERO;
    loop {
        let accepts = worker.deadlines.now() >= accept_paused_until && connections.len() < CONNECTIONS_MAX;
        let event = tokio::select! {
            biased;
            () = seat.stop.cancelled() => Event::Stop,
            Ok(()) = seat.tables.changed() => Event::Upkeep(Upkeep::TablePublished),
            _ = ticks.tick() => Event::Upkeep(Upkeep::Tick),
            Some(ended) = connections.join_next() => Event::Upkeep(Upkeep::Ended(ended)),
            accepted = accept(&listeners, &mut accept_from), if accepts => Event::Accepted(accepted),
        };
        match event {
            Event::Accepted(Ok((stream, peer))) => {
                connections.spawn_local(connection::serve(worker.clone(), stream, peer));
            }
            Event::Accepted(Err(error)) => {
                tracing::warn!(%error, "cannot accept connections");
                accept_paused_until = worker.deadlines.now() + ACCEPT_PAUSE;
            }
            Event::Stop => break,
            Event::Upkeep(upkeep) => worker.on(upkeep, &mut seat),
        }
        seat.connections.store(connections.len(), Ordering::Relaxed);
    }
    for (stream, peer) in close(listeners) {
        connections.spawn_local(connection::serve(worker.clone(), stream, peer));
    }
    worker.drain(&mut connections, ticks, &mut seat).await;
    Ok(())
}

/// The next connection of any listener, each in turn.
async fn accept(listeners: &[TcpListener], from: &mut usize) -> io::Result<(TcpStream, SocketAddr)> {
    std::future::poll_fn(|context| {
        for _ in 0..listeners.len() {
            *from = (*from + 1) % listeners.len();
            if let Poll::Ready(accepted) = listeners[*from].poll_accept(context) {
                return Poll::Ready(accepted);
            }
        }
        Poll::Pending
    })
    .await
}

/// Closes the listeners, and takes what the kernel has already completed: it would be reset with them. The kernel is asked
/// itself, since the event loop may not have been told yet.
fn close(listeners: Vec<TcpListener>) -> impl Iterator<Item = (TcpStream, SocketAddr)> {
    let listeners = listeners.into_iter().filter_map(|listener| listener.into_std().ok());
    let accepted = listeners.flat_map(|listener| std::iter::from_fn(move || listener.accept().ok()));
    accepted.filter_map(|(stream, peer)| {
        stream.set_nonblocking(true).ok()?;
        Some((TcpStream::from_std(stream).ok()?, peer))
    })
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
        let mut deadline = std::pin::pin!(tokio::time::sleep(seat.drain_deadline));
        while !connections.is_empty() {
            let upkeep = tokio::select! {
                () = &mut deadline => break,
                Ok(()) = seat.tables.changed() => Upkeep::TablePublished,
                _ = ticks.tick() => Upkeep::Tick,
                Some(ended) = connections.join_next() => Upkeep::Ended(ended),
            };
            self.on(upkeep, seat);
            seat.connections.store(connections.len(), Ordering::Relaxed);
        }
        if !connections.is_empty() {
            tracing::warn!(
                connections = connections.len(),
                "cut connections that were open at the drain deadline"
            );
        }
        connections.shutdown().await;
        self.tasks.shutdown().await;
        seat.connections.store(0, Ordering::Relaxed);
    }
}
