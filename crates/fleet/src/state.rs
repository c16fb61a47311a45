//! What the fleet shows of itself: a snapshot for the admin API, for metrics, and for whoever waits for a level.
//!
//! Elsewhere: what has happened, one after the other (`crate::events`).

mod board;

use std::{net::SocketAddr, sync::Arc, time::Instant};

use phalanx_config::{Replicas, ReplicasLimit, ServiceName};

pub(crate) use self::board::{Board, Shown};

/// One service and its replicas.
#[derive(Clone, Debug, PartialEq)]
pub struct ServiceState {
    /// The service.
    pub service: ServiceName,
    /// How many replicas there should be.
    pub desired: u32,
    /// Whether its replicas have limits of CPU time or memory, and whether they are enforced.
    pub limits: LimitsState,
    /// How many there may be.
    pub limit: ReplicasLimit,
    /// What the replicas run, and the way there.
    pub rollout: RolloutState,
    /// What the autoscaler has decided last, where there is one.
    pub autoscale: Option<AutoscaleState>,
    /// Those there are, by ordinal.
    pub replicas: Vec<ReplicaState>,
}

impl ServiceState {
    /// A service of a fleet that does not run yet.
    pub(crate) fn before(service: &ServiceName, replicas: &Replicas, limits: LimitsState) -> Self {
        let rollout = RolloutState {
            revision: 1,
            status: RolloutStatus::Waiting,
            reason: "waits for the fleet to begin".to_owned(),
            updated: 0,
            available: 0,
            total: 0,
            draining: 0,
            rolled_back: None,
            history: Vec::new(),
        };
        let (service, desired, limit) = (service.clone(), replicas.replicas, replicas.limit);
        Self { service, desired, limits, limit, rollout, autoscale: None, replicas: Vec::new() }
    }

    /// Whether every replica that should be there takes requests.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        let ready = self.replicas.iter().filter(|replica| replica.standing == Standing::Ready).count();
        u32::try_from(ready).is_ok_and(|ready| ready >= self.desired)
    }
}

/// What becomes of the `cpu` and `memory` of a service's `limits`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LimitsState {
    /// It has neither.
    None,
    /// The kernel sees to them.
    Enforced,
    /// Nobody does.
    NotEnforced {
        /// Why not.
        cause: Arc<str>,
    },
}

/// What the replicas of a service run, and the way there.
#[derive(Clone, Debug, PartialEq)]
pub struct RolloutState {
    /// What is rolled out: 1 is what the fleet began with, and every roll-out has the next number.
    pub revision: u64,
    /// Where the rollout is.
    pub status: RolloutStatus,
    /// The planner's own words: `revision 2: start 1, at most 5; 1/4 new available, 3 old; progressing`.
    pub reason: String,
    /// Replicas of this revision that are not told to stop.
    pub updated: u32,
    /// Replicas, also of other revisions, that have been ready for long enough.
    pub available: u32,
    /// Replicas that are not told to stop.
    pub total: u32,
    /// Replicas that are told to stop.
    pub draining: u32,
    /// Set when this revision was gone back to because another one had stalled.
    pub rolled_back: Option<RolledBack>,
    /// What was rolled out, by revision, the current one last.
    pub history: Vec<RevisionState>,
}

/// Where a rollout is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RolloutStatus {
    /// Nothing is started yet: services that this one depends on are not complete.
    Waiting,
    /// Replicas are being replaced.
    Progressing,
    /// Nothing has come further for longer than allowed. It goes on by itself as soon as it can.
    Stalled,
    /// Every replica that should be there is of this revision and available.
    Complete,
    /// It was complete, and replicas are missing or too many.
    Adjusting,
    /// Nothing is replaced until an order to resume.
    Paused,
}

impl RolloutStatus {
    /// The status as programs read it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Progressing => "progressing",
            Self::Stalled => "stalled",
            Self::Complete => "complete",
            Self::Adjusting => "adjusting",
            Self::Paused => "paused",
        }
    }
}

/// A revision that was given up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RolledBack {
    /// Which one.
    pub from: u64,
    /// Why it was given up.
    pub why: String,
}

/// A revision in the history of a service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RevisionState {
    /// Its number.
    pub revision: u64,
    /// What is run.
    pub command: Arc<str>,
    /// In what it differs from the revision before it in the history: keys of the file, never their values.
    pub changed: String,
    /// Whether it is the current one.
    pub is_current: bool,
    /// Replicas that run it and are not told to stop.
    pub replicas: u32,
}

/// What the autoscaler has decided.
#[derive(Clone, Debug, PartialEq)]
pub struct AutoscaleState {
    /// How many replicas there should be.
    pub desired: u32,
    /// Why, in its own words.
    pub line: String,
    /// When.
    pub at: Instant,
    /// What it went by.
    pub metrics: Vec<MetricState>,
}

/// What the autoscaler knows of one metric.
#[derive(Clone, Debug, PartialEq)]
pub struct MetricState {
    /// `cpu_percent`
    pub name: Arc<str>,
    /// Its value; `None`: there is no sample.
    pub value: Option<f64>,
    /// What it should be.
    pub target: f64,
}

/// One replica.
#[derive(Clone, Debug, PartialEq)]
pub struct ReplicaState {
    /// `<service>-<ordinal>`, also in the replica's environment as `PHALANX_INSTANCE`.
    pub instance: Arc<str>,
    /// From 1; a restarted replica keeps it.
    pub ordinal: u32,
    /// What it runs: a revision of [`RolloutState::history`].
    pub revision: u64,
    /// Where in its life it is.
    pub standing: Standing,
    /// Since when.
    pub since: Instant,
    /// Its process, while it has one.
    pub process: Option<ProcessState>,
    /// Starts after the first.
    pub restarts: u32,
    /// How its last process ended, or why it had none: "killed by SIGKILL".
    pub last_exit: Option<Arc<str>>,
    /// What that process printed last, without colours.
    pub last_output: Arc<[String]>,
}

/// The process of a replica.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProcessState {
    /// Its process, and its process group.
    pub pid: u32,
    /// Where it is expected to listen.
    pub address: SocketAddr,
}

/// Where in its life a replica is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// On its way to its first readiness in this run.
    Starting,
    /// Takes requests.
    Ready,
    /// Was ready, and takes no requests until its probe succeeds again.
    NotReady,
    /// Takes no more requests and ends those it has.
    Draining,
    /// Was told to end.
    Stopping,
    /// Has failed, and starts again.
    BackingOff {
        /// When it starts.
        until: Instant,
    },
    /// Has failed again and again before it was ready, and starts again.
    CrashLoop {
        /// When it starts.
        until: Instant,
    },
    /// Has ended for good.
    Stopped,
}
