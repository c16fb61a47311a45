//! The service as a model, and its replicas.

use std::time::Duration;

use crate::{
    Signal,
    decide::Observed,
    fast,
    metric::{Reading, Resource, Target},
    number,
    pod::{Leaving, Phase, Pod, Readiness, Sample, Samples},
    policy::Policy,
    simulation::REPLICAS_SIMULATED_MAX,
};

/// What one replica can do, and how long it takes to begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Service {
    /// Requests a second that a replica serves, in thousandths; less than one counts as one.
    pub capacity_milli: i64,
    /// From its start until it serves.
    pub start_up: Duration,
    /// Replicas when the trace begins, all of which serve.
    pub replicas: u32,
}

/// Before the trace begins, so that the first replicas are no longer young then.
const BEFORE: Duration = Duration::from_secs(24 * 3600);

/// A time of the trace as decisions know it.
pub(super) fn clock(at: Duration) -> Duration {
    at + BEFORE
}

pub(super) struct Fleet<'a> {
    service: &'a Service,
    /// When each was started, the oldest first.
    started: Vec<Duration>,
}

impl<'a> Fleet<'a> {
    pub(super) fn new(service: &'a Service) -> Self {
        let mut fleet = Self { service, started: Vec::new() };
        fleet.resize(service.replicas.min(REPLICAS_SIMULATED_MAX), Duration::ZERO);
        fleet
    }

    pub(super) fn replicas(&self) -> u32 {
        u32::try_from(self.started.len()).unwrap_or(u32::MAX)
    }

    pub(super) fn ready(&self, at: Duration) -> u32 {
        let ready = self.started.iter().filter(|started| self.serves(**started, at)).count();
        u32::try_from(ready).unwrap_or(u32::MAX)
    }

    pub(super) fn capacity_milli(&self, at: Duration) -> i128 {
        i128::from(self.ready(at)) * i128::from(self.capacity_of_one())
    }

    /// How many replicas a load needs.
    pub(super) fn needed(&self, load_milli: i64) -> u32 {
        let (load, one) = (load_milli.max(0), self.capacity_of_one());
        number::replicas(load / one + i64::from(load % one != 0))
    }

    /// What a `HorizontalPodAutoscaler` would observe.
    pub(super) fn observed(
        &self,
        policy: &Policy,
        load_milli: i64,
        window: Duration,
        at: Duration,
    ) -> Observed {
        let share = load_milli.checked_div(i64::from(self.ready(at))).unwrap_or_default();
        let sample = |value_milli| Sample { value_milli, taken: clock(at), window };
        let samples = |value_milli: i64| -> Samples {
            let ready = self.started.iter().enumerate().filter(|(_, started)| self.serves(**started, at));
            ready.map(|(index, _)| (index.to_string(), sample(value_milli))).collect()
        };
        let capacity = self.capacity_of_one();
        let reading = |target: &Target| match target {
            Target::Utilization { resource: Resource::Cpu, .. } => Reading::Resource {
                samples: samples(share.min(capacity)),
                requests: (0..self.started.len()).map(|index| (index.to_string(), capacity)).collect(),
            },
            Target::PodsAverage { .. } => Reading::Pods(samples(share)),
            Target::Object(_) | Target::External(_) => Reading::Values(vec![load_milli]),
            Target::Utilization { .. } | Target::ResourceAverage { .. } | Target::Unknown => {
                Reading::Failed("not part of the model".to_owned())
            }
        };
        let pods = self.started.iter().enumerate();
        Observed {
            replicas: self.replicas(),
            replicas_existing: self.replicas(),
            crashing: 0,
            pods: pods.map(|(index, started)| self.pod(index, *started, at)).collect(),
            readings: policy.wanted().metrics.iter().map(|metric| reading(&metric.target)).collect(),
        }
    }

    /// What a fast decision would observe.
    pub(super) fn observed_fast(
        &self,
        policy: &fast::Policy,
        load_milli: i64,
        at: Duration,
    ) -> fast::Observed {
        let reading = |aim: &fast::Aim| (aim.signal == Signal::Requests).then_some(load_milli);
        fast::Observed {
            replicas: self.replicas(),
            ready: self.ready(at),
            crashing: 0,
            readings: policy.wanted().aims.iter().map(reading).collect(),
            traffic: if load_milli > 0 { fast::Traffic::Some } else { fast::Traffic::None },
        }
    }

    /// Starts replicas, or stops the youngest.
    pub(super) fn scale(&mut self, replicas: u32, at: Duration) {
        self.resize(replicas, clock(at));
    }

    fn resize(&mut self, replicas: u32, started: Duration) {
        self.started.resize(usize::try_from(replicas).unwrap_or(usize::MAX), started);
    }

    fn pod(&self, index: usize, started: Duration, at: Duration) -> Pod {
        let since = started.saturating_add(self.service.start_up);
        let (phase, readiness) = if self.serves(started, at) {
            (Phase::Running, Readiness::Ready { since })
        } else {
            (Phase::Pending, Readiness::Unready { since: started })
        };
        Pod {
            name: index.to_string(),
            phase,
            leaving: Leaving::No,
            started: Some(started),
            readiness: Some(readiness),
        }
    }

    /// Those of the beginning serve, however long a start takes.
    fn serves(&self, started: Duration, at: Duration) -> bool {
        started < BEFORE || started.saturating_add(self.service.start_up) <= clock(at)
    }

    fn capacity_of_one(&self) -> i64 {
        self.service.capacity_milli.max(1)
    }
}
