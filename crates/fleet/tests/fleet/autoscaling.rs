//! Real replicas under an autoscaler, whose load a test makes up.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    time::Instant,
};

use phalanx_config::ServiceName;
use phalanx_fleet::{
    AutoscaleState, Autoscaler, AutoscalerHandle, EndpointLoad, EventKind, FleetHandle, Load, ServiceLoad,
    ServiceState, Standing,
};
use phalanx_scale::host::Host;
use rustix::process::Signal;
use tokio::{sync::watch, task::JoinSet};
use tokio_util::sync::CancellationToken;

use crate::harness::{Running, Setup, example, send, services, within};

/// A machine that limits nothing here.
const LARGE: Host = Host { cpu_milli: 64_000, memory_bytes: None };

/// Load that is made up.
pub(crate) struct Made {
    fleet: FleetHandle,
    /// All requests at a time, spread evenly over the replicas that take requests.
    pub(crate) in_flight: AtomicU64,
    held: AtomicU64,
    asked: AtomicUsize,
    demand: watch::Sender<u64>,
}

struct Shared(Arc<Made>);

impl Load for Shared {
    fn load(&self, service: &ServiceName) -> ServiceLoad {
        let Self(made) = self;
        made.asked.fetch_add(1, Ordering::Relaxed);
        let states = made.fleet.state();
        let state = states.iter().find(|state| state.service == *service).unwrap();
        let ready = state.replicas.iter().filter(|replica| replica.standing == Standing::Ready);
        let addresses: Vec<_> = ready.map(|replica| replica.process.unwrap().address).collect();
        let count = addresses.len() as u64;
        let each = made.in_flight.load(Ordering::Relaxed) / count.max(1);
        let endpoint = |address| EndpointLoad { address, requests: 0, in_flight: each };
        ServiceLoad {
            requests: 0,
            in_flight: each * count,
            waiting: 0,
            held: made.held.load(Ordering::Relaxed),
            endpoints: addresses.into_iter().map(endpoint).collect(),
        }
    }

    fn demand(&self) -> watch::Receiver<u64> {
        self.0.demand.subscribe()
    }
}

/// A fleet with an autoscaler.
pub(crate) struct Scaling {
    pub(crate) running: Running,
    pub(crate) made: Arc<Made>,
    stop: CancellationToken,
    handle: AutoscalerHandle,
    autoscaler: JoinSet<()>,
}

impl Scaling {
    fn run(keys: &str, in_flight: u64) -> Self {
        // Its probe tells soon that a replica stands still, and bears a machine that is busy with something else.
        let keys = format!(
            "command = ['{}']\nprobes.startup = {{ period = '20ms', timeout = '10s', failure = 1000 }}\n\
             probes.readiness = {{ path = '/ready', period = '50ms', timeout = '500ms', failure = 2 }}\n{keys}",
            example("replica").display(),
        );
        Self::of(&keys, in_flight)
    }

    /// The same of a service with these keys.
    pub(crate) fn of(keys: &str, in_flight: u64) -> Self {
        let running = Setup::new(keys).run();
        let made = Arc::new(Made {
            fleet: running.handle.clone(),
            in_flight: AtomicU64::new(in_flight),
            held: AtomicU64::new(0),
            asked: AtomicUsize::new(0),
            demand: watch::Sender::new(0),
        });
        let (name, replicas) = services(keys).remove(0);
        let load = Shared(Arc::clone(&made));
        let autoscaler = Autoscaler::new([(&name, &replicas)], LARGE, running.handle.clone(), load);
        let (stop, handle) = (CancellationToken::new(), autoscaler.handle());
        let mut task = JoinSet::new();
        task.spawn(autoscaler.run(stop.clone()));
        Self { running, made, stop, handle, autoscaler: task }
    }

    /// The service, once it is as wanted.
    async fn service(&self, mut wanted: impl FnMut(&ServiceState) -> bool) -> ServiceState {
        let mut reached = None;
        let level = self.running.handle.wait_until(|services| {
            let is_wanted = wanted(&services[0]);
            if is_wanted {
                reached = Some(services[0].clone());
            }
            is_wanted
        });
        within(level).await.unwrap();
        reached.unwrap()
    }

