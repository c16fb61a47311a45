//! The gateway as the fleet sees it.

use std::{net::SocketAddr, sync::Arc};

use phalanx_balance::Weight;
use phalanx_config::{Role, ServiceName};
use phalanx_fleet::{Balancer, Withdrawal};
use phalanx_gateway::Gateway;

use super::holds::{Entry, Holds};

/// Admits and withdraws replicas at a gateway of the same process, but for those that somebody keeps out.
pub(super) struct GatewayBalancer {
    gateway: Gateway,
    holds: Arc<Holds>,
}

impl GatewayBalancer {
    pub(super) fn new(gateway: Gateway, holds: Arc<Holds>) -> Self {
        Self { gateway, holds }
    }
}

impl Balancer for GatewayBalancer {
    async fn admit(&self, service: &ServiceName, instance: &str, address: SocketAddr) {
        match self.holds.ask(service, instance, address) {
            Entry::Free => self.gateway.admit(service, address, Weight::ONE, Role::Primary).await,
            Entry::Held => {}
        }
    }

    async fn withdraw(&self, service: &ServiceName, address: SocketAddr, reason: Withdrawal) {
        self.holds.withdrawn(address);
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
