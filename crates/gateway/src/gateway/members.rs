//! Every endpoint of every service with how it stands, and the table that follows from it.

use std::{collections::HashMap, net::SocketAddr, sync::Arc};

use phalanx_balance::{
    Weight,
    health::Standing,
    selection::{self, Mode},
};
use phalanx_config::{
    self as config, Balance, Config, PassiveHealth, Protocol, Resilience, Role, ServiceName, Source,
};
use phalanx_telemetry::upstream::{ServiceCounters, UpstreamFamily};
use tokio::sync::watch;

use super::Withdrawal;
use crate::table::{Endpoint, EndpointSettings, Gate, Hold, Memory, Reports, Routes, Service, Table};

/// All endpoints, those that get no requests included.
pub(super) struct Members {
    pub(super) generation: u64,
    routes: Arc<Routes>,
    pub(super) services: Vec<ServiceMembers>,
    /// Endpoints that were withdrawn, until the last request to them has ended: so long they have series.
    leaving: Vec<Leaving>,
    pub(super) memory: Memory,
}

struct Leaving {
    service: ServiceName,
    address: SocketAddr,
    /// Of the first table without it.
    generation: u64,
}

pub(super) struct ServiceMembers {
    pub(super) name: ServiceName,
    balance: Balance,
    protocol: Protocol,
    keepalive: usize,
    resilience: Resilience,
    reports: Reports,
    pub(super) counters: Arc<ServiceCounters>,
    pub(super) gate: Option<Arc<Gate>>,
    hold: Option<Arc<Hold>>,
    pub(super) members: Vec<Member>,
    /// How the endpoints of the last table were selected.
    mode: Mode,
}

pub(super) struct Member {
    pub(super) endpoint: Arc<Endpoint>,
    pub(super) standing: Standing,
}

impl Members {
    pub(super) fn new(config: &Config, upstreams: &UpstreamFamily, demand: &watch::Sender<u64>) -> Self {
        let indices: HashMap<ServiceName, usize> = config.services.keys().cloned().zip(0..).collect();
        let services = config
            .services
            .iter()
            .map(|(name, service)| ServiceMembers::new(name, service, upstreams, demand));
        Self {
            generation: 1,
            routes: Arc::new(Routes::new(&config.routes, &indices)),
            services: services.collect(),
            leaving: Vec::new(),
            memory: Memory::Ample,
        }
    }

    /// Adds an endpoint, unless there is one at this address.
    pub(super) fn admit(&mut self, service: &ServiceName, address: SocketAddr, weight: Weight, role: Role) {
        // Whoever is back is counted where it left off.
        self.leaving.retain(|left| (&left.service, left.address) != (service, address));
        if let Some(service) = self.services.iter_mut().find(|known| known.name == *service)
            && service.members.iter().all(|member| member.endpoint.address != address)
        {
            service.add(address, weight, role);
        }
    }

    /// Adds an endpoint. One that is at this address makes way for it.
    pub(super) fn put(&mut self, service: &ServiceName, endpoint: &config::Endpoint) {
        self.leaving.retain(|left| (&left.service, left.address) != (service, endpoint.address));
        let Some(service) = self.services.iter_mut().find(|known| known.name == *service) else { return };
        service.members.retain(|member| member.endpoint.address != endpoint.address);
        service.put(endpoint);
    }

    /// Removes an endpoint, if it is there.
    pub(super) fn withdraw(&mut self, service: &ServiceName, address: SocketAddr, reason: Withdrawal) {
        let Some(known) = self.services.iter_mut().find(|known| known.name == *service) else { return };
        let leaving: Vec<_> =
            known.members.extract_if(.., |member| member.endpoint.address == address).collect();
        for member in &leaving {
            if reason == Withdrawal::Unready {
                member.endpoint.lose_readiness();
            }
            let generation = self.generation + 1;
            self.leaving.push(Leaving { service: service.clone(), address, generation });
        }
    }

    /// Ends the series of endpoints that have no request in flight and get none any more, since every worker works with the
    /// table of `generation_in_force` or a later one.
    pub(super) fn forget_the_gone(&mut self, upstreams: &UpstreamFamily, generation_in_force: u64) {
        self.leaving.retain(|Leaving { service, address, generation }| {
            let address = address.to_string();
            let in_flight = || upstreams.totals(service.as_str(), &address).in_flight;
            let stays = *generation > generation_in_force || in_flight() > 0;
            if !stays {
                upstreams.forget(service.as_str(), &address);
            }
            stays
        });
    }

