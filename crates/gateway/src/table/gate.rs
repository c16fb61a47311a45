//! What stands before the endpoints of a service when requests are too many or go wrong too often: a limit of requests at
//! a time, a queue, a circuit breaker. All workers share it; a service with none of these has none.
//!
//! Elsewhere: when the breaker opens (`crate::health`), limits of single endpoints (`super::endpoint`).

use std::{
    cell::Cell,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU32, Ordering},
    },
    time::{Duration, Instant},
};

use phalanx_admission::{GradientLimit, gradient_limit};
use phalanx_config::{AdaptiveConcurrency, Resilience};
use phalanx_telemetry::{clock, upstream::ServiceCounters};

use super::waiting::{Waiting, Want};

/// [`Gate::trials`] of a breaker that is closed.
const ALL: u32 = u32::MAX;

/// A limit that follows response times.
struct Adaptive {
    /// Time is told to the limit from here on.
    began: Instant,
    limit: Mutex<GradientLimit>,
}

/// The gate of a service.
pub(crate) struct Gate {
    /// Where requests wait, if they may.
    pub(crate) waiting: Option<Waiting>,
    pub(crate) counters: Arc<ServiceCounters>,
    /// How long those are told to stay away whom the breaker refuses, in milliseconds.
    retry_after_millis: AtomicU32,
    in_flight: AtomicU32,
    in_flight_max: AtomicU32,
    adaptive: Option<Adaptive>,
    /// Requests that the breaker still lets through.
    trials: AtomicU32,
}

impl Adaptive {
    fn new(configured: &AdaptiveConcurrency) -> Self {
        let AdaptiveConcurrency { min, max, tolerance } = *configured;
        let policy = gradient_limit::Policy { min, max, tolerance };
        Self { began: clock::now(), limit: Mutex::new(GradientLimit::new(policy, fastrand::u64(..))) }
    }

    fn limit(&self) -> u32 {
        self.limit.lock().map_or(u32::MAX, |limit| limit.limit())
    }
}

impl Gate {
    /// The gate that a service needs, if it needs one.
    pub(crate) fn of(resilience: &Resilience, counters: Arc<ServiceCounters>) -> Option<Arc<Self>> {
        let Resilience { limits, queue, adaptive_concurrency, circuit_breaker, .. } = resilience;
        let has_limit =
            limits.connections.is_some() || limits.pending.is_some() || adaptive_concurrency.is_some();
        (has_limit || queue.is_some() || circuit_breaker.is_some()).then(|| {
            let adaptive = adaptive_concurrency.as_ref().map(Adaptive::new);
            let in_flight_max = adaptive.as_ref().map(Adaptive::limit);
            counters.set_concurrency_limit(in_flight_max.unwrap_or(0));
            Arc::new(Self {
                waiting: queue
                    .map(|queue| Waiting::new(Want::Room, queue.max, queue.timeout, counters.clone())),
                counters,
                retry_after_millis: AtomicU32::new(0),
                in_flight: AtomicU32::new(0),
                in_flight_max: AtomicU32::new(in_flight_max.unwrap_or(u32::MAX)),
                adaptive,
                trials: AtomicU32::new(ALL),
            })
        })
    }

    /// Lets a request pass, if there is room.
    pub(crate) fn enter(self: &Arc<Self>) -> Option<Pass> {
        let before = self.in_flight.fetch_add(1, Ordering::Relaxed);
        let pass = Pass { gate: self.clone(), is_used: Cell::new(false) };
        if before < self.in_flight_max.load(Ordering::Relaxed) {
            return Some(pass);
        }
        self.with_limit(|limit, now| {
            // So that it learns of those whom it keeps out.
            let _ = limit.admits(before);
            limit.tick(now);
        });
        None
    }

    /// Whether the breaker lets nobody through.
    pub(crate) fn is_broken(&self) -> bool {
        self.trials.load(Ordering::Relaxed) == 0
    }

