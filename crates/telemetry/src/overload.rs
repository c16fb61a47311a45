//! `phalanx_overload{resource}`: whether a gateway turns requests away because something of its own runs out.
//!
//! Elsewhere: who judges that (`phalanx-gateway`). This module asks at each scrape.

use std::fmt;

use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeMetric},
    metrics::{MetricType, gauge::ConstGauge},
};

/// What exposes whether memory runs out, as `is_short` tells at each scrape.
pub fn memory_collector(is_short: impl Fn() -> bool + Send + Sync + 'static) -> Box<dyn Collector> {
    Box::new(MemoryCollector { is_short })
}

struct MemoryCollector<F> {
    is_short: F,
}

impl<F> fmt::Debug for MemoryCollector<F> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("MemoryCollector").finish_non_exhaustive()
    }
}

impl<F: Fn() -> bool + Send + Sync + 'static> Collector for MemoryCollector<F> {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let help = "1 while requests are turned away because this resource runs out.";
        let mut gauge = encoder.encode_descriptor("phalanx_overload", help, None, MetricType::Gauge)?;
        let value = u64::from((self.is_short)());
        ConstGauge::new(value).encode(gauge.encode_family(&[("resource", "memory")])?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exposition::Exposition;

    #[test]
    fn it_is_asked_at_each_scrape() {
        for (is_short, value) in [(false, 0.0), (true, 1.0)] {
            let exposition = Exposition::of(memory_collector(move || is_short));
            assert_eq!(exposition.value("phalanx_overload", &[("resource", "memory")]), Some(value));
        }
    }
}
