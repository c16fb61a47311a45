//! What the autoscaler asks of the balancer: how much there is to do.

use std::net::SocketAddr;

use phalanx_config::ServiceName;
use tokio::sync::watch;

/// Counts what there is to do for the replicas.
pub trait Load: Send + 'static {
    /// What there is to do for a service at this moment; nothing for one that is not known.
    fn load(&self, service: &ServiceName) -> ServiceLoad;

    /// Changes whenever a service gets its first request that waits for a replica.
    fn demand(&self) -> watch::Receiver<u64>;
}

/// What there is to do for a service.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ServiceLoad {
    /// Requests so far. It never falls.
    pub requests: u64,
    /// Requests that replicas work on.
    pub in_flight: u64,
    /// Requests that wait for room at a replica.
    pub waiting: u64,
    /// Requests that wait for a replica.
    pub held: u64,
    /// The replicas that take requests.
    pub endpoints: Vec<EndpointLoad>,
}

/// What a replica has to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EndpointLoad {
    /// Where it listens.
    pub address: SocketAddr,
    /// Requests so far, as long as it is there.
    pub requests: u64,
    /// Requests that it works on.
    pub in_flight: u64,
}

impl ServiceLoad {
    /// Requests that nobody works on yet.
    pub(super) fn queued(&self) -> u64 {
        self.waiting.saturating_add(self.held)
    }

    /// Requests that have begun and not ended.
    pub(super) fn open(&self) -> u64 {
        self.in_flight.saturating_add(self.queued())
    }
}
