//! The replicas of the reference API, as processes that are killed and started again.

use std::{
    env, fs,
    fs::File,
    io,
    net::SocketAddr,
    path::PathBuf,
    process::{Child, Command, Stdio},
    sync::{Mutex, MutexGuard, PoisonError},
    thread,
    time::Duration,
};

use phalanx_telemetry::clock;
use tempfile::TempDir;

const PROGRAM: &str = env!("CARGO_BIN_EXE_phalanx");
const SECRET: &str = "the replicas of a trial share one secret of enough bytes";
/// What is not there by then does not come.
const DEADLINE: Duration = Duration::from_mins(1);
const LOOK_AGAIN: Duration = Duration::from_millis(10);

pub(crate) struct Replicas {
    folder: TempDir,
    environment: Vec<(String, String)>,
    replicas: Vec<Replica>,
}

struct Replica {
    name: String,
    life: Mutex<Life>,
}

struct Life {
    child: Option<Child>,
    /// Of its last start; nobody listens there while it is dead.
    address: SocketAddr,
    starts: usize,
}

impl Replicas {
    /// Starts so many over the databases of this environment, and waits until all serve.
    pub(crate) fn start(count: usize, environment: Vec<(String, String)>) -> Self {
        let nowhere = SocketAddr::from(([127, 0, 0, 1], 1));
        let replica = |number| Replica {
            name: format!("api-{number}"),
            life: Mutex::new(Life { child: None, address: nowhere, starts: 0 }),
        };
        let replicas = (1..=count).map(replica).collect();
        let replicas = Self { folder: tempfile::tempdir().unwrap(), environment, replicas };
        thread::scope(|scope| {
            for index in 0..count {
                let replicas = &replicas;
                scope.spawn(move || replicas.start_again(index));
            }
        });
        replicas
    }

    pub(crate) fn count(&self) -> usize {
        self.replicas.len()
    }

    /// Where the replica of this index listens, or has.
    pub(crate) fn address(&self, index: usize) -> SocketAddr {
        self.replicas[index].life().address
    }

    /// Ends it as by a crash.
    pub(crate) fn kill(&self, index: usize) {
        if let Some(mut child) = self.replicas[index].life().child.take() {
            child.kill().unwrap();
            child.wait().unwrap();
        }
    }

    /// Starts one that is dead, and returns when it serves. One that ends instead is started anew, as whoever runs replicas does.
    pub(crate) fn start_again(&self, index: usize) {
        let replica = &self.replicas[index];
        let begun = clock::now();
        loop {
            let log = self.spawn(replica);
            while replica.is_running() {
                let text = fs::read_to_string(&log).unwrap();
                if let Some(address) = serves_at(&text) {
                    replica.life().address = address;
                    return;
                }
                assert!(begun.elapsed() < DEADLINE, "{} does not serve:\n{text}", replica.name);
                thread::sleep(LOOK_AGAIN);
            }
            assert!(begun.elapsed() < DEADLINE, "{}", fs::read_to_string(&log).unwrap());
        }
    }

    /// Its log goes to a file of this start.
    fn spawn(&self, replica: &Replica) -> PathBuf {
        let mut life = replica.life();
        assert!(life.child.is_none(), "{} runs", replica.name);
        life.starts += 1;
        let log = self.folder.path().join(format!("{}.{}.log", replica.name, life.starts));
        let mut command = self.command(&["api", "--listen", "127.0.0.1:0"]);
        command.env("PHALANX_INSTANCE", &replica.name).env("JWT_SECRET", SECRET);
        command.stdout(Stdio::null()).stderr(File::create(&log).unwrap());
        life.child = Some(command.spawn().unwrap());
        log
    }

    /// The program, told of the same databases.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(PROGRAM);
        command.args(arguments).current_dir(self.folder.path()).stdin(Stdio::null()).env_clear();
        command.env("PATH", env::var_os("PATH").unwrap_or_default());
        command.envs(self.environment.iter().map(|(name, value)| (name, value)));
        command
    }

    /// The lines of all logs that have this in them.
    pub(crate) fn log_lines(&self, wanted: &str) -> Vec<String> {
        let logs = fs::read_dir(self.folder.path()).unwrap().map(|entry| entry.unwrap().path());
        let mut lines = Vec::new();
        for log in logs.filter(|path| path.extension().is_some_and(|extension| extension == "log")) {
            let text = fs::read_to_string(&log).unwrap();
            lines.extend(text.lines().filter(|line| line.contains(wanted)).map(ToOwned::to_owned));
        }
        lines
    }
}

impl Replica {
    fn life(&self) -> MutexGuard<'_, Life> {
        self.life.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn is_running(&self) -> bool {
        let mut life = self.life();
        let ended = life.child.as_mut().is_none_or(|child| child.try_wait().unwrap().is_some());
        if ended {
            life.child = None;
        }
        !ended
    }
}

impl Drop for Replica {
    fn drop(&mut self) {
        let life = self.life.get_mut().unwrap_or_else(PoisonError::into_inner);
        if let Some(mut child) = life.child.take() {
            // Both fail only where it has ended and was waited for.
            let _: io::Result<()> = child.kill();
            let _ = child.wait();
        }
    }
}

/// The address in the line by which a replica says that it serves.
fn serves_at(log: &str) -> Option<SocketAddr> {
    let line = log.lines().find(|line| line.contains("the reference API serves"))?;
    line.split("address=").nth(1)?.split_whitespace().next()?.trim_matches('"').parse().ok()
}
