//! Who serves one read: a replica that is known to be far enough, one that is asked whether it is, or the primary.
//!
//! A read that has to see a write is decided in up to three turns, each with what is known by then: first replicas that are known
//! to have replayed the write; then one that is asked in the same round trip as the query ([`Decision::Guarded`]); then what the
//! caller wants in that case ([`Fallback`]).
//!
//! What is known of a replica may be old: replay only goes forward on a timeline, so old knowledge costs a detour and never a
//! stale read.
//!
//! Invariant: a replica on another timeline than the write's never counts as far enough, whatever its numbers: nobody here knows
//! where the logs parted.
//! Elsewhere: choosing one of several replicas (`phalanx-balance`), asking them (`phalanx-data`), how many fallbacks the primary
//! bears (`cap`).

mod cap;
mod reason;

use std::time::Duration;

pub use self::{
    cap::{PrimaryCap, Withdrawal},
    reason::{Reason, Target},
};
use crate::position::Lsn;

/// Of how many replicas of a shard one is chosen at most.
pub const CANDIDATES_MAX: usize = 64;

/// A replica that was no further behind when it was asked is likely to have a write of a moment ago.
const CURRENT_LAG_MAX: Duration = Duration::from_millis(250);

/// A place in the history of one shard, which is its timeline and a place in its log. Of two the one on the newer timeline is
/// further.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Moment {
    /// The timeline.
    pub timeline: u32,
    /// The place.
    pub lsn: Lsn,
}

/// Whether an endpoint may be used at all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// It answers.
    Serving,
    /// It fails, or is no replica any more.
    Ejected,
}

/// How far a replica is behind its primary, as far as it is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lag {
    /// Since when what it replays is old.
    pub time: Duration,
    /// How much it has yet to replay.
    pub bytes: u64,
}

impl Lag {
    /// Whether it is within `max` in either measure: on an idle primary the lag in time grows though nothing is missing.
    fn is_within(self, max: Self) -> bool {
        self.time <= max.time || self.bytes <= max.bytes
    }
}

/// One replica that might serve the read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Candidate {
    /// How far it has replayed at least; none if it was never asked.
    pub replayed: Option<Moment>,
    /// How far it is behind; none if it was never asked.
    pub lag: Option<Lag>,
    /// Whether it may be used at all.
    pub standing: Standing,
}

/// What to do when no replica is known to be far enough, and the one that was asked is not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fallback {
    /// Read from the primary.
    Primary,
    /// Wait so long for a replica, then read from the primary.
    Wait(Duration),
    /// Read what there is.
    Stale,
    /// Fail.
    Error,
}

/// What has been tried for this read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tried {
    /// Nothing.
    Nothing,
    /// A replica was asked and is not far enough.
    Guard,
    /// That, and waiting.
    Wait,
}

/// One read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Read {
    /// What it has to see; none if anything will do.
    pub wanted: Option<Moment>,
    /// What to do when no replica will do.
    pub fallback: Fallback,
    /// Replicas that are further behind are passed by, as long as the primary is there.
    pub lag_max: Lag,
    /// What has been tried.
    pub tried: Tried,
}

/// Some of the candidates.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Replicas(u64);

impl Replicas {
    /// Whether there are none.
    #[must_use]
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Whether the candidate at `index` is one of them.
    #[must_use]
    pub fn contains(self, index: usize) -> bool {
        index < CANDIDATES_MAX && self.0 >> index & 1 == 1
    }

    /// Their places among the candidates, in order.
    pub fn iter(self) -> impl Iterator<Item = usize> {
        (0..CANDIDATES_MAX).filter(move |index| self.contains(*index))
    }

    fn filtered(self, stays: impl Fn(&usize) -> bool) -> Self {
        Self(self.iter().filter(stays).fold(0, |set, index| set | 1 << index))
    }

    fn of(candidates: &[Candidate], is_one: impl Fn(&Candidate) -> bool) -> Self {
        let numbered = candidates.iter().take(CANDIDATES_MAX).enumerate();
        Self(numbered.filter(|(_, candidate)| is_one(candidate)).fold(0, |set, (index, _)| set | 1 << index))
    }
}

