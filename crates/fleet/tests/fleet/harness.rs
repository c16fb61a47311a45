//! A fleet of a service `api`, and of others where a test adds them; ways to wait for what becomes of it.

use std::{
    env, fs, io,
    net::SocketAddr,
    num::NonZeroUsize,
    path::{Path, PathBuf},
    sync::{Arc, Mutex},
    time::Duration,
};

use phalanx_config::{Config, Replicas, ServiceName, Source};
use phalanx_fleet::{
    Accepted, Fleet, FleetEvent, FleetHandle, OrderError, OrderOutcome, Outcome, OutputLine, ProcessState,
    ReplicaState, RolloutStatus, ServiceState, Settings, Standing, output_queue,
};
use rustix::process::{Pid, Signal};
use tempfile::TempDir;
use tokio::{sync::mpsc, task::JoinSet, time::timeout};
use tokio_util::sync::CancellationToken;
use tracing::subscriber::DefaultGuard;

use crate::recorder::{Reaction, Recorder};

/// Far longer than anything here takes; what is not there by then does not come.
const DEADLINE: Duration = Duration::from_secs(60);

/// Nobody wants to wait for a replica that crashes.
const BACK_OFF: &str = "{ first = '10ms', longest = '50ms' }";

/// How a fleet under test differs from the usual one.
pub(crate) struct Setup {
    /// Keys of `[service.api]`, as in the file, and maybe tables of other services.
    pub(crate) service: String,
    /// Its `back_off`.
    pub(crate) back_off: &'static str,
    pub(crate) settings: Settings,
    pub(crate) balancer: Recorder,
}

impl Setup {
    pub(crate) fn new(service: impl Into<String>) -> Self {
        Self {
            service: service.into(),
            back_off: BACK_OFF,
            settings: Settings { drain_deadline: DEADLINE, starts_max: NonZeroUsize::new(4).unwrap() },
            balancer: Recorder::new(|_| Reaction::Acknowledge),
        }
    }

    /// Runs it. The fleet ends with what is returned.
    pub(crate) fn run(self) -> Running {
        let (log, subscribed) = Log::capture();
        let (output, lines) = output_queue();
        let balancer = Arc::new(self.balancer);
        let services = services_that_back_off(self.back_off, &self.service);
        let fleet = Fleet::new(services, self.settings, Arc::clone(&balancer), output);
        let (handle, stop) = (fleet.handle(), CancellationToken::new());
        let mut task = JoinSet::new();
        task.spawn(fleet.run(stop.clone()));
        Running { handle, stop, balancer, lines, log, task, _subscribed: subscribed }
    }
}

pub(crate) struct Running {
    pub(crate) handle: FleetHandle,
    pub(crate) stop: CancellationToken,
    pub(crate) balancer: Arc<Recorder>,
    pub(crate) log: Log,
    lines: mpsc::Receiver<OutputLine>,
    task: JoinSet<Outcome>,
    _subscribed: DefaultGuard,
}

impl Running {
    /// The one replica, once it is as wanted.
    pub(crate) async fn replica(&self, wanted: impl Fn(&ReplicaState) -> bool) -> ReplicaState {
        let reached = self.handle.wait_until(|services| services[0].replicas.first().is_some_and(&wanted));
        if within(reached).await.is_err() {
            panic!("ended as {:?}", self.handle.state());
        }
        self.handle.state()[0].replicas[0].clone()
    }

    /// The one replica, once it takes requests.
    pub(crate) async fn ready(&self) -> (ReplicaState, ProcessState) {
        let replica = self.replica(|replica| replica.standing == Standing::Ready).await;
        let process = replica.process.unwrap();
        (replica, process)
    }

    /// The next line that a replica prints which contains `text`.
    pub(crate) async fn line(&mut self, text: &str) -> OutputLine {
        within(async {
            loop {
                let line = self.lines.recv().await.unwrap_or_else(|| panic!("no line with {text}"));
                if line.text.contains(text) {
                    return line;
                }
            }
        })
        .await
    }

    /// Waits for the end of the fleet.
    pub(crate) async fn outcome(&mut self) -> Outcome {
        within(self.task.join_next()).await.unwrap().unwrap()
    }

    /// The state of `api`.
    pub(crate) fn api(&self) -> ServiceState {
        self.handle.state().swap_remove(0)
    }

