//! What the fleet asks of the balancer in front of its replicas.

use std::{future::Future, net::SocketAddr};

use phalanx_config::ServiceName;

/// Why no more requests are to go to a replica.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Withdrawal {
    /// It is not ready, or does not live, and may hang: those who wait for its answers may wait in vain.
    Unready,
    /// It is to stop once it has answered.
    Stopping,
    /// Its process has ended.
    Ended,
}

/// The balancer in front of the replicas: in Phalanx the gateway, in the same process, so that it can acknowledge.
///
/// For one address the fleet has at most one of these calls under way, and each call that returned is a fact to build on.
/// `admit` and `withdraw` wait for workers to take note, no longer; the fleet goes on without them after 5 s, and says so.
pub trait Balancer: Send + Sync + 'static {
    /// Lets requests for `service` go to `address`, and returns when they may.
    fn admit(
        &self,
        service: &ServiceName,
        instance: &str,
        address: SocketAddr,
    ) -> impl Future<Output = ()> + Send;

    /// Returns when no worker will send another request to `address`; does nothing where none would have.
    fn withdraw(
        &self,
        service: &ServiceName,
        address: SocketAddr,
        reason: Withdrawal,
    ) -> impl Future<Output = ()> + Send;

    /// Returns when no request is in flight to `address`, which was withdrawn before. The fleet drops the future at its
    /// own deadline, and may ask again.
    fn drained(&self, service: &ServiceName, address: SocketAddr) -> impl Future<Output = ()> + Send;
}
