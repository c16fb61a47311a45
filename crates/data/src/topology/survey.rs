//! What the probes of a shard's servers come to: which one takes writes, and which may answer reads.
//!
//! The primary is the server that is not in recovery and is on the highest timeline that any server of the shard was ever seen
//! on. So a primary that comes back after a failover is neither written to nor read from: its timeline is lower, even when the
//! one that was promoted cannot be reached.
//! Invariant: pure; the same reports in the same order come to the same conclusion.
//! Elsewhere: sending the probes (`super::upkeep`), publishing the conclusion (`super::view`).

#[cfg(test)]
mod tests;

use std::time::Duration;

use phalanx_balance::health::{Event, Health, Policy, Standing};

use crate::backend::{Probe, Role, ServerConnections};

/// How far behind a replica may be and still answer reads that ask for no position.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct LagBounds {
    /// The age of what it replayed last. On an idle primary that says nothing, so either bound suffices.
    pub(crate) age_max: Duration,
    /// What it has not replayed of the primary's log.
    pub(crate) bytes_max: u64,
}

/// What a server is good for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fitness {
    /// Nothing is known of it.
    Unknown,
    /// It takes writes.
    Primary,
    /// It answers reads.
    Replica,
    /// A replica that is too far behind.
    Lagging,
    /// A replica that follows an older timeline than the shard's: it may have what the shard has not.
    Straying,
    /// It takes writes that nobody should send it: another was promoted, or claims the same timeline.
    Superseded,
    /// It is a copy of another cluster, or has another database.
    Foreign,
    /// It does not answer.
    Unreachable,
}

impl Fitness {
    /// What logs and `phalanx data status` call it.
    pub(crate) fn label(self) -> &'static str {
        match self {
            Self::Unknown => "unknown",
            Self::Primary => "primary",
            Self::Replica => "replica",
            Self::Lagging => "lagging",
            Self::Straying => "straying",
            Self::Superseded => "superseded",
            Self::Foreign => "foreign",
            Self::Unreachable => "unreachable",
        }
    }
}

/// How far a server has replayed, or written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Replayed {
    pub(crate) timeline: u32,
    pub(crate) lsn: u64,
}

/// What a shard's servers come to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Conclusion {
    /// Who takes writes.
    pub(crate) primary: Option<usize>,
    /// The timeline of those writes, and of every replica that answers reads.
    pub(crate) timeline: u32,
    /// What each is good for.
    pub(crate) servers: Vec<Judgement>,
}

/// One server of a [`Conclusion`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Judgement {
    pub(crate) fitness: Fitness,
    /// How far it has replayed, or written.
    pub(crate) replayed: Option<Replayed>,
    /// How far that is from the primary's end, where both are known.
    pub(crate) lag_bytes: Option<u64>,
    /// The age of what it replayed last.
    pub(crate) lag_age: Option<Duration>,
    /// Those of all its clients, while it answers.
    pub(crate) connections: Option<ServerConnections>,
}

/// The reports on the servers of one shard.
#[derive(Debug)]
pub(crate) struct Survey {
    reports: Vec<Report>,
    lag: LagBounds,
    /// Of which cluster and database all of them must be copies; told by the first that takes writes.
    origin: Option<(i64, String)>,
    /// The highest that was ever seen.
    timeline: u32,
    /// Who takes writes, as long as nothing speaks against it.
    primary: Option<usize>,
}

#[derive(Debug)]
struct Report {
    health: Health,
    probe: Option<Probe>,
}

impl Survey {
    /// `count` servers of which nothing is known.
    pub(crate) fn new(count: usize, health: Policy, lag: LagBounds) -> Self {
        let report = || Report { health: Health::new(health), probe: None };
        let reports = std::iter::repeat_with(report).take(count).collect();
        Self { reports, lag, origin: None, timeline: 0, primary: None }
    }

    /// Takes over what must not be forgotten when the servers of a shard change: what it is a copy of, and its timeline.
    pub(crate) fn inherit(&mut self, before: &Self) {
        self.origin.clone_from(&before.origin);
        self.timeline = before.timeline;
    }

    /// Somebody has written on this timeline.
    pub(crate) fn heard_of(&mut self, timeline: u32) {
        self.timeline = self.timeline.max(timeline);
        self.choose_primary();
    }