    /// The state of `api`, once it is as wanted.
    pub(crate) async fn api_when(&self, wanted: impl Fn(&ServiceState) -> bool) -> ServiceState {
        let mut found = None;
        let reached = self.handle.wait_until(|services| {
            found = services.first().filter(|api| wanted(api)).cloned();
            found.is_some()
        });
        if timeout(DEADLINE, reached).await.is_ok_and(|reached| reached.is_ok()) {
            return found.unwrap();
        }
        panic!("it is {:#?}\n{}", self.handle.state(), self.log.text());
    }

    /// The state of `api`, once every replica is there and available.
    pub(crate) async fn complete(&self) -> ServiceState {
        self.api_when(|api| api.rollout.status == RolloutStatus::Complete).await
    }

    /// The same, once those that were told to stop are gone too, for which no order waits.
    pub(crate) async fn settled(&self) -> ServiceState {
        self.api_when(|api| {
            let is_complete = api.rollout.status == RolloutStatus::Complete;
            is_complete && api.rollout.draining == 0 && api.replicas.len() == api.desired as usize
        })
        .await
    }

    /// What comes of an order.
    pub(crate) async fn outcome_of(&self, order: Result<Accepted, OrderError>) -> OrderOutcome {
        within(self.handle.outcome(&order.unwrap())).await.unwrap()
    }

    /// What has happened so far, as `api-1 ready`; of a whole service as `api scaled`.
    pub(crate) fn happened(&self) -> Vec<String> {
        let shown = |event: FleetEvent| {
            let what = event.instance.as_deref().unwrap_or(event.service.as_str()).to_owned();
            format!("{what} {}", event.kind.as_str())
        };
        self.handle.events(0).0.into_iter().map(shown).collect()
    }

    /// Stops the fleet in order; nothing may have happened that needs a person.
    pub(crate) async fn stop(mut self) {
        self.stop.cancel();
        assert_eq!(self.outcome().await.forced, 0);
        assert!(!self.log.text().contains("ERROR"), "{}", self.log.text());
    }
}

/// What the file says of `api` when it has these keys.
pub(crate) fn replicas(keys: &str) -> Box<Replicas> {
    Box::new(services(keys).swap_remove(0).1)
}

/// The services of a file with these keys in `[service.api]`, and maybe tables of other services behind them.
pub(crate) fn services(keys: &str) -> Vec<(ServiceName, Replicas)> {
    services_that_back_off(BACK_OFF, keys)
}

fn services_that_back_off(back_off: &str, keys: &str) -> Vec<(ServiceName, Replicas)> {
    let file = format!(
        "[gateway]\nhttp = [\"127.0.0.1:8080\"]\n[[route]]\npath = \"/\"\nservice = \"api\"\n[service.api]\nback_off = {back_off}\n{keys}"
    );
    let config =
        Config::parse("phalanx.toml", &file, &|_| None).unwrap_or_else(|faults| panic!("{faults:?}\n{file}"));
    let replicas = config.services.into_iter().map(|(name, service)| match service.source {
        Source::Replicas(replicas) => (name, replicas),
        Source::Endpoints { .. } | Source::Discovered { .. } => panic!("no command"),
    });
    replicas.collect()
}

/// The file in which every process of a fleet writes down its id, and what finds those that write nothing.
pub(crate) struct Traces {
    _home: TempDir,
    file: PathBuf,
}

impl Traces {
    pub(crate) fn new() -> Self {
        let home = tempfile::tempdir().unwrap();
        let file = home.path().join("pids");
        Self { _home: home, file }
    }

    /// As [`shell`]; the script leaves a trace first.
    pub(crate) fn shell(&self, script: &str) -> String {
        let file = self.file.display();
        shell(&format!("export TRACES='{file}'; echo $$ >>\"$TRACES\"; {script}"))
    }

    /// How many processes there were.
    pub(crate) fn count(&self) -> usize {
        self.pids().len()
    }

    /// Fails where a process of the fleet is left: one that runs, also one that its leader has started and left, or a zombie.
    pub(crate) fn assert_gone(&self) {
        let ours = std::process::id().to_string();
        for pid in self.pids() {
            // Somebody else may have got the id by now.
            assert_ne!(
                status_field(pid, "PPid"),
                Some(ours.clone()),
                "{pid}: {:?}",
                status_field(pid, "State")
            );
        }
        let mark = format!("TRACES={}", self.file.display());
        for process in fs::read_dir("/proc").unwrap() {
            let environment = fs::read(process.unwrap().path().join("environ")).unwrap_or_default();
            assert!(!String::from_utf8_lossy(&environment).contains(&mark), "a process is left");
        }
    }

