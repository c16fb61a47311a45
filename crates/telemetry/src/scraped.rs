//! Series whose values somebody else keeps: they are asked for at each scrape.
//!
//! Invariant: the label values are the owner's to bound; a family without samples is described all the same, so that a
//! dashboard finds its name.

use std::fmt;

use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeMetric},
    metrics::{MetricType, counter::ConstCounter, gauge::ConstGauge},
};

/// What the values of a family mean.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// They only grow; the name in the exposition ends with `_total`.
    Counter,
    /// They go up and down.
    Gauge,
}

/// All series of one name.
#[derive(Clone, Debug, PartialEq)]
pub struct Family {
    name: &'static str,
    help: &'static str,
    kind: Kind,
    samples: Vec<(Vec<(&'static str, String)>, f64)>,
}

impl Family {
    /// A family without samples. The name of a counter comes without `_total`.
    #[must_use]
    pub fn new(kind: Kind, name: &'static str, help: &'static str) -> Self {
        Self { name, help, kind, samples: Vec::new() }
    }

    /// The same with one more series. Two with the same labels are a defect of the owner's.
    #[must_use]
    pub fn with(mut self, labels: &[(&'static str, &str)], value: f64) -> Self {
        self.add(labels, value);
        self
    }

    /// Adds a series.
    pub fn add(&mut self, labels: &[(&'static str, &str)], value: f64) {
        let labels = labels.iter().map(|(name, value)| (*name, (*value).to_owned())).collect();
        self.samples.push((labels, value));
    }

    fn encode(&self, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
        let metric_type = match self.kind {
            Kind::Counter => MetricType::Counter,
            Kind::Gauge => MetricType::Gauge,
        };
        let mut family = encoder.encode_descriptor(self.name, self.help, None, metric_type)?;
        for (labels, value) in &self.samples {
            let series = family.encode_family(labels)?;
            match self.kind {
                Kind::Counter => ConstCounter::new(*value).encode(series)?,
                Kind::Gauge => ConstGauge::new(*value).encode(series)?,
            }
        }
        Ok(())
    }
}

/// What exposes the families that `read` answers at each scrape in a [`Registry`](crate::registry::Registry).
#[must_use]
pub fn collector(read: impl Fn() -> Vec<Family> + Send + Sync + 'static) -> Box<dyn Collector> {
    Box::new(Scraped { read: Box::new(read) })
}

struct Scraped {
    read: Box<dyn Fn() -> Vec<Family> + Send + Sync>,
}

impl fmt::Debug for Scraped {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Scraped").finish_non_exhaustive()
    }
}

impl Collector for Scraped {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        (self.read)().iter().try_for_each(|family| family.encode(&mut encoder))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    };

    use super::*;
    use crate::exposition::Exposition;

    #[test]
    fn values_are_those_at_the_scrape() {
        let reads = Arc::new(AtomicU32::new(1));
        let kept = Arc::clone(&reads);
        let read = move || {
            let count = f64::from(kept.load(Ordering::Relaxed));
            vec![
                Family::new(Kind::Counter, "reads", "Reads.").with(&[("target", "replica")], count),
                Family::new(Kind::Gauge, "lag_bytes", "Lag.").with(&[], -1.5),
                Family::new(Kind::Gauge, "nothing", "Without samples."),
            ]
        };
        reads.store(7, Ordering::Relaxed);
        let exposition = Exposition::of(collector(read));
        assert_eq!(exposition.value("reads_total", &[("target", "replica")]), Some(7.0));
        assert_eq!(exposition.value("lag_bytes", &[]), Some(-1.5));
        assert_eq!(exposition.named("nothing").count(), 0);
    }
}