    /// So many replicas, all of them wanted and taking requests.
    async fn settled(&self, replicas: u32) -> ServiceState {
        self.service(|state| state.desired == replicas && is_settled(state)).await
    }

    /// The decision after so many further ones.
    async fn decisions(&self, count: usize) -> AutoscaleState {
        let (mut seen, mut at): (usize, Option<Instant>) = (0, None);
        let state = self.service(|state| {
            let decided = state.autoscale.as_ref().map(|decided| decided.at);
            seen += usize::from(decided != at);
            at = decided;
            // The first one seen was made before.
            seen > count
        });
        state.await.autoscale.unwrap()
    }

    /// Why the number was changed, each time.
    fn changes(&self) -> Vec<String> {
        let (events, _) = self.running.handle.events(0);
        let changes = events.into_iter().filter(|event| event.kind == EventKind::Autoscaled);
        changes.map(|event| event.reason.to_string()).collect()
    }

    async fn stop(mut self) {
        self.decides_no_more().await;
        self.running.stop().await;
    }

    /// Ends the autoscaler alone.
    pub(crate) async fn decides_no_more(&mut self) {
        self.stop.cancel();
        within(self.autoscaler.join_next()).await.unwrap().unwrap();
    }
}

fn is_settled(state: &ServiceState) -> bool {
    let ready = state.replicas.iter().filter(|replica| replica.standing == Standing::Ready).count();
    state.replicas.len() == ready && u32::try_from(ready) == Ok(state.desired)
}

#[tokio::test]
async fn a_step_in_load_is_followed_by_the_next_decision() {
    let keys = "autoscale = { max = 4, interval = '1s', metrics = [{ in_flight = 10 }] }";
    let scaling = Scaling::run(keys, 0);
    scaling.settled(1).await;
    scaling.decisions(1).await;
    let asked = scaling.made.asked.load(Ordering::Relaxed);
    scaling.made.in_flight.store(35, Ordering::Relaxed);
    let mut asked_then = None;
    scaling
        .service(|state| {
            if state.desired == 4 {
                asked_then.get_or_insert(scaling.made.asked.load(Ordering::Relaxed));
            }
            state.desired == 4 && is_settled(state)
        })
        .await;
    // The one that was perhaps under way, the next one, and one that came before the board was looked at.
    assert!(asked_then.unwrap() - asked <= 3, "{asked} {asked_then:?}");
    let changes = scaling.changes();
    assert_eq!(changes, ["1 → 4: in_flight 35 > 10 asks 4"]);
    scaling.running.log.tells(&["autoscaled", &changes[0]]);
    scaling.stop().await;
}

#[tokio::test]
async fn what_is_not_needed_ends_one_by_one_and_never_below_min() {
    let keys = "replicas = 4\nautoscale = { min = 2, max = 4, interval = '1s', metrics = [{ in_flight = 10 }], \
                scale_down = { stabilization = '1s', policies = [{ replicas = 1, period = '1s' }] } }";
    let scaling = Scaling::run(keys, 0);
    scaling.settled(2).await;
    scaling.decisions(3).await;
    let state = scaling.settled(2).await;
    assert_eq!(state.autoscale.unwrap().desired, 2);
    let numbers: Vec<_> =
        scaling.changes().iter().map(|change| change.split(':').next().unwrap().to_owned()).collect();
    assert_eq!(numbers, ["4 → 3", "3 → 2"]);
    scaling.stop().await;
}

