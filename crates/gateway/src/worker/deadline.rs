//! Deadlines that cost a store: no timer is armed on the path of a request.
//!
//! A worker sweeps the deadlines of its connections a few times a second and wakes those that have passed. A deadline is
//! therefore met late by up to two ticks, and never early.

mod limited;

use std::{
    cell::{Cell, RefCell},
    future::Future,
    rc::Rc,
    task::{Context, Poll, Waker},
    time::{Duration, Instant},
};

use limited::{OrElapsed, OrGivenUp};
use slab::Slab;

/// The time between two sweeps.
pub(crate) const TICK: Duration = Duration::from_millis(100);
/// How long a connection may be idle once its worker drains: a request that crosses the stop is still answered.
const IDLE_MAX_WHILE_DRAINING: Duration = TICK;

/// The limit has passed.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Elapsed;

/// Why a wait was given up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum GivenUp {
    /// The limit has passed.
    Elapsed,
    /// Nobody has a use for the output any more.
    InVain,
}

/// All deadlines of a worker, and its coarse clock.
pub(crate) struct Deadlines {
    began: Instant,
    /// Time since `began`, as of the last sweep.
    now: Cell<Duration>,
    slots: RefCell<Slab<Rc<Slot>>>,
    is_draining: Cell<bool>,
}

#[derive(Default)]
struct Slot {
    at: Cell<Option<Duration>>,
    ends_when_draining: Cell<bool>,
    /// Whether the next sweep wakes the waiter, whatever it finds.
    wakes_at_sweep: Cell<bool>,
    waker: RefCell<Option<Waker>>,
}

impl Slot {
    fn expire(&self, now: Duration) {
        self.at.set(Some(now));
        if let Some(waker) = self.waker.take() {
            waker.wake();
        }
    }
}

impl Deadlines {
    pub(crate) fn new(now: Instant) -> Rc<Self> {
        Rc::new(Self {
            began: now,
            now: Cell::new(Duration::ZERO),
            slots: RefCell::default(),
            is_draining: Cell::new(false),
        })
    }

    /// Time since the worker began, as of the last sweep.
    pub(crate) fn now(&self) -> Duration {
        self.now.get()
    }

    /// Wakes everyone whose deadline has passed at `now`.
    pub(crate) fn sweep(&self, now: Instant) {
        let now = now.saturating_duration_since(self.began);
        self.now.set(now);
        for (_, slot) in self.slots.borrow().iter() {
            let wakes_anyway = slot.wakes_at_sweep.take();
            if slot.at.get().is_some_and(|at| at <= now) {
                slot.expire(now);
            } else if wakes_anyway && let Some(waker) = &*slot.waker.borrow() {
                waker.wake_by_ref();
            }
        }
    }

    /// Cuts every wait of [`Deadline::within_unless_draining`] short, those that are yet to begin included.
    pub(crate) fn begin_draining(&self) {
        self.is_draining.set(true);
        for (_, slot) in self.slots.borrow().iter() {
            if slot.ends_when_draining.get() {
                slot.at.set(Some(self.after(IDLE_MAX_WHILE_DRAINING)));
            }
        }
    }

    /// When `limit` from the present has passed. The coarse clock may be one tick behind: without it a limit could pass early.
    fn after(&self, limit: Duration) -> Duration {
        self.now.get() + limit + TICK
    }

    /// A deadline that is not set.
    pub(crate) fn deadline(self: &Rc<Self>) -> Deadline {
        let slot = Rc::new(Slot::default());
        let key = self.slots.borrow_mut().insert(slot.clone());
        Deadline { deadlines: self.clone(), key, slot }
    }
}

/// The deadline of one direction of one connection.
pub(crate) struct Deadline {
    deadlines: Rc<Deadlines>,
    key: usize,
    slot: Rc<Slot>,
}

impl Deadline {
    /// Sets the deadline to `limit` from the present.
    pub(crate) fn arm(&self, limit: Duration) {
        self.slot.at.set(Some(self.deadlines.after(limit)));
    }

    fn disarm(&self) {
        self.slot.at.set(None);
    }

    /// Ready once the deadline has passed.
    pub(crate) fn poll_elapsed(&self, context: &mut Context<'_>) -> Poll<()> {
        if self.slot.at.get().is_some_and(|at| at <= self.deadlines.now.get()) {
            return Poll::Ready(());
        }
        let mut waker = self.slot.waker.borrow_mut();
        if !waker.as_ref().is_some_and(|waker| waker.will_wake(context.waker())) {
            *waker = Some(context.waker().clone());
        }
        Poll::Pending
    }

    /// The output of `future`, if it comes within `limit` from this call.
    pub(crate) fn within<F: Future>(&self, limit: Duration, future: F) -> OrElapsed<'_, F> {
        self.arm(limit);
        self.or_elapsed(future)
    }

    /// Like [`Deadline::within`], and it elapses soon when the worker drains.
    pub(crate) async fn within_unless_draining<T>(
        &self,
        limit: Duration,
        future: impl Future<Output = T>,
    ) -> Result<T, Elapsed> {
        self.slot.ends_when_draining.set(true);
        let limit = if self.deadlines.is_draining.get() { limit.min(IDLE_MAX_WHILE_DRAINING) } else { limit };
        let outcome = self.within(limit, future).await;
        self.slot.ends_when_draining.set(false);
        outcome
    }

    /// The output of `future`, unless the deadline passes before it; whoever makes progress arms it anew.
    pub(crate) fn or_elapsed<F: Future>(&self, future: F) -> OrElapsed<'_, F> {
        OrElapsed::new(self, future)
    }

    /// Like [`Deadline::or_elapsed`], and given up when it is in vain, which is asked at every sweep: `future` is mostly ready
    /// before the first.
    pub(crate) fn or_given_up<F, V>(&self, future: F, is_in_vain: V) -> OrGivenUp<'_, F, V>
    where
        F: Future,
        V: Fn(Duration) -> bool,
    {
        OrGivenUp::new(self, future, is_in_vain)
    }

    /// Time since the worker began, as of the last sweep.
    pub(crate) fn now(&self) -> Duration {
        self.deadlines.now.get()
    }
}

impl Drop for Deadline {
    fn drop(&mut self) {
        self.deadlines.slots.borrow_mut().remove(self.key);
    }
}
