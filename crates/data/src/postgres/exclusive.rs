//! The pool of connections that one caller has to himself.
//!
//! Invariants: never more than the bound, those counted that are being made; who waits first is served first; a connection
//! goes back only by [`Loan::settle`], so what was dropped half way through a transaction is closed.

use std::{
    collections::VecDeque,
    mem,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use phalanx_telemetry::clock;
use tokio::{
    sync::{Notify, oneshot},
    task::Id,
    time::timeout,
};

use super::{Acquire, Limits, live::Live};
use crate::backend::Occupancy;

pub(super) struct Exclusive {
    limits: Limits,
    state: Mutex<State>,
    /// Wakes the upkeep: somebody waits, or something was broken off.
    hint: Arc<Notify>,
}

#[derive(Default)]
struct State {
    /// The last one back is the first to go, so that those not needed grow old.
    idle: Vec<Idle>,
    held: Vec<Held>,
    broken_off: Vec<BrokenOff>,
    waiters: VecDeque<oneshot::Sender<Loan>>,
    waited: Duration,
    timeouts: u64,
    connects: u64,
    closed: bool,
}

struct Idle {
    live: Arc<Live>,
    since: Instant,
    checked: Instant,
}

struct Held {
    id: Id,
    since: Instant,
    doing: Doing,
}

#[derive(Clone, Copy)]
enum Doing {
    Running { statement: &'static str, since: Instant },
    Between { last: &'static str, since: Instant },
}

/// A connection whose caller went away.
pub(super) struct BrokenOff {
    pub(super) live: Arc<Live>,
    pub(super) statement: Unfinished,
}

/// What may still be running on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unfinished {
    /// To be cancelled: nobody waits for it.
    Statement,
    /// Never to be cancelled: a commit that waits for a synchronous standby would then be reported as done.
    Commit,
}

/// A connection of one's own.
pub(super) struct Loan {
    exclusive: Arc<Exclusive>,
    /// `None` once it went back.
    live: Option<Arc<Live>>,
    unfinished: Unfinished,
}

/// What the upkeep has to do.
#[derive(Default)]
pub(super) struct Chores {
    pub(super) pings: Vec<Loan>,
    pub(super) broken_off: Vec<BrokenOff>,
    /// How many are wanted beyond those that stand, the ones being made included.
    pub(super) missing: usize,
}

impl Exclusive {
    pub(super) fn new(limits: Limits, hint: Arc<Notify>) -> Self {
        Self { limits, state: Mutex::default(), hint }
    }

    pub(super) async fn loan(self: &Arc<Self>, statement: &'static str) -> Result<Loan, Acquire> {
        let now = clock::now();
        let waiting = {
            let mut state = self.lock();
            if state.closed {
                return Err(Acquire::Closed);
            }
            if state.waiters.is_empty()
                && let Some(idle) = state.usable_idle(now)
            {
                return Ok(state.lend(self, idle.live, statement, now));
            }
            if state.waiters.len() >= self.limits.waiting_max {
                return Err(state.cause(&self.limits, now, Duration::ZERO));
            }
            let (loan, waiting) = oneshot::channel();
            state.waiters.push_back(loan);
            waiting
        };
        self.hint.notify_one();
        let outcome = timeout(self.limits.acquire_timeout, waiting).await;
        let now_after = clock::now();
        let waited = now_after.duration_since(now);
        let mut state = self.lock();
        state.waited += waited;
        match outcome {
            Ok(Ok(loan)) => {
                drop(state); // The loan takes the lock.
                loan.begins(statement);
                Ok(loan)
            }
            Ok(Err(_)) => Err(Acquire::Closed),
            Err(_) => {
                state.timeouts += 1;
                state.waiters.retain(|waiter| !waiter.is_closed());
                Err(state.cause(&self.limits, now_after, waited))
            }
        }
    }

    pub(super) fn admit(self: &Arc<Self>, live: Arc<Live>) {
        self.lock().connects += 1;
        self.put_back(live);
    }

    pub(super) fn remove(&self, id: Id) {
        let mut state = self.lock();
        state.idle.retain(|idle| idle.live.id() != id);
    }

    /// Closes what is too old or too many, and says what else is to be done.
    pub(super) fn tend(self: &Arc<Self>, now: Instant) -> Chores {
        let mut state = self.lock();
        let mut chores = Chores { broken_off: mem::take(&mut state.broken_off), ..Chores::default() };
        if state.closed {
            return chores;
        }
        state.idle.retain(|idle| idle.live.expires > now);
        // The one that has been idle for longest stands first.
        while state.idle.len() + state.held.len() > self.limits.connections_min
            && let Some(oldest) = state.idle.first()
            && now.saturating_duration_since(oldest.since) >= self.limits.idle_timeout
        {
            state.idle.remove(0);
        }
        let unchecked = |idle: &mut Idle| {
            now.saturating_duration_since(idle.checked.max(idle.since)) >= self.limits.health_check_period
        };
        let pinged: Vec<_> = state.idle.extract_if(.., unchecked).collect();
        for idle in pinged {
            chores.pings.push(state.lend(self, idle.live, "health check", now));
        }
        state.waiters.retain(|waiter| !waiter.is_closed());
        let standing = state.idle.len() + state.held.len();
        let wanted = (standing + state.waiters.len()).max(self.limits.connections_min);
        chores.missing = wanted.min(self.limits.connections_max).saturating_sub(standing);
        chores
    }

    pub(super) fn close(&self) {
        let mut state = self.lock();
        state.closed = true;
        let emptied = (mem::take(&mut state.idle), mem::take(&mut state.waiters));
        drop(state);
        drop(emptied);
    }

    pub(super) fn occupancy(&self) -> Occupancy {
        let state = self.lock();
        Occupancy {
            connections: state.idle.len() + state.held.len(),
            in_use: state.held.len(),
            waiting: state.waiters.len(),
            waited: state.waited,
            timeouts: state.timeouts,
            connects: state.connects,
        }
    }

    fn put_back(self: &Arc<Self>, live: Arc<Live>) {
        let now = clock::now();
        let mut state = self.lock();
        state.held.retain(|held| held.id != live.id());
        if state.closed || live.is_closed() || live.expires <= now {
            drop(state);
            self.hint.notify_one();
            return;
        }
        while let Some(waiter) = state.waiters.pop_front() {
            if waiter.is_closed() {
                continue;
            }
            let loan = state.lend(self, live, "begin", now);
            // Outside of the lock, which a loan takes whose waiter has gone.
            drop(state);
            if let Err(loan) = waiter.send(loan) {
                loan.settle();
            }
            return;
        }
        state.idle.push(Idle { live, since: now, checked: now });
    }

    fn break_off(&self, live: Arc<Live>, statement: Unfinished) {
        let mut state = self.lock();
        state.held.retain(|held| held.id != live.id());
        state.broken_off.push(BrokenOff { live, statement });
        drop(state);
        self.hint.notify_one();
    }

    fn note(&self, id: Id, doing: impl FnOnce(Doing) -> Doing) {
        let mut state = self.lock();
        if let Some(held) = state.held.iter_mut().find(|held| held.id == id) {
            held.doing = doing(held.doing);
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn usable_idle(&mut self, now: Instant) -> Option<Idle> {
        while let Some(idle) = self.idle.pop() {
            if !idle.live.is_closed() && idle.live.expires > now {
                return Some(idle);
            }
        }
        None
    }

    fn lend(
        &mut self,
        pool: &Arc<Exclusive>,
        live: Arc<Live>,
        statement: &'static str,
        now: Instant,
    ) -> Loan {
        let doing = Doing::Running { statement, since: now };
        self.held.push(Held { id: live.id(), since: now, doing });
        Loan { exclusive: Arc::clone(pool), live: Some(live), unfinished: Unfinished::Statement }
    }

    fn cause(&self, limits: &Limits, now: Instant, waited: Duration) -> Acquire {
        if self.held.len() + self.idle.len() < limits.connections_max {
            return Acquire::CannotConnect { waited };
        }
        let long_ago = |since| now.saturating_duration_since(since) > limits.stall_max.max(waited / 2);
        let slowest = self.held.iter().filter_map(|held| match held.doing {
            Doing::Running { statement, since } if long_ago(since) => Some((since, statement)),
            _ => None,
        });
        let leaked = self.held.iter().filter_map(|held| match held.doing {
            Doing::Between { last, since } if long_ago(since) => Some((held.since, last)),
            _ => None,
        });
        // A transaction that does nothing is the graver finding: no statement's end will free it.
        if let Some((since, statement)) = leaked.min() {
            return Acquire::Leaked { waited, held: now.saturating_duration_since(since), statement };
        }
        if let Some((since, statement)) = slowest.min() {
            let running = now.saturating_duration_since(since);
            return Acquire::HeldBySlowQueries { waited, running, statement };
        }
        Acquire::Backlog { waited, in_use: self.held.len(), waiting: self.waiters.len() }
    }
}

impl Loan {
    pub(super) fn live(&self) -> &Arc<Live> {
        self.live.as_ref().expect("only `settle` and `drop` take it, and nothing follows them")
    }

    /// A statement begins on it.
    pub(super) fn begins(&self, statement: &'static str) {
        let since = clock::now();
        self.exclusive.note(self.live().id(), |_| Doing::Running { statement, since });
    }

    /// And has ended.
    pub(super) fn ended(&self) {
        let now = clock::now();
        self.exclusive.note(self.live().id(), |doing| match doing {
            Doing::Running { statement, .. } => Doing::Between { last: statement, since: now },
            Doing::Between { .. } => doing,
        });
    }

    /// From here on it must not be cancelled.
    pub(super) fn commits(&mut self) {
        self.unfinished = Unfinished::Commit;
    }

    /// Gives it back: no transaction is open and nothing runs.
    pub(super) fn settle(mut self) {
        if let Some(live) = self.live.take() {
            self.exclusive.put_back(live);
        }
    }
}

impl Drop for Loan {
    fn drop(&mut self) {
        if let Some(live) = self.live.take() {
            self.exclusive.break_off(live, self.unfinished);
        }
    }
}
