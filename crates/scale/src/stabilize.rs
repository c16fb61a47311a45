//! Holding still: a proposal is followed only as far as all those of the recent past agree with it.
//!
//! What is logged is always the proposal, never what became of it, so that a window looks at what was needed and not at
//! itself. A place in the log is used again once its proposal has left every window.

use std::{cmp::Ordering, time::Duration};

/// A proposal of the past.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Recommendation {
    /// So many replicas.
    pub replicas: u32,
    /// When.
    pub at: Duration,
}

/// How long proposals matter, in each direction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Windows {
    /// Going up follows the lowest proposal of so long.
    pub up: Duration,
    /// Going down follows the highest of so long.
    pub down: Duration,
}

/// What the past made of a proposal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stabilized {
    /// So many replicas.
    pub replicas: u32,
    /// Until when a proposal of the past keeps the number there, if one does.
    pub held_until: Option<Duration>,
}

impl Stabilized {
    /// Its name in Kubernetes, given what was proposed.
    #[must_use]
    pub fn name(self, proposed: u32) -> &'static str {
        match self.replicas.cmp(&proposed) {
            Ordering::Greater => "ScaleDownStabilized",
            Ordering::Less => "ScaleUpStabilized",
            Ordering::Equal => "ReadyForNewScale",
        }
    }
}

/// Without rules of behaviour: only going down is held, by the highest proposal of the last `window`.
pub fn down_only(
    log: &mut Vec<Recommendation>,
    window: Duration,
    proposed: u32,
    now: Duration,
) -> Stabilized {
    // Here a proposal exactly as old as the window still counts; with rules it does not.
    let outdated = |old: &Recommendation| old.at.saturating_add(window) < now;
    let held = log.iter().filter(|old| !outdated(old)).map(|old| old.replicas).max();
    let replicas = held.map_or(proposed, |held| held.max(proposed));
    let held_until = (replicas > proposed).then(|| last_over(log, window, |old| old >= replicas)).flatten();
    record(log, proposed, now, outdated);
    Stabilized { replicas, held_until }
}

/// With rules of behaviour: both directions are held at once, each by its window.
pub fn both_ways(
    log: &mut Vec<Recommendation>,
    windows: Windows,
    current: u32,
    proposed: u32,
    now: Duration,
) -> Stabilized {
    let within = |window: Duration| log.iter().filter(move |old| old.at.saturating_add(window) > now);
    let up = within(windows.up).map(|old| old.replicas).fold(proposed, u32::min);
    let down = within(windows.down).map(|old| old.replicas).fold(proposed, u32::max);
    // `up` is never above `down`, since the proposal itself lies between them.
    let replicas = current.max(up).min(down);
    let held_until = match replicas.cmp(&proposed) {
        Ordering::Greater => last_over(log, windows.down, |old| old >= replicas),
        Ordering::Less => last_over(log, windows.up, |old| old <= replicas),
        Ordering::Equal => None,
    };
    record(log, proposed, now, |old| old.at.saturating_add(windows.up.max(windows.down)) < now);
    Stabilized { replicas, held_until }
}

/// When the last of the proposals that hold leaves its window: no earlier can the number get past them.
fn last_over(log: &[Recommendation], window: Duration, holds: impl Fn(u32) -> bool) -> Option<Duration> {
    let holding = log.iter().filter(|old| holds(old.replicas));
    holding.map(|old| old.at.saturating_add(window)).max()
}

fn record(
    log: &mut Vec<Recommendation>,
    replicas: u32,
    now: Duration,
    outdated: impl Fn(&Recommendation) -> bool,
) {
    let recommendation = Recommendation { replicas, at: now };
    match log.iter_mut().rfind(|old| outdated(old)) {
        Some(place) => *place = recommendation,
        None => log.push(recommendation),
    }
}

#[cfg(test)]
mod tests;
