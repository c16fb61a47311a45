//! What a gateway knows of each endpoint: the series `phalanx_upstream_*`.
//!
//! An [`EndpointCounters`] belongs to one endpoint and one writer, a gateway worker. Endpoints come and go with their
//! replicas, so whoever retires one calls [`UpstreamFamily::forget`]: that keeps the number of series bounded.

mod service;

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicI64, AtomicU64, Ordering},
    },
    time::Duration,
};

use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeMetric},
    metrics::{MetricType, counter::ConstCounter, gauge::ConstGauge},
};
pub use service::{ServiceCounters, Shed};

use service::Services;

use crate::{
    durations::{DurationTotals, Durations},
    writers::Writers,
};

/// What one writer has seen of one endpoint.
#[derive(Default)]
pub struct EndpointCounters {
    requests: AtomicU64,
    failures: AtomicU64,
    truncated: AtomicU64,
    server_errors: AtomicU64,
    ejections: AtomicU64,
    retries: AtomicU64,
    in_flight: AtomicI64,
    connections: AtomicI64,
    answers: Durations,
}

impl EndpointCounters {
    /// A request is sent to this endpoint; it stays in flight until [`Self::request_ended`].
    pub fn request_begun(&self) {
        self.requests.fetch_add(1, Ordering::Relaxed);
        self.in_flight.fetch_add(1, Ordering::Relaxed);
    }

    /// A request that [`Self::request_begun`] counted is over, however it went.
    pub fn request_ended(&self) {
        self.in_flight.fetch_sub(1, Ordering::Relaxed);
    }

    /// The head of a final response came, this long after the request began.
    pub fn answered(&self, elapsed: Duration) {
        self.answers.observe(elapsed);
    }

    /// That response had a status of 500 or above.
    pub fn answered_server_error(&self) {
        self.server_errors.fetch_add(1, Ordering::Relaxed);
    }

    /// A request failed at this endpoint: no connection, a broken one, a timeout, or an answer that counts as a failure.
    pub fn failed(&self) {
        self.failures.fetch_add(1, Ordering::Relaxed);
    }

    /// A response that had begun broke off, which is a failure too.
    pub fn truncated(&self) {
        self.failed();
        self.truncated.fetch_add(1, Ordering::Relaxed);
    }

    /// The endpoint was ejected from the balancer.
    pub fn ejected(&self) {
        self.ejections.fetch_add(1, Ordering::Relaxed);
    }

    /// A request that failed at this endpoint is tried at another one.
    pub fn retried(&self) {
        self.retries.fetch_add(1, Ordering::Relaxed);
    }

    /// A connection to the endpoint stands; it counts until [`Self::connection_closed`].
    pub fn connection_opened(&self) {
        self.connections.fetch_add(1, Ordering::Relaxed);
    }

    /// A connection that [`Self::connection_opened`] counted has gone.
    pub fn connection_closed(&self) {
        self.connections.fetch_sub(1, Ordering::Relaxed);
    }
}

/// What all writers together have seen of one endpoint.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct EndpointTotals {
    /// Requests sent.
    pub requests: u64,
    /// Of these, how many failed.
    pub failures: u64,
    /// Of these, how many failed in the middle of their response, which had been counted as an answer.
    pub truncated: u64,
    /// Of the others, how many were answered with a status of 500 or above.
    pub server_errors: u64,
    /// How often the endpoint was ejected.
    pub ejections: u64,
    /// Requests that failed here and were tried at another endpoint.
    pub retries: u64,
    /// Requests sent and not over.
    pub in_flight: i64,
    /// Connections that stand, idle ones included.
    pub connections: i64,
    /// From the request to the head of its response.
    pub answers: DurationTotals,
}

impl EndpointTotals {
    fn of(writers: &[Arc<EndpointCounters>]) -> Self {
        let mut totals = Self::default();
        for counters in writers {
            totals.requests += counters.requests.load(Ordering::Relaxed);
            totals.failures += counters.failures.load(Ordering::Relaxed);
            totals.truncated += counters.truncated.load(Ordering::Relaxed);
            totals.server_errors += counters.server_errors.load(Ordering::Relaxed);
            totals.ejections += counters.ejections.load(Ordering::Relaxed);
            totals.retries += counters.retries.load(Ordering::Relaxed);
            totals.in_flight += counters.in_flight.load(Ordering::Relaxed);
            totals.connections += counters.connections.load(Ordering::Relaxed);
            totals.answers.add(&counters.answers);
        }
        totals
    }
}

/// The counters of all endpoints and all writers. Clones share them.
#[derive(Clone, Debug, Default)]
pub struct UpstreamFamily {
    writers: Arc<Writers<EndpointCounters>>,
    services: Arc<Services>,
}

impl UpstreamFamily {
    /// A family without endpoints.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The counters of one writer for this endpoint. They may go on where a writer that has gone left off.
    #[must_use]
    pub fn counters(&self, service: &str, endpoint: &str) -> Arc<EndpointCounters> {
        self.writers.join(service, endpoint)
    }