    fn pids(&self) -> Vec<u32> {
        let pids = fs::read_to_string(&self.file).unwrap_or_default();
        pids.lines().map(|pid| pid.parse().unwrap()).collect()
    }
}

/// `command` of a service that runs this shell script, in which `$0` is the program `examples/replica.rs`.
pub(crate) fn shell(script: &str) -> String {
    // In the file, `$$` stands for a dollar.
    let script = script.replace('$', "$$");
    format!("command = ['sh', '-c', '''{script}''', '{}']\n{PROBES}", example("replica").display())
}

/// Probes that lose no time; readiness is asked for by `GET`.
const PROBES: &str = "
probes.startup = { period = '20ms', timeout = '10s', failure = 1000 }
probes.readiness = { path = '/ready', period = '20ms', timeout = '10s', failure = 3 }
";

/// A program of this crate's examples, which `cargo test` builds beside the tests.
pub(crate) fn example(name: &str) -> PathBuf {
    let target = env::current_exe().unwrap().ancestors().nth(2).unwrap().to_owned();
    let program = target.join("examples").join(name);
    assert!(program.exists(), "{} is not built: run `cargo test -p phalanx-fleet`", program.display());
    program
}

pub(crate) async fn within<T>(future: impl Future<Output = T>) -> T {
    timeout(DEADLINE, future).await.expect("it takes too long")
}

/// Waits until `condition` holds, which nothing announces.
pub(crate) async fn eventually(mut condition: impl FnMut() -> bool) {
    let mut looks = tokio::time::interval(Duration::from_millis(5));
    within(async {
        while !condition() {
            looks.tick().await;
        }
    })
    .await;
}

pub(crate) fn send(pid: u32, signal: Signal) {
    let pid = Pid::from_raw(i32::try_from(pid).unwrap()).unwrap();
    rustix::process::kill_process(pid, signal).unwrap();
}

/// A field of `/proc/PID/status`; `None` once the process is gone.
pub(crate) fn status_field(pid: u32, field: &str) -> Option<String> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix(field)?.strip_prefix(':'))?;
    Some(line.trim().to_owned())
}

/// Whether the process has ended; one that nobody has reaped has ended too.
pub(crate) fn has_ended(pid: u32) -> bool {
    status_field(pid, "State").is_none_or(|state| state.starts_with('Z'))
}

/// Whether this stopped process has got neither TERM nor what would let it go on.
pub(crate) fn was_left_alone(pid: u32) -> bool {
    let (state, pending) = (status_field(pid, "State").unwrap(), status_field(pid, "ShdPnd").unwrap());
    let term_is_pending = u64::from_str_radix(&pending, 16).unwrap() & 1 << (Signal::TERM.as_raw() - 1) != 0;
    state.starts_with('T') && !term_is_pending
}

/// An empty folder, and in it the path of a file that makes replicas ready.
pub(crate) fn ready_file() -> (TempDir, PathBuf) {
    let home = tempfile::tempdir().unwrap();
    let file = home.path().join("ready");
    (home, file)
}

pub(crate) fn env_of(file: &Path) -> String {
    format!("env = {{ READY_FILE = '{}' }}\n", file.display())
}

pub(crate) fn connects(address: SocketAddr) -> bool {
    std::net::TcpStream::connect(address).is_ok()
}

/// What the fleet has logged, as text.
#[derive(Clone, Default)]
pub(crate) struct Log(Arc<Mutex<Vec<u8>>>);

impl Log {
    /// Captures the log of this thread, on which a test runs all it starts.
    fn capture() -> (Self, DefaultGuard) {
        let log = Self::default();
        let writer = log.clone();
        let subscriber =
            tracing_subscriber::fmt().with_ansi(false).with_writer(move || writer.clone()).finish();
        (log, tracing::subscriber::set_default(subscriber))
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }

    /// Fails unless everything of `wanted` was logged.
    pub(crate) fn tells(&self, wanted: &[&str]) {
        let text = self.text();
        for wanted in wanted {
            assert!(text.contains(wanted), "no {wanted:?} in\n{text}");
        }
    }
}

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
