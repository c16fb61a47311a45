//! What the fleet shows of itself: a snapshot for the admin API, for metrics, and for whoever waits for a level.

use std::{net::SocketAddr, sync::Arc, time::Instant};

use phalanx_config::ServiceName;
use tokio::sync::watch;

/// One service and its replicas.
#[derive(Clone, Debug, PartialEq)]
pub struct ServiceState {
    /// The service.
    pub service: ServiceName,
    /// How many replicas there should be.
    pub desired: u32,
    /// Whether its replicas have limits of CPU time or memory, and whether they are enforced.
    pub limits: LimitsState,
    /// Those there are, by ordinal.
    pub replicas: Vec<ReplicaState>,
}

impl ServiceState {
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

/// One replica.
#[derive(Clone, Debug, PartialEq)]
pub struct ReplicaState {
    /// `<service>-<ordinal>`, also in the replica's environment as `PHALANX_INSTANCE`.
    pub instance: Arc<str>,
    /// From 1; a restarted replica keeps it.
    pub ordinal: u32,
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

/// The board on which the replicas put up their state.
#[derive(Clone, Debug)]
pub(crate) struct Board(watch::Sender<Vec<ServiceState>>);

impl Board {
    pub(crate) fn new(services: Vec<ServiceState>) -> Self {
        Self(watch::Sender::new(services))
    }

    pub(crate) fn subscribe(&self) -> watch::Receiver<Vec<ServiceState>> {
        self.0.subscribe()
    }

    /// Puts up the state of one replica, in place of what it had put up before.
    pub(crate) fn put(&self, service: &ServiceName, state: ReplicaState) {
        self.0.send_modify(|services| {
            let Some(entry) = services.iter_mut().find(|entry| entry.service == *service) else { return };
            match entry.replicas.binary_search_by_key(&state.ordinal, |replica| replica.ordinal) {
                Ok(at) => entry.replicas[at] = state,
                Err(at) => entry.replicas.insert(at, state),
            }
        });
    }
}
