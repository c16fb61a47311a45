//! What the admin API tells: the gateway's and the fleet's view of the same endpoints, put together.

mod counted;
mod endpoints;
pub(super) mod told;

use std::{collections::BTreeSet, net::SocketAddr, sync::Arc, time::Instant};

use phalanx_admin::{
    Readiness, Source,
    state::{Endpoint, EndpointState, Gateway as GatewayDto, Service, State},
};
use phalanx_balance::health;
use phalanx_config::ServiceName;
use phalanx_fleet::{FleetHandle, LostLines, ReplicaState, ServiceState};
use phalanx_gateway::{Gateway, GatewayState, Verification};
use phalanx_telemetry::{
    autoscale, clock, connections,
    discovery::DiscoveryFamily,
    logs, overload,
    registry::Registry,
    replica_use, replicas,
    requests::RequestFamily,
    upstream::{EndpointTotals, UpstreamFamily},
};
use tokio::{
    sync::watch,
    time::{self, MissedTickBehavior},
};
use tokio_util::sync::CancellationToken;

use self::{
    counted::{reading, replica_counts, uses},
    endpoints::{Seen, fixed, reason, state_of},
};
use super::{
    holds::Holds,
    rates::{self, Counts, Rates},
    view::View,
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

/// What is fixed from the start.
pub(super) struct About {
    pub(super) admin: SocketAddr,
    pub(super) holds: Arc<Holds>,
    /// Services with replicas that are not wanted.
    pub(super) left_out: BTreeSet<ServiceName>,
}

/// Answers the admin API.
pub(super) struct Overview {
    began: Instant,
    gateway: Gateway,
    fleet: FleetHandle,
    about: About,
    requests: RequestFamily,
    upstreams: UpstreamFamily,
    registry: Registry,
    rates: rates::Watch,
    is_draining: watch::Sender<bool>,
}

impl Overview {
    pub(super) fn new(gateway: Gateway, fleet: FleetHandle, about: About, families: Families) -> Self {
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
        Self {
            began: clock::now(),
            gateway,
            fleet,
            about,
            requests,
            upstreams,
            registry,
            rates: rates::Watch::default(),
            is_draining: watch::Sender::new(false),
        }
    }

    pub(super) fn addresses(&self) -> Addresses {
        Addresses { http: self.gateway.state().listeners, admin: self.about.admin }
    }

    /// From here on `/readyz` says no, and no order is taken.
    pub(super) fn begin_draining(&self) {
        self.is_draining.send_replace(true);
    }

    /// Whether that has begun.
    pub(super) fn draining(&self) -> watch::Receiver<bool> {
        self.is_draining.subscribe()
    }

    /// Looks at the rates once a second, and shows what there is to see, until `stop`.
    pub(super) async fn watch(&self, views: Option<watch::Sender<Option<View>>>, stop: CancellationToken) {
        let (mut last, (_, mut events)) = (None, self.fleet.events(u64::MAX));
        let mut goes_on = true;
        let mut ticks = time::interval(rates::PERIOD);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                happened = events.next(), if goes_on => match happened {
                    Some(Ok(event)) => last = Some(told::event(&event)),
                    Some(Err(_)) => {}
                    None => goes_on = false,
                },
                _ = ticks.tick() => {
                    self.look();
                    if let Some(views) = &views {
                        views.send_replace(Some(self.view(last.clone())));
                    }
                }
            }
        }
    }

    fn look(&self) {
        let endpoints = self.gateway.state().endpoints.into_iter();
        let counted = endpoints.map(|endpoint| (endpoint.address.to_string(), endpoint.totals.requests));
        let counts = Counts { endpoints: counted.collect(), durations: self.requests.durations() };
        self.rates.look(clock::now(), counts);
    }

    fn view(&self, last: Option<phalanx_admin::state::Event>) -> View {
        let Rates { requests_per_second, durations, .. } = self.rates.rates();
        let quantile = |share| durations.quantile(share);
        View { state: self.state(), requests_per_second, p50: quantile(0.5), p99: quantile(0.99), last }
    }

    /// Every service with its endpoints: those of the fleet by replica, fixed ones by address.
    fn services(&self, gateway: &GatewayState) -> Vec<Service> {
        let fleet = self.fleet.state();
        let seen = Seen {
            now: clock::now(),
            rates: self.rates.rates().endpoints,
            standings: gateway
                .endpoints
                .iter()
                .map(|endpoint| (endpoint.address, endpoint.standing))
                .collect(),
        };
        gateway
            .services
            .iter()
            .map(|name| {
                let replicated = fleet.iter().find(|service| service.service == *name);
                let endpoints: Vec<Endpoint> = match replicated {
                    Some(service) => {
                        service.replicas.iter().map(|replica| self.replica(service, replica, &seen)).collect()
                    }
                    None => {
                        let own = gateway.endpoints.iter().filter(|endpoint| endpoint.service == *name);
                        own.map(|endpoint| fixed(endpoint, &seen)).collect()
                    }
                };
                let serving =
                    endpoints.iter().filter(|endpoint| endpoint.state == EndpointState::Serving).count();
                let is_left_out = self.about.left_out.contains(name);
                Service {
                    name: name.to_string(),
                    desired: replicated.map(|service| service.desired).or(is_left_out.then_some(0)),
                    serving: u32::try_from(serving).unwrap_or(u32::MAX),
                    endpoints,
                    rollout: replicated.map(|service| told::rollout(&service.rollout)),
                    autoscale: replicated.and_then(|service| told::autoscale(service, seen.now)),
                    limits_enforced: replicated.and_then(|service| told::limits(&service.limits)),
                }
            })
            .collect()
    }

    fn replica(&self, service: &ServiceState, replica: &ReplicaState, seen: &Seen) -> Endpoint {
        let address = replica.process.map(|process| process.address.to_string());
        let totals = match &address {
            Some(address) => self.upstreams.totals(service.service.as_str(), address),
            None => EndpointTotals::default(),
        };
        let measured = replica.process.and_then(|_| self.fleet.measured(&replica.instance));
        let is_taken_out = replica.process.is_some_and(|process| self.is_taken_out(process.address, seen));
        let (state, reason) = match state_of(replica.standing) {
            EndpointState::Serving if is_taken_out => (
                EndpointState::Draining,
                Some(format!(
                    "taken out by an order; `phalanx drain {} --undo` takes it back",
                    replica.instance
                )),
            ),
            state => (state, reason(replica, seen.now)),
        };
        Endpoint {
            requests_per_second: address.as_ref().and_then(|address| seen.rates.get(address).copied()),
            address: address.unwrap_or_default(),
            instance: Some(replica.instance.to_string()),
            state,
            reason,
            weight: 1,
            in_flight: u64::try_from(totals.in_flight).unwrap_or(0),
            requests: totals.requests,
            failures: totals.failures,
            pid: replica.process.map(|process| process.pid),
            restarts: u64::from(replica.restarts),
            since_seconds: Some(seen.now.saturating_duration_since(replica.since).as_secs()),
            revision: Some(replica.revision),
            cpu_millicores: measured.as_ref().and_then(|measured| measured.cpu_milli),
            memory_bytes: measured.as_ref().map(|measured| measured.usage.memory_bytes),
            last_output: match state {
                EndpointState::BackOff | EndpointState::CrashLoop => replica.last_output.to_vec(),
                _ => Vec::new(),
            },
        }
    }

    /// Whether somebody wants this replica to get no requests.
    fn is_taken_out(&self, address: SocketAddr, seen: &Seen) -> bool {
        self.about.holds.is_held(address) || seen.standings.get(&address) == Some(&health::Standing::Draining)
    }
}

impl Source for Overview {
    fn state(&self) -> State {
        let gateway = self.gateway.state();
        State {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            uptime_seconds: clock::now().saturating_duration_since(self.began).as_secs(),
            stopping: *self.is_draining.borrow(),
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
        if *self.is_draining.borrow() {
            reasons.push("phalanx is stopping".to_owned());
        }
        let gateway = self.gateway.state();
        // One that is meant to have no replicas lacks none.
        let lacks = |service: &&Service| service.serving == 0 && service.desired != Some(0);
        for service in self.services(&gateway).iter().filter(lacks) {
            reasons.push(format!("no endpoint of service `{}` serves", service.name));
        }
        if reasons.is_empty() { Readiness::Ready } else { Readiness::NotReady { reasons } }
    }
}
