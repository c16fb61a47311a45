//! What the admin API tells: the gateway's and the fleet's view of the same endpoints, put together.

use std::{
    net::SocketAddr,
    sync::atomic::{AtomicBool, Ordering},
    time::{Duration, Instant},
};

use phalanx_admin::{
    Readiness, Source,
    state::{Endpoint, EndpointState, Gateway as GatewayDto, Service, State},
};
use phalanx_balance::health;
use phalanx_fleet::{FleetHandle, LostLines, ReplicaState, ServiceState, Standing};
use phalanx_gateway::{EndpointState as GatewayEndpoint, Gateway, GatewayState, Verification};
use phalanx_telemetry::{
    autoscale::{self, AutoscaleReading},
    clock, connections,
    discovery::DiscoveryFamily,
    logs, overload,
    registry::Registry,
    replica_use::{self, ReplicaUse, Uses},
    replicas::{self, ReplicaCount},
    requests::RequestFamily,
    upstream::{EndpointTotals, UpstreamFamily},
};

/// Where everything listens.
#[derive(Clone, Debug)]
pub(super) struct Addresses {
    pub(super) http: Vec<SocketAddr>,
    pub(super) admin: SocketAddr,
}

/// What is counted elsewhere and told here.
pub(super) struct Families {
    pub(super) requests: RequestFamily,
    pub(super) upstreams: UpstreamFamily,
    pub(super) discovery: DiscoveryFamily,
    /// Where routes ask for tokens.
    pub(super) verification: Option<Verification>,
    /// Lines that standard output did not take.
    pub(super) lost: LostLines,
}

/// Answers the admin API.
pub(super) struct Overview {
    began: Instant,
    gateway: Gateway,
    fleet: FleetHandle,
    admin: SocketAddr,
    upstreams: UpstreamFamily,
    registry: Registry,
    is_draining: AtomicBool,
}

impl Overview {
    pub(super) fn new(gateway: Gateway, fleet: FleetHandle, admin: SocketAddr, families: Families) -> Self {
        let Families { requests, upstreams, discovery, verification, lost } = families;
        let mut registry = Registry::new();
        registry.add(requests.collector());
        registry.add(upstreams.collector());
        let counting = gateway.clone();
        registry.add(connections::collector(move || counting.connections()));
        let watched = gateway.clone();
        registry.add(overload::memory_collector(move || watched.is_short_of_memory()));
        discovery.register(&mut registry);
        if let Some(verification) = verification {
            verification.register(&mut registry);
        }
        let counted = fleet.clone();
        registry.add(replicas::collector(move || counted.state().iter().flat_map(replica_counts).collect()));
        let decided = fleet.clone();
        registry.add(autoscale::collector(move || decided.state().iter().filter_map(reading).collect()));
        let measured = fleet.clone();
        registry.add(replica_use::collector(move || uses(&measured, &lost)));
        registry.add(logs::lost_collector());
        let is_draining = AtomicBool::new(false);
        Self { began: clock::now(), gateway, fleet, admin, upstreams, registry, is_draining }
    }

    pub(super) fn addresses(&self) -> Addresses {
        Addresses { http: self.gateway.state().listeners, admin: self.admin }
    }

    /// From here on `/readyz` says no.
    pub(super) fn begin_draining(&self) {
        self.is_draining.store(true, Ordering::Relaxed);
    }

    /// Every service with its endpoints: those of the fleet by replica, fixed ones by address.
    fn services(&self, gateway: &GatewayState) -> Vec<Service> {
        let fleet = self.fleet.state();
        let now = clock::now();
        gateway
            .services
            .iter()
            .map(|name| {
                let replicated = fleet.iter().find(|service| service.service == *name);
                let endpoints: Vec<Endpoint> = match replicated {
                    Some(service) => {
                        service.replicas.iter().map(|replica| self.replica(service, replica, now)).collect()
                    }
                    None => gateway
                        .endpoints
                        .iter()
                        .filter(|endpoint| endpoint.service == *name)
                        .map(fixed)
                        .collect(),
                };
                let serving =
                    endpoints.iter().filter(|endpoint| endpoint.state == EndpointState::Serving).count();
                Service {
                    name: name.to_string(),
                    desired: replicated.map(|service| service.desired),
                    serving: u32::try_from(serving).unwrap_or(u32::MAX),
                    endpoints,
                }
            })
            .collect()
    }

    fn replica(&self, service: &ServiceState, replica: &ReplicaState, now: Instant) -> Endpoint {
        let address = replica.process.map(|process| process.address.to_string());
        let totals = match &address {
            Some(address) => self.upstreams.totals(service.service.as_str(), address),
            None => EndpointTotals::default(),
        };
        let retry_at = match replica.standing {
            Standing::BackingOff { until } | Standing::CrashLoop { until } => Some(until),
            _ => None,
        };
        let reason = match (&replica.last_exit, retry_at) {
            // What ended its last process is past once it serves again.
            _ if replica.standing == Standing::Ready => None,
            (Some(exit), Some(at)) => {
                Some(format!("{exit}; starts again in {}", seconds(at.saturating_duration_since(now))))
            }
            (exit, _) => exit.as_ref().map(ToString::to_string),
        };
        Endpoint {
            address: address.unwrap_or_default(),
            instance: Some(replica.instance.to_string()),
            state: state_of(replica.standing),
            reason,
            weight: 1,
            in_flight: u64::try_from(totals.in_flight).unwrap_or(0),
            requests: totals.requests,
            failures: totals.failures,
            pid: replica.process.map(|process| process.pid),
            restarts: u64::from(replica.restarts),
            since_seconds: Some(now.saturating_duration_since(replica.since).as_secs()),
        }
    }
}

