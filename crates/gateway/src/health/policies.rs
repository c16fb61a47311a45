//! The configuration in the words of the pure crates, which know nothing of it.

use std::{num::NonZeroU32, time::Duration};

use phalanx_balance::{
    breaker::{self, CircuitBreaker},
    health,
    outlier::{self, Detector},
};
use phalanx_config as config;

/// What takes a single endpoint out; without `passive`, failed attempts do not.
pub(super) fn health(
    passive: Option<&config::PassiveHealth>,
    active: Option<&config::ActiveHealth>,
) -> health::Policy {
    let count = |configured: Option<u32>| configured.and_then(NonZeroU32::new).unwrap_or(NonZeroU32::MIN);
    health::Policy {
        fails_max: passive.and_then(|passive| NonZeroU32::new(passive.max_fails)),
        fail_timeout: passive.copied().unwrap_or_default().fail_timeout,
        rise: count(active.map(|active| active.healthy)),
        fall: count(active.map(|active| active.unhealthy)),
    }
}

pub(super) fn outliers(configured: &config::OutlierEjection) -> Detector {
    let config::OutlierEjection { error_rate, latency_factor, volume, window, ejection, max_ejected } =
        *configured;
    Detector::new(outlier::Policy { error_rate, latency_factor, volume, window, ejection, max_ejected })
}

pub(super) fn breaker(configured: &config::CircuitBreaker) -> CircuitBreaker {
    let config::CircuitBreaker { error_rate, volume, window, open } = *configured;
    let mut breaker = CircuitBreaker::new(breaker::Policy { error_rate, volume, window, open });
    // A gateway has counted nothing when it begins. Were the first look at its counts the first event, failures before it would
    // not matter, and it may come late.
    breaker.on(breaker::Totals::default(), Duration::ZERO);
    breaker
}
