//! The control side: starts the workers, publishes tables, and waits until they are in force.

mod load;
mod members;
mod workers;

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

pub use load::{EndpointLoad, ServiceLoad};
use members::Members;
use phalanx_balance::{
    Weight,
    health::{Event, Standing},
};
use phalanx_config::{Config, Role, ServiceName};
use phalanx_telemetry::{
    connections::ConnectionCounts,
    requests::RequestFamily,
    upstream::{EndpointTotals, UpstreamFamily},
};
use tokio::sync::{mpsc, oneshot, watch};
use tokio_util::sync::CancellationToken;
pub use workers::{StartError, WorkerError, Workers};

use crate::{
    client_places::ClientPlaces,
    discovery::DiscoveryLoop,
    guard::Verification,
    health::{HealthLoop, Order},
    listen::Listeners,
    memory::MemoryLoop,
    table::{Endpoint, Gate, Memory, Table},
    worker::Seat,
};

/// Attempts that wait to be judged; more say nothing new.
const ATTEMPTS_MAX: usize = 1024;
/// Orders that wait to be obeyed.
const ORDERS_MAX: usize = 16;
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
    /// Has it turn requests away when memory runs out; to be run as long as the gateway.
    pub memory: MemoryLoop,
}

/// A handle to a running gateway.
#[derive(Clone)]
pub struct Gateway {
    shared: Arc<Shared>,
}

struct Shared {
    members: Mutex<Members>,
    tables: watch::Sender<Arc<Table>>,
    /// How often a service got its first request that is held.
    demand: watch::Sender<u64>,
    /// The generation that each worker works with.
    applied: Vec<watch::Receiver<u64>>,
    client_places: Arc<ClientPlaces>,
    addresses: Vec<SocketAddr>,
    requests: RequestFamily,
    upstreams: UpstreamFamily,
    orders: mpsc::Sender<Order>,
    stop: CancellationToken,
}

/// Why an endpoint is withdrawn, which decides about the requests that wait for its answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Withdrawal {
    /// It is not ready, and may hang: those that may be sent a second time go to another endpoint, within the retry budget.
    Unready,
    /// It is to stop once it has answered them.
    Stopping,
    /// It has ended, and their connections with it.
    Ended,
}

/// An address that is no endpoint of any service.
#[derive(Debug, thiserror::Error)]
#[error("{address} is no endpoint of any service")]
pub struct UnknownEndpoint {
    /// The address.
    pub address: SocketAddr,
}

/// A gateway at one moment.
#[derive(Clone, Debug)]
pub struct GatewayState {
    /// Where it listens.
    pub listeners: Vec<SocketAddr>,
    /// Worker threads.
    pub workers: usize,
    /// Open client connections.
    pub connections: u64,
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
    /// Starts one worker for each set of listeners; `verification` is what `[auth]` has become.
    ///
    /// Fixed endpoints serve at once; those of a service with replicas come by [`Gateway::admit`], and those that are
    /// discovered as DNS tells of them.
    ///
    /// # Errors
    /// [`StartError`] when a thread cannot be had.
    pub fn start(
        config: &Config,
        verification: Option<&Verification>,
        listeners: Listeners,
        requests: RequestFamily,
        upstreams: UpstreamFamily,
    ) -> Result<Started, StartError> {
        let (demand, _) = watch::channel(0);
        let mut members = Members::new(config, &upstreams, &demand);
        let (tables, _) = watch::channel(Arc::new(members.table()));
        let (attempts, attempts_queue) = mpsc::channel(ATTEMPTS_MAX);
        let (orders, orders_queue) = mpsc::channel(ORDERS_MAX);
        let stop = CancellationToken::new();
        let addresses = listeners.addresses().to_vec();
        let trusted_proxies: Arc<[_]> = config.gateway.trusted_proxies.clone().into();
        let mut workers = Workers::default();
        let count = listeners.per_worker.len();
        let client_places = Arc::new(ClientPlaces::new(config.gateway.max_connections));
        let mut applied = Vec::new();
        for (index, listeners) in listeners.per_worker.into_iter().enumerate() {
            let (applied_sender, applied_receiver) = watch::channel(0);
            applied.push(applied_receiver);
            let seat = Seat {
                index,
                workers: count,
                listeners,
                tables: tables.subscribe(),
                applied: applied_sender,
                client_places: client_places.clone(),
                requests: requests.clone(),
                upstreams: upstreams.clone(),
                attempts: attempts.clone(),
                trusted_proxies: trusted_proxies.clone(),
                verification: verification.cloned(),
                stop: stop.clone(),
                drain_deadline: config.gateway.drain_deadline,
            };
            workers.start(seat)?;
        }
        let members = Mutex::new(members);
        let shared = Shared {
            members,
            tables,
            demand,
            applied,
            client_places,
            addresses,
            requests,
            upstreams,
            orders,
            stop,
        };
        let gateway = Self { shared: Arc::new(shared) };
        let health = HealthLoop::new(config, gateway.clone(), attempts_queue, orders_queue);
        let discovery = DiscoveryLoop::new(config, &gateway);
        let memory = MemoryLoop::new(gateway.clone());
        Ok(Started { gateway, workers, health, discovery, memory })
    }

