//! Metrics: what a policy aims at, what was read, and why a reading tells nothing.

use std::fmt;

use crate::pod::{Requests, Samples};

/// One thing a policy looks at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Metric {
    /// What reasons call it.
    pub name: String,
    /// Where it comes from, and what it should be.
    pub target: Target,
}

/// Where a metric comes from, and what it should be. Values are in thousandths.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// A resource of the pods, as a share of what they request.
    Utilization {
        /// Which.
        resource: Resource,
        /// Of whom.
        scope: Scope,
        /// How much of the requests should be used.
        percent: u32,
    },
    /// A resource of the pods, as such.
    ResourceAverage {
        /// Which.
        resource: Resource,
        /// Of whom.
        scope: Scope,
        /// What each pod should use.
        milli: i64,
    },
    /// Something else that each pod has its own value of.
    PodsAverage {
        /// What each pod should have.
        milli: i64,
    },
    /// A value of one thing beside the pods, as an ingress.
    Object(Goal),
    /// Values from outside, which are added up.
    External(Goal),
    /// A source that is not known here. It is never read, and so keeps the number from going down.
    Unknown,
}

/// A resource that pods request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Resource {
    /// Processor time, the only one whose samples are doubted while a pod starts.
    Cpu,
    /// Another, by its name.
    Other(String),
}

/// Whose use of a resource counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// That of all containers.
    Pod,
    /// That of one container in each pod.
    Container,
}

/// What a value that belongs to no pod should be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Goal {
    /// This, whatever the number of pods.
    Value(i64),
    /// This for each pod.
    AverageValue(i64),
}

/// What was read of a metric.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reading {
    /// Of each pod.
    Pods(Samples),
    /// Of each pod, and what they request.
    Resource {
        /// What they use.
        samples: Samples,
        /// What they request.
        requests: Requests,
    },
    /// Values that belong to no pod.
    Values(Vec<i64>),
    /// Nothing, for this reason.
    Failed(String),
}

/// Why a metric proposes nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum MetricError {
    /// The source has no values at all.
    #[error("no metrics returned")]
    NoSamples,
    /// There is no pod.
    #[error("no pods")]
    NoPods,
    /// All samples belong to pods that are not up yet or leave.
    #[error("did not receive metrics for targeted pods")]
    NoneReady,
    /// No sample belongs to a pod, or those that do request nothing.
    #[error("no metrics matched known pods")]
    NoneKnown,
    /// A pod has a container whose request is not known.
    #[error("missing request in pod `{pod}`")]
    MissingRequest {
        /// Its name.
        pod: String,
    },
    /// The source is not known here.
    #[error("unknown metric source")]
    UnknownSource,
    /// It was read as something that it is not, or not at all.
    #[error("not read")]
    NotRead,
    /// The source said no.
    #[error("{reason}")]
    Failed {
        /// What it said.
        reason: String,
    },
}

/// What a metric is at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Measured {
    /// A share of the requests.
    Utilization {
        /// In whole percent.
        percent: i32,
        /// The same as a mean of the pods, in thousandths.
        average_milli: i64,
    },
    /// A mean of the pods, in thousandths.
    Average {
        /// The mean.
        milli: i64,
    },
    /// A sum, in thousandths.
    Value {
        /// The sum.
        milli: i64,
    },
}

impl Target {
    /// What Kubernetes calls the failure to read it.
    #[must_use]
    pub fn failure(&self) -> &'static str {
        match self {
            Self::Utilization { scope: Scope::Pod, .. } | Self::ResourceAverage { scope: Scope::Pod, .. } => {
                "FailedGetResourceMetric"
            }
            Self::Utilization { scope: Scope::Container, .. }
            | Self::ResourceAverage { scope: Scope::Container, .. } => "FailedGetContainerResourceMetric",
            Self::PodsAverage { .. } => "FailedGetPodsMetric",
            Self::Object(_) => "FailedGetObjectMetric",
            Self::External(_) => "FailedGetExternalMetric",
            Self::Unknown => "InvalidMetricSourceType",
        }
    }
}

impl Target {
    /// The share of the requests that is aimed at, where it is one.
    #[must_use]
    pub fn percent(&self) -> Option<u32> {
        match self {
            Self::Utilization { percent, .. } => Some(*percent),
            _ => None,
        }
    }

    /// The value that is aimed at, in thousandths, where it is one.
    #[must_use]
    pub fn milli(&self) -> Option<i64> {
        match *self {
            Self::ResourceAverage { milli, .. }
            | Self::PodsAverage { milli }
            | Self::Object(Goal::Value(milli) | Goal::AverageValue(milli))
            | Self::External(Goal::Value(milli) | Goal::AverageValue(milli)) => Some(milli),
            Self::Utilization { .. } | Self::Unknown => None,
        }
    }
}

impl Measured {
    /// The value in thousandths.
    #[must_use]
    pub fn milli(self) -> i64 {
        match self {
            Self::Utilization { average_milli: milli, .. }
            | Self::Average { milli }
            | Self::Value { milli } => milli,
        }
    }

    /// The share of the requests, where it is one.
    #[must_use]
    pub fn percent(self) -> Option<i32> {
        match self {
            Self::Utilization { percent, .. } => Some(percent),
            Self::Average { .. } | Self::Value { .. } => None,
        }
    }
}

impl fmt::Display for Resource {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Cpu => "cpu",
            Self::Other(name) => name,
        })
    }
}

impl From<&str> for Resource {
    fn from(name: &str) -> Self {
        if name == "cpu" { Self::Cpu } else { Self::Other(name.to_owned()) }
    }
}
