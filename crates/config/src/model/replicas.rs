//! Processes that Phalanx runs for a service.

use std::{collections::BTreeMap, fmt, time::Duration};

use phalanx_scale::rollout;

use super::{Autoscale, BackOff, Probe, Resources, ServiceName, Span};

/// The most that `replicas` can say.
pub(crate) const REPLICAS_MAX: u32 = 1000;

/// Processes that Phalanx runs for a service.
#[derive(Clone, Debug, PartialEq)]
pub struct Replicas {
    /// Program and arguments; the program is not empty.
    pub command: Vec<String>,
    /// Where `command` stands in the file, for a fault that shows only when it is started.
    pub command_span: Span,
    /// How many there are at first; within [`Self::limit`].
    pub replicas: u32,
    /// How many there may be.
    pub limit: ReplicasLimit,
    /// `env`: added to the environment that Phalanx has itself.
    pub env: BTreeMap<String, String>,
    /// `env_file`: files of further variables, which whoever read the configuration reads too. A later file wins over an earlier
    /// one, and [`Self::env`] over all.
    pub env_files: Vec<EnvFile>,
    /// `probes.startup`; default: readiness's probe, each second, 60 failures.
    pub startup: Probe,
    /// `probes.readiness`; default: a TCP connection that is accepted.
    pub readiness: Probe,
    /// `probes.liveness`; default: none.
    pub liveness: Option<Probe>,
    /// `back_off`
    pub back_off: BackOff,
    /// Time between TERM and KILL; default 30 s.
    pub shutdown_grace: Duration,
    /// What one replica is expected to use, and what it may use.
    pub resources: Resources,
    /// `rollout`: how replicas are replaced by others.
    pub rollout: rollout::Policy,
    /// `depends_on`: services with a command that are complete before this one starts; without a cycle, and none twice.
    pub depends_on: Vec<ServiceName>,
    /// Decides how many there are; then `replicas` is where it begins.
    pub autoscale: Option<Autoscale>,
}

/// A file of environment variables.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EnvFile {
    /// Where it is; a relative path begins in the folder of the configuration.
    pub path: String,
    /// Whether the service starts without it: written with `?` at the end.
    pub may_be_missing: bool,
    /// Where it stands in the configuration.
    pub span: Span,
}

/// How many replicas of a service there may be, and why no more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReplicasLimit {
    /// 1000: more processes are not for one machine.
    Machine,
    /// `database`: each opens connections.
    Connections(Connections),
}

/// The connections of replicas to a database server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Connections {
    /// What one replica opens.
    pub each: u32,
    /// What all of them may open.
    pub room: u32,
    /// How many replicas find room, with those that come on top while they are replaced.
    pub replicas_max: u32,
}

impl ReplicasLimit {
    /// The number.
    #[must_use]
    pub fn max(self) -> u32 {
        match self {
            Self::Machine => REPLICAS_MAX,
            Self::Connections(connections) => connections.replicas_max,
        }
    }
}

impl fmt::Display for ReplicasLimit {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Machine => write!(formatter, "at most {REPLICAS_MAX} replicas of a service are run"),
            Self::Connections(Connections { each, room, replicas_max }) => write!(
                formatter,
                "at most {replicas_max} replicas with {each} connections each find room in the {room} that `database` leaves them, those included that come on top during a rollout"
            ),
        }
    }
}
