//! Those who wait for room, or for an endpoint, of all workers: in the order in which they came, and woken one by one.
//!
//! Only the first may look for room, so nobody overtakes; whoever makes room wakes the first, and so does a first that leaves, since
//! there may be room for two. The lock is held for a few instructions, and only where somebody waits.

use std::{
    collections::BTreeMap,
    num::NonZeroU32,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use phalanx_admission::queue::{Full, Queue, Ticket};
use phalanx_telemetry::{clock, upstream::ServiceCounters};
use tokio::sync::Notify;

/// What somebody waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Want {
    /// Endpoints serve, and have none left.
    Room,
    /// None serves.
    Endpoint,
}

/// The queue of a service.
pub(crate) struct Waiting {
    pub(crate) timeout: Duration,
    began: Instant,
    /// As many as there are in `line`: for those who want to know no more.
    count: AtomicUsize,
    line: Mutex<Line>,
    want: Want,
    counters: Arc<ServiceCounters>,
}

struct Line {
    queue: Queue,
    /// What wakes whoever has the ticket.
    owners: BTreeMap<Ticket, Arc<Notify>>,
}

impl Waiting {
    /// For at most `waiting_max`, each of whom waits for at most `timeout`.
    pub(super) fn new(
        want: Want,
        waiting_max: NonZeroU32,
        timeout: Duration,
        counters: Arc<ServiceCounters>,
    ) -> Self {
        let queue = Queue::new(waiting_max, timeout);
        Self {
            timeout,
            began: clock::now(),
            count: AtomicUsize::new(0),
            line: Mutex::new(Line { queue, owners: BTreeMap::new() }),
            want,
            counters,
        }
    }

    /// Whether somebody waits, whom nobody is to overtake.
    pub(crate) fn is_empty(&self) -> bool {
        self.count.load(Ordering::Relaxed) == 0
    }

    /// The last place, unless there are too many.
    pub(crate) fn enter(&self) -> Result<Place<'_>, Full> {
        let turn = Arc::new(Notify::new());
        let mut line = self.line();
        let ticket = line.queue.enter(self.elapsed())?;
        line.owners.insert(ticket, turn.clone());
        self.count.store(line.owners.len(), Ordering::Relaxed);
        match self.want {
            Want::Room => self.counters.queue_entered(),
            Want::Endpoint => self.counters.hold_entered(),
        }
        Ok(Place { waiting: self, ticket, turn })
    }

    /// Wakes the first.
    pub(super) fn wake_first(&self) {
        if !self.is_empty() {
            self.line().wake_first(self.elapsed());
        }
    }

    /// Wakes everybody, to look at something else than whose turn it is.
    pub(super) fn wake_all(&self) {
        for owner in self.line().owners.values() {
            owner.notify_one();
        }
    }

    fn elapsed(&self) -> Duration {
        clock::now().saturating_duration_since(self.began)
    }

    fn line(&self) -> MutexGuard<'_, Line> {
        // What is done under the lock is done whole, or not begun.
        self.line.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Line {
    fn wake_first(&self, now: Duration) {
        if let Some(owner) = self.queue.first(now).and_then(|ticket| self.owners.get(&ticket)) {
            owner.notify_one();
        }
    }
}

/// A place in the queue, until it is left.
pub(crate) struct Place<'a> {
    waiting: &'a Waiting,
    ticket: Ticket,
    turn: Arc<Notify>,
}

impl Place<'_> {
    /// Whether it is this one's turn to look for room.
    pub(crate) fn is_first(&self) -> bool {
        let line = self.waiting.line();
        line.queue.first(self.waiting.elapsed()) == Some(self.ticket)
    }

    /// Ready when there may be room.
    pub(crate) async fn turn(&self) {
        self.turn.notified().await;
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        let mut line = self.waiting.line();
        line.queue.leave(self.ticket);
        line.owners.remove(&self.ticket);
        self.waiting.count.store(line.owners.len(), Ordering::Relaxed);
        match self.waiting.want {
            Want::Room => self.waiting.counters.queue_left(),
            Want::Endpoint => self.waiting.counters.hold_left(),
        }
        line.wake_first(self.waiting.elapsed());
    }
}
