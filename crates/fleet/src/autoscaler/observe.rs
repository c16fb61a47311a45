//! From the board and what was measured to what a decision observes.
//!
//! A replica that takes no requests has no sample, whatever could be measured of it: one that hangs uses no processor time, and that
//! says nothing about the load. One that crashes again and again is no capacity, and not among the pods.

use std::{
    collections::HashMap,
    sync::Arc,
    time::{Duration, Instant},
};

use phalanx_scale::{
    Observed, Signal, fast,
    host::Footprint,
    metric::Reading,
    pod::{Leaving, Phase, Pod, Readiness, Requests, Sample, Samples},
};

use crate::{
    autoscaler::{
        load::ServiceLoad,
        runs::{Runs, rate},
        scaled::Glances,
    },
    state::{ReplicaState, ServiceState, Standing},
    usage::Usage,
};

/// Everything that is known of a service when it is decided.
#[derive(Clone, Copy)]
pub(super) struct View<'a> {
    pub(super) state: &'a ServiceState,
    pub(super) load: &'a ServiceLoad,
    pub(super) used: &'a HashMap<Arc<str>, Usage>,
    pub(super) runs: &'a Runs,
    pub(super) glances: &'a Glances,
    /// All requests to the service some time ago, and when.
    pub(super) counted: Option<(u64, Instant)>,
    pub(super) requested: Footprint,
    pub(super) interval: Duration,
    pub(super) epoch: Instant,
    pub(super) now: Instant,
}

