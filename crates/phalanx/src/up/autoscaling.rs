//! The gateway and the machine as the autoscaler sees them.

use std::{num::NonZeroUsize, thread};

use phalanx_config::ServiceName;
use phalanx_fleet::{EndpointLoad, Load, ServiceLoad};
use phalanx_gateway::{Gateway, MemoryFiles};
use phalanx_scale::host::Host;
use tokio::sync::watch;

/// Counts requests at a gateway of the same process.
pub(super) struct GatewayLoad {
    gateway: Gateway,
}

impl GatewayLoad {
    pub(super) fn new(gateway: Gateway) -> Self {
        Self { gateway }
    }
}

impl Load for GatewayLoad {
    fn load(&self, service: &ServiceName) -> ServiceLoad {
        let load = self.gateway.load(service);
        let endpoints = load.endpoints.iter().map(|endpoint| EndpointLoad {
            address: endpoint.address,
            requests: endpoint.requests,
            in_flight: endpoint.in_flight,
        });
        ServiceLoad {
            requests: load.requests,
            in_flight: load.in_flight,
            waiting: load.waiting,
            held: load.held,
            endpoints: endpoints.collect(),
        }
    }

    fn demand(&self) -> watch::Receiver<u64> {
        self.gateway.demand()
    }
}

/// What this process may use of the machine, for replicas too: they are in its control group.
pub(super) fn this_machine() -> Host {
    let cores = thread::available_parallelism().map_or(1, NonZeroUsize::get);
    Host {
        cpu_milli: u64::try_from(cores).unwrap_or(u64::MAX).saturating_mul(1_000),
        memory_bytes: MemoryFiles::default().all(),
    }
}
