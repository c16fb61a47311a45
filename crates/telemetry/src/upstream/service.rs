//! What a gateway does for a service as a whole: queue, limits, breaker, panic mode.
//!
//! All workers share one set per service. It is written to where a request is held up or turned away, never on the path of
//! one that passes.

use std::{
    collections::BTreeMap,
    fmt,
    sync::{
        Arc, Mutex, MutexGuard,
        atomic::{AtomicI64, AtomicU64, Ordering},
    },
};

use prometheus_client::{
    encoding::{DescriptorEncoder, EncodeMetric},
    metrics::{MetricType, counter::ConstCounter, gauge::ConstGauge},
};

/// Why a request was turned away, or not tried again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shed {
    /// Every endpoint had as many requests as it may have, and so had the queue.
    Full,
    /// No endpoint had room before the queue's timeout.
    QueueTimeout,
    /// The circuit breaker was open.
    BreakerOpen,
    /// No endpoint served, and as many requests were held as may be.
    HoldFull,
    /// No endpoint served before the timeout of the hold.
    HoldTimeout,
    /// The process had too little memory left.
    Memory,
    /// Another attempt would have been safe, but the retry budget was spent.
    RetryBudget,
}

impl Shed {
    /// All, each at its own index.
    const ALL: [Self; 7] = [
        Self::Full,
        Self::QueueTimeout,
        Self::BreakerOpen,
        Self::HoldFull,
        Self::HoldTimeout,
        Self::Memory,
        Self::RetryBudget,
    ];

    fn label(self) -> &'static str {
        match self {
            Self::Full => "full",
            Self::QueueTimeout => "queue_timeout",
            Self::BreakerOpen => "breaker_open",
            Self::HoldFull => "hold_full",
            Self::HoldTimeout => "hold_timeout",
            Self::Memory => "memory",
            Self::RetryBudget => "retry_budget",
        }
    }
}

/// What is counted of one service.
#[derive(Debug, Default)]
pub struct ServiceCounters {
    shed: [AtomicU64; Shed::ALL.len()],
    queued: AtomicI64,
    held: AtomicI64,
    concurrency_limit: AtomicI64,
    panic: AtomicI64,
    breaker_open: AtomicI64,
}

impl ServiceCounters {
    /// A request was turned away, or not tried again.
    pub fn shed(&self, reason: Shed) {
        self.shed[reason as usize].fetch_add(1, Ordering::Relaxed);
    }

    /// How many were, for this reason.
    #[must_use]
    pub fn shed_count(&self, reason: Shed) -> u64 {
        self.shed[reason as usize].load(Ordering::Relaxed)
    }

    /// A request waits for room; it does until [`Self::queue_left`].
    pub fn queue_entered(&self) {
        self.queued.fetch_add(1, Ordering::Relaxed);
    }

    /// A request no longer waits.
    pub fn queue_left(&self) {
        self.queued.fetch_sub(1, Ordering::Relaxed);
    }

    /// Requests that wait for room.
    #[must_use]
    pub fn queued(&self) -> i64 {
        self.queued.load(Ordering::Relaxed)
    }

    /// A request waits for an endpoint to serve; it does until [`Self::hold_left`].
    pub fn hold_entered(&self) {
        self.held.fetch_add(1, Ordering::Relaxed);
    }

    /// A request is no longer held.
    pub fn hold_left(&self) {
        self.held.fetch_sub(1, Ordering::Relaxed);
    }

    /// Requests that wait for an endpoint to serve.
    #[must_use]
    pub fn held(&self) -> i64 {
        self.held.load(Ordering::Relaxed)
    }

    /// How many requests the service may have at a time, as of now.
    pub fn set_concurrency_limit(&self, limit: u32) {
        self.concurrency_limit.store(limit.into(), Ordering::Relaxed);
    }

    /// Whether endpoints get requests that should not: 0 or 1.
    pub fn set_panic(&self, panic: u8) {
        self.panic.store(panic.into(), Ordering::Relaxed);
    }

