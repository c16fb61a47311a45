//! All replicas of all services, from the first start to the last end.
//!
//! Invariant: no replica outlives [`Fleet::run`], nor the thread that polls it.
//! Elsewhere: the life of one replica (`crate::life`, `crate::replica`). Which replicas there are, and from which
//! [`Template`], is laid down here once; a rollout or an autoscaler changes it by starting and stopping replicas in the loop of
//! [`Fleet::run`], each of which has a stop of its own.

use std::{collections::HashMap, num::NonZeroUsize, sync::Arc, thread, time::Duration};

use phalanx_config::{Replicas, ServiceName};
use tokio::{
    sync::{Semaphore, mpsc, watch},
    task::JoinSet,
    time::{MissedTickBehavior, interval},
};
use tokio_util::sync::CancellationToken;

use crate::{
    balancer::Balancer,
    cgroup::Limits,
    life::Rules,
    output::{OutputLine, OutputRecord, Outputs},
    ports::Ports,
    process::Groups,
    replica::{Ending, Replica, Stops, Surroundings},
    state::{Board, ServiceState},
    usage::{Measured, Meter, Usage},
};

/// Programs that boot are busy computing; more of them than this per core only slow each other down.
const STARTS_PER_CORE: usize = 2;

/// How often replicas are measured for those who merely look, as often as a kubelet does.
const MEASURE_PERIOD: Duration = Duration::from_secs(15);

/// How a fleet behaves, beyond what its services say.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    /// How long a replica that stops may keep the requests it has, before TERM.
    pub drain_deadline: Duration,
    /// How many replicas may boot at once. One that takes more than 5 s is not counted any longer.
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

/// What the replicas of a service are started from.
pub(crate) struct Template {
    pub(crate) replicas: Replicas,
    pub(crate) rules: Arc<Rules>,
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
    services: Vec<(ServiceName, Arc<Template>)>,
    surroundings: Arc<Surroundings<B>>,
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
        let services: Vec<_> = services
            .into_iter()
            .map(|(name, replicas)| (name, Arc::new(Template::new(replicas, settings))))
            .collect();
        let limits = Limits::of(services.iter().map(|(service, template)| (service, &template.replicas)));
        let states = services.iter().map(|(service, template)| ServiceState {
            service: service.clone(),
            desired: template.replicas.replicas,
            limits: limits.state_of(&template.replicas),
            replicas: Vec::new(),
        });
        let surroundings = Surroundings {
            balancer,
            board: Board::new(states.collect()),
            limits,
            groups: Arc::default(),
            meter: Arc::default(),
            outputs: Arc::new(Outputs::new(output)),
            places: Arc::new(Semaphore::new(settings.starts_max.get())),
            ports: Arc::new(Ports::of_this_machine()),
        };
        Self { services, surroundings: Arc::new(surroundings), stop_now: CancellationToken::new() }
    }

    /// A handle to watch the fleet with, and to stop it at once.
    #[must_use]
    pub fn handle(&self) -> FleetHandle {
        FleetHandle {
            board: self.surroundings.board.subscribe(),
            groups: Arc::clone(&self.surroundings.groups),
            meter: Arc::clone(&self.surroundings.meter),
            outputs: Arc::clone(&self.surroundings.outputs),
            stop_now: self.stop_now.clone(),
        }
    }

    /// Starts the replicas and keeps them running until `stop`, then stops them in order: each leaves the balancer, drains,
    /// gets TERM, and after its grace KILL. Returns when the last one has ended.
    ///
    /// To be polled on the thread that ends last in this process, by a `current_thread` runtime: the kernel kills a replica
    /// when the thread that started it ends. Dropped before it returns, it kills all replicas.
    pub async fn run(self, stop: CancellationToken) -> Outcome {
        let mut replicas = JoinSet::new();
        for (service, template) in &self.services {
            for ordinal in 1..=template.replicas.replicas {
                let (template, surroundings) = (Arc::clone(template), Arc::clone(&self.surroundings));
                let stops = Stops { stop: stop.child_token(), stop_now: self.stop_now.clone() };
                replicas.spawn(Replica::new(service.clone(), ordinal, template, surroundings, stops).live());
            }
        }
        let mut outcome = Outcome::default();
        while let Some(ended) = replicas.join_next().await {
            match ended {
                Ok(Ending::Orderly) => outcome.orderly += 1,
                Ok(Ending::Forced) => outcome.forced += 1,
                // Its process was killed as its task unwound; the other replicas are worth going on for.
                Err(error) => {
                    tracing::error!(%error, "a replica is lost to a fault in phalanx");
                    outcome.forced += 1;
                }
            }
        }
        outcome
    }
}

