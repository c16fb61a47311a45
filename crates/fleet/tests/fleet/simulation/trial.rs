//! One trial: does what its seed says, and holds what becomes of it against what has to be.

use std::{
    collections::{BTreeMap, BTreeSet},
    io,
    net::SocketAddr,
    path::PathBuf,
    sync::atomic::Ordering,
    thread,
};

use phalanx_fleet::{OrderError, OrderOutcome, RolloutStatus, ServiceState};
use rustix::{
    io::Errno,
    process::{Pid, Signal, kill_process},
};
use tempfile::TempDir;
use tokio::time::sleep;

use super::{
    processes::{Process, groups_in},
    program::{MAX_SURGE, Program},
    step::Step,
};
use crate::{
    autoscaling::Scaling,
    harness::{eventually, replicas, within},
    recorder::Asked,
};

/// An autoscaler that decides as often as one may, and takes back as soon as one may.
const AUTOSCALE: &str = "[service.api.autoscale]\nmode = 'fast'\nmax = 5\ninterval = '1s'\nstable_window = '6s'\npanic_window = '1s'\n\
                         metrics = [{ in_flight = 10 }]\n";

pub(super) struct Trial {
    random: fastrand::Rng,
    home: TempDir,
    scaling: Scaling,
    /// Every process that the fleet has shown.
    seen: BTreeSet<Process>,
    /// Those that have got STOP.
    held: BTreeSet<Process>,
    /// Replicas at the last look.
    replicas: u32,
    steps: Vec<Step>,
}

impl Trial {
    pub(super) async fn begin(seed: u64) -> Self {
        let mut random = fastrand::Rng::with_seed(seed);
        let home = tempfile::tempdir().unwrap();
        let on_stall = *random.choice(&["hold", "roll_back"]).unwrap();
        let keys = Program::Sound.keys(&home.path().canonicalize().unwrap(), on_stall) + "replicas = 2\n";
        // Without it, what was ordered stays.
        let is_autoscaled = random.bool();
        let scaling = Scaling::of(&(keys + if is_autoscaled { AUTOSCALE } else { "" }), 0);
        within(scaling.running.handle.all_ready()).await.unwrap();
        Self {
            random,
            home,
            scaling,
            seen: BTreeSet::new(),
            held: BTreeSet::new(),
            replicas: 2,
            steps: Vec::new(),
        }
    }

    /// The next step, and a look at what has become of everything.
    pub(super) async fn goes_on(&mut self) {
        let step = Step::choose(&mut self.random);
        println!("  {step:?}");
        self.steps.push(step.clone());
        self.take(step).await;
        self.look().await;
    }

    /// Stops the fleet; nothing may be left of it.
    pub(super) async fn ends(mut self) {
        let folder = self.folder();
        self.scaling.decides_no_more().await;
        self.scaling.running.stop.cancel();
        self.scaling.running.outcome().await;
        let left: Vec<_> = self.seen.iter().filter(|process| process.is_there()).collect();
        assert!(left.is_empty(), "left or not reaped: {left:?}");
        let groups = groups_in(&folder);
        assert!(groups.is_empty(), "left running: {groups:?}");
        assert_eq!(self.scaling.running.handle.ports_taken(), 0);
        assert_eq!(self.admitted(), BTreeSet::new());
        let log = self.scaling.running.log.text();
        assert!(!log.contains("lost to a fault"), "{log}");
    }

    async fn take(&mut self, step: Step) {
        let handle = self.scaling.running.handle.clone();
        let taken = match step {
            Step::Scale(replicas) => handle.scale("api", replicas).await,
            Step::Load(in_flight) => {
                return self.scaling.made.in_flight.store(in_flight, Ordering::Relaxed);
            }
            Step::Restart => handle.restart("api").await,
            Step::Undo => handle.undo("api", None).await,
            Step::RollTo(program) => handle.roll_to("api", self.template(program)).await,
            Step::Pause => handle.pause("api").await,
            Step::Resume => handle.resume("api").await,
            Step::Kill(which) => return self.signal(which, Signal::KILL),
            Step::Hold(which) => return self.signal(which, Signal::STOP),
            Step::Release => return self.release(),
            Step::Pass(time) => return sleep(time).await,
            Step::Settle => return self.settle().await,
        };
        match taken {
            Ok(_) | Err(OrderError::Paused | OrderError::NoEarlierRevision) => {}
            Err(error) => panic!("{error} after {:?}", self.steps),
        }
    }

    fn template(&mut self, program: Program) -> Box<phalanx_config::Replicas> {
        let on_stall = *self.random.choice(&["hold", "roll_back"]).unwrap();
        replicas(&program.keys(&self.folder(), on_stall))
    }

    /// To the process of a replica, if any has one.
    fn signal(&mut self, which: usize, signal: Signal) {
        let pids: Vec<_> =
            self.state().replicas.iter().filter_map(|replica| Some(replica.process?.pid)).collect();
        let Some(process) = pids.get(which % pids.len().max(1)).and_then(|pid| Process::of(*pid)) else {
            return;
        };
        send(process, signal);
        if signal == Signal::STOP {
            self.held.insert(process);
        }
    }

    fn release(&mut self) {
        for process in std::mem::take(&mut self.held) {
            send(process, Signal::CONT);
        }
    }