    /// Whether the breaker keeps requests back: 0 or 1.
    pub fn set_breaker_open(&self, open: u8) {
        self.breaker_open.store(open.into(), Ordering::Relaxed);
    }
}

/// The counters of all services.
#[derive(Debug, Default)]
pub(super) struct Services {
    by_name: Mutex<BTreeMap<Arc<str>, Arc<ServiceCounters>>>,
}

/// A gauge: its name, its help, and where its value stands.
type GaugeColumn = (&'static str, &'static str, fn(&ServiceCounters) -> &AtomicI64);

const GAUGES: [GaugeColumn; 5] = [
    ("phalanx_upstream_queued", "Requests that wait for an endpoint to have room.", |counters| {
        &counters.queued
    }),
    ("phalanx_upstream_held", "Requests that are held while no endpoint serves.", |counters| &counters.held),
    (
        "phalanx_upstream_concurrency_limit",
        "Requests that a service may have at a time as its response times suggest; 0 without such a limit.",
        |counters| &counters.concurrency_limit,
    ),
    (
        "phalanx_upstream_panic",
        "1 while so many endpoints fail their checks that the checks are disbelieved.",
        |counters| &counters.panic,
    ),
    ("phalanx_upstream_breaker_open", "1 while the circuit breaker keeps requests back.", |counters| {
        &counters.breaker_open
    }),
];

impl Services {
    pub(super) fn counters(&self, name: &str) -> Arc<ServiceCounters> {
        self.lock().entry(name.into()).or_default().clone()
    }

    pub(super) fn encode(&self, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
        let services = self.lock().clone();
        for (name, help, value) in GAUGES {
            let mut gauge = encoder.encode_descriptor(name, help, None, MetricType::Gauge)?;
            for (service, counters) in &services {
                let value = value(counters).load(Ordering::Relaxed);
                ConstGauge::new(value).encode(gauge.encode_family(&[("service", &**service)])?)?;
            }
        }
        let help = "Requests turned away, or not tried again, for the sake of the others.";
        let mut shed = encoder.encode_descriptor("phalanx_upstream_shed", help, None, MetricType::Counter)?;
        for (service, counters) in &services {
            for reason in Shed::ALL {
                let labels = [("service", &**service), ("reason", reason.label())];
                ConstCounter::new(counters.shed_count(reason)).encode(shed.encode_family(&labels)?)?;
            }
        }
        Ok(())
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<Arc<str>, Arc<ServiceCounters>>> {
        self.by_name.lock().expect("nothing panics while it holds this lock")
    }
}

#[cfg(test)]
mod tests {
    use crate::{
        exposition::Exposition,
        upstream::{Shed, UpstreamFamily},
    };

    #[test]
    fn what_a_service_does_is_exposed() {
        let family = UpstreamFamily::new();
        let counters = family.service("api");
        counters.shed(Shed::Full);
        counters.shed(Shed::RetryBudget);
        counters.shed(Shed::RetryBudget);
        counters.queue_entered();
        counters.queue_entered();
        counters.queue_left();
        counters.hold_entered();
        counters.hold_entered();
        counters.hold_left();
        counters.hold_entered();
        counters.set_panic(1);
        counters.set_concurrency_limit(40);
        counters.set_breaker_open(1);
        counters.set_breaker_open(0);

        let exposition = Exposition::of(family.collector());
        let service = ("service", "api");
        for (name, value) in [
            ("phalanx_upstream_queued", 1.0),
            ("phalanx_upstream_held", 2.0),
            ("phalanx_upstream_panic", 1.0),
            ("phalanx_upstream_concurrency_limit", 40.0),
            ("phalanx_upstream_breaker_open", 0.0),
        ] {
            assert_eq!(exposition.value(name, &[service]), Some(value), "{name}");
        }
        for (reason, value) in
            [("full", 1.0), ("queue_timeout", 0.0), ("breaker_open", 0.0), ("retry_budget", 2.0)]
        {
            let labels = [service, ("reason", reason)];
            assert_eq!(exposition.value("phalanx_upstream_shed_total", &labels), Some(value), "{reason}");
        }
    }
}
