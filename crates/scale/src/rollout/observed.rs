//! What a plan is made from: the replicas as they were at one moment.

use std::time::Duration;

use super::{history::Version, plan::Generation};

/// The replicas of one service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Observed {
    /// [`super::Rollout::generation`] as they were looked at. Every replica that a plan before it has started is among them,
    /// and every one that it has stopped drains or is gone.
    pub generation: Generation,
    /// In any order.
    pub replicas: Vec<Replica>,
}

/// One replica. It keeps its place when its process crashes and is started again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Replica {
    /// Which one.
    pub id: ReplicaId,
    /// What it runs.
    pub version: Version,
    /// Where in its life it is.
    pub standing: Standing,
    /// How often its process has ended by itself.
    pub restarts: u32,
}

/// The number of a replica. Those that came later have higher ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ReplicaId(pub u32);

/// Where in its life a replica is, as far as it matters to a rollout.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// It has no process: it is about to get its first one, or pauses after a crash.
    Waiting,
    /// Its process has not been ready.
    Starting,
    /// It takes requests.
    Ready {
        /// Without an interruption.
        since: Duration,
    },
    /// Its process was ready, and is not.
    NotReady,
    /// It was told to stop, and has not ended.
    Draining,
}

impl Replica {
    /// Whether it was ready for long enough to be relied on.
    pub(super) fn is_available(&self, min_ready: Duration, now: Duration) -> bool {
        self.available_at(min_ready).is_some_and(|at| at <= now)
    }

    /// When it is available if it stays ready.
    pub(super) fn available_at(&self, min_ready: Duration) -> Option<Duration> {
        match self.standing {
            Standing::Ready { since } => Some(since.saturating_add(min_ready)),
            Standing::Waiting | Standing::Starting | Standing::NotReady | Standing::Draining => None,
        }
    }

    pub(super) fn is_live(&self) -> bool {
        self.standing != Standing::Draining
    }

    fn is_ready(&self) -> bool {
        matches!(self.standing, Standing::Ready { .. })
    }
}

/// How many replicas there are of which kind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Of the version that is rolled out, without those that drain.
    pub new: u32,
    /// Those of them that take requests.
    pub new_ready: u32,
    /// Those of them that have for long enough.
    pub new_available: u32,
    /// Of other versions, without those that drain.
    pub old: u32,
    /// Those of them that have taken requests for long enough.
    pub old_available: u32,
    /// Of any version, told to stop.
    pub draining: u32,
}

impl Counts {
    pub(super) fn live(&self) -> u32 {
        self.new.saturating_add(self.old)
    }

    pub(super) fn is_complete(&self, desired: u32) -> bool {
        self.new_available == desired && self.live() == desired
    }

    pub(super) fn available(&self) -> u32 {
        self.new_available.saturating_add(self.old_available)
    }
}

/// The replicas sorted by what a rollout asks about them.
pub(super) struct View<'a> {
    pub(super) new: Vec<&'a Replica>,
    pub(super) old: Vec<&'a Replica>,
    pub(super) counts: Counts,
    pub(super) min_ready: Duration,
    pub(super) now: Duration,
}

impl<'a> View<'a> {
    pub(super) fn new(observed: &'a Observed, version: Version, min_ready: Duration, now: Duration) -> Self {
        let (live, draining): (Vec<&Replica>, Vec<&Replica>) =
            observed.replicas.iter().partition(|replica| replica.is_live());
        let (new, old): (Vec<_>, Vec<_>) = live.into_iter().partition(|replica| replica.version == version);
        let is_available = |replica: &Replica| replica.is_available(min_ready, now);
        let counts = Counts {
            new: count(&new, |_| true),
            new_ready: count(&new, Replica::is_ready),
            new_available: count(&new, is_available),
            old: count(&old, |_| true),
            old_available: count(&old, is_available),
            draining: count(&draining, |_| true),
        };
        Self { new, old, counts, min_ready, now }
    }

    pub(super) fn is_available(&self, replica: &Replica) -> bool {
        replica.is_available(self.min_ready, self.now)
    }

    pub(super) fn live(&self) -> impl Iterator<Item = &'a Replica> {
        self.new.iter().chain(&self.old).copied()
    }
}

fn count(replicas: &[&Replica], counts: impl Fn(&Replica) -> bool) -> u32 {
    let counted = replicas.iter().filter(|replica| counts(replica)).count();
    u32::try_from(counted).unwrap_or(u32::MAX)
}