impl Source for Overview {
    fn state(&self) -> State {
        let gateway = self.gateway.state();
        State {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            uptime_seconds: clock::now().saturating_duration_since(self.began).as_secs(),
            services: self.services(&gateway),
            gateway: GatewayDto {
                listeners: gateway.listeners.iter().map(ToString::to_string).collect(),
                workers: gateway.workers,
                connections: gateway.connections,
                requests_in_flight: u64::try_from(gateway.requests_in_flight).unwrap_or(0),
            },
        }
    }

    fn metrics(&self) -> String {
        self.registry.encode()
    }

    fn readiness(&self) -> Readiness {
        let mut reasons = Vec::new();
        if self.is_draining.load(Ordering::Relaxed) {
            reasons.push("phalanx is stopping".to_owned());
        }
        let gateway = self.gateway.state();
        let lacks_endpoints = |service: &&Service| service.serving == 0 && service.desired != Some(0);
        for service in self.services(&gateway).iter().filter(lacks_endpoints) {
            reasons.push(format!("no endpoint of service `{}` serves", service.name));
        }
        if reasons.is_empty() { Readiness::Ready } else { Readiness::NotReady { reasons } }
    }
}

fn fixed(endpoint: &GatewayEndpoint) -> Endpoint {
    let (state, reason) = match endpoint.standing {
        health::Standing::Serving => (EndpointState::Serving, None),
        health::Standing::Trial => (EndpointState::Serving, Some("one request tries it")),
        health::Standing::Ejected { cause: health::Cause::Attempts, .. } => {
            (EndpointState::Ejected, Some("requests to it failed"))
        }
        health::Standing::Ejected { cause: health::Cause::Outlier, .. } => {
            (EndpointState::Ejected, Some("it does much worse than the others"))
        }
        health::Standing::Failing => (EndpointState::Ejected, Some("its active checks fail")),
        health::Standing::Draining => (EndpointState::Draining, None),
    };
    Endpoint {
        address: endpoint.address.to_string(),
        instance: None,
        state,
        reason: reason.map(str::to_owned),
        weight: u32::from(endpoint.weight),
        in_flight: u64::try_from(endpoint.totals.in_flight).unwrap_or(0),
        requests: endpoint.totals.requests,
        failures: endpoint.totals.failures,
        pid: None,
        restarts: 0,
        since_seconds: None,
    }
}

fn replica_counts(service: &ServiceState) -> Vec<ReplicaCount> {
    EndpointState::ALL
        .iter()
        .map(|state| ReplicaCount {
            service: service.service.to_string(),
            state: state.as_str(),
            count: service.replicas.iter().filter(|replica| state_of(replica.standing) == *state).count()
                as u64,
        })
        .collect()
}

/// What the autoscaler of a service has decided last, if there is one.
fn reading(state: &ServiceState) -> Option<AutoscaleReading> {
    let decided = state.autoscale.as_ref()?;
    let metrics = decided.metrics.iter();
    Some(AutoscaleReading {
        service: state.service.to_string(),
        desired: decided.desired,
        metrics: metrics.filter_map(|metric| Some((metric.name.to_string(), metric.value?))).collect(),
    })
}

fn uses(fleet: &FleetHandle, lost: &LostLines) -> Uses {
    let state = fleet.state();
    let replicas = state.iter().flat_map(|service| {
        service.replicas.iter().map(|replica| {
            let measured = fleet.measured(&replica.instance);
            ReplicaUse {
                service: service.service.to_string(),
                instance: replica.instance.to_string(),
                cpu_seconds: measured.map(|measured| measured.usage.cpu.as_secs_f64()),
                cpu_cores: measured.and_then(|measured| Some(measured.cpu_milli? as f64 / 1000.0)),
                memory_bytes: measured.map(|measured| measured.usage.memory_bytes),
                dropped_lines: fleet.dropped_lines(&replica.instance),
            }
        })
    });
    Uses { replicas: replicas.collect(), lost_lines: lost.count() }
}

fn state_of(standing: Standing) -> EndpointState {
    match standing {
        Standing::Starting => EndpointState::Starting,
        Standing::Ready => EndpointState::Serving,
        Standing::NotReady => EndpointState::NotReady,
        Standing::Draining | Standing::Stopping => EndpointState::Draining,
        Standing::BackingOff { .. } => EndpointState::BackOff,
        Standing::CrashLoop { .. } => EndpointState::CrashLoop,
        Standing::Stopped => EndpointState::Stopped,
    }
}

fn seconds(duration: Duration) -> String {
    format!("{} s", duration.as_secs() + u64::from(duration.subsec_millis() > 0))
}
