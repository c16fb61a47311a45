//! Every endpoint of every service with how it stands, and the table that follows from it.

use std::{collections::HashMap, net::SocketAddr, sync::Arc};

use phalanx_balance::{Weight, health::Standing};
use phalanx_config::{Balance, Config, Protocol, ServiceName, Source};
use phalanx_telemetry::upstream::UpstreamFamily;

use crate::table::{Endpoint, Routes, Service, Table};

/// All endpoints, those that get no requests included.
pub(super) struct Members {
    pub(super) generation: u64,
    routes: Arc<Routes>,
    pub(super) services: Vec<ServiceMembers>,
    /// Endpoints that were withdrawn, until the last request to them has ended: so long they have series.
    leaving: Vec<Leaving>,
}

struct Leaving {
    service: ServiceName,
    address: SocketAddr,
    /// Of the first table without it.
    generation: u64,
}

pub(super) struct ServiceMembers {
    pub(super) name: ServiceName,
    pub(super) balance: Balance,
    protocol: Protocol,
    keepalive: usize,
    pub(super) members: Vec<Member>,
}

pub(super) struct Member {
    pub(super) endpoint: Arc<Endpoint>,
    pub(super) standing: Standing,
}

impl Members {
    pub(super) fn new(config: &Config) -> Self {
        let indices: HashMap<ServiceName, usize> = config.services.keys().cloned().zip(0..).collect();
        let services = config.services.iter().map(|(name, service)| ServiceMembers {
            name: name.clone(),
            balance: service.balance.clone(),
            protocol: service.protocol,
            keepalive: service.keepalive,
            members: match &service.source {
                Source::Endpoints { endpoints, .. } => endpoints.iter().map(Member::new).collect(),
                Source::Replicas(_) | Source::Discovered { .. } => Vec::new(),
            },
        });
        Self {
            generation: 1,
            routes: Arc::new(Routes::new(&config.routes, &indices)),
            services: services.collect(),
            leaving: Vec::new(),
        }
    }

    /// Adds an endpoint, unless there is one at this address.
    pub(super) fn admit(&mut self, service: &ServiceName, address: SocketAddr, weight: Weight) {
        // Whoever is back is counted where it left off.
        self.leaving.retain(|left| (&left.service, left.address) != (service, address));
        let Some(service) = self.services.iter_mut().find(|known| known.name == *service) else { return };
        if service.members.iter().all(|member| member.endpoint.address != address) {
            let endpoint = Arc::new(Endpoint::new(address, weight));
            service.members.push(Member { endpoint, standing: Standing::Serving });
        }
    }

    /// Removes an endpoint, if it is there.
    pub(super) fn withdraw(&mut self, service: &ServiceName, address: SocketAddr) {
        let Some(known) = self.services.iter_mut().find(|known| known.name == *service) else { return };
        let before = known.members.len();
        known.members.retain(|member| member.endpoint.address != address);
        if known.members.len() < before {
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

    pub(super) fn service(&self, name: &ServiceName) -> Option<&ServiceMembers> {
        self.services.iter().find(|service| service.name == *name)
    }

    pub(super) fn table(&self) -> Table {
        let services = self.services.iter().map(|service| Service {
            name: service.name.clone(),
            balance: service.balance.clone(),
            protocol: service.protocol,
            keepalive: service.keepalive,
            endpoints: service
                .members
                .iter()
                .filter(|member| member.standing == Standing::Serving)
                .map(|member| member.endpoint.clone())
                .collect(),
        });
        Table { generation: self.generation, routes: self.routes.clone(), services: services.collect() }
    }
}

impl Member {
    fn new(endpoint: &phalanx_config::Endpoint) -> Self {
        // The configuration holds weights from 1.
        let weight = Weight::try_from(endpoint.weight).unwrap_or(Weight::ONE);
        Self { endpoint: Arc::new(Endpoint::new(endpoint.address, weight)), standing: Standing::Serving }
    }
}
