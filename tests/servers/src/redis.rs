//! A Redis server of a test's own, without persistence: what it holds is gone when it stops, as a cache's is.

use std::{
    io::{ErrorKind, Write as _},
    net::TcpStream,
    path::Path,
    process::Command,
    time::Duration,
};

use rustix::process::Signal;

use crate::{account::Account, port, server::Server};

/// A port that was free may be taken before the server has it; so often in a row it is something else.
const STARTS: usize = 5;

/// A server with its directory; dropping it ends the one and removes the other.
#[derive(Debug)]
pub struct Redis {
    server: Server,
    port: u16,
}

impl Redis {
    /// Starts an empty server, and waits until it answers.
    ///
    /// # Panics
    /// Where Redis is not installed or does not start.
    #[must_use]
    pub fn start() -> Self {
        let installed = Command::new("redis-server").arg("--version").output();
        if let Err(error) = installed {
            assert_ne!(
                error.kind(),
                ErrorKind::NotFound,
                "Redis is not installed: install the package `redis-server` (Debian), or run scripts/needs redis-server"
            );
            panic!("run redis-server: {error}");
        }
        let server = Server::create(Account::Own, "redis");
        std::fs::create_dir(server.home().data()).expect("a directory in the own one");
        let mut redis = Self { server, port: 0 };
        for _ in 0..STARTS {
            redis.port = port::free();
            if redis.becomes_ready() {
                return redis;
            }
        }
        redis.server.fail("it does not start")
    }

    fn becomes_ready(&self) -> bool {
        let mut command = self.server.account().command(Path::new("redis-server"));
        command.args(["--bind", "127.0.0.1", "--port", &self.port.to_string()]);
        command.args([
            "--save",
            "",
            "--appendonly",
            "no",
            "--daemonize",
            "no",
            "--enable-debug-command",
            "local",
        ]);
        self.server.spawn(command);
        self.server.becomes_ready(|| self.try_execute(&["PING"]).is_ok_and(|answer| answer == "PONG"))
    }

    /// Where clients find it.
    #[must_use]
    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    /// The port, which is the same after a restart.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Ends it.
    pub fn stop(&self) {
        self.server.stop(Signal::TERM);
    }

    /// Ends it as by a crash.
    pub fn kill(&self) {
        self.server.kill();
    }

    /// Stops it if it runs, and starts it again on the same port, empty.
    ///
    /// # Panics
    /// It does not start.
    pub fn restart(&self) {
        if self.server.is_running() {
            self.stop();
        }
        if !self.becomes_ready() {
            self.server.fail("it does not start again");
        }
    }

    /// Holds it: connections stay, and nothing answers.
    pub fn pause(&self) {
        self.server.pause();
    }

    /// Lets it go on.
    pub fn resume(&self) {
        self.server.resume();
    }

    /// Empties it.
    pub fn flush_all(&self) {
        self.execute(&["FLUSHALL"]);
    }

    /// Makes it answer nobody for that long; returns at once, so the pause may begin a moment later.
    pub fn debug_sleep(&self, pause: Duration) {
        let sent = TcpStream::connect(("127.0.0.1", self.port))
            .and_then(|mut connection| write!(connection, "DEBUG SLEEP {}\r\n", pause.as_secs_f64()));
        sent.unwrap_or_else(|error| self.server.fail(&format!("DEBUG SLEEP: {error}")));
    }

    /// Runs a command; its answer as `redis-cli` prints it.
    pub fn execute(&self, arguments: &[&str]) -> String {
        self.try_execute(arguments)
            .unwrap_or_else(|error| self.server.fail(&format!("{arguments:?}: {error}")))
    }

    /// Runs a command that may fail.
    ///
    /// # Errors
    /// The server cannot be reached or refuses the command.
    pub fn try_execute(&self, arguments: &[&str]) -> Result<String, String> {
        let mut cli = Command::new("redis-cli");
        cli.args(["-e", "-p", &self.port.to_string()]).args(arguments);
        let output = cli.output().map_err(|error| format!("run redis-cli: {error}"))?;
        let text = |bytes| String::from_utf8_lossy(bytes).trim_end_matches('\n').to_owned();
        if output.status.success() { Ok(text(&output.stdout)) } else { Err(text(&output.stderr)) }
    }
}
