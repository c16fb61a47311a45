//! Which replicas stop first when some of them must.
//!
//! As in Kubernetes without its nodes and its costs of deletion: who has no process, then who was never ready, then who is not
//! ready any more, and of the ready ones whoever became ready last, since it has the coldest caches and the fewest connections.
//! Between equals the one that crashed more often, then the younger. Kubernetes compares ages on a logarithmic scale, to spread
//! the loss over its zones; here the exact ones decide.

use std::{cmp::Reverse, time::Duration};

use super::observed::{Replica, Standing};

/// Replicas of one version, those that stop first at the front.
pub(super) fn in_stop_order<'a>(replicas: impl IntoIterator<Item = &'a Replica>) -> Vec<&'a Replica> {
    let mut replicas: Vec<_> = replicas.into_iter().collect();
    replicas.sort_by_key(|replica| stop_key(replica));
    replicas
}

/// Replicas of several versions: each as above, the oldest version at the front.
pub(super) fn oldest_version_first<'a>(replicas: impl IntoIterator<Item = &'a Replica>) -> Vec<&'a Replica> {
    let mut replicas: Vec<_> = replicas.into_iter().collect();
    replicas.sort_by_key(|replica| (replica.version, stop_key(replica)));
    replicas
}

/// Grows with how much a replica is worth to its service.
fn stop_key(replica: &Replica) -> impl Ord + use<> {
    let (standing, ready_since) = match replica.standing {
        Standing::Draining => (0, Duration::ZERO),
        Standing::Waiting => (1, Duration::ZERO),
        Standing::Starting => (2, Duration::ZERO),
        Standing::NotReady => (3, Duration::ZERO),
        Standing::Ready { since } => (4, since),
    };
    (standing, Reverse(ready_since), Reverse(replica.restarts), Reverse(replica.id))
}