#[tokio::test]
async fn a_replica_that_stands_still_takes_nothing_down() {
    let keys = "replicas = 2\nautoscale = { max = 4, interval = '1s', metrics = [{ in_flight = 10 }], \
                scale_down = { stabilization = '0s' } }";
    let scaling = Scaling::run(keys, 16);
    let state = scaling.settled(2).await;
    scaling.decisions(1).await;
    let process = state.replicas[0].process.unwrap();
    send(process.pid, Signal::STOP);
    scaling.service(|state| state.replicas[0].standing == Standing::NotReady).await;
    // What is left to the other one would do for one, if the one that stands still had nothing to do.
    scaling.made.in_flight.store(4, Ordering::Relaxed);
    let decided = scaling.decisions(3).await;
    assert_eq!(decided.desired, 2, "{}", decided.line);
    scaling.made.in_flight.store(16, Ordering::Relaxed);
    send(process.pid, Signal::CONT);
    scaling.settled(2).await;
    let decided = scaling.decisions(2).await;
    assert_eq!((decided.desired, scaling.changes()), (2, Vec::new()), "{}", decided.line);
    scaling.stop().await;
}

#[tokio::test]
async fn what_processes_use_is_measured() {
    // A program of any kind holds more than a tenth of a mebibyte.
    let keys = "resources = { memory = '100KiB' }\n\
                autoscale = { max = 2, interval = '1s', metrics = [{ memory_percent = 50 }] }";
    let scaling = Scaling::run(keys, 0);
    let state = scaling.settled(2).await;
    let [metric] = &state.autoscale.unwrap().metrics[..] else { panic!("one metric") };
    assert_eq!((&*metric.name, metric.target), ("memory", 50.0));
    assert!(metric.value.is_some_and(|percent| percent > 100.0), "{metric:?}");
    let changes = scaling.changes();
    assert!(changes.len() == 1 && changes[0].starts_with("1 → 2: memory "), "{changes:?}");
    scaling.stop().await;
}

#[tokio::test]
async fn another_policy_is_followed_and_none_at_all() {
    let policy = |keys: &str| services(&format!("command = ['a']\n{keys}")).remove(0);
    let scaling = Scaling::run("replicas = 1", 100);
    scaling.settled(1).await;
    let (name, replicas) = policy("autoscale = { max = 2, interval = '1s', metrics = [{ in_flight = 10 }] }");
    scaling.handle.replace(&name, &replicas);
    scaling.settled(2).await;
    let (name, replicas) = policy("autoscale = { max = 3, interval = '1s', metrics = [{ in_flight = 10 }] }");
    scaling.handle.replace(&name, &replicas);
    scaling.settled(3).await;
    let (name, replicas) = policy("replicas = 1");
    scaling.handle.replace(&name, &replicas);
    // Nobody contradicts what is ordered by hand.
    scaling.running.handle.scale("api", 1).await.unwrap();
    scaling.settled(1).await;
    assert_eq!(scaling.changes().len(), 2, "{:?}", scaling.changes());
    scaling.stop().await;
}

#[tokio::test]
async fn somebody_who_waits_starts_the_first_replica_at_once() {
    // Nothing but the demand can bring about a second decision.
    let keys = "replicas = 0\nautoscale = { min = 0, max = 4, mode = 'fast', interval = '1h' }";
    let scaling = Scaling::run(keys, 0);
    scaling.service(|state| state.autoscale.is_some()).await;
    scaling.made.held.store(1, Ordering::Relaxed);
    scaling.made.demand.send_modify(|demand| *demand += 1);
    scaling.settled(1).await;
    assert_eq!(scaling.changes().len(), 1);
    scaling.stop().await;
}

#[tokio::test]
async fn the_last_replica_ends_when_nobody_has_asked_for_a_while() {
    let keys = "autoscale = { min = 0, max = 4, mode = 'fast', interval = '1s', stable_window = '6s', panic_window = '1s', \
                scale_to_zero_after = '6s' }";
    let scaling = Scaling::run(keys, 1);
    scaling.settled(1).await;
    // As long as there is a request, it stays.
    let decided = scaling.decisions(8).await;
    assert_eq!(decided.desired, 1, "{}", decided.line);
    scaling.stop().await;

    let scaling = Scaling::run(keys, 0);
    scaling.settled(1).await;
    scaling.settled(0).await;
    assert_eq!(scaling.changes(), ["1 → 0: in_flight 0/100 asks 0, lately 0/100 asks 0"]);
    scaling.stop().await;
}
