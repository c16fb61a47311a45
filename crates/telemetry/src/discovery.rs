//! `phalanx_discovery_failures_total{service}`: how often DNS did not tell all it was asked about the endpoints of a service.
//!
//! Elsewhere: who asks, and what follows from an answer (`phalanx-gateway`).

use prometheus_client::metrics::{counter::Counter, family::Family};

use crate::registry::Registry;

/// The counters of all services. Clones share them.
#[derive(Clone, Debug, Default)]
pub struct DiscoveryFamily {
    failures: Family<[(&'static str, String); 1], Counter>,
}

impl DiscoveryFamily {
    /// A family without services.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The counter of a service, whose series begins with this: a failure is a change then, not the birth of a series.
    #[must_use]
    pub fn failures(&self, service: &str) -> DiscoveryFailures {
        DiscoveryFailures { failures: self.failures.get_or_create_owned(&[("service", service.to_owned())]) }
    }

    /// Exposes this family.
    pub fn register(&self, registry: &mut Registry) {
        registry.register(
            "phalanx_discovery_failures",
            "Times that DNS did not tell all it was asked about the endpoints of a service",
            self.failures.clone(),
        );
    }
}

/// Counts for one service.
#[derive(Clone, Debug)]
pub struct DiscoveryFailures {
    failures: Counter,
}

impl DiscoveryFailures {
    /// DNS failed, or did not tell all.
    pub fn failed(&self) {
        self.failures.inc();
    }

    /// How often that was.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.failures.get()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exposition::Exposition;

    #[test]
    fn a_service_is_counted_from_zero() {
        let (family, mut registry) = (DiscoveryFamily::new(), Registry::new());
        family.register(&mut registry);
        let failures = family.failures("api");
        let counted = || {
            let exposition = Exposition::parse(&registry.encode());
            exposition.value("phalanx_discovery_failures_total", &[("service", "api")])
        };
        assert_eq!(counted(), Some(0.0));
        failures.failed();
        family.failures("api").failed();
        assert_eq!((counted(), failures.count()), (Some(2.0), 2));
    }
}