    /// The counters of a service, which all writers share.
    #[must_use]
    pub fn service(&self, service: &str) -> Arc<ServiceCounters> {
        self.services.counters(service)
    }

    /// The totals of an endpoint; zeros if nobody has counted for it.
    #[must_use]
    pub fn totals(&self, service: &str, endpoint: &str) -> EndpointTotals {
        self.writers.total(service, endpoint, EndpointTotals::of).unwrap_or_default()
    }

    /// Drops the series of an endpoint that has gone. A writer that still holds its counters counts on, unseen.
    pub fn forget(&self, service: &str, endpoint: &str) {
        self.writers.forget(service, endpoint);
    }

    /// What exposes this family in a [`Registry`](crate::registry::Registry).
    #[must_use]
    pub fn collector(&self) -> Box<dyn Collector> {
        Box::new(self.clone())
    }
}

/// A counter series: its name without `_total`, its help, and where its value stands.
type CounterColumn = (&'static str, &'static str, fn(&EndpointTotals) -> u64);

const COUNTERS: [CounterColumn; 5] = [
    ("phalanx_upstream_requests", "Requests sent to an endpoint.", |totals| totals.requests),
    ("phalanx_upstream_failures", "Requests that failed at an endpoint.", |totals| totals.failures),
    ("phalanx_upstream_server_errors", "Responses of an endpoint with a status of 500 or above.", |totals| {
        totals.server_errors
    }),
    ("phalanx_upstream_ejections", "How often an endpoint left the balancer.", |totals| totals.ejections),
    (
        "phalanx_upstream_retries",
        "Requests that failed at an endpoint and were tried at another one.",
        |totals| totals.retries,
    ),
];

impl Collector for UpstreamFamily {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let endpoints = self.writers.totals(EndpointTotals::of);
        let endpoints = endpoints.iter().map(|((service, endpoint), totals)| {
            ([("service", &**service), ("endpoint", &**endpoint)], totals)
        });

        for (name, help, value) in COUNTERS {
            let mut counter = encoder.encode_descriptor(name, help, None, MetricType::Counter)?;
            for (labels, totals) in endpoints.clone() {
                ConstCounter::new(value(totals)).encode(counter.encode_family(&labels)?)?;
            }
        }

        let mut connections = encoder.encode_descriptor(
            "phalanx_upstream_connections",
            "Connections to an endpoint, idle ones included.",
            None,
            MetricType::Gauge,
        )?;
        for (labels, totals) in endpoints.clone() {
            ConstGauge::new(totals.connections).encode(connections.encode_family(&labels)?)?;
        }

        let mut responses = encoder.encode_descriptor(
            "phalanx_upstream_response_seconds",
            "Time from sending a request to the head of its response.",
            None,
            MetricType::Histogram,
        )?;
        for (labels, totals) in endpoints {
            totals.answers.encode(responses.encode_family(&labels)?)?;
        }
        self.services.encode(&mut encoder)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exposition::Exposition;

    const LABELS: [(&str, &str); 2] = [("service", "api"), ("endpoint", "127.0.0.1:3000")];

    #[test]
    fn all_writers_of_an_endpoint_are_summed() {
        let family = UpstreamFamily::new();
        let writers = [(); 2].map(|()| family.counters("api", "127.0.0.1:3000"));
        for counters in &writers {
            for _ in 0..3 {
                counters.request_begun();
            }
            counters.connection_opened();
            counters.answered(Duration::from_millis(250));
            counters.request_ended();
            counters.failed();
            counters.retried();
            counters.request_ended();
        }
        writers[0].ejected();
        writers[1].connection_closed();

        let exposition = Exposition::of(family.collector());
        for (name, value) in [
            ("phalanx_upstream_requests_total", 6.0),
            ("phalanx_upstream_failures_total", 2.0),
            ("phalanx_upstream_ejections_total", 1.0),
            ("phalanx_upstream_retries_total", 2.0),
            ("phalanx_upstream_connections", 1.0),
            ("phalanx_upstream_response_seconds_count", 2.0),
            ("phalanx_upstream_response_seconds_sum", 0.5),
        ] {
            assert_eq!(exposition.value(name, &LABELS), Some(value), "{name}");
        }
        let totals = family.totals("api", "127.0.0.1:3000");
        assert_eq!((totals.requests, totals.failures, totals.in_flight), (6, 2, 2));
        assert_eq!((totals.answers.count(), totals.answers.sum()), (2, Duration::from_millis(500)));
    }

    #[test]
    fn a_forgotten_endpoint_has_no_series() {
        let family = UpstreamFamily::new();
        let counters = family.counters("api", "127.0.0.1:3000");
        counters.request_begun();
        family.forget("api", "127.0.0.1:3000");
        counters.request_begun();
        let exposition = Exposition::of(family.collector());
        assert_eq!(exposition.named("phalanx_upstream_requests_total").count(), 0);
        assert_eq!(family.totals("api", "127.0.0.1:3000"), EndpointTotals::default());
    }
}
