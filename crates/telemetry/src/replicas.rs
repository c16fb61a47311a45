//! `phalanx_replicas{service,state}`: how many replicas of each service are in each state.
//!
//! Elsewhere: the states themselves, and who counts them (`phalanx-fleet`). This module asks at each scrape.

use std::fmt;

use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeMetric},
    metrics::{MetricType, gauge::ConstGauge},
};

/// Replicas of one service in one state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReplicaCount {
    /// The service.
    pub service: String,
    /// The state; one of a closed set. No pair of service and state may come twice.
    pub state: &'static str,
    /// How many.
    pub count: u64,
}

/// What exposes the counts that `read` tells at each scrape.
pub fn collector(read: impl Fn() -> Vec<ReplicaCount> + Send + Sync + 'static) -> Box<dyn Collector> {
    Box::new(ReplicaCollector { read })
}

struct ReplicaCollector<F> {
    read: F,
}

impl<F> fmt::Debug for ReplicaCollector<F> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("ReplicaCollector").finish_non_exhaustive()
    }
}

impl<F: Fn() -> Vec<ReplicaCount> + Send + Sync + 'static> Collector for ReplicaCollector<F> {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let mut gauge = encoder.encode_descriptor(
            "phalanx_replicas",
            "Replicas of a service in a state.",
            None,
            MetricType::Gauge,
        )?;
        for ReplicaCount { service, state, count } in (self.read)() {
            let labels = [("service", service.as_str()), ("state", state)];
            ConstGauge::new(count).encode(gauge.encode_family(&labels)?)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exposition::Exposition;

    #[test]
    fn counts_are_read_at_each_scrape() {
        let counts = || vec![ReplicaCount { service: "api".to_owned(), state: "serving", count: 3 }];
        let labels = [("service", "api"), ("state", "serving")];
        assert_eq!(Exposition::of(collector(counts)).value("phalanx_replicas", &labels), Some(3.0));
    }
}
