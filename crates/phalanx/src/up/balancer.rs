//! The gateway as the fleet sees it.

use std::net::SocketAddr;

use phalanx_balance::Weight;
use phalanx_config::{Role, ServiceName};
use phalanx_fleet::{Balancer, Withdrawal};
use phalanx_gateway::Gateway;

/// Admits and withdraws replicas at a gateway of the same process.
pub(super) struct GatewayBalancer {
    gateway: Gateway,
}

impl GatewayBalancer {
    pub(super) fn new(gateway: Gateway) -> Self {
        Self { gateway }
    }
}

impl Balancer for GatewayBalancer {
    async fn admit(&self, service: &ServiceName, _instance: &str, address: SocketAddr) {
        self.gateway.admit(service, address, Weight::ONE, Role::Primary).await;
    }

    async fn withdraw(&self, service: &ServiceName, address: SocketAddr, reason: Withdrawal) {
        let reason = match reason {
            Withdrawal::Unready => phalanx_gateway::Withdrawal::Unready,
            Withdrawal::Stopping => phalanx_gateway::Withdrawal::Stopping,
            Withdrawal::Ended => phalanx_gateway::Withdrawal::Ended,
        };
        self.gateway.withdraw(service, address, reason).await;
    }

    async fn drained(&self, service: &ServiceName, address: SocketAddr) {
        self.gateway.drained(service, address).await;
    }
}