impl View<'_> {
    /// What a decision by the rules of Kubernetes observes.
    pub(super) fn observed(&self, signals: &[Option<Signal>]) -> Observed {
        let pods: Vec<_> = self.state.replicas.iter().filter_map(|replica| self.pod(replica)).collect();
        Observed {
            replicas: self.state.desired,
            replicas_existing: u32::try_from(pods.len()).unwrap_or(u32::MAX),
            crashing: self.crashing(),
            readings: signals.iter().map(|signal| self.reading(*signal, &pods)).collect(),
            pods,
        }
    }

    /// What a fast decision observes.
    pub(super) fn observed_fast(&self, signals: &[Option<Signal>]) -> fast::Observed {
        let rate = self.counted.and_then(|(earlier, at)| rate(earlier, at, self.load.requests, self.now));
        let reading = |signal: &Option<Signal>| match signal {
            Some(Signal::Requests) => rate.map(|rate| rate.milli),
            Some(Signal::InFlight) => Some(self.glances.open_milli()),
            Some(Signal::Cpu | Signal::Memory) | None => None,
        };
        // By the count and not by the rate, in which one request within an hour is nothing.
        let traffic = match self.counted {
            _ if self.load.open() > 0 => fast::Traffic::Some,
            Some((earlier, _)) if self.load.requests == earlier => fast::Traffic::None,
            Some(_) => fast::Traffic::Some,
            None => fast::Traffic::Unknown,
        };
        fast::Observed {
            replicas: self.state.desired,
            ready: self.ready(),
            crashing: self.crashing(),
            readings: signals.iter().map(reading).collect(),
            traffic,
        }
    }

    /// A replica as the arithmetic sees it; nothing for one that is no replica any more, or never gets to be one.
    fn pod(&self, replica: &ReplicaState) -> Option<Pod> {
        let since = self.time(replica.since);
        let (phase, leaving, readiness) = match replica.standing {
            Standing::Starting if replica.process.is_none() && replica.restarts == 0 => {
                (Phase::Pending, Leaving::No, Readiness::Unready { since })
            }
            Standing::Ready => (Phase::Running, Leaving::No, Readiness::Ready { since }),
            // As in Kubernetes a pod runs from its first process on, also between two of them. Without a sample it is missing, and
            // takes nothing down; a pending one would be left out.
            Standing::Starting | Standing::BackingOff { .. } | Standing::NotReady => {
                (Phase::Running, Leaving::No, Readiness::Unready { since })
            }
            Standing::Draining | Standing::Stopping => {
                (Phase::Running, Leaving::Yes, Readiness::Unready { since })
            }
            Standing::CrashLoop { .. } | Standing::Stopped => return None,
        };
        Some(Pod {
            name: replica.instance.to_string(),
            phase,
            leaving,
            started: Some(self.time(self.runs.started(replica))),
            readiness: Some(readiness),
        })
    }

    /// Replicas in a crash loop, without those that a rollout has started on top of what is asked for.
    fn crashing(&self) -> u32 {
        let count = |counts: fn(Standing) -> bool| {
            self.state.replicas.iter().filter(|replica| counts(replica.standing)).count()
        };
        let crashing = count(|standing| matches!(standing, Standing::CrashLoop { .. }));
        let staying = count(|standing| {
            !matches!(standing, Standing::Draining | Standing::Stopping | Standing::Stopped)
        });
        let desired = usize::try_from(self.state.desired).unwrap_or(usize::MAX);
        u32::try_from(crashing.saturating_sub(staying.saturating_sub(desired))).unwrap_or(u32::MAX)
    }

    fn ready(&self) -> u32 {
        u32::try_from(self.serving().count()).unwrap_or(u32::MAX)
    }

    /// Those that take requests: of nobody else is anything measured.
    fn serving(&self) -> impl Iterator<Item = &ReplicaState> {
        self.state.replicas.iter().filter(|replica| replica.standing == Standing::Ready)
    }

    fn reading(&self, signal: Option<Signal>, pods: &[Pod]) -> Reading {
        let Some(signal) = signal else { return Reading::Failed("not measured here".to_owned()) };
        let sample = |replica: &ReplicaState| match signal {
            Signal::Cpu => self.cpu(replica),
            Signal::Memory => self.memory(replica),
            Signal::Requests => self.requests(replica),
            Signal::InFlight => self.in_flight(replica),
        };
        let samples: Samples = self
            .serving()
            .filter_map(|replica| Some((replica.instance.to_string(), sample(replica)?)))
            .collect();
        match signal {
            Signal::Requests | Signal::InFlight => Reading::Pods(samples),
            Signal::Cpu => self.share(samples, pods, self.requested.cpu_milli),
            // In thousandths, as all values are.
            Signal::Memory => self.share(
                samples,
                pods,
                self.requested.memory_bytes.map(|bytes| bytes.saturating_mul(1_000)),
            ),
        }
    }

    fn share(&self, samples: Samples, pods: &[Pod], each: Option<u64>) -> Reading {
        let each = each.map(|each| i64::try_from(each).unwrap_or(i64::MAX));
        let requests: Requests = pods.iter().filter_map(|pod| Some((pod.name.clone(), each?))).collect();
        Reading::Resource { samples, requests }
    }

    fn cpu(&self, replica: &ReplicaState) -> Option<Sample> {
        let rate = self.runs.cpu(replica, self.used.get(&replica.instance)?)?;
        Some(self.sample(rate.milli, rate.taken, rate.window))
    }

    fn memory(&self, replica: &ReplicaState) -> Option<Sample> {
        let usage = self.used.get(&replica.instance)?;
        let milli = i64::try_from(usage.memory_bytes).unwrap_or(i64::MAX).saturating_mul(1_000);
        Some(self.sample(milli, usage.taken, self.interval))
    }

    fn requests(&self, replica: &ReplicaState) -> Option<Sample> {
        let address = replica.process?.address;
        let endpoint = self.load.endpoints.iter().find(|endpoint| endpoint.address == address)?;
        let rate = self.runs.requests(replica, endpoint.requests, self.now)?;
        Some(self.sample(rate.milli, rate.taken, rate.window))
    }

    /// What a replica works on, and its part of what waits for any of them.
    fn in_flight(&self, replica: &ReplicaState) -> Option<Sample> {
        let own = self.glances.in_flight_milli(replica.process?.address)?;
        let part = self.glances.queued_milli() / i64::from(self.ready().max(1));
        Some(self.sample(own.saturating_add(part), self.now, self.interval))
    }

    fn sample(&self, value_milli: i64, taken: Instant, window: Duration) -> Sample {
        Sample { value_milli, taken: self.time(taken), window }
    }

    fn time(&self, at: Instant) -> Duration {
        at.saturating_duration_since(self.epoch)
    }
}