    /// A server answered.
    pub(crate) fn answered(&mut self, index: usize, probe: Probe, now: Duration) {
        if probe.role == Role::Primary && self.origin.is_none() {
            self.origin = Some((probe.system_identifier, probe.database.clone()));
        }
        if !self.is_foreign(&probe) {
            self.timeline = self.timeline.max(probe.timeline);
        }
        let report = &mut self.reports[index];
        report.health.on(Event::CheckPassed, now);
        report.probe = Some(probe);
        self.choose_primary();
    }

    /// A server did not answer.
    pub(crate) fn failed(&mut self, index: usize, now: Duration) {
        self.reports[index].health.on(Event::CheckFailed, now);
        self.choose_primary();
    }

    /// A server refused a write because it is in recovery: what was known of it is wrong until it is asked again.
    pub(crate) fn refused_writes(&mut self, index: usize) {
        self.reports[index].probe = None;
        self.choose_primary();
    }

    fn is_foreign(&self, probe: &Probe) -> bool {
        let origin = self.origin.as_ref();
        origin.is_some_and(|(system, database)| {
            *system != probe.system_identifier || *database != probe.database
        })
    }

    fn choose_primary(&mut self) {
        let could = |index: &usize| self.could_be_primary(*index);
        let mut candidates = (0..self.reports.len()).filter(could);
        self.primary = match (self.primary.filter(could), candidates.next(), candidates.next()) {
            (Some(known), ..) => Some(known),
            (None, Some(only), None) => Some(only),
            // Two that claim one timeline were not promoted by each other's failover: nobody can tell which has the writes.
            (None, Some(_), Some(_)) | (None, None, _) => None,
        };
    }

    fn could_be_primary(&self, index: usize) -> bool {
        let report = &self.reports[index];
        let answers = report.health.standing() == Standing::Serving;
        report.probe.as_ref().is_some_and(|probe| {
            answers
                && probe.role == Role::Primary
                && probe.timeline == self.timeline
                && !self.is_foreign(probe)
        })
    }

    /// What the reports come to.
    pub(crate) fn conclusion(&self) -> Conclusion {
        // The end of the log as it was last known, even if the primary has gone since: what is beyond it nobody has.
        let end = self.reports.iter().filter_map(|report| report.probe.as_ref());
        let end = end
            .filter(|probe| {
                probe.role == Role::Primary && probe.timeline == self.timeline && !self.is_foreign(probe)
            })
            .map(|probe| probe.lsn)
            .max();
        let servers = (0..self.reports.len()).map(|index| self.judge(index, end)).collect();
        Conclusion { primary: self.primary, timeline: self.timeline, servers }
    }

    fn judge(&self, index: usize, end: Option<u64>) -> Judgement {
        let report = &self.reports[index];
        let nothing = Judgement {
            fitness: Fitness::Unknown,
            replayed: None,
            lag_bytes: None,
            lag_age: None,
            connections: None,
        };
        let failing = report.health.standing() != Standing::Serving;
        let Some(probe) = &report.probe else {
            let fitness = if failing { Fitness::Unreachable } else { Fitness::Unknown };
            return Judgement { fitness, ..nothing };
        };
        let replayed = Some(Replayed { timeline: probe.timeline, lsn: probe.lsn });
        let (lag_bytes, lag_age) = match probe.role {
            Role::Primary => (None, None),
            Role::Standby { replay_age, received_lsn, .. } => {
                // Without a primary, what it has received and not replayed is the least that it lacks.
                (end.or(received_lsn).map(|end| end.saturating_sub(probe.lsn)), replay_age)
            }
        };
        let is_within = lag_bytes.is_some_and(|bytes| bytes <= self.lag.bytes_max)
            || lag_age.is_some_and(|age| age <= self.lag.age_max);
        let fitness = match probe.role {
            _ if self.is_foreign(probe) => Fitness::Foreign,
            _ if failing => Fitness::Unreachable,
            Role::Primary if self.primary == Some(index) => Fitness::Primary,
            Role::Primary => Fitness::Superseded,
            Role::Standby { .. } if probe.timeline < self.timeline => Fitness::Straying,
            Role::Standby { .. } if probe.lsn == 0 => Fitness::Unknown,
            Role::Standby { .. } if is_within => Fitness::Replica,
            Role::Standby { .. } => Fitness::Lagging,
        };
        let connections = probe.connections.filter(|_| !failing);
        Judgement { fitness, replayed, lag_bytes, lag_age, connections }
    }
}
