//! All replicas of all services, from the first start to the last end.
//!
//! Invariant: no replica outlives [`Fleet::run`], nor the thread that polls it.
//! Elsewhere: the loop (`crate::manager`), which brings each service further (`crate::service`); the life of one replica
//! (`crate::life`, `crate::replica`); what others do with a fleet (`crate::handle`).

use std::{num::NonZeroUsize, sync::Arc, thread, time::Duration};

use phalanx_config::{Replicas, ServiceName};
use phalanx_telemetry::clock;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::{
    balancer::Balancer,
    cgroup::Limits,
    crew::Crew,
    dependencies::Dependencies,
    events::EventLog,
    handle::FleetHandle,
    manager::Manager,
    orders::{ORDERS_QUEUED_MAX, Order},
    output::{OutputLine, Outputs},
    places::Places,
    ports::Ports,
    replica::Surroundings,
    service::Service,
    state::{Board, ServiceState},
};

/// Programs that boot are busy computing; more of them than this per core only slow each other down.
const STARTS_PER_CORE: usize = 2;

/// How a fleet behaves, beyond what its services say.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    /// How long a replica that stops may keep the requests it has, before TERM.
    pub drain_deadline: Duration,
    /// How many replicas may boot at once. One that takes more than 5 s is not counted any longer, and those that did not come up the
    /// last time are counted by themselves.
    pub starts_max: NonZeroUsize,
}

impl Settings {
    /// As many starts at once as this machine has use for.
    #[must_use]
    pub fn new(drain_deadline: Duration) -> Self {
        let cores = thread::available_parallelism().unwrap_or(NonZeroUsize::MIN);
        let starts_max = cores.saturating_mul(NonZeroUsize::MIN.saturating_add(STARTS_PER_CORE - 1));
        Self { drain_deadline, starts_max }
    }
}

/// How many replicas there were at the end, and how they ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Outcome {
    /// By TERM, without a request in flight.
    pub orderly: u32,
    /// By KILL, or with requests in flight.
    pub forced: u32,
}

/// All replicas of all services. Nothing is started before [`Fleet::run`].
pub struct Fleet<B> {
    services: Vec<(ServiceName, Replicas)>,
    settings: Settings,
    surroundings: Arc<Surroundings<B>>,
    orders: (mpsc::Sender<Order>, mpsc::Receiver<Order>),
    stop_now: CancellationToken,
}

impl<B: Balancer> Fleet<B> {
    /// A fleet of these services. What the replicas print goes to `output`, see [`crate::output_queue`].
    pub fn new(
        services: impl IntoIterator<Item = (ServiceName, Replicas)>,
        settings: Settings,
        balancer: Arc<B>,
        output: mpsc::Sender<OutputLine>,
    ) -> Self {
        let services: Vec<_> = services.into_iter().collect();
        let limits = Limits::of(services.iter().map(|(service, replicas)| (service, replicas)));
        let states = services
            .iter()
            .map(|(service, replicas)| ServiceState::before(service, replicas, limits.state_of(replicas)));
        let surroundings = Surroundings {
            balancer,
            board: Board::new(states.collect()),
            limits,
            events: Arc::new(EventLog::new()),
            groups: Arc::default(),
            meter: Arc::default(),
            outputs: Arc::new(Outputs::new(output)),
            places: Places::new(settings.starts_max),
            ports: Arc::new(Ports::of_this_machine()),
        };
        let (surroundings, orders) = (Arc::new(surroundings), mpsc::channel(ORDERS_QUEUED_MAX));
        Self { services, settings, surroundings, orders, stop_now: CancellationToken::new() }
    }

    #[cfg(test)]
    pub(crate) fn surroundings(&self) -> Arc<Surroundings<B>> {
        Arc::clone(&self.surroundings)
    }

    /// A handle to watch the fleet with, to give it orders, and to stop it at once.
    #[must_use]
    pub fn handle(&self) -> FleetHandle {
        FleetHandle {
            board: self.surroundings.board.subscribe(),
            orders: self.orders.0.clone(),
            events: Arc::clone(&self.surroundings.events),
            groups: Arc::clone(&self.surroundings.groups),
            meter: Arc::clone(&self.surroundings.meter),
            outputs: Arc::clone(&self.surroundings.outputs),
            ports: Arc::clone(&self.surroundings.ports),
            stop_now: self.stop_now.clone(),
        }
    }

    /// Starts the replicas and keeps them running until `stop`, then stops them in order: each leaves the balancer, drains,
    /// gets TERM, and after its grace KILL; services before those that they depend on. Returns when the last one has ended.
    ///
    /// To be polled on the thread that ends last in this process, by a `current_thread` runtime: the kernel kills a replica
    /// when the thread that started it ends. Dropped before it returns, it kills all replicas.
    pub async fn run(self, stop: CancellationToken) -> Outcome {
        let Self { services, settings, surroundings, orders: (_, orders), stop_now } = self;
        let _closing = Closing(Arc::clone(&surroundings.events));
        let dependencies = Dependencies::new(&services);
        let now = clock::now();
        let services = services.into_iter().enumerate();
        let services =
            services.map(|(index, (name, replicas))| Service::new(index, name, replicas, settings, now));
        let manager = Manager {
            services: services.collect(),
            dependencies,
            board: surroundings.board.subscribe(),
            orders,
            stop_now: stop_now.clone(),
            crew: Crew::new(surroundings, stop_now),
        };
        manager.run(stop).await
    }
}

/// Closes the events as it goes, however the fleet ends.
struct Closing(Arc<EventLog>);

impl Drop for Closing {
    fn drop(&mut self) {
        self.0.close();
    }
}
