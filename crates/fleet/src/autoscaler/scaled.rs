//! One service with an autoscaler: its policy, what is remembered for it, and when it is decided next.

use std::{
    collections::HashMap,
    net::SocketAddr,
    num::NonZero,
    sync::Arc,
    time::{Duration, Instant},
};

use phalanx_config::{Amounts, Autoscale, Replicas, ServiceName};
use phalanx_scale::{
    Mode, Policy, Signal, State, Why, decide, fast,
    host::{Footprint, Host, host_limit},
};

use crate::{
    autoscaler::{
        GLANCE_INTERVAL,
        load::ServiceLoad,
        observe::View,
        runs::{COUNTED_MIN, Runs},
    },
    state::ServiceState,
    usage::Usage,
};

/// Decisions know time from here on. It lies before anything that they are told of, so that nothing seems to have happened at their
/// zero, which means that nobody knows when.
const BEFORE: Duration = Duration::from_secs(24 * 3600);

/// Between two decisions, the later of which was hurried while replicas are on their way.
const HURRY_INTERVAL_MIN: Duration = Duration::from_secs(1);

/// One service with an autoscaler.
pub(super) struct Scaled {
    name: ServiceName,
    /// As in the file.
    autoscale: Autoscale,
    decider: Decider,
    signals: Vec<Option<Signal>>,
    requested: Footprint,
    runs: Runs,
    glances: Glances,
    /// All requests to the service, and when there were so many.
    counted: Option<(u64, Instant)>,
    epoch: Instant,
    /// How many replicas were asked for last, and when.
    decided: Option<(u32, Instant)>,
    decide_at: Instant,
    glance_at: Instant,
}

/// A policy and what it remembers.
enum Decider {
    Kubernetes { policy: Policy, state: State },
    Fast { policy: fast::Policy, state: fast::State },
}

impl Scaled {
    /// Nothing for a service without an autoscaler.
    pub(super) fn new(name: &ServiceName, replicas: &Replicas, host: Host, now: Instant) -> Option<Self> {
        let autoscale = replicas.autoscale.as_ref()?;
        let requested = requested(replicas);
        let mode = autoscale.mode.clone().on(host_limit(host, requested));
        let signals = mode.signals();
        let decider = match mode {
            Mode::Kubernetes(policy) => Decider::Kubernetes { policy, state: State::default() },
            Mode::Fast(policy) => Decider::Fast { policy, state: fast::State::default() },
        };
        Some(Self {
            name: name.clone(),
            autoscale: autoscale.clone(),
            decider,
            signals,
            requested,
            runs: Runs::default(),
            glances: Glances::default(),
            counted: None,
            epoch: now.checked_sub(BEFORE).unwrap_or(now),
            decided: None,
            decide_at: now,
            glance_at: now,
        })
    }

    /// Whether it is scaled as these replicas shall be.
    pub(super) fn is_for(&self, replicas: &Replicas) -> bool {
        replicas.autoscale.as_ref() == Some(&self.autoscale) && requested(replicas) == self.requested
    }

    pub(super) fn name(&self) -> &ServiceName {
        &self.name
    }

    /// When it has to be looked at next.
    pub(super) fn wakes_at(&self) -> Instant {
        if self.glances_count() { self.decide_at.min(self.glance_at) } else { self.decide_at }
    }

    pub(super) fn is_due(&self, now: Instant) -> bool {
        self.decide_at <= now
    }

    /// Decides soon: somebody waits. At once where no replica was asked for; else one is on its way, and whoever comes and goes
    /// again and again does not keep the loop busy. Kubernetes has no hurry.
    pub(super) fn hurry(&mut self, now: Instant) {
        if let Decider::Kubernetes { .. } = self.decider {
            return;
        }
        let soon = match self.decided {
            Some((replicas, at)) if replicas > 0 => now.max(at + HURRY_INTERVAL_MIN),
            _ => now,
        };
        self.decide_at = self.decide_at.min(soon);
    }

