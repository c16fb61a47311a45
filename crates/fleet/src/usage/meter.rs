//! The samples of a fleet: taken off the control thread, the last ones kept for whoever asks.
//!
//! Invariant: one sampler for all who want samples, one sample at a time.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tokio::task::spawn_blocking;

use super::{Sampler, Usage};

/// Below this, a rate would tell of clock ticks more than of use.
const RATE_WINDOW_MIN: Duration = Duration::from_secs(1);

/// What a replica used at its last sample.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Measured {
    /// The sample.
    pub usage: Usage,
    /// Thousandths of a core, over the time between two samples; `None` before there are two of its run.
    pub cpu_milli: Option<u64>,
}

/// Measures a fleet.
#[derive(Debug, Default)]
pub(crate) struct Meter {
    sampler: Arc<tokio::sync::Mutex<Sampler>>,
    readings: Mutex<Readings>,
}

impl Meter {
    /// Measures these replicas, which are all there are.
    pub(crate) async fn measure(&self, replicas: Vec<(Arc<str>, u32)>) -> HashMap<Arc<str>, Usage> {
        let mut sampler = Arc::clone(&self.sampler).lock_owned().await;
        // A sample that panics is one that is missing; the next is taken with what the sampler remembers then.
        let used = spawn_blocking(move || sampler.sample(&replicas)).await.unwrap_or_default();
        self.readings.lock().unwrap_or_else(PoisonError::into_inner).take(&used);
        used
    }

    pub(crate) fn measured(&self, instance: &str) -> Option<Measured> {
        self.readings.lock().unwrap_or_else(PoisonError::into_inner).measured(instance)
    }
}

/// The last sample of each replica that has one.
#[derive(Debug, Default)]
pub(super) struct Readings(HashMap<Arc<str>, Reading>);

#[derive(Clone, Copy, Debug)]
struct Reading {
    latest: Usage,
    /// From where the next rate is reckoned.
    base: Usage,
    cpu_milli: Option<u64>,
}

impl Readings {
    pub(super) fn take(&mut self, used: &HashMap<Arc<str>, Usage>) {
        let read = |(instance, usage): (&Arc<str>, &Usage)| {
            let before = self.0.get(instance);
            (Arc::clone(instance), before.map_or(Reading::first(*usage), |before| before.next(*usage)))
        };
        self.0 = used.iter().map(read).collect();
    }

    pub(super) fn measured(&self, instance: &str) -> Option<Measured> {
        self.0.get(instance).map(|reading| Measured { usage: reading.latest, cpu_milli: reading.cpu_milli })
    }
}

impl Reading {
    fn first(latest: Usage) -> Self {
        Self { latest, base: latest, cpu_milli: None }
    }

    fn next(self, latest: Usage) -> Self {
        if latest.run != self.base.run {
            return Self::first(latest);
        }
        match latest.taken.checked_duration_since(self.base.taken) {
            Some(window) if window >= RATE_WINDOW_MIN => {
                Self { latest, base: latest, cpu_milli: latest.cpu_milli_since(&self.base) }
            }
            _ => Self { latest, ..self },
        }
    }
}
