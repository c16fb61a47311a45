//! What one metric proposes: the number of replicas that would bring it to its target.
//!
//! Elsewhere: whether a proposal may be followed (`crate::decide`).
//! Fails where a reading tells nothing; a reading that tells little is completed to the safe side (`proposal/pods.rs`).

mod pods;
mod total;

use std::time::Duration;

use crate::{
    group::{Scrutiny, Startup},
    metric::{Measured, MetricError, Reading, Resource, Target},
    pod::Pod,
    tolerance::Tolerance,
};

/// What is known when a metric is asked.
#[derive(Clone, Copy, Debug)]
pub struct Situation<'a> {
    /// The replicas that are asked for so far.
    pub replicas: u32,
    /// The replicas that exist.
    pub replicas_existing: u32,
    /// What is known of them.
    pub pods: &'a [Pod],
    /// How far from the target is still on it.
    pub tolerance: Tolerance,
    /// How young pods are doubted.
    pub startup: Startup,
    /// The time.
    pub now: Duration,
}

/// What a metric proposes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Proposal {
    /// So many replicas.
    pub replicas: u32,
    /// Because it is at this.
    pub measured: Measured,
}

impl Situation<'_> {
    /// What a metric with this target proposes after this reading.
    ///
    /// # Errors
    /// If the reading tells nothing.
    pub fn propose(&self, target: &Target, reading: &Reading) -> Result<Proposal, MetricError> {
        match (target, reading) {
            (Target::Unknown, _) => Err(MetricError::UnknownSource),
            (_, Reading::Failed(reason)) => Err(MetricError::Failed { reason: reason.clone() }),
            (Target::Utilization { resource, percent, .. }, Reading::Resource { samples, requests }) => {
                self.by_utilization(self.scrutiny(resource), *percent, samples, requests)
            }
            (
                Target::ResourceAverage { resource, milli, .. },
                Reading::Resource { samples, .. } | Reading::Pods(samples),
            ) => self.by_average(self.scrutiny(resource), *milli, samples),
            (Target::PodsAverage { milli }, Reading::Pods(samples)) => {
                self.by_average(Scrutiny::None, *milli, samples)
            }
            (Target::Object(goal), Reading::Values(values)) => match values[..] {
                [value] => self.by_object(*goal, value),
                [] => Err(MetricError::NoSamples),
                _ => Err(MetricError::NotRead),
            },
            (Target::External(goal), Reading::Values(values)) => self.by_external(*goal, values),
            _ => Err(MetricError::NotRead),
        }
    }

    fn scrutiny(&self, resource: &Resource) -> Scrutiny {
        match resource {
            Resource::Cpu => Scrutiny::Startup(self.startup),
            Resource::Other(_) => Scrutiny::None,
        }
    }
}

#[cfg(test)]
mod tests;
