//! How far the number may go in one step.
//!
//! A rate counts from what there was when its period began: the number of today, without what was added since and with what
//! was removed. Floats are multiplied in exactly the order that Kubernetes does it: 50 × (1 + 10 / 100) is
//! 55.000000000000007 and rounds up to 56, and 100 × (1 − 90 / 100) rounds down to 9.

use std::time::Duration;

use crate::{
    behavior::{Amount, Direction, Rate, Rules, Select},
    events::EventLog,
    number,
};

/// The changes that rates count, in both directions.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Changes {
    /// Replicas added.
    pub up: EventLog,
    /// Replicas removed.
    pub down: EventLog,
}

/// How far the number may go, and which rate says so.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RateLimit {
    /// As far as this. Below zero where more may be removed than there is.
    pub replicas: i64,
    /// The rate that decides; none where there are none or the direction is disabled.
    pub rate: Option<Rate>,
}

/// Without rules of behaviour the number may double, and a small one become four.
#[must_use]
pub fn doubling(current: u32) -> u32 {
    const FACTOR: u32 = 2;
    const FLOOR: u32 = 4;
    current.saturating_mul(FACTOR).clamp(FLOOR, number::REPLICAS_MAX)
}

/// As far as the rules of one direction let the number go from `current`.
#[must_use]
pub fn limit(
    rules: &Rules,
    direction: Direction,
    current: u32,
    changes: &Changes,
    now: Duration,
) -> RateLimit {
    let larger_wins = match (rules.select, direction) {
        (Select::Disabled, _) => return RateLimit { replicas: i64::from(current), rate: None },
        (Select::Max, Direction::Up) | (Select::Min, Direction::Down) => true,
        (Select::Min, Direction::Up) | (Select::Max, Direction::Down) => false,
    };
    let proposals = rules.rates.iter().map(|rate| {
        let start = began_with(*rate, current, changes, now);
        RateLimit { replicas: reach(rate.amount, direction, start), rate: Some(*rate) }
    });
    // The first of equal ones is named.
    let decides = if larger_wins {
        proposals.reduce(|best, next| if next.replicas > best.replicas { next } else { best })
    } else {
        proposals.reduce(|best, next| if next.replicas < best.replicas { next } else { best })
    };
    // What no rate allows does not happen.
    decides.unwrap_or(RateLimit { replicas: i64::from(current), rate: None })
}

/// How many there were when the period of a rate began.
fn began_with(rate: Rate, current: u32, changes: &Changes, now: Duration) -> i64 {
    let signed = |change: u64| i64::try_from(change).unwrap_or(i64::MAX);
    i64::from(current)
        .saturating_sub(signed(changes.up.change_within(rate.period, now)))
        .saturating_add(signed(changes.down.change_within(rate.period, now)))
}

fn reach(amount: Amount, direction: Direction, start: i64) -> i64 {
    match (amount, direction) {
        (Amount::Replicas(replicas), Direction::Up) => start.saturating_add(i64::from(replicas)),
        (Amount::Replicas(replicas), Direction::Down) => start.saturating_sub(i64::from(replicas)),
        // Rounded up, or a small share of a small number would never let it grow.
        (Amount::Percent(percent), Direction::Up) => {
            number::toward_zero((number::float(start) * (1.0 + f64::from(percent) / 100.0)).ceil())
        }
        (Amount::Percent(percent), Direction::Down) => {
            number::toward_zero(number::float(start) * (1.0 - f64::from(percent) / 100.0))
        }
    }
}

#[cfg(test)]
mod tests;
