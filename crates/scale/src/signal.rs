//! What Phalanx measures of its own replicas, and the metrics that are made of it.
//!
//! Invariant: a metric that was made here is found again by [`Signal::of`], so whoever reads metrics needs no second list of
//! which is which.
//! Elsewhere: the measuring (`phalanx-fleet`, `phalanx-gateway`).

use std::fmt;

use crate::metric::{Metric, Resource, Scope, Target};

/// Something that is measured of every replica.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signal {
    /// Processor time, as a share of what a replica requests.
    Cpu,
    /// Memory, as a share of what a replica requests.
    Memory,
    /// Requests a second.
    Requests,
    /// Requests at a time.
    InFlight,
}

impl Signal {
    /// All there are.
    pub const ALL: [Self; 4] = [Self::Cpu, Self::Memory, Self::Requests, Self::InFlight];

    /// What reasons, metrics and labels call it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Cpu => "cpu",
            Self::Memory => "memory",
            Self::Requests => "requests",
            Self::InFlight => "in_flight",
        }
    }

    /// The signal that a metric is made of, if it was made here.
    #[must_use]
    pub fn of(metric: &Metric) -> Option<Self> {
        Self::ALL.into_iter().find(|signal| signal.name() == metric.name)
    }
}

impl fmt::Display for Signal {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name())
    }
}

impl Metric {
    /// The processor time of the replicas, as a share of what they request.
    #[must_use]
    pub fn cpu_percent(percent: u32) -> Self {
        Self::share(Signal::Cpu, Resource::Cpu, percent)
    }

    /// The memory of the replicas, as a share of what they request.
    #[must_use]
    pub fn memory_percent(percent: u32) -> Self {
        Self::share(Signal::Memory, Resource::Other(Signal::Memory.name().to_owned()), percent)
    }

    /// The requests a second of a replica, in thousandths.
    #[must_use]
    pub fn requests_per_second(milli: i64) -> Self {
        Self { name: Signal::Requests.name().to_owned(), target: Target::PodsAverage { milli } }
    }

    /// The requests at a time of a replica, in thousandths.
    #[must_use]
    pub fn in_flight(milli: i64) -> Self {
        Self { name: Signal::InFlight.name().to_owned(), target: Target::PodsAverage { milli } }
    }

    fn share(signal: Signal, resource: Resource, percent: u32) -> Self {
        let target = Target::Utilization { resource, scope: Scope::Pod, percent };
        Self { name: signal.name().to_owned(), target }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_metric_is_known_by_the_signal_that_it_was_made_of() {
        let metrics = [
            (Metric::cpu_percent(70), Signal::Cpu),
            (Metric::memory_percent(80), Signal::Memory),
            (Metric::requests_per_second(1_000), Signal::Requests),
            (Metric::in_flight(1_000), Signal::InFlight),
        ];
        for (metric, signal) in metrics {
            assert_eq!(Signal::of(&metric), Some(signal), "{metric:?}");
        }
        let foreign = Metric { name: "queue".to_owned(), target: Target::Unknown };
        assert_eq!(Signal::of(&foreign), None);
    }
}
