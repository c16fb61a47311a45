//! `phalanx_replica_*{service,instance}`: what each replica uses, and how much of what it prints is dropped; and
//! `phalanx_output_lost_lines`: what the terminal did not take.
//!
//! Elsewhere: who measures and counts (`phalanx-fleet`). This module asks at each scrape.
//! Fails by absence: a replica that was not measured has no series of what it uses.

use std::fmt;

use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeMetric},
    metrics::{MetricType, counter::ConstCounter, gauge::ConstGauge},
};

/// One replica.
#[derive(Clone, Debug, PartialEq)]
pub struct ReplicaUse {
    /// The service.
    pub service: String,
    /// `<service>-<ordinal>`; there are no more of them than replicas. No pair of service and instance may come twice.
    pub instance: String,
    /// CPU time since its process was started; `None` where it was not measured.
    pub cpu_seconds: Option<f64>,
    /// Cores in use, over the time between the last two samples; `None` before there are two.
    pub cpu_cores: Option<f64>,
    /// Memory held in RAM; `None` where it was not measured.
    pub memory_bytes: Option<u64>,
    /// Printed lines that were dropped.
    pub dropped_lines: u64,
}

/// What `read` tells at each scrape.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Uses {
    /// All replicas.
    pub replicas: Vec<ReplicaUse>,
    /// Lines that standard output did not take.
    pub lost_lines: u64,
}

/// What exposes that which `read` tells at each scrape.
pub fn collector(read: impl Fn() -> Uses + Send + Sync + 'static) -> Box<dyn Collector> {
    Box::new(UseCollector { read })
}

struct UseCollector<F> {
    read: F,
}

impl<F> fmt::Debug for UseCollector<F> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("UseCollector").finish_non_exhaustive()
    }
}

impl<F: Fn() -> Uses + Send + Sync + 'static> Collector for UseCollector<F> {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let Uses { replicas, lost_lines } = (self.read)();
        let mut family = |name, help, kind, value: fn(&ReplicaUse) -> Option<f64>| {
            let mut family = encoder.encode_descriptor(name, help, None, kind)?;
            for replica in &replicas {
                // Neither a gauge nor a counter may be no number.
                let Some(value) = value(replica).filter(|value| value.is_finite()) else { continue };
                let labels = [("service", replica.service.as_str()), ("instance", replica.instance.as_str())];
                let series = family.encode_family(&labels)?;
                match kind {
                    MetricType::Counter => ConstCounter::new(value).encode(series)?,
                    _ => ConstGauge::new(value).encode(series)?,
                }
            }
            Ok(())
        };
        let help = "CPU time of a replica and everything it started, since its last start.";
        family("phalanx_replica_cpu_seconds", help, MetricType::Counter, |replica| replica.cpu_seconds)?;
        let help = "Cores that a replica and everything it started use.";
        family("phalanx_replica_cpu_cores", help, MetricType::Gauge, |replica| replica.cpu_cores)?;
        let help = "Memory that a replica and everything it started hold in RAM.";
        let memory = |replica: &ReplicaUse| replica.memory_bytes.map(|bytes| bytes as f64);
        family("phalanx_replica_memory_bytes", help, MetricType::Gauge, memory)?;
        let help = "Lines of a replica that were dropped: more than it may print, or than were taken.";
        let dropped = |replica: &ReplicaUse| Some(replica.dropped_lines as f64);
        family("phalanx_replica_output_dropped_lines", help, MetricType::Counter, dropped)?;

        let help = "Lines that standard output did not take.";
        let lost = encoder.encode_descriptor("phalanx_output_lost_lines", help, None, MetricType::Counter)?;
        ConstCounter::new(lost_lines).encode(lost)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exposition::Exposition;

    fn replica(instance: &str, cpu_cores: Option<f64>, memory_bytes: Option<u64>) -> ReplicaUse {
        ReplicaUse {
            service: "api".to_owned(),
            instance: instance.to_owned(),
            cpu_seconds: cpu_cores,
            cpu_cores,
            memory_bytes,
            dropped_lines: 7,
        }
    }

    #[test]
    fn what_was_not_measured_has_no_series() {
        let uses = || Uses {
            replicas: vec![
                replica("api-1", Some(0.5), Some(1 << 20)),
                replica("api-2", None, None),
                replica("api-3", Some(f64::NAN), Some(0)),
            ],
            lost_lines: 9,
        };
        let exposition = Exposition::of(collector(uses));
        let value =
            |name: &str, instance| exposition.value(name, &[("service", "api"), ("instance", instance)]);
        for (name, expected) in [
            ("phalanx_replica_cpu_seconds_total", [Some(0.5), None, None]),
            ("phalanx_replica_cpu_cores", [Some(0.5), None, None]),
            ("phalanx_replica_memory_bytes", [Some(1_048_576.0), None, Some(0.0)]),
            ("phalanx_replica_output_dropped_lines_total", [Some(7.0), Some(7.0), Some(7.0)]),
        ] {
            let found = ["api-1", "api-2", "api-3"].map(|instance| value(name, instance));
            assert_eq!(found, expected, "{name}");
        }
        assert_eq!(exposition.value("phalanx_output_lost_lines_total", &[]), Some(9.0));
    }
}
