//! What is wanted, checked: between which numbers, by which metrics, how fast.
//!
//! Invariant: a [`Policy`] can be decided by. Nobody checks it again.
//! Elsewhere: whether zero replicas make sense for a service; that takes somebody who can wake it.

use std::{fmt, time::Duration};

use crate::{
    behavior::{Behavior, Direction, Rules, Select},
    group::Startup,
    host::{self, HostLimit},
    metric::{Metric, Target},
    number::REPLICAS_MAX,
    tolerance::Tolerance,
};

/// The longest window.
pub const WINDOW_MAX: Duration = Duration::from_secs(3600);
/// The longest period of a rate.
pub const PERIOD_MAX: Duration = Duration::from_secs(1800);
/// How long going down is held unless somebody says otherwise.
pub const DOWNSCALE_WINDOW_DEFAULT: Duration = Duration::from_secs(300);

/// What is wanted, as somebody wrote it.
#[derive(Clone, Debug, PartialEq)]
pub struct Wanted {
    /// Never fewer. Zero lets an idle service end.
    pub min: u32,
    /// Never more.
    pub max: u32,
    /// What is looked at; the one that proposes most wins.
    pub metrics: Vec<Metric>,
    /// How far from a target is still on it.
    pub tolerance: Tolerance,
    /// How young pods are doubted.
    pub startup: Startup,
    /// How long going down is held, where there are no rules of behaviour.
    pub downscale_window: Duration,
    /// Rules for both directions, if there are any.
    pub behavior: Option<Behavior>,
}

/// What is wanted, checked.
#[derive(Clone, Debug, PartialEq)]
pub struct Policy {
    wanted: Wanted,
    /// Why `max` is lower than somebody wrote it, if it is.
    host_limit: Option<HostLimit>,
}

/// What is wrong with a policy.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PolicyFault {
    /// There could never be a replica, or more than can be counted.
    #[error("max must be from 1 to {REPLICAS_MAX}")]
    Max,
    /// No number is both.
    #[error("max must not be below min")]
    MaxBelowMin,
    /// Nothing to decide by.
    #[error("at least one metric is needed")]
    NoMetric,
    /// Nothing can be compared with it.
    #[error("the target of metric `{metric}` must be positive")]
    Target {
        /// Its name.
        metric: String,
    },
    /// No ratio could be outside, or none inside.
    #[error("a tolerance must be zero or more")]
    Tolerance,
    /// Nobody wants to wait so long.
    #[error("a stabilization window must be at most {WINDOW_MAX:?}")]
    Window,
    /// The direction could be disabled instead.
    #[error("scaling {direction} needs at least one policy")]
    NoRate {
        /// Which way.
        direction: Direction,
    },
    /// The direction could be disabled instead.
    #[error("a policy for scaling {direction} must allow more than nothing")]
    Amount {
        /// Which way.
        direction: Direction,
    },
    /// What is counted must end some time.
    #[error("the period of a policy for scaling {direction} must be from 1s to {PERIOD_MAX:?}")]
    Period {
        /// Which way.
        direction: Direction,
    },
}

/// Everything that is wrong with a policy.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub struct PolicyFaults(pub Vec<PolicyFault>);

impl TryFrom<Wanted> for Policy {
    type Error = PolicyFaults;

    fn try_from(wanted: Wanted) -> Result<Self, PolicyFaults> {
        let faults = wanted.faults();
        if faults.is_empty() { Ok(Self { wanted, host_limit: None }) } else { Err(PolicyFaults(faults)) }
    }
}

impl Policy {
    /// What is wanted.
    #[must_use]
    pub fn wanted(&self) -> &Wanted {
        &self.wanted
    }

    /// The same on a machine that has room for no more than this: `max` is lowered to it, and reasons say so.
    #[must_use]
    pub fn on(mut self, limit: HostLimit) -> Self {
        (self.wanted.max, self.host_limit) = host::lowered(self.wanted.min, self.wanted.max, limit);
        self
    }

    /// What lowered `max`, if anything did.
    #[must_use]
    pub fn host_limit(&self) -> Option<HostLimit> {
        self.host_limit
    }

    /// How far from a target is still on it: rules of behaviour say so for their direction.
    #[must_use]
    pub fn tolerance(&self) -> Tolerance {
        let rules = self.wanted.behavior.as_ref();
        Tolerance {
            down: rules.and_then(|rules| rules.down.tolerance).unwrap_or(self.wanted.tolerance.down),
            up: rules.and_then(|rules| rules.up.tolerance).unwrap_or(self.wanted.tolerance.up),
        }
    }
}

impl Wanted {
    fn faults(&self) -> Vec<PolicyFault> {
        let mut faults = Vec::new();
        if !(1..=REPLICAS_MAX).contains(&self.max) {
            faults.push(PolicyFault::Max);
        }
        if self.max < self.min {
            faults.push(PolicyFault::MaxBelowMin);
        }
        if self.metrics.is_empty() {
            faults.push(PolicyFault::NoMetric);
        }
        let aimless = self.metrics.iter().filter(|metric| !metric.target.is_positive());
        faults.extend(aimless.map(|metric| PolicyFault::Target { metric: metric.name.clone() }));
        faults.extend(tolerance_fault(self.tolerance.down).or_else(|| tolerance_fault(self.tolerance.up)));
        if self.downscale_window > WINDOW_MAX {
            faults.push(PolicyFault::Window);
        }
        if let Some(Behavior { up, down }) = &self.behavior {
            up.faults(Direction::Up, &mut faults);
            down.faults(Direction::Down, &mut faults);
        }
        faults
    }
}

impl Rules {
    fn faults(&self, direction: Direction, faults: &mut Vec<PolicyFault>) {
        if self.window > WINDOW_MAX {
            faults.push(PolicyFault::Window);
        }
        faults.extend(self.tolerance.and_then(tolerance_fault));
        if self.rates.is_empty() && self.select != Select::Disabled {
            faults.push(PolicyFault::NoRate { direction });
        }
        if self.rates.iter().any(|rate| rate.amount.is_nothing()) {
            faults.push(PolicyFault::Amount { direction });
        }
        if self.rates.iter().any(|rate| !(Duration::from_secs(1)..=PERIOD_MAX).contains(&rate.period)) {
            faults.push(PolicyFault::Period { direction });
        }
    }
}

fn tolerance_fault(tolerance: f64) -> Option<PolicyFault> {
    // Not a number is below nothing, and must not pass for that.
    (!tolerance.is_finite() || tolerance < 0.0).then_some(PolicyFault::Tolerance)
}

impl Target {
    fn is_positive(&self) -> bool {
        self.percent() != Some(0) && self.milli().is_none_or(|milli| milli > 0)
    }
}

impl fmt::Display for PolicyFaults {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, fault) in self.0.iter().enumerate() {
            let separator = if index == 0 { "" } else { "; " };
            write!(formatter, "{separator}{fault}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
