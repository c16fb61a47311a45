//! The control side: starts the workers, publishes tables, and waits until they are in force.

mod members;
mod workers;

use std::{
    net::SocketAddr,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use members::Members;
use phalanx_balance::{Weight, health::Standing};
use phalanx_config::{Config, Role, ServiceName};
use phalanx_telemetry::{
    requests::RequestFamily,
    upstream::{EndpointTotals, UpstreamFamily},
};
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;
pub use workers::{StartError, WorkerError, Workers};

use crate::{
    discovery::DiscoveryLoop,
    health::HealthLoop,
    listen::Listeners,
    table::{Endpoint, Table},
    worker::Seat,
};

/// Failed attempts that wait to be judged; more say nothing new.
const FAILED_ATTEMPTS_MAX: usize = 1024;
/// How often an endpoint that drains is looked at: to be told would cost every request a wake-up.
const DRAIN_POLL: Duration = Duration::from_millis(5);

/// A gateway that runs.
pub struct Started {
    /// What changes it and tells about it.
    pub gateway: Gateway,
    /// Its threads.
    pub workers: Workers,
    /// Judges its fixed endpoints; to be run as long as the gateway.
    pub health: HealthLoop,
    /// Finds the endpoints of services that are discovered; to be run as long as the gateway.
    pub discovery: DiscoveryLoop,
}

/// A handle to a running gateway.
#[derive(Clone)]
pub struct Gateway {
    shared: Arc<Shared>,
}

struct Shared {
    members: Mutex<Members>,
    tables: watch::Sender<Arc<Table>>,
    /// The generation that each worker works with.
    applied: Vec<watch::Receiver<u64>>,
    connections: Vec<Arc<AtomicUsize>>,
    addresses: Vec<SocketAddr>,
    requests: RequestFamily,
    upstreams: UpstreamFamily,
    stop: CancellationToken,
}

/// A gateway at one moment.
#[derive(Clone, Debug)]
pub struct GatewayState {
    /// Where it listens.
    pub listeners: Vec<SocketAddr>,
    /// Worker threads.
    pub workers: usize,
    /// Open client connections.
    pub connections: usize,
    /// Requests begun and not ended.
    pub requests_in_flight: i64,
    /// Every service, in the order of their names.
    pub services: Vec<ServiceName>,
    /// Every endpoint of every service.
    pub endpoints: Vec<EndpointState>,
}

/// An endpoint at one moment.
#[derive(Clone, Debug)]
pub struct EndpointState {
    /// Its service.
    pub service: ServiceName,
    /// Where it listens.
    pub address: SocketAddr,
    /// Its share.
    pub weight: u16,
    /// Whether it gets requests as long as another does.
    pub role: Role,
    /// Whether it gets requests.
    pub standing: Standing,
    /// What was counted of it.
    pub totals: EndpointTotals,
}

impl Gateway {
    /// Starts one worker for each set of listeners.
    ///
    /// Fixed endpoints serve at once; those of a service with replicas come by [`Gateway::admit`], and those that are
    /// discovered as DNS tells of them.
    ///
    /// # Errors
    /// [`StartError`] when a thread cannot be had.
    pub fn start(
        config: &Config,
        listeners: Listeners,
        requests: RequestFamily,
        upstreams: UpstreamFamily,
    ) -> Result<Started, StartError> {
        let members = Members::new(config);
        let (tables, _) = watch::channel(Arc::new(members.table()));
        let (failed_attempts, failed_attempts_queue) = mpsc::channel(FAILED_ATTEMPTS_MAX);
        let stop = CancellationToken::new();
        let addresses = listeners.addresses().to_vec();
        let mut workers = Workers::default();
        let (mut applied, mut connections) = (Vec::new(), Vec::new());
        for (index, listeners) in listeners.per_worker.into_iter().enumerate() {
            let (applied_sender, applied_receiver) = watch::channel(0);
            applied.push(applied_receiver);
            connections.push(Arc::new(AtomicUsize::new(0)));
            let seat = Seat {
                index,
                listeners,
                tables: tables.subscribe(),
                applied: applied_sender,
                connections: connections[index].clone(),
                requests: requests.clone(),
                upstreams: upstreams.clone(),
                failed_attempts: failed_attempts.clone(),
                stop: stop.clone(),
                drain_deadline: config.gateway.drain_deadline,
            };
            workers.start(seat)?;
        }
        let members = Mutex::new(members);
        let shared = Shared { members, tables, applied, connections, addresses, requests, upstreams, stop };
        let gateway = Self { shared: Arc::new(shared) };
        let health = HealthLoop::new(config, gateway.clone(), failed_attempts_queue);
        let discovery = DiscoveryLoop::new(config, &gateway);
        Ok(Started { gateway, workers, health, discovery })
    }

    /// Lets requests go to `address`; returns when every worker knows. An endpoint that is there already stays as it is.
    pub async fn admit(&self, service: &ServiceName, address: SocketAddr, weight: Weight) {
        let generation = self.publish(|members| members.admit(service, address, weight));
        self.in_force(generation).await;
    }

    /// Takes `address` out for good; returns when no worker will begin another request to it.
    pub async fn withdraw(&self, service: &ServiceName, address: SocketAddr) {
        let generation = self.publish(|members| members.withdraw(service, address));
        self.in_force(generation).await;
    }

    /// Lets requests go to these endpoints; returns when every worker knows. One that is at the same
    /// address makes way.
    pub(crate) async fn admit_all(&self, service: &ServiceName, endpoints: &[phalanx_config::Endpoint]) {
        let generation =
            self.publish(|members| endpoints.iter().for_each(|endpoint| members.put(service, endpoint)));
        self.in_force(generation).await;
    }

    /// Takes these addresses out for good; returns when no worker will begin another request to them.
    pub(crate) async fn withdraw_all(&self, service: &ServiceName, addresses: &[SocketAddr]) {
        let generation =
            self.publish(|members| addresses.iter().for_each(|address| members.withdraw(service, *address)));
        self.in_force(generation).await;
    }

    /// Ends the series of endpoints that were withdrawn and have no request in flight any more.
    pub(crate) fn forget_the_gone(&self) {
        self.members().forget_the_gone(&self.shared.upstreams, self.generation_in_force());
    }

    /// Returns when no request is in flight to an endpoint that was withdrawn; its series end with that.
    pub async fn drained(&self, service: &ServiceName, address: SocketAddr) {
        let upstreams = &self.shared.upstreams;
        let endpoint = address.to_string();
        while upstreams.totals(service.as_str(), &endpoint).in_flight > 0 {
            tokio::time::sleep(DRAIN_POLL).await;
        }
        self.forget_the_gone();
    }

    /// Stops accepting and begins to drain; [`Workers::ended`] tells when that is done.
    pub fn stop(&self) {
        self.shared.stop.cancel();
    }

    /// The gateway at this moment.
    #[must_use]
    pub fn state(&self) -> GatewayState {
        let members = self.members();
        let endpoints = members.services.iter().flat_map(|service| {
            service.members.iter().map(|member| EndpointState {
                service: service.name.clone(),
                address: member.endpoint.address,
                weight: member.endpoint.weight.get(),
                role: member.endpoint.role,
                standing: member.standing,
                totals: self
                    .shared
                    .upstreams
                    .totals(service.name.as_str(), &member.endpoint.address.to_string()),
            })
        });
        GatewayState {
            listeners: self.shared.addresses.clone(),
            workers: self.shared.connections.len(),
            connections: self.shared.connections.iter().map(|count| count.load(Ordering::Relaxed)).sum(),
            requests_in_flight: self.shared.requests.in_flight(),
            services: members.services.iter().map(|service| service.name.clone()).collect(),
            endpoints: endpoints.collect(),
        }
    }

    /// The endpoints of a service with how they stand.
    pub(crate) fn endpoints(&self, service: &ServiceName) -> Vec<(Arc<Endpoint>, Standing)> {
        self.members()
            .service(service)
            .map(|service| {
                service.members.iter().map(|member| (member.endpoint.clone(), member.standing)).collect()
            })
            .unwrap_or_default()
    }

    /// Lets an endpoint get requests, or not.
    pub(crate) fn set_standing(&self, endpoint: &Arc<Endpoint>, standing: Standing) {
        self.publish(|members| {
            let all = members.services.iter_mut().flat_map(|service| &mut service.members);
            for member in all.filter(|member| Arc::ptr_eq(&member.endpoint, endpoint)) {
                member.standing = standing;
            }
        });
    }

    pub(crate) fn upstreams(&self) -> &UpstreamFamily {
        &self.shared.upstreams
    }

    fn members(&self) -> MutexGuard<'_, Members> {
        // A change either happens or does not: a panic elsewhere leaves the members whole.
        self.shared.members.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes the members and publishes the table that follows; its generation.
    fn publish(&self, change: impl FnOnce(&mut Members)) -> u64 {
        let mut members = self.members();
        members.forget_the_gone(&self.shared.upstreams, self.generation_in_force());
        change(&mut members);
        members.generation += 1;
        // Under the lock: tables are published in the order of their generations.
        self.shared.tables.send_replace(Arc::new(members.table()));
        members.generation
    }

    /// Every worker works with this table or a later one.
    fn generation_in_force(&self) -> u64 {
        self.shared.applied.iter().map(|applied| *applied.borrow()).min().unwrap_or_default()
    }

    async fn in_force(&self, generation: u64) {
        for applied in &self.shared.applied {
            // A worker that has ended sends no requests either.
            let _ = applied.clone().wait_for(|applied| *applied >= generation).await;
        }
    }
}
