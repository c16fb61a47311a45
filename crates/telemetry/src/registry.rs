//! The registry of a process and its text form.
//!
//! Elsewhere: who serves the text (`phalanx-admin`, `phalanx-api`), and the metrics themselves (the other modules).

/// Metrics for owners outside of this crate.
pub use prometheus_client::metrics::{counter::Counter, gauge::Gauge};
use prometheus_client::{collector::Collector, encoding::text, registry};

use crate::host;

/// The media type of what [`Registry::encode`] returns.
pub const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// All metrics of a process; those of [`host`] are always among them.
#[derive(Debug)]
pub struct Registry {
    metrics: registry::Registry,
}

impl Default for Registry {
    fn default() -> Self {
        Self::new()
    }
}

impl Registry {
    /// A registry with the metrics of the process and the machine.
    #[must_use]
    pub fn new() -> Self {
        let mut registry = Self { metrics: registry::Registry::default() };
        registry.add(host::collector());
        registry
    }

    /// Adds metrics that are read at each scrape.
    pub fn add(&mut self, collector: Box<dyn Collector>) {
        self.metrics.register_collector(collector);
    }

    /// Adds a metric that its owner updates, a `prometheus_client` gauge or counter. The name of a counter comes without
    /// `_total`, and the help without its full stop: both are appended.
    pub fn register(&mut self, name: &str, help: &str, metric: impl registry::Metric) {
        self.metrics.register(name, help, metric);
    }

    /// All metrics in the OpenMetrics text format.
    #[must_use]
    pub fn encode(&self) -> String {
        let mut exposition = String::new();
        text::encode(&mut exposition, &self.metrics).expect("writing to a string cannot fail");
        exposition
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exposition::Exposition;

    #[test]
    fn metrics_of_their_owners_are_exposed_beside_those_of_the_host() {
        let (reads, lag) = (Counter::<u64>::default(), Gauge::<i64>::default());
        let mut registry = Registry::new();
        registry.register("phalanx_reads", "Reads", reads.clone());
        registry.register("phalanx_replica_lag_bytes", "Lag", lag.clone());
        reads.inc_by(3);
        lag.set(-1);
        let exposition = Exposition::parse(&registry.encode());
        assert_eq!(exposition.value("phalanx_reads_total", &[]), Some(3.0));
        assert_eq!(exposition.value("phalanx_replica_lag_bytes", &[]), Some(-1.0));
        assert!(exposition.value("process_threads", &[]).is_some());
    }
}
