mod model;
mod tables;

use super::*;
use crate::signal::Signal;

pub(super) const fn at(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// 100 requests at a time for each replica, from `min` to 20 of them, with the usual windows.
pub(super) fn wanted(min: u32) -> Wanted {
    Wanted {
        min,
        max: 20,
        aims: vec![Aim { signal: Signal::InFlight, milli: 100_000 }],
        stable_window: STABLE_WINDOW_DEFAULT,
        panic_window: PANIC_WINDOW_DEFAULT,
        panic_threshold_milli: PANIC_THRESHOLD_DEFAULT,
        idle: STABLE_WINDOW_DEFAULT + IDLE_BEYOND_WINDOW,
    }
}

pub(super) fn policy(wanted: Wanted) -> Policy {
    Policy::try_from(wanted).unwrap()
}
