//! Both ways to decide behind one type, for whoever decides by the one that was configured.
//!
//! Elsewhere: the ways themselves ([`crate::decide()`], [`crate::fast`]).

use std::fmt;

use crate::{Policy, Reasons, Signal, fast, host::HostLimit, metric::Measured};

/// By which rules replicas are counted.
#[derive(Clone, Debug, PartialEq)]
pub enum Mode {
    /// As a `HorizontalPodAutoscaler` does.
    Kubernetes(Policy),
    /// As Knative does.
    Fast(fast::Policy),
}

/// Why a number was decided, by either way. Shown, it is one line.
#[derive(Clone, Debug, PartialEq)]
pub enum Why {
    /// As a `HorizontalPodAutoscaler` tells it.
    Kubernetes(Reasons),
    /// As a fast decision tells it.
    Fast(fast::Reasons),
}

/// What a metric was at.
#[derive(Clone, Debug, PartialEq)]
pub struct Seen {
    /// The metric.
    pub name: String,
    /// What it was at for one replica: percent of what it requests, or a value; nothing if it could not be read.
    pub value: Option<f64>,
    /// What it should be, for one replica.
    pub target: f64,
}

impl Mode {
    /// Never fewer.
    #[must_use]
    pub fn min(&self) -> u32 {
        match self {
            Self::Kubernetes(policy) => policy.wanted().min,
            Self::Fast(policy) => policy.wanted().min,
        }
    }

    /// Never more.
    #[must_use]
    pub fn max(&self) -> u32 {
        match self {
            Self::Kubernetes(policy) => policy.wanted().max,
            Self::Fast(policy) => policy.wanted().max,
        }
    }

    /// What is looked at, in the order of the policy; nothing in the place of a metric that Phalanx does not measure.
    #[must_use]
    pub fn signals(&self) -> Vec<Option<Signal>> {
        match self {
            Self::Kubernetes(policy) => policy.wanted().metrics.iter().map(Signal::of).collect(),
            Self::Fast(policy) => policy.wanted().aims.iter().map(|aim| Some(aim.signal)).collect(),
        }
    }

    /// The same on a machine that has room for no more than this.
    #[must_use]
    pub fn on(self, limit: HostLimit) -> Self {
        match self {
            Self::Kubernetes(policy) => Self::Kubernetes(policy.on(limit)),
            Self::Fast(policy) => Self::Fast(policy.on(limit)),
        }
    }
}

impl Why {
    /// The replicas that were asked for before.
    #[must_use]
    pub fn from(&self) -> u32 {
        match self {
            Self::Kubernetes(reasons) => reasons.from,
            Self::Fast(reasons) => reasons.from,
        }
    }

    /// The replicas that are asked for.
    #[must_use]
    pub fn to(&self) -> u32 {
        match self {
            Self::Kubernetes(reasons) => reasons.to,
            Self::Fast(reasons) => reasons.to,
        }
    }

    /// What the metrics were at, in the order of the policy; none where none was asked.
    #[must_use]
    pub fn seen(&self) -> Vec<Seen> {
        match self {
            Self::Kubernetes(reasons) => reasons.metrics.iter().map(of_kubernetes).collect(),
            Self::Fast(reasons) => {
                reasons.metrics.iter().map(|reason| of_fast(reason, reasons.from)).collect()
            }
        }
    }
}

fn of_kubernetes(reason: &crate::reasons::MetricReason) -> Seen {
    let measured = reason.outcome.as_ref().ok().map(|proposal| proposal.measured);
    let value = |measured: Measured| measured.percent().map_or_else(|| units(measured.milli()), f64::from);
    let target = &reason.metric.target;
    Seen {
        name: reason.metric.name.clone(),
        value: measured.map(value),
        target: target.percent().map_or_else(|| units(target.milli().unwrap_or_default()), f64::from),
    }
}

fn of_fast(reason: &fast::MetricReason, replicas: u32) -> Seen {
    let share = |proposal: fast::Proposal| units(proposal.stable_milli) / f64::from(replicas.max(1));
    Seen {
        name: reason.aim.signal.name().to_owned(),
        value: reason.proposal.map(share),
        target: units(reason.aim.milli),
    }
}

fn units(milli: i64) -> f64 {
    crate::number::float(milli) / 1_000.0
}

impl fmt::Display for Why {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Kubernetes(reasons) => reasons.fmt(formatter),
            Self::Fast(reasons) => reasons.fmt(formatter),
        }
    }
}