    /// Lets requests go to `address`; returns when every worker knows. An endpoint that is there already stays as it is.
    pub async fn admit(&self, service: &ServiceName, address: SocketAddr, weight: Weight, role: Role) {
        let generation = self.publish(|members| members.admit(service, address, weight, role));
        self.in_force(generation).await;
    }

    /// Takes `address` out for good; returns when no worker will begin another request to it.
    ///
    /// A request counts as in flight from the moment in which its endpoint is chosen, with no wait of its worker in between, and
    /// a worker says that it has the next table between two such moments. So whatever was chosen by an earlier table is counted
    /// when this returns, the count only falls from there on, and [`Self::drained`] can trust a zero. Idle connections are
    /// closed before a worker says so, and one that is in use is closed when its request ends, before that is counted out: whoever
    /// stops an endpoint that has drained closes nothing that anybody uses.
    pub async fn withdraw(&self, service: &ServiceName, address: SocketAddr, reason: Withdrawal) {
        let generation = self.publish(|members| members.withdraw(service, address, reason));
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
        let generation = self.publish(|members| {
            addresses.iter().for_each(|address| members.withdraw(service, *address, Withdrawal::Stopping));
        });
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

    /// Lets no more requests go to an endpoint at `address`, of whichever service, until [`Self::resume`]; returns when no
    /// worker will begin another. Those in flight go on. A replica is judged by the fleet, which knows nothing of this.
    ///
    /// # Errors
    /// [`UnknownEndpoint`] when there is none.
    pub async fn drain(&self, address: SocketAddr) -> Result<(), UnknownEndpoint> {
        self.order(address, Event::Drain).await
    }

    /// Lets requests go to an endpoint again that was to leave.
    ///
    /// # Errors
    /// [`UnknownEndpoint`] when there is none.
    pub async fn resume(&self, address: SocketAddr) -> Result<(), UnknownEndpoint> {
        self.order(address, Event::Resume).await
    }

    async fn order(&self, address: SocketAddr, event: Event) -> Result<(), UnknownEndpoint> {
        let (obeyed, outcome) = oneshot::channel();
        let order = Order { address, event, obeyed };
        // Where nobody judges any more, there is no endpoint either.
        self.shared.orders.send(order).await.map_err(|_| UnknownEndpoint { address })?;
        let generation = outcome.await.ok().flatten().ok_or(UnknownEndpoint { address })?;
        self.in_force(generation).await;
        Ok(())
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
            workers: self.shared.applied.len(),
            connections: self.connections().open,
            requests_in_flight: self.shared.requests.in_flight(),
            services: members.services.iter().map(|service| service.name.clone()).collect(),
            endpoints: endpoints.collect(),
        }
    }

    /// How many clients are connected, and how many were not let in.
    #[must_use]
    pub fn connections(&self) -> ConnectionCounts {
        self.shared.client_places.counts()
    }

    /// Changes whenever a service gets its first request that is held. It is told as a level: whoever is woken looks at
    /// [`Self::load`].
    #[must_use]
    pub fn demand(&self) -> watch::Receiver<u64> {
        self.shared.demand.subscribe()
    }

    /// Whether requests are turned away because memory runs out.
    #[must_use]
    pub fn is_short_of_memory(&self) -> bool {
        self.members().memory == Memory::Short
    }

    pub(crate) fn set_memory(&self, memory: Memory) {
        self.publish(|members| members.memory = memory);
    }

    /// The endpoints of a service.
    pub(crate) fn endpoints(&self, service: &ServiceName) -> Vec<Arc<Endpoint>> {
        let members = self.members();
        let service = members.service(service);
        service.iter().flat_map(|service| &service.members).map(|member| member.endpoint.clone()).collect()
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

    /// What changes whenever endpoints do.
    pub(crate) fn tables(&self) -> watch::Receiver<Arc<Table>> {
        self.shared.tables.subscribe()
    }

    /// The generation of the newest table.
    pub(crate) fn generation(&self) -> u64 {
        self.members().generation
    }

    /// The gate of a service, if it has one.
    pub(crate) fn gate(&self, service: &ServiceName) -> Option<Arc<Gate>> {
        self.members().service(service).and_then(|service| service.gate.clone())
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