    /// Whether it needs to be known what replicas use.
    pub(super) fn goes_by_usage(&self) -> bool {
        self.signals.iter().any(|signal| matches!(signal, Some(Signal::Cpu | Signal::Memory)))
    }

    /// Looks at what is in flight between two decisions, since a single look may fall on any moment.
    pub(super) fn glance(&mut self, load: &ServiceLoad, now: Instant) {
        if self.glances_count() && (self.glance_at <= now || self.is_due(now)) {
            self.glances.add(load);
            self.glance_at = now + GLANCE_INTERVAL;
        }
    }

    /// Decides, and remembers what was observed.
    pub(super) fn decide(
        &mut self,
        state: &ServiceState,
        load: &ServiceLoad,
        used: &HashMap<Arc<str>, Usage>,
        now: Instant,
    ) -> Why {
        let at = self.time(now);
        let view = View {
            state,
            load,
            used,
            runs: &self.runs,
            glances: &self.glances,
            counted: self.counted,
            requested: self.requested,
            interval: self.autoscale.interval,
            epoch: self.epoch,
            now,
        };
        let why = match &mut self.decider {
            Decider::Kubernetes { policy, state } => {
                Why::Kubernetes(decide(policy, state, &view.observed(&self.signals), at).reasons)
            }
            Decider::Fast { policy, state } => {
                let observed = view.observed_fast(&self.signals);
                Why::Fast(fast::decide(policy, state, &observed, at).reasons)
            }
        };
        self.runs.remember(state, load, used, now);
        if self.counted.is_none_or(|(_, since)| now.saturating_duration_since(since) >= COUNTED_MIN) {
            self.counted = Some((load.requests, now));
        }
        self.glances = Glances::default();
        self.decide_at = now + self.autoscale.interval;
        self.decided = Some((why.to(), now));
        why
    }

    /// Remembers a change that was made.
    pub(super) fn changed(&mut self, why: &Why, now: Instant) {
        let at = self.time(now);
        if let Decider::Kubernetes { policy, state } = &mut self.decider {
            state.changed(policy, why.from(), why.to(), at);
        }
    }

    fn glances_count(&self) -> bool {
        self.signals.contains(&Some(Signal::InFlight))
    }

    fn time(&self, now: Instant) -> Duration {
        now.saturating_duration_since(self.epoch)
    }
}

/// What one replica requests.
fn requested(replicas: &Replicas) -> Footprint {
    let Amounts { cpu_milli, memory_bytes } = replicas.resources.requests;
    Footprint {
        cpu_milli: cpu_milli.map(|milli| milli.get().into()),
        memory_bytes: memory_bytes.map(NonZero::get),
    }
}

/// What was in flight at several moments since the decision before.
#[derive(Debug, Default)]
pub(super) struct Glances {
    open: Mean,
    queued: Mean,
    endpoints: HashMap<SocketAddr, Mean>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Mean {
    sum: u64,
    count: u64,
}

impl Glances {
    pub(super) fn add(&mut self, load: &ServiceLoad) {
        self.open.add(load.open());
        self.queued.add(load.queued());
        for endpoint in &load.endpoints {
            self.endpoints.entry(endpoint.address).or_default().add(endpoint.in_flight);
        }
    }

    /// All open requests, in thousandths.
    pub(super) fn open_milli(&self) -> i64 {
        self.open.milli()
    }

    /// Those that nobody works on, in thousandths.
    pub(super) fn queued_milli(&self) -> i64 {
        self.queued.milli()
    }

    /// Those that a replica works on, in thousandths; nothing for one that was not seen.
    pub(super) fn in_flight_milli(&self, address: SocketAddr) -> Option<i64> {
        self.endpoints.get(&address).map(|mean| mean.milli())
    }
}

impl Mean {
    fn add(&mut self, value: u64) {
        self.sum = self.sum.saturating_add(value);
        self.count += 1;
    }

    fn milli(self) -> i64 {
        i64::try_from(self.sum.saturating_mul(1_000) / self.count.max(1)).unwrap_or(i64::MAX)
    }
}