/// Who is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decision {
    /// Any of these, which are far enough; never empty.
    Known(Replicas),
    /// One of these, together with the question whether it is far enough; never empty. If it is not: decide again with
    /// [`Tried::Guard`].
    Guarded(Replicas),
    /// Nobody, for at most so long or until a replica is known to be far enough; then decide again with [`Tried::Wait`].
    Wait(Duration),
    /// The primary, under the cap if [`Reason::is_capped`].
    Primary,
    /// Any of these, though what they tell may be old; never empty.
    Stale(Replicas),
    /// Nobody: the read fails.
    Refuse,
}

/// Decides about one read of a shard with these replicas. Those behind the first [`CANDIDATES_MAX`] are not looked at.
#[must_use]
pub fn decide(candidates: &[Candidate], read: &Read) -> (Decision, Reason) {
    let is_fit = |candidate: &Candidate| {
        let is_near = candidate.lag.is_none_or(|lag| lag.is_within(read.lag_max));
        candidate.standing == Standing::Serving && is_near
    };
    let fit = Replicas::of(candidates, is_fit);
    if fit.is_empty() {
        return without_replicas(candidates);
    }
    let Some(wanted) = read.wanted else { return (Decision::Known(fit), Reason::Eventual) };
    let is_far_enough =
        |candidate: &Candidate| candidate.replayed.is_some_and(|replayed| has(replayed, wanted));
    let known = Replicas::of(candidates, |candidate| is_fit(candidate) && is_far_enough(candidate));
    if !known.is_empty() {
        let reason = if read.tried == Tried::Wait { Reason::Waited } else { Reason::Known };
        return (Decision::Known(known), reason);
    }
    if read.fallback == Fallback::Stale {
        return (Decision::Stale(fit), Reason::Stale);
    }
    match (nearest(candidates, fit, wanted), read.tried) {
        // Neither asking nor waiting helps: none of them follows the log that the write is in.
        (None, _) => refused_or_primary(read, Reason::Timeline),
        (Some(nearest), Tried::Nothing) => {
            let may_be_asked = |index: &usize| *index == nearest || is_current(&candidates[*index], wanted);
            (Decision::Guarded(fit.filtered(may_be_asked)), Reason::Guarded)
        }
        (Some(_), tried) => fall_back(read, tried),
    }
}

/// Whether a replica had all but the last moment when it was last asked. Where that is so, who of them was asked last says nothing
/// about who is far enough by now; going by it would send every read to that one.
fn is_current(candidate: &Candidate, wanted: Moment) -> bool {
    let follows = candidate.replayed.is_some_and(|replayed| replayed.timeline == wanted.timeline);
    follows && candidate.lag.is_some_and(|lag| lag.bytes == 0 || lag.time <= CURRENT_LAG_MAX)
}

/// Nobody but the primary is there, or everybody else is too far behind.
fn without_replicas(candidates: &[Candidate]) -> (Decision, Reason) {
    let serves = |candidate: &Candidate| candidate.standing == Standing::Serving;
    let reason = if candidates.iter().any(serves) { Reason::Lag } else { Reason::NoReplica };
    (Decision::Primary, reason)
}

fn fall_back(read: &Read, tried: Tried) -> (Decision, Reason) {
    match read.fallback {
        Fallback::Wait(duration) if tried == Tried::Guard && !duration.is_zero() => {
            (Decision::Wait(duration), Reason::Behind)
        }
        _ => refused_or_primary(read, Reason::Behind),
    }
}

fn refused_or_primary(read: &Read, reason: Reason) -> (Decision, Reason) {
    let decision = if read.fallback == Fallback::Error { Decision::Refuse } else { Decision::Primary };
    (decision, reason)
}

fn has(replayed: Moment, wanted: Moment) -> bool {
    replayed.timeline == wanted.timeline && replayed.lsn >= wanted.lsn
}

/// Of those on the wanted timeline the one that has replayed most.
fn nearest(candidates: &[Candidate], fit: Replicas, wanted: Moment) -> Option<usize> {
    let lsn = |index: usize| {
        candidates[index]
            .replayed
            .filter(|replayed| replayed.timeline == wanted.timeline)
            .map(|replayed| replayed.lsn)
    };
    fit.iter()
        .filter_map(|index| Some((lsn(index)?, index)))
        .max_by_key(|(lsn, _)| *lsn)
        .map(|(_, index)| index)
}

#[cfg(test)]
mod tests;
