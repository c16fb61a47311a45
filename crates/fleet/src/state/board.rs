//! The board on which the replicas put up their state, and the loop that of their services.
//!
//! Invariant: replicas write what they know of themselves, the loop writes the rest; neither overwrites the other.

use phalanx_config::ServiceName;
use tokio::sync::watch;

use super::{AutoscaleState, ReplicaState, RolloutState, ServiceState};

/// What the loop shows of a service.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Shown {
    pub(crate) desired: u32,
    pub(crate) limit: phalanx_config::ReplicasLimit,
    pub(crate) rollout: RolloutState,
    pub(crate) autoscale: Option<AutoscaleState>,
}

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
    pub(crate) fn put(&self, service: &ServiceName, mut state: ReplicaState) {
        self.0.send_modify(|services| {
            let Some(entry) = find(services, service) else { return };
            match entry.replicas.binary_search_by_key(&state.ordinal, |replica| replica.ordinal) {
                Ok(at) => {
                    // A version that was rolled out again has another revision than when this replica was started.
                    state.revision = entry.replicas[at].revision;
                    entry.replicas[at] = state;
                }
                Err(at) => entry.replicas.insert(at, state),
            }
        });
    }

    /// Takes down a replica that is gone: its last state, if it had put one up.
    pub(crate) fn take_down(&self, service: &ServiceName, ordinal: u32) -> Option<ReplicaState> {
        let mut taken = None;
        self.0.send_if_modified(|services| {
            taken = find(services, service).and_then(|entry| {
                let at = entry.replicas.binary_search_by_key(&ordinal, |replica| replica.ordinal).ok()?;
                Some(entry.replicas.remove(at))
            });
            taken.is_some()
        });
        taken
    }

    /// Shows what the loop knows of a service; `revision_of` tells by ordinal what a replica runs. Nobody is woken where nothing
    /// has changed.
    pub(crate) fn show(&self, service: &ServiceName, shown: Shown, revision_of: impl Fn(u32) -> Option<u64>) {
        self.0.send_if_modified(|services| {
            let Some(entry) = find(services, service) else { return false };
            let mut is_changed = false;
            for replica in &mut entry.replicas {
                let revision = revision_of(replica.ordinal).unwrap_or(replica.revision);
                is_changed |= revision != replica.revision;
                replica.revision = revision;
            }
            let Shown { desired, limit, rollout, autoscale } = shown;
            is_changed |= entry.desired != desired
                || entry.limit != limit
                || entry.rollout != rollout
                || entry.autoscale != autoscale;
            (entry.desired, entry.limit, entry.rollout, entry.autoscale) =
                (desired, limit, rollout, autoscale);
            is_changed
        });
    }
}

fn find<'a>(services: &'a mut [ServiceState], service: &ServiceName) -> Option<&'a mut ServiceState> {
    services.iter_mut().find(|entry| entry.service == *service)
}
