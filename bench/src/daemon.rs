//! A server process that lives exactly as long as the value that owns it.
//!
//! Invariant: dropping a [`Daemon`] ends its process and every process below it. `setpriv` asks the kernel for the same
//! when this program is killed without a chance to drop anything.
//! A process that fails, at its start or later, has the end of what it wrote shown, since that names the cause.

use std::{
    ffi::OsStr,
    fs::{self, File},
    net::SocketAddr,
    os::unix::process::CommandExt,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::Duration,
};

use anyhow::{Context, bail};
use phalanx_telemetry::clock;
use rustix::process::{Pid, Signal, kill_process};

use crate::{
    cores::Core,
    http,
    programs::{Program, Programs},
    usage,
};

const START_TIMEOUT: Duration = Duration::from_secs(10);
const STOP_TIMEOUT: Duration = Duration::from_secs(5);
const POLL_INTERVAL: Duration = Duration::from_millis(20);
const LOG_TAIL_LINES: usize = 10;

/// A running server.
#[derive(Debug)]
pub(crate) struct Daemon {
    program: Program,
    child: Child,
    log: PathBuf,
}

impl Daemon {
    /// Starts `program` on `core`, or on all of them, with its output in `directory`.
    pub(crate) fn start(
        programs: &Programs,
        program: Program,
        arguments: &[&OsStr],
        environment: &[(&str, &OsStr)],
        directory: &Path,
        core: impl Into<Option<Core>>,
    ) -> anyhow::Result<Self> {
        let log = directory.join("output.log");
        let output = File::create(&log).with_context(|| format!("create {}", log.display()))?;
        let mut command = Command::new(programs.path(Program::Setpriv));
        command
            .args(["--pdeathsig", "TERM"])
            .arg(programs.path(program))
            .args(arguments)
            .envs(environment.iter().copied())
            .stdin(Stdio::null())
            .stdout(output.try_clone().context("share the log file")?)
            .stderr(output)
            // Out of the terminal's group: Ctrl-C reaches this program alone, which then stops the servers in order.
            .process_group(0);
        let child = match core.into() {
            Some(core) => core.run(|| command.spawn()).and_then(|spawned| spawned),
            None => command.spawn(),
        };
        let child = child.with_context(|| format!("start {program}"))?;
        Ok(Self { program, child, log })
    }

    /// The process that was started; its workers are below it.
    pub(crate) fn pid(&self) -> Pid {
        Pid::from_child(&self.child)
    }

    /// Waits until `path` is answered with 200.
    pub(crate) async fn until_answers(&mut self, address: SocketAddr, path: &str) -> anyhow::Result<()> {
        let deadline = clock::now() + START_TIMEOUT;
        loop {
            let last = match http::get(address, path).await {
                Ok(response) if response.status == 200 => return Ok(()),
                Ok(response) => format!("status {}", response.status),
                Err(error) => format!("{error:#}"),
            };
            if let Some(status) = self.child.try_wait()? {
                bail!("{} ended with {status}", self.program);
            }
            if clock::now() >= deadline {
                bail!("{} does not answer {path} with 200 ({last}): {}", self.program, self.log_tail());
            }
            tokio::time::sleep(POLL_INTERVAL).await;
        }
    }

    fn log_tail(&self) -> String {
        let log = fs::read_to_string(&self.log).unwrap_or_default();
        let lines: Vec<&str> = log.lines().collect();
        lines[lines.len().saturating_sub(LOG_TAIL_LINES)..].join("\n")
    }

    fn has_ended_within(&mut self, timeout: Duration) -> bool {
        let deadline = clock::now() + timeout;
        while clock::now() < deadline {
            // An error means that there is no such child any more.
            if !matches!(self.child.try_wait(), Ok(None)) {
                return true;
            }
            std::thread::sleep(POLL_INTERVAL);
        }
        false
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        if !matches!(self.child.try_wait(), Ok(None)) {
            eprintln!("{} ended by itself; its last words:\n{}", self.program, self.log_tail());
            return;
        }
        // TERM first: nginx's master takes its workers along, which a KILL of the master would orphan.
        let _ = kill_process(self.pid(), Signal::TERM);
        if self.has_ended_within(STOP_TIMEOUT) {
            return;
        }
        for pid in usage::tree(self.pid()).unwrap_or_default() {
            let _ = kill_process(pid, Signal::KILL);
        }
        let _ = self.child.wait();
    }
}
