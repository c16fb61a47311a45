//! What is wanted of fast decisions, checked.
//!
//! Invariant: a [`Policy`] can be decided by. Nobody checks it again.

use std::{fmt, time::Duration};

use crate::{
    host::{self, HostLimit},
    number::REPLICAS_MAX,
    signal::Signal,
};

/// The shortest stable window.
pub const STABLE_WINDOW_MIN: Duration = Duration::from_secs(6);
/// The longest stable window: as many values are kept as it has seconds.
pub const STABLE_WINDOW_MAX: Duration = Duration::from_secs(3_600);
/// The shortest panic window: windows are kept by the second.
pub const PANIC_WINDOW_MIN: Duration = Duration::from_secs(1);
/// A stable window without further words.
pub const STABLE_WINDOW_DEFAULT: Duration = Duration::from_secs(60);
/// A panic window without further words: a tenth of the stable one.
pub const PANIC_WINDOW_DEFAULT: Duration = Duration::from_secs(6);
/// The lowest threshold of a panic, in thousandths: below it every breath would be one.
pub const PANIC_THRESHOLD_MIN: u32 = 1_100;
/// The highest threshold of a panic, in thousandths.
pub const PANIC_THRESHOLD_MAX: u32 = 10_000;
/// A threshold of a panic without further words, in thousandths.
pub const PANIC_THRESHOLD_DEFAULT: u32 = 2_000;
/// How much longer than its stable window a service is idle before its last replica ends, without further words.
pub const IDLE_BEYOND_WINDOW: Duration = Duration::from_secs(30);

/// What one replica should have of a signal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Aim {
    /// Of what.
    pub signal: Signal,
    /// How much, in thousandths.
    pub milli: i64,
}

/// What is wanted, as somebody wrote it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wanted {
    /// Never fewer. Zero lets an idle service end, and takes somebody who holds requests until it is back.
    pub min: u32,
    /// Never more.
    pub max: u32,
    /// What is looked at; the one that asks for most wins.
    pub aims: Vec<Aim>,
    /// The long window.
    pub stable_window: Duration,
    /// The short window.
    pub panic_window: Duration,
    /// How many times the ready replicas a burst must ask for, in thousandths.
    pub panic_threshold_milli: u32,
    /// How long there must be no request before the last replica ends.
    pub idle: Duration,
}

/// What is wanted, checked.
#[derive(Clone, Debug, PartialEq, Eq)]
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
    NoAim,
    /// Nothing can be compared with it.
    #[error("the target of metric `{signal}` must be positive")]
    Target {
        /// Which.
        signal: Signal,
    },
    /// It is a share of what replicas request, which says nothing about the whole service.
    #[error("`{signal}` is a share, and cannot be decided by fast")]
    Share {
        /// Which.
        signal: Signal,
    },
    /// Too short to be calm, or too long to be kept.
    #[error("the stable window must be from {STABLE_WINDOW_MIN:?} to {STABLE_WINDOW_MAX:?}")]
    StableWindow,
    /// Shorter than a value lasts, or no shorter than the other.
    #[error("the panic window must be from {PANIC_WINDOW_MIN:?} to the stable window")]
    PanicWindow,
    /// Always a panic, or never.
    #[error("the panic threshold must be from 1.1 to 10")]
    PanicThreshold,
    /// The stable window would still remember requests.
    #[error("a service is idle no sooner than after its stable window")]
    Idle,
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
}

impl Wanted {
    fn faults(&self) -> Vec<PolicyFault> {
        let mut faults = Vec::new();
        let mut unless = |holds: bool, fault| {
            if !holds {
                faults.push(fault);
            }
        };
        unless((1..=REPLICAS_MAX).contains(&self.max), PolicyFault::Max);
        unless(self.max >= self.min, PolicyFault::MaxBelowMin);
        unless(!self.aims.is_empty(), PolicyFault::NoAim);
        for Aim { signal, milli } in self.aims.iter().copied() {
            unless(milli > 0, PolicyFault::Target { signal });
            let is_total = matches!(signal, Signal::Requests | Signal::InFlight);
            unless(is_total, PolicyFault::Share { signal });
        }
        let stable = STABLE_WINDOW_MIN..=STABLE_WINDOW_MAX;
        unless(stable.contains(&self.stable_window), PolicyFault::StableWindow);
        let panic = PANIC_WINDOW_MIN..=self.stable_window;
        unless(panic.contains(&self.panic_window), PolicyFault::PanicWindow);
        let threshold = PANIC_THRESHOLD_MIN..=PANIC_THRESHOLD_MAX;
        unless(threshold.contains(&self.panic_threshold_milli), PolicyFault::PanicThreshold);
        unless(self.idle >= self.stable_window, PolicyFault::Idle);
        faults
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
mod tests {
    use super::*;

    #[test]
    fn every_fault_is_told() {
        let wanted = Wanted {
            min: 1,
            max: 0,
            aims: vec![Aim { signal: Signal::Cpu, milli: 0 }],
            stable_window: Duration::from_secs(5),
            panic_window: Duration::from_secs(6),
            panic_threshold_milli: 1_099,
            idle: Duration::from_secs(4),
        };
        assert_eq!(
            Policy::try_from(wanted.clone()).unwrap_err().to_string(),
            "max must be from 1 to 2147483647; max must not be below min; the target of metric `cpu` must be positive; \
             `cpu` is a share, and cannot be decided by fast; the stable window must be from 6s to 3600s; the panic window \
             must be from 1s to the stable window; the panic threshold must be from 1.1 to 10; a service is idle no sooner \
             than after its stable window"
        );
        let none = Wanted { aims: Vec::new(), ..wanted };
        assert!(Policy::try_from(none).unwrap_err().0.contains(&PolicyFault::NoAim));
    }
}
