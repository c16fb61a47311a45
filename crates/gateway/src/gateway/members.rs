//! Every endpoint of every service with how it stands, and the table that follows from it.

use std::{collections::HashMap, sync::Arc};

use phalanx_balance::{Weight, health::Standing};
use phalanx_config::{Balance, Config, ServiceName, Source};

use crate::table::{Endpoint, Routes, Service, Table};

/// All endpoints, those that get no requests included.
pub(super) struct Members {
    pub(super) generation: u64,
    routes: Arc<Routes>,
    pub(super) services: Vec<ServiceMembers>,
}

pub(super) struct ServiceMembers {
    pub(super) name: ServiceName,
    pub(super) balance: Balance,
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
            keepalive: service.keepalive,
            members: match &service.source {
                Source::Endpoints { endpoints, .. } => endpoints.iter().map(Member::new).collect(),
                Source::Replicas(_) => Vec::new(),
            },
        });
        Self {
            generation: 1,
            routes: Arc::new(Routes::new(&config.routes, &indices)),
            services: services.collect(),
        }
    }

    pub(super) fn service(&mut self, name: &ServiceName) -> Option<&mut ServiceMembers> {
        self.services.iter_mut().find(|service| service.name == *name)
    }

    pub(super) fn table(&self) -> Table {
        let services = self.services.iter().map(|service| Service {
            name: service.name.clone(),
            balance: service.balance.clone(),
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
