//! Which pods a metric may be believed of.
//!
//! The order of the questions matters: a pod that leaves is not asked for a sample, and only a pod with a sample is asked
//! whether it was ready when that was taken.

use std::time::Duration;

use crate::pod::{Leaving, Phase, Pod, Readiness, Sample, Samples};

/// How long the samples of young pods are doubted; only those of the CPU are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Startup {
    /// For so long after its start a pod must be ready, and its sample lie wholly after it became so.
    pub cpu_initialization: Duration,
    /// A pod that became unready within so long of its start counts as one that was never ready.
    pub initial_readiness_delay: Duration,
}

impl Default for Startup {
    /// The defaults of Kubernetes: five minutes and thirty seconds.
    fn default() -> Self {
        Self {
            cpu_initialization: Duration::from_secs(300),
            initial_readiness_delay: Duration::from_secs(30),
        }
    }
}

/// Whether readiness is looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scrutiny {
    /// As for the CPU, which a pod uses most while it starts.
    Startup(Startup),
    /// As for everything else: whoever has a sample counts.
    None,
}

/// The pods of an observation, sorted by how they count.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Groups<'a> {
    /// How many have a sample to be believed.
    pub ready: usize,
    /// Those that are not up yet: their samples, if any, are dropped.
    pub unready: Vec<&'a str>,
    /// Those without a sample.
    pub missing: Vec<&'a str>,
    /// Those that leave or failed: as if they were not there.
    pub ignored: Vec<&'a str>,
}

/// Sorts pods by how they count.
#[must_use]
pub fn group<'a>(pods: &'a [Pod], samples: &Samples, scrutiny: Scrutiny, now: Duration) -> Groups<'a> {
    let mut groups = Groups::default();
    for pod in pods {
        let name = pod.name.as_str();
        if pod.leaving == Leaving::Yes || pod.phase == Phase::Failed {
            groups.ignored.push(name);
        } else if pod.phase == Phase::Pending {
            groups.unready.push(name);
        } else if let Some(sample) = samples.get(name) {
            let doubted =
                matches!(scrutiny, Scrutiny::Startup(startup) if is_doubtful(pod, sample, startup, now));
            if doubted {
                groups.unready.push(name);
            } else {
                groups.ready += 1;
            }
        } else {
            groups.missing.push(name);
        }
    }
    groups
}

fn is_doubtful(pod: &Pod, sample: &Sample, startup: Startup, now: Duration) -> bool {
    let (Some(started), Some(readiness)) = (pod.started, pod.readiness) else { return true };
    let initializing = started.saturating_add(startup.cpu_initialization) > now;
    match readiness {
        Readiness::Unready { .. } if initializing => true,
        Readiness::Ready { since } if initializing => sample.taken < since.saturating_add(sample.window),
        // Strict: a pod that changes at the very end of the delay counts as one that was ready before.
        Readiness::Unready { since } => started.saturating_add(startup.initial_readiness_delay) > since,
        Readiness::Ready { .. } => false,
    }
}

#[cfg(test)]
mod tests;
