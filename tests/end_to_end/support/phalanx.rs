//! The program under test, as a process.

use std::{
    collections::BTreeSet,
    env, fs,
    net::SocketAddr,
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    sync::Arc,
    thread,
};

use phalanx_admin::state::{Endpoint, EndpointState, State};
use rustix::process::Signal;

use super::{
    eventually,
    home::{Home, send},
    http::{self, Answer, Connection},
    transcript::Transcript,
    until,
};

pub(crate) const PROGRAM: &str = env!("CARGO_BIN_EXE_phalanx");

/// Probes and restarts that lose no time, and that a busy machine does not fail.
pub(crate) const PROBES: &str = "
back_off = { first = '1s', longest = '60s', forgiven_after = '1m' }
probes.startup = { path = '/ready', period = '20ms', timeout = '30s', failure = 1000 }
probes.readiness = { path = '/ready', period = '50ms', timeout = '30s', failure = 100 }
";

/// The keys of a service that is three replicas of the reference API over one `DATA_DIR`.
pub(crate) fn reference_api() -> String {
    format!("command = ['phalanx', 'api']\nreplicas = 3\nenv = {{ DATA_DIR = './data' }}\n{PROBES}")
}

/// The keys of a service that is one replica of this shell script, in which `$0` is the puppet (`tests/puppet.rs`).
pub(crate) fn shell(script: &str) -> String {
    // In the file, `$$` stands for a dollar.
    let script = script.replace('$', "$$");
    format!("command = ['sh', '-c', '''{script}''', '{}']\n{PROBES}", puppet().display())
}

/// The keys of a service of puppets.
pub(crate) fn puppets(replicas: u32) -> String {
    format!("replicas = {replicas}\n{}", shell("exec \"$0\""))
}

/// The program `tests/puppet.rs`.
pub(crate) fn puppet() -> PathBuf {
    example("puppet")
}

/// A program of `tests/`, which `cargo test` builds with the examples.
pub(crate) fn example(name: &str) -> PathBuf {
    let program = Path::new(PROGRAM).with_file_name("examples").join(name);
    assert!(
        program.exists(),
        "{} is not built: `cargo build -p phalanx --examples` does it",
        program.display()
    );
    program
}

/// A file with one service, and all requests routed to it. The kernel chooses the ports.
pub(crate) fn file(service: &str) -> String {
    format!("{LISTENERS}[[route]]\npath = '/'\nservice = 'api'\n[service.api]\n{service}")
}

/// `[gateway]` and `[admin]` on ports that the kernel chooses.
pub(crate) const LISTENERS: &str = "[gateway]\nhttp = ['127.0.0.1:0']\n[admin]\nlisten = '127.0.0.1:0'\n";

/// The program, in this folder, and with nothing in its environment that the machine has put there.
pub(crate) fn command(home: &Home, arguments: &[&str]) -> Command {
    let mut command = Command::new(PROGRAM);
    let path = env::var_os("PATH").unwrap_or_default();
    command.args(arguments).current_dir(home.path()).env_clear().env("PATH", path).stdin(Stdio::null());
    command
}

/// A shell script in this folder, in which `phalanx` is the program.
pub(crate) fn script(home: &Home, text: &str) -> Command {
    let folder = Path::new(PROGRAM).parent().unwrap();
    let path = format!("{}:{}", folder.display(), env::var("PATH").unwrap_or_default());
    let mut shell = Command::new("sh");
    shell.args(["-euc", text]).current_dir(home.path()).env_clear().env("PATH", path);
    shell
}

/// How a program ended.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) status: ExitStatus,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Ended {
    /// Fails unless it ended with this code.
    pub(crate) fn with_code(self, code: i32) -> Self {
        assert_eq!(self.status.code(), Some(code), "{self:#?}");
        self
    }

    /// Fails unless standard error has all of this.
    pub(crate) fn complains(&self, wanted: &[&str]) {
        for wanted in wanted {
            assert!(self.stderr.contains(wanted), "no {wanted:?} in\n{}", self.stderr);
        }
    }
}

/// Runs the program to its end.
pub(crate) fn run(home: &Arc<Home>, arguments: &[&str]) -> Ended {
    Program::start(home, command(home, arguments)).ended()
}

/// A process of a test, and what it has written.
pub(crate) struct Program {
    /// Kept until the program has ended.
    _home: Arc<Home>,
    child: Child,
    pub(crate) stdout: Transcript,
    pub(crate) stderr: Transcript,
}