    /// Where the endpoints of a service listen that were withdrawn and may have requests in flight.
    pub(super) fn leaving(&self, service: &ServiceName) -> impl Iterator<Item = SocketAddr> {
        self.leaving.iter().filter(move |left| left.service == *service).map(|left| left.address)
    }

    pub(super) fn service(&self, name: &ServiceName) -> Option<&ServiceMembers> {
        self.services.iter().find(|service| service.name == *name)
    }

    /// The table that follows.
    pub(super) fn table(&mut self) -> Table {
        let services = self.services.iter_mut().map(ServiceMembers::service).collect();
        Table { generation: self.generation, routes: self.routes.clone(), services, memory: self.memory }
    }
}

impl ServiceMembers {
    fn new(
        name: &ServiceName,
        service: &config::Service,
        upstreams: &UpstreamFamily,
        demand: &watch::Sender<u64>,
    ) -> Self {
        let counters = upstreams.service(name.as_str());
        let mut members = Self {
            name: name.clone(),
            balance: service.balance.clone(),
            protocol: service.protocol,
            keepalive: service.keepalive,
            resilience: service.resilience,
            reports: match &service.source {
                Source::Endpoints { passive_health, .. } | Source::Discovered { passive_health, .. } => {
                    reports(passive_health)
                }
                // The fleet judges them.
                Source::Replicas(_) => Reports::Nothing,
            },
            gate: Gate::of(&service.resilience, counters.clone()),
            hold: service
                .resilience
                .hold
                .map(|hold| Arc::new(Hold::new(hold, counters.clone(), demand.clone()))),
            counters,
            members: Vec::new(),
            mode: Mode::Normal,
        };
        if let Source::Endpoints { endpoints, .. } = &service.source {
            endpoints.iter().for_each(|endpoint| members.put(endpoint));
        }
        members
    }

    fn put(&mut self, endpoint: &config::Endpoint) {
        // The configuration holds weights from 1.
        let weight = Weight::try_from(endpoint.weight).unwrap_or(Weight::ONE);
        self.add(endpoint.address, weight, endpoint.role);
    }

    fn add(&mut self, address: SocketAddr, weight: Weight, role: Role) {
        let (limits, reports) = (self.resilience.limits, self.reports);
        let settings = EndpointSettings { address, weight, role, limits, reports };
        self.members
            .push(Member { endpoint: Arc::new(Endpoint::new(settings)), standing: Standing::Serving });
    }

    /// Its part of a table: those of its endpoints that may get requests.
    fn service(&mut self) -> Service {
        let candidates: Vec<_> = self.members.iter().map(Member::for_selection).collect();
        let selection = selection::select(&candidates, self.resilience.panic_threshold);
        self.enter(selection.mode);
        for member in &self.members {
            match member.standing {
                // In a panic there may be nobody else to get requests.
                Standing::Trial if selection.mode == Mode::Panic => member.endpoint.begin_unbounded_trial(),
                Standing::Trial => member.endpoint.begin_trial(),
                _ => member.endpoint.end_trial(),
            }
        }
        let endpoints = selection.indices.iter().map(|index| self.members[*index].endpoint.clone());
        Service {
            name: self.name.clone(),
            balance: self.balance.clone(),
            protocol: self.protocol,
            keepalive: self.keepalive,
            counters: self.counters.clone(),
            gate: self.gate.clone(),
            hold: self.hold.clone(),
            endpoints: endpoints.collect(),
        }
    }

    fn enter(&mut self, mode: Mode) {
        let service = &self.name;
        match (self.mode, mode) {
            (before, after) if before == after => return,
            (_, Mode::Panic) => {
                tracing::error!(%service, "too many endpoints fail at once to believe it: they get requests nevertheless");
            }
            (_, Mode::Backup) => tracing::warn!(%service, "no primary serves: backups get the requests"),
            (_, Mode::Normal) => tracing::info!(%service, "its primaries serve again"),
        }
        self.counters.set_panic(u8::from(mode == Mode::Panic));
        self.mode = mode;
    }
}

fn reports(passive: &PassiveHealth) -> Reports {
    if passive.max_fails == 0 { Reports::Nothing } else { Reports::Outcomes }
}

impl Member {
    fn for_selection(&self) -> selection::Member {
        let role = match self.endpoint.role {
            Role::Primary => selection::Role::Primary,
            Role::Backup => selection::Role::Backup,
        };
        selection::Member { role, standing: self.standing }
    }
}
