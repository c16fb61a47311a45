//! `phalanx_autoscale_desired{service}` and `phalanx_autoscale_metric{service,metric}`: what autoscalers have decided, and by what.
//!
//! Elsewhere: who decides (`phalanx-fleet`). This module asks at each scrape.
//! Fails by absence: a metric that could not be read has no series, never a zero.

use std::fmt;

use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeMetric},
    metrics::{MetricType, gauge::ConstGauge},
};

/// What the autoscaler of one service has decided last.
#[derive(Clone, Debug, PartialEq)]
pub struct AutoscaleReading {
    /// The service. None may come twice.
    pub service: String,
    /// How many replicas there should be.
    pub desired: u32,
    /// What each metric was at for one replica, by its name; those that could not be read are left out. No name may come twice.
    pub metrics: Vec<(String, f64)>,
}

/// What exposes the readings that `read` tells at each scrape.
pub fn collector(read: impl Fn() -> Vec<AutoscaleReading> + Send + Sync + 'static) -> Box<dyn Collector> {
    Box::new(AutoscaleCollector { read })
}

struct AutoscaleCollector<F> {
    read: F,
}

impl<F> fmt::Debug for AutoscaleCollector<F> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("AutoscaleCollector").finish_non_exhaustive()
    }
}

impl<F: Fn() -> Vec<AutoscaleReading> + Send + Sync + 'static> Collector for AutoscaleCollector<F> {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let readings = (self.read)();
        let help = "Replicas that the autoscaler of a service wants.";
        let mut desired =
            encoder.encode_descriptor("phalanx_autoscale_desired", help, None, MetricType::Gauge)?;
        for reading in &readings {
            let labels = [("service", reading.service.as_str())];
            ConstGauge::new(f64::from(reading.desired)).encode(desired.encode_family(&labels)?)?;
        }
        let help =
            "What a metric of an autoscaler was at for one replica: percent of its requests, or a value.";
        let mut metrics =
            encoder.encode_descriptor("phalanx_autoscale_metric", help, None, MetricType::Gauge)?;
        for reading in &readings {
            for (metric, value) in &reading.metrics {
                let labels = [("service", reading.service.as_str()), ("metric", metric.as_str())];
                ConstGauge::new(*value).encode(metrics.encode_family(&labels)?)?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exposition::Exposition;

    #[test]
    fn decisions_are_read_at_each_scrape() {
        let read = || {
            let metrics = vec![("cpu".to_owned(), 71.0), ("requests".to_owned(), 12.5)];
            vec![AutoscaleReading { service: "api".to_owned(), desired: 3, metrics }]
        };
        let exposition = Exposition::of(collector(read));
        assert_eq!(exposition.value("phalanx_autoscale_desired", &[("service", "api")]), Some(3.0));
        let metric =
            |name| exposition.value("phalanx_autoscale_metric", &[("service", "api"), ("metric", name)]);
        assert_eq!((metric("cpu"), metric("requests"), metric("memory")), (Some(71.0), Some(12.5), None));
    }
}