impl Program {
    pub(crate) fn start(home: &Arc<Home>, mut command: Command) -> Self {
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let stdout = Transcript::of(child.stdout.take().unwrap());
        let stderr = Transcript::of(child.stderr.take().unwrap());
        Self { _home: Arc::clone(home), child, stdout, stderr }
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    pub(crate) fn signal(&self, signal: Signal) {
        send(self.id(), signal);
    }

    /// Stops it, and returns when none of its threads runs any more: on a busy machine that is not at once.
    pub(crate) fn hold(&self) {
        self.signal(Signal::STOP);
        let tasks = format!("/proc/{}/task", self.id());
        let is_stopped = |stat: String| stat.rsplit_once(')').is_some_and(|(_, rest)| rest.starts_with(" T"));
        until("a program that stands still", || {
            let mut tasks = fs::read_dir(&tasks).unwrap();
            tasks.all(|task| fs::read_to_string(task.unwrap().path().join("stat")).is_ok_and(is_stopped))
        });
    }

    /// Waits for its end. A panic in it, or in a replica, is a failure.
    pub(crate) fn ended(mut self) -> Ended {
        let status = eventually("the end of the program", || self.child.try_wait().unwrap());
        let ended = Ended { status, stdout: self.stdout.whole(), stderr: self.stderr.whole() };
        for text in [&ended.stdout, &ended.stderr] {
            assert!(!text.contains("panicked at"), "{text}");
        }
        ended
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        if thread::panicking() {
            eprintln!("--- stdout\n{}\n--- stderr\n{}\n---", self.stdout.text(), self.stderr.text());
        }
        // Both fail only where it has ended and was waited for. What it has started ends with its home.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A running Phalanx.
pub(crate) struct Phalanx {
    pub(crate) program: Program,
    pub(crate) home: Arc<Home>,
    pub(crate) gateway: SocketAddr,
    pub(crate) admin: SocketAddr,
}

impl Phalanx {
    /// Runs `phalanx up` with this file; returns when everything serves.
    pub(crate) fn up(file: &str) -> Self {
        let home = Arc::new(Home::new());
        home.write("phalanx.toml", file);
        Self::up_in(&home)
    }

    /// The same in a folder with a file.
    pub(crate) fn up_in(home: &Arc<Home>) -> Self {
        let phalanx = Self::start(home, command(home, &["up"]));
        phalanx.program.stdout.tells("\nReady.\n");
        phalanx
    }

    /// Runs a command that is a Phalanx; returns when it listens.
    pub(crate) fn start(home: &Arc<Home>, command: Command) -> Self {
        let program = Program::start(home, command);
        let (gateway, admin) = addresses(&program.stdout.first_line());
        Self { program, home: Arc::clone(home), gateway, admin }
    }

    pub(crate) fn get(&self, target: &str) -> Answer {
        http::get(self.gateway, target)
    }

    pub(crate) fn exchange(&self, request: &[u8]) -> Answer {
        http::exchange(self.gateway, request)
    }

    pub(crate) fn connection(&self) -> Connection {
        Connection::open(self.gateway).unwrap()
    }

    pub(crate) fn state(&self) -> State {
        serde_json::from_value(http::get(self.admin, "/v1/state").json()).unwrap()
    }

    /// The endpoints of the first service.
    pub(crate) fn endpoints(&self) -> Vec<Endpoint> {
        self.state().services.swap_remove(0).endpoints
    }

    /// The processes that serve of the first service: not those that are on their way, nor out.
    pub(crate) fn serving(&self) -> BTreeSet<u32> {
        let endpoints = self.endpoints();
        let serving = endpoints.iter().filter(|endpoint| endpoint.state == EndpointState::Serving);
        serving.filter_map(|endpoint| endpoint.pid).collect()
    }

    /// Waits until so many serve: one that was told to stop does for another moment.
    pub(crate) fn serving_becomes(&self, count: usize) -> BTreeSet<u32> {
        eventually("as many replicas as wanted", || Some(self.serving()).filter(|pids| pids.len() == count))
    }

    /// Waits until the replica of this name is as wanted.
    pub(crate) fn replica(&self, instance: &str, wanted: impl Fn(&Endpoint) -> bool) -> Endpoint {
        eventually(&format!("{instance} as wanted"), || {
            let named = |endpoint: &Endpoint| endpoint.instance.as_deref() == Some(instance);
            self.endpoints().into_iter().find(|endpoint| named(endpoint) && wanted(endpoint))
        })
    }

    /// Where the replica of this name listens, once it serves.
    pub(crate) fn address_of(&self, instance: &str) -> SocketAddr {
        self.replica(instance, |endpoint| endpoint.state == EndpointState::Serving).address.parse().unwrap()
    }

    /// Stops it in order. Nothing may be left, and nothing may have happened that needs a person.
    pub(crate) fn stop(self) -> Ended {
        let ended = self.stop_on(Signal::TERM);
        for text in [&ended.stdout, &ended.stderr] {
            assert!(!text.contains(" ERROR "), "{text}");
        }
        ended
    }

    /// The same with Ctrl-C, where something has happened that needs a person.
    pub(crate) fn stop_after_errors(self) -> Ended {
        self.stop_on(Signal::INT)
    }

    fn stop_on(self, signal: Signal) -> Ended {
        self.program.signal(signal);
        let ended = self.program.ended().with_code(0);
        self.home.assert_empty();
        ended
    }
}

/// The addresses of gateway and admin API in the first line that Phalanx writes.
pub(crate) fn addresses(first_line: &str) -> (SocketAddr, SocketAddr) {
    let urls: Vec<SocketAddr> = first_line
        .split([' ', ','])
        .filter_map(|word| word.strip_prefix("http://"))
        .map(|address| address.parse().unwrap())
        .collect();
    match urls[..] {
        [gateway, admin] => (gateway, admin),
        _ => panic!("two addresses expected in {first_line:?}"),
    }
}
