//! A replica as the arithmetic sees it, and what was measured of it.
//!
//! It is called a pod here, as in Kubernetes, because the rules that these types feed are the rules for pods.

use std::{collections::BTreeMap, time::Duration};

/// One replica.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pod {
    /// What samples and requests are found by; unique among the pods of an observation.
    pub name: String,
    /// How far it has come.
    pub phase: Phase,
    /// Whether it has been told to end.
    pub leaving: Leaving,
    /// When it was started, if it was.
    pub started: Option<Duration>,
    /// What is known of its readiness.
    pub readiness: Option<Readiness>,
}

/// How far a pod has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Accepted, and not running yet.
    Pending,
    /// Running, ready or not.
    Running,
    /// Ended well.
    Succeeded,
    /// Ended badly.
    Failed,
    /// Nobody knows.
    Unknown,
}

/// Whether a pod has been told to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Leaving {
    /// It stays.
    No,
    /// It is being deleted, though it may still run.
    Yes,
}

/// Whether a pod takes requests, and since when that is so.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Readiness {
    /// It does.
    Ready {
        /// Since when.
        since: Duration,
    },
    /// It does not.
    Unready {
        /// Since when.
        since: Duration,
    },
}

/// One value of one pod, in thousandths.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sample {
    /// The value.
    pub value_milli: i64,
    /// When it was taken; zero if nobody knows, which makes it older than anything.
    pub taken: Duration,
    /// Over how long.
    pub window: Duration,
}

/// Samples by the name of their pod; some may belong to pods that nobody observed.
pub type Samples = BTreeMap<String, Sample>;

/// Requests in thousandths by the name of their pod; a pod without one has a container whose request is not known.
pub type Requests = BTreeMap<String, i64>;

impl Pod {
    /// Whether it runs and is ready, which is what metrics that belong to no pod are spread over.
    pub(crate) fn serves(&self) -> bool {
        self.phase == Phase::Running && matches!(self.readiness, Some(Readiness::Ready { .. }))
    }
}