    /// Whether the breaker takes a request, which is then to be sent: it may be one of few.
    pub(crate) fn takes_request(&self) -> bool {
        self.trials.load(Ordering::Relaxed) == ALL
            || self
                .trials
                .try_update(Ordering::Relaxed, Ordering::Relaxed, |trials| match trials {
                    ALL => Some(ALL),
                    trials => trials.checked_sub(1),
                })
                .is_ok()
    }

    /// How long those are told to stay away whom the breaker refuses.
    pub(crate) fn retry_after(&self) -> Duration {
        Duration::from_millis(self.retry_after_millis.load(Ordering::Relaxed).into())
    }

    /// Whether somebody waits, whom nobody is to overtake.
    pub(crate) fn has_waiting(&self) -> bool {
        self.waiting.as_ref().is_some_and(|waiting| !waiting.is_empty())
    }

    /// Lets whoever has waited longest look for room: some was made, or limits or endpoints have changed.
    pub(crate) fn make_room(&self) {
        if let Some(waiting) = &self.waiting {
            waiting.wake_first();
        }
    }

    /// Tells the limit how a request went, if it follows that.
    fn observe(&self, result: Observed) {
        let in_flight = self.in_flight.load(Ordering::Relaxed);
        self.with_limit(|limit, now| match result {
            Observed::AnsweredAfter(elapsed) => limit.answered(elapsed, in_flight, now),
            Observed::NotAnswered => limit.dropped(in_flight, now),
        });
    }

    /// Tells the adaptive limit something, if there is one, and puts into force what follows.
    fn with_limit(&self, tell: impl FnOnce(&mut GradientLimit, Duration)) {
        let Some(adaptive) = &self.adaptive else { return };
        // Nobody waits for another worker here: one sample more or less is no matter.
        let Ok(mut limit) = adaptive.limit.try_lock() else { return };
        tell(&mut limit, clock::now().saturating_duration_since(adaptive.began));
        let before = self.in_flight_max.swap(limit.limit(), Ordering::Relaxed);
        if before != limit.limit() {
            self.counters.set_concurrency_limit(limit.limit());
        }
        // Those who wait may be more than one request's end makes room for.
        if before < limit.limit() {
            self.make_room();
        }
    }

    /// Closes the breaker.
    pub(crate) fn let_all_through(&self) {
        self.trials.store(ALL, Ordering::Relaxed);
        self.counters.set_breaker_open(0);
        self.make_room();
    }

    /// Opens the breaker but for some: none, or those that try how the service does. The next look is in `until_next`.
    pub(crate) fn let_through(&self, trials: u32, until_next: Duration) {
        let millis = u32::try_from(until_next.as_millis()).unwrap_or(u32::MAX);
        self.retry_after_millis.store(millis, Ordering::Relaxed);
        self.trials.store(trials.min(ALL - 1), Ordering::Relaxed);
        self.counters.set_breaker_open(1);
        self.make_room();
    }
}

/// A request that has passed, until it is over.
pub(crate) struct Pass {
    gate: Arc<Gate>,
    is_used: Cell<bool>,
}

/// How a request went.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Observed {
    /// The head of its response came so long after it was sent.
    AnsweredAfter(Duration),
    /// It was not answered in time.
    NotAnswered,
}

impl Pass {
    /// The request is about to be sent. A pass that is not used wakes nobody when it is given back: it would wake whoever has
    /// just found no use for it.
    pub(crate) fn used(self) -> Self {
        self.is_used.set(true);
        self
    }

    /// Tells how the request went.
    pub(crate) fn observe(&self, result: Observed) {
        self.gate.observe(result);
    }
}

impl Drop for Pass {
    fn drop(&mut self) {
        self.gate.in_flight.fetch_sub(1, Ordering::Relaxed);
        if self.is_used.get() {
            self.gate.make_room();
        }
    }
}