impl Template {
    fn new(replicas: Replicas, settings: Settings) -> Self {
        let rules = Rules {
            startup: replicas.startup.clone(),
            readiness: replicas.readiness.clone(),
            liveness: replicas.liveness.clone(),
            drain_deadline: settings.drain_deadline,
            shutdown_grace: replicas.shutdown_grace,
            back_off: replicas.back_off,
        };
        Self { replicas, rules: Arc::new(rules) }
    }
}

/// The fleet has ended, and what was waited for will not come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the fleet has ended")]
pub struct FleetEnded;

/// Watches a fleet, and stops it at once.
#[derive(Clone, Debug)]
pub struct FleetHandle {
    board: watch::Receiver<Vec<ServiceState>>,
    groups: Arc<Groups>,
    meter: Arc<Meter>,
    outputs: Arc<Outputs>,
    stop_now: CancellationToken,
}

impl FleetHandle {
    /// Every service and its replicas.
    #[must_use]
    pub fn state(&self) -> Vec<ServiceState> {
        self.board.borrow().clone()
    }

    /// Measures every replica that has a process, by instance; one that could not be measured is missing. Reads files on a
    /// thread for such work.
    pub async fn measure(&self) -> HashMap<Arc<str>, Usage> {
        let replicas = self.state().into_iter().flat_map(|service| service.replicas);
        let running = replicas.filter_map(|replica| Some((replica.instance, replica.process?.pid)));
        self.meter.measure(running.collect()).await
    }

    /// Measures regularly, so that [`Self::measured`] has something to tell, until `stop`.
    pub async fn keep_measuring(&self, stop: CancellationToken) {
        let mut ticks = interval(MEASURE_PERIOD);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                _ = ticks.tick() => {}
            }
            self.measure().await;
        }
    }

    /// What a replica used at the last sample of the fleet, if it was measured.
    #[must_use]
    pub fn measured(&self, instance: &str) -> Option<Measured> {
        self.meter.measured(instance)
    }

    /// The last lines that a replica printed, oldest first, over its restarts: at most 500 and 256 KiB. None where there is no
    /// such replica.
    #[must_use]
    pub fn output(&self, instance: &str) -> Vec<OutputRecord> {
        self.outputs.records(instance)
    }

    /// Lines of a replica that were dropped since it has been there: more than it may print, or more than were taken.
    #[must_use]
    pub fn dropped_lines(&self, instance: &str) -> u64 {
        self.outputs.dropped_lines(instance)
    }

    /// Waits until the fleet is in a state that `level` is content with.
    ///
    /// # Errors
    /// When the fleet has ended and was not.
    pub async fn wait_until(&self, mut level: impl FnMut(&[ServiceState]) -> bool) -> Result<(), FleetEnded> {
        let reached = self.board.clone().wait_for(|services| level(services)).await.map(|_| ());
        reached.map_err(|_| FleetEnded)
    }

    /// Waits until every replica that should be there takes requests.
    ///
    /// # Errors
    /// When the fleet has ended before.
    pub async fn all_ready(&self) -> Result<(), FleetEnded> {
        self.wait_until(|services| services.iter().all(ServiceState::is_complete)).await
    }

    /// KILL to every process of every replica, in this call; nothing is started afterwards, and [`Fleet::run`] returns soon.
    pub fn stop_now(&self) {
        // First, or a replica whose process is seen to end would be taken for one that crashed.
        self.stop_now.cancel();
        self.groups.kill_all();
    }
}