    /// What was told last, or a program that lasts where that does not; then everything has to be as it should be.
    async fn settle(&mut self) {
        self.release();
        let handle = self.scaling.running.handle.clone();
        handle.resume("api").await.unwrap();
        let program = *self.random.choice(&Program::LASTING).unwrap();
        let template = self.template(program);
        let accepted = handle.roll_to("api", template).await.unwrap();
        let outcome = within(handle.outcome(&accepted)).await.unwrap();
        // On a machine that is busy with something else, a start may take longer than a rollout waits for it.
        if !matches!(outcome, OrderOutcome::Complete) {
            println!("    {outcome:?}");
        }
        let is_settled = |state: &ServiceState| {
            state.rollout.status == RolloutStatus::Complete
                && u32::try_from(state.replicas.len()) == Ok(state.desired)
                && state.is_complete()
        };
        within(handle.wait_until(|services| is_settled(&services[0]))).await.unwrap();
        eventually(|| self.is_as_shown(&is_settled)).await;
    }

    /// Whether a fleet at rest is what it shows: its replicas, their processes, their ports, and the balancer.
    fn is_as_shown(&self, is_settled: &impl Fn(&ServiceState) -> bool) -> bool {
        let state = self.state();
        let processes: Vec<_> = state.replicas.iter().filter_map(|replica| replica.process).collect();
        let pids: BTreeSet<_> = processes.iter().map(|process| process.pid).collect();
        let addresses: BTreeSet<_> = processes.iter().map(|process| process.address).collect();
        let groups: BTreeSet<_> = groups_in(&self.folder()).into_keys().collect();
        is_settled(&state)
            && groups == pids
            && self.scaling.running.handle.ports_taken() == pids.len()
            && self.admitted() == addresses
    }

    /// Everything that has to hold at any time.
    async fn look(&mut self) {
        let state = self.state();
        let total = state.rollout.total;
        assert!(
            total <= (state.desired + MAX_SURGE).max(self.replicas),
            "{total} replicas, and there should be {}: {:?} after {:?}",
            state.desired,
            state.rollout,
            self.steps
        );
        self.replicas = total;
        let mut pids = BTreeMap::new();
        let mut names = BTreeSet::new();
        for replica in &state.replicas {
            assert!(names.insert(&replica.instance), "two of one name: {:?}", state.replicas);
            if let Some(process) = replica.process {
                pids.insert(process.pid, replica.standing);
            }
        }
        self.seen.extend(pids.keys().filter_map(|pid| Process::of(*pid)));
        let groups = groups_in(&self.folder());
        let strays: Vec<Process> = groups
            .iter()
            .filter(|(group, _)| !pids.contains_key(group))
            .flat_map(|(_, of)| of)
            .copied()
            .collect();
        eventually(|| strays.iter().all(|stray| self.is_explained(*stray))).await;
        let ended: Vec<_> =
            self.seen.iter().filter(|process| !pids.contains_key(&process.pid)).copied().collect();
        eventually(|| ended.iter().all(|process| self.is_explained(*process))).await;
        let gone: Vec<u32> = pids.into_keys().filter(|pid| Process::of(*pid).is_none()).collect();
        eventually(|| !self.shown().iter().any(|pid| gone.contains(pid))).await;
    }

    /// Whether a process that the fleet did not show is gone, or is shown by now: it was being started.
    fn is_explained(&self, process: Process) -> bool {
        let is_of_shown = || {
            let groups = groups_in(&self.folder());
            let shown = self.shown();
            shown.iter().any(|pid| groups.get(pid).is_some_and(|members| members.contains(&process)))
        };
        !process.is_there() || is_of_shown()
    }

    fn shown(&self) -> BTreeSet<u32> {
        self.state().replicas.iter().filter_map(|replica| Some(replica.process?.pid)).collect()
    }

    /// The addresses that get requests, by what the balancer was asked.
    fn admitted(&self) -> BTreeSet<SocketAddr> {
        let mut admitted = BTreeSet::new();
        for asked in self.scaling.running.balancer.asked() {
            match asked {
                Asked::Admit(address) => drop(admitted.insert(address)),
                Asked::Withdraw(address) => drop(admitted.remove(&address)),
                Asked::Drained(_) => {}
            }
        }
        admitted
    }

    fn state(&self) -> ServiceState {
        self.scaling.running.handle.state().remove(0)
    }

    fn folder(&self) -> PathBuf {
        self.home.path().canonicalize().unwrap()
    }
}

impl Drop for Trial {
    fn drop(&mut self) {
        if thread::panicking() {
            eprintln!("steps {:?}", self.steps);
            eprintln!("shown {:#?}", self.state());
            eprintln!("running {:?}", groups_in(&self.folder()));
            eprintln!("ports {}, balancer {:?}", self.scaling.running.handle.ports_taken(), self.admitted());
            eprintln!("log\n{}", self.scaling.running.log.text());
        }
    }
}

/// A signal to a process that may have ended.
fn send(process: Process, signal: Signal) {
    let pid = Pid::from_raw(i32::try_from(process.pid).unwrap()).unwrap();
    match kill_process(pid, signal) {
        Ok(()) | Err(Errno::SRCH) => {}
        Err(error) => panic!("{}", io::Error::from(error)),
    }
}
