//! One decision: from what is wanted, remembered and observed to a number and its reasons.
//!
//! Invariants: the number lies between min and max, but that a service without replicas stays so where min is not zero; with a
//! metric that fails the number never goes down.
//! Elsewhere: who acts on it, and then calls [`State::changed`].
//! Cannot fail: what cannot be known is a reason to hold.

use std::{cmp::Ordering, time::Duration};

use crate::{
    behavior::{Behavior, Direction},
    metric::{Metric, MetricError, Reading},
    number,
    pod::Pod,
    policy::Policy,
    proposal::{Proposal, Situation},
    rate::{self, Changes},
    reasons::{Course, Limiting, MetricReason, Pass, RateReason, Reasons},
    stabilize::{Stabilized, Windows, both_ways, down_only},
    state::State,
};

/// What is observed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Observed {
    /// The replicas that are asked for so far.
    pub replicas: u32,
    /// The replicas that exist.
    pub replicas_existing: u32,
    /// Those of the replicas asked for that fail again and again, which are not among the pods: they are no capacity, and none
    /// that may be hoped for.
    pub crashing: u32,
    /// What is known of them.
    pub pods: Vec<Pod>,
    /// What was read of each metric, in the order of the policy's metrics. One too few counts as not read.
    pub readings: Vec<Reading>,
}

/// How many replicas there should be, and why.
#[derive(Clone, Debug, PartialEq)]
pub struct Decision {
    /// So many.
    pub replicas: u32,
    /// Because of this.
    pub reasons: Reasons,
}

/// Decides how many replicas there should be, and remembers what was proposed.
#[must_use]
pub fn decide(policy: &Policy, state: &mut State, observed: &Observed, now: Duration) -> Decision {
    let (min, max) = (policy.wanted().min, policy.wanted().max);
    let from = observed.replicas;
    state.log(from, now);
    let host_limit = policy.host_limit();
    let decision = |to, metrics, course| Decision {
        replicas: to,
        reasons: Reasons { from, to, metrics, crashing: observed.crashing, course, host_limit, now },
    };
    if from == 0 && min != 0 {
        return decision(0, Vec::new(), Course::Paused);
    }
    // What is out of bounds is brought back at once, whatever metrics, windows and rates say.
    if from > max {
        return decision(max, Vec::new(), Course::AboveMax);
    }
    if from < min {
        return decision(min, Vec::new(), Course::BelowMin);
    }
    let metrics = ask(policy, observed, now);
    let Some((winner, proposed)) = best(&metrics, from) else {
        return decision(from, metrics, Course::Blind);
    };
    let (stabilized, limiting) = match &policy.wanted().behavior {
        None => by_default(policy, state, from, proposed, now),
        Some(behavior) => by_rules(policy, behavior, state, from, proposed, now),
    };
    let to = limiting.apply(stabilized.replicas);
    decision(to, metrics, Course::Measured(Pass { winner, proposed, stabilized, limiting }))
}

fn ask(policy: &Policy, observed: &Observed, now: Duration) -> Vec<MetricReason> {
    let situation = Situation {
        replicas: observed.replicas.saturating_sub(observed.crashing),
        replicas_existing: observed.replicas_existing,
        pods: &observed.pods,
        tolerance: policy.tolerance(),
        startup: policy.wanted().startup,
        now,
    };
    let readings = observed.readings.iter().map(Some).chain(std::iter::repeat(None));
    let metrics = policy.wanted().metrics.iter().zip(readings);
    let reason = |(metric, reading): (&Metric, Option<&Reading>)| MetricReason {
        metric: metric.clone(),
        outcome: reading
            .ok_or(MetricError::NotRead)
            .and_then(|reading| situation.propose(&metric.target, reading))
            .map(|proposal| Proposal {
                replicas: number::beside_crashing(proposal.replicas, observed.crashing),
                ..proposal
            }),
    };
    metrics.map(reason).collect()
}

/// The largest proposal and whose it is. With a metric that fails only one that does not go down counts: the missing metric
/// may have had the larger one.
fn best(metrics: &[MetricReason], current: u32) -> Option<(usize, u32)> {
    let mut best: Option<(usize, u32)> = None;
    for (index, metric) in metrics.iter().enumerate() {
        if let Ok(Proposal { replicas, .. }) = metric.outcome
            && best.is_none_or(|(_, most)| replicas > most)
        {
            best = Some((index, replicas));
        }
    }
    let some_failed = metrics.iter().any(|metric| metric.outcome.is_err());
    best.filter(|(_, replicas)| !some_failed || *replicas >= current)
}

/// Without rules of behaviour.
fn by_default(
    policy: &Policy,
    state: &mut State,
    current: u32,
    proposed: u32,
    now: Duration,
) -> (Stabilized, Limiting) {
    let wanted = policy.wanted();
    let stabilized = down_only(state.log(current, now), wanted.downscale_window, proposed, now);
    (stabilized, doubled_at_most(current, stabilized.replicas, wanted.min, wanted.max))
}

/// With rules of behaviour.
fn by_rules(
    policy: &Policy,
    behavior: &Behavior,
    state: &mut State,
    current: u32,
    proposed: u32,
    now: Duration,
) -> (Stabilized, Limiting) {
    let windows = Windows { up: behavior.up.window, down: behavior.down.window };
    let stabilized = both_ways(state.log(current, now), windows, current, proposed, now);
    let bounds = (policy.wanted().min, policy.wanted().max);
    (stabilized, within_rates(behavior, state.changes(), bounds, current, stabilized.replicas, now))
}

/// What limits `desired` without rules of behaviour.
#[must_use]
pub fn doubled_at_most(current: u32, desired: u32, min: u32, max: u32) -> Limiting {
    let doubled = rate::doubling(current);
    if desired < min {
        Limiting::Min(min)
    } else if desired <= max.min(doubled) {
        Limiting::Nothing
    } else if max > doubled {
        Limiting::Doubling(doubled)
    } else {
        Limiting::Max(max)
    }
}

/// What limits `desired` with rules of behaviour: the narrower of the rate and the bound.
#[must_use]
pub fn within_rates(
    behavior: &Behavior,
    changes: &Changes,
    (min, max): (u32, u32),
    current: u32,
    desired: u32,
    now: Duration,
) -> Limiting {
    match desired.cmp(&current) {
        Ordering::Greater => {
            let spent = rate::limit(&behavior.up, Direction::Up, current, changes, now);
            // A rate that is used up stops the number; it does not turn it back.
            let limit = number::replicas(spent.replicas.max(i64::from(current)));
            if desired <= max.min(limit) {
                Limiting::Nothing
            } else if max > limit {
                Limiting::Up(RateReason::new(limit, spent.rate, &changes.up, now))
            } else {
                Limiting::Max(max)
            }
        }
        Ordering::Less => {
            let spent = rate::limit(&behavior.down, Direction::Down, current, changes, now);
            let limit = number::replicas(spent.replicas.min(i64::from(current)));
            if desired >= min.max(limit) {
                Limiting::Nothing
            } else if min < limit {
                Limiting::Down(RateReason::new(limit, spent.rate, &changes.down, now))
            } else {
                Limiting::Min(min)
            }
        }
        Ordering::Equal => Limiting::Nothing,
    }
}

#[cfg(test)]
mod tests;
