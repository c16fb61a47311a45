//! `phalanx_connections` and `phalanx_connections_refused_total`: the clients of a gateway, and those it had no place for.
//!
//! Elsewhere: who counts them (`phalanx-gateway`). This module asks at each scrape.

use std::fmt;

use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeMetric},
    metrics::{MetricType, counter::ConstCounter, gauge::ConstGauge},
};

/// Connections of clients, of all workers together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ConnectionCounts {
    /// Those that are open.
    pub open: u64,
    /// Those that were turned away, since the gateway began.
    pub refused: u64,
}

/// What exposes the counts that `read` tells at each scrape.
pub fn collector(read: impl Fn() -> ConnectionCounts + Send + Sync + 'static) -> Box<dyn Collector> {
    Box::new(ConnectionCollector { read })
}

struct ConnectionCollector<F> {
    read: F,
}

impl<F> fmt::Debug for ConnectionCollector<F> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("ConnectionCollector").finish_non_exhaustive()
    }
}

impl<F: Fn() -> ConnectionCounts + Send + Sync + 'static> Collector for ConnectionCollector<F> {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let ConnectionCounts { open, refused } = (self.read)();
        let help = "Connections of clients.";
        ConstGauge::new(open).encode(encoder.encode_descriptor(
            "phalanx_connections",
            help,
            None,
            MetricType::Gauge,
        )?)?;
        let help = "Connections of clients that were turned away because too many were open.";
        ConstCounter::new(refused).encode(encoder.encode_descriptor(
            "phalanx_connections_refused",
            help,
            None,
            MetricType::Counter,
        )?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exposition::Exposition;

    #[test]
    fn counts_are_read_at_each_scrape() {
        let exposition = Exposition::of(collector(|| ConnectionCounts { open: 3, refused: 7 }));
        assert_eq!(exposition.value("phalanx_connections", &[]), Some(3.0));
        assert_eq!(exposition.value("phalanx_connections_refused_total", &[]), Some(7.0));
    }
}
