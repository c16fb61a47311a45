//! Request series: `http_requests_total`, `http_request_duration_seconds` and `http_requests_in_flight`.
//!
//! A [`RequestSeries`] belongs to one (service, route) pair and one writer, a gateway worker or a replica. Recording is a few
//! relaxed additions: the labels that vary by request, method and status, index a table. A cell is allocated when its
//! first request ends and never again. A [`RequestFamily`] sums the series of all writers when it is scraped.

use std::{
    fmt,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeMetric},
    metrics::{MetricType, counter::ConstCounter, gauge::ConstGauge},
};

use crate::{
    durations::{DurationTotals, Durations},
    writers::Writers,
};

mod labels;
#[cfg(test)]
mod tests;

pub use labels::MethodLabel;

/// The request series of one route, as one writer counts them.
pub struct RequestSeries {
    cells: Box<[OnceLock<Box<Durations>>]>,
    begun: AtomicU64,
    ended: AtomicU64,
}

impl Default for RequestSeries {
    fn default() -> Self {
        Self::new()
    }
}

impl RequestSeries {
    /// A series without requests.
    #[must_use]
    pub fn new() -> Self {
        let cells = (0..labels::CELLS).map(|_| OnceLock::new()).collect();
        Self { cells, begun: AtomicU64::new(0), ended: AtomicU64::new(0) }
    }

    /// Counts a request that begins; it stays in flight until [`Self::ended`].
    pub fn begun(&self) {
        self.begun.fetch_add(1, Ordering::Relaxed);
    }

    /// Counts the end of a request that [`Self::begun`] counted. A status outside 100..=599 counts as 500.
    pub fn ended(&self, method: MethodLabel, status: u16, elapsed: Duration) {
        self.ended.fetch_add(1, Ordering::Relaxed);
        self.cells[labels::cell(method, status)].get_or_init(Box::default).observe(elapsed);
    }

    /// Requests begun and not ended.
    #[must_use]
    pub fn in_flight(&self) -> i64 {
        // In this order: what ends in between counts as in flight.
        let ended = self.ended.load(Ordering::Relaxed);
        self.begun.load(Ordering::Relaxed).saturating_sub(ended).cast_signed()
    }
}

/// The request series of all routes and all writers. Clones share them.
#[derive(Clone, Debug, Default)]
pub struct RequestFamily {
    writers: Arc<Writers<RequestSeries>>,
}

impl RequestFamily {
    /// A family without series.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The series of one writer under these labels. It may go on where a writer that has gone left off.
    #[must_use]
    pub fn series(&self, service: &str, route: &str) -> Arc<RequestSeries> {
        self.writers.join(service, route)
    }

    /// Requests begun and not ended, over all routes and writers.
    #[must_use]
    pub fn in_flight(&self) -> i64 {
        self.writers
            .totals(|writers| writers.iter().map(|series| series.in_flight()).sum::<i64>())
            .iter()
            .map(|(_, count)| count)
            .sum()
    }

    /// How long the requests took that have ended, over all routes and writers.
    #[must_use]
    pub fn durations(&self) -> DurationTotals {
        let mut all = DurationTotals::default();
        for (_, totals) in self.writers.totals(RouteTotals::of) {
            totals.ended.iter().for_each(|(_, durations)| all.merge(durations));
        }
        all
    }

    /// Requests begun on all routes of a service, by all writers. It never falls.
    #[must_use]
    pub fn begun(&self, service: &str) -> u64 {
        let begun = |writers: &[Arc<RequestSeries>]| {
            writers.iter().map(|series| series.begun.load(Ordering::Relaxed)).sum::<u64>()
        };
        let routes = self.writers.totals(begun);
        routes.iter().filter(|((known, _), _)| &**known == service).map(|(_, count)| count).sum()
    }

    /// What exposes this family in a [`Registry`](crate::registry::Registry).
    #[must_use]
    pub fn collector(&self) -> Box<dyn Collector> {
        Box::new(self.clone())
    }
}

/// What all writers of one route have counted.
struct RouteTotals {
    /// By cell; empty cells are left out.
    ended: Vec<(usize, DurationTotals)>,
    in_flight: i64,
}

impl RouteTotals {
    fn of(writers: &[Arc<RequestSeries>]) -> Self {
        let ended = (0..labels::CELLS).map(|cell| (cell, cell_totals(writers, cell)));
        Self {
            ended: ended.filter(|(_, totals)| totals.count() > 0).collect(),
            in_flight: writers.iter().map(|series| series.in_flight()).sum(),
        }
    }
}

fn cell_totals(writers: &[Arc<RequestSeries>], cell: usize) -> DurationTotals {
    let mut totals = DurationTotals::default();
    for durations in writers.iter().filter_map(|series| series.cells[cell].get()) {
        totals.add(durations);
    }
    totals
}

impl Collector for RequestFamily {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        // Read once: the counter and the histogram below are the same numbers.
        let routes = self.writers.totals(RouteTotals::of);

        let mut requests =
            encoder.encode_descriptor("http_requests", "Requests that ended.", None, MetricType::Counter)?;
        for ((service, route), totals) in &routes {
            for (cell, durations) in &totals.ended {
                let labels = labels::of_cell(service, route, *cell);
                ConstCounter::new(durations.count()).encode(requests.encode_family(&labels)?)?;
            }
        }

        let mut durations = encoder.encode_descriptor(
            "http_request_duration_seconds",
            "Time from the first byte of a request to the last byte of its response.",
            None,
            MetricType::Histogram,
        )?;
        for ((service, route), totals) in &routes {
            for (cell, ended) in &totals.ended {
                ended.encode(durations.encode_family(&labels::of_cell(service, route, *cell))?)?;
            }
        }

        let mut in_flight = encoder.encode_descriptor(
            "http_requests_in_flight",
            "Requests begun and not ended.",
            None,
            MetricType::Gauge,
        )?;
        for ((service, route), totals) in &routes {
            let labels = [("service", &**service), ("route", &**route)];
            ConstGauge::new(totals.in_flight).encode(in_flight.encode_family(&labels)?)?;
        }
        Ok(())
    }
}
