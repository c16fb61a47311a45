//! A PostgreSQL server of a test's own.

mod identity;
mod programs;
mod replica;
mod settings;
mod sql;
mod template;

use std::{
    fs,
    path::Path,
    process::{Command, Stdio},
};

use rustix::process::{Pid, Signal};

pub use self::{
    replica::ReplicaSettings,
    settings::{Access, Durability, Settings},
};
use crate::{account::Account, port, processes, server::Server, wait::eventually};

/// The superuser of every server here.
pub const USER: &str = "phalanx";
/// Its password.
pub const PASSWORD: &str = "secret";
/// The database that is there from the start.
const DATABASE: &str = "postgres";
/// A port that was free may be taken before the server has it; so often in a row it is something else.
const STARTS: usize = 5;

/// A server with its directory; dropping it ends the one and removes the other.
#[derive(Debug)]
pub struct Postgres {
    server: Server,
    settings: Settings,
    port: u16,
}

impl Postgres {
    /// Starts a server with an empty database, and waits until it takes statements.
    ///
    /// # Panics
    /// Where PostgreSQL is not installed or does not start.
    #[must_use]
    pub fn start(settings: Settings) -> Self {
        let server = Server::create(Account::unprivileged(), "postgres");
        template::copy(server.home(), server.account());
        identity::make_own(server.home(), server.account());
        Self::start_in(server, settings, &[])
    }

    /// Starts what lies in the server's directory, at the first port that it gets.
    fn start_in(server: Server, settings: Settings, more: &[(&str, String)]) -> Self {
        let mut postgres = Self { server, settings, port: 0 };
        for _ in 0..STARTS {
            postgres.port = port::free();
            let account = postgres.server.account();
            postgres.settings.write(postgres.server.home(), account, postgres.port, more);
            if postgres.becomes_ready() {
                return postgres;
            }
        }
        postgres.server.fail("it does not start")
    }

    fn becomes_ready(&self) -> bool {
        let mut command = self.server.account().command(&programs::directory().join("postgres"));
        command.arg("-D").arg(self.server.home().data());
        self.server.spawn(command);
        self.server.becomes_ready(|| self.is_ready())
    }

    /// Whether it takes connections, asked by one.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        let mut ask = Command::new(programs::directory().join("pg_isready"));
        ask.args(["--quiet", "--host=127.0.0.1", "--timeout=10"]).arg(format!("--port={}", self.port));
        ask.stderr(Stdio::null()).status().is_ok_and(|status| status.success())
    }

    /// The port, which is the same after a restart.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Its first process, which all others of it are below; another one after a restart.
    ///
    /// # Panics
    /// It does not run.
    #[must_use]
    pub fn pid(&self) -> Pid {
        self.server.pid()
    }

    /// Where its files are, until it is dropped.
    #[must_use]
    pub fn directory(&self) -> &Path {
        self.server.home().path()
    }

    /// The certificate that clients must trust, in PEM, of a server with [`Access::Tls`].
    #[must_use]
    pub fn certificate(&self) -> String {
        fs::read_to_string(self.server.home().data().join("server.crt"))
            .expect("a server that was started with TLS has a certificate")
    }

    /// The end of what the server has logged.
    #[must_use]
    pub fn log_tail(&self) -> String {
        self.server.home().log_tail()
    }

    /// Changes a parameter of the running server, for connections from then on.
    pub fn set(&self, name: &str, value: &str) {
        // A new connection is a copy of the first process, so it shows what that has read.
        let loaded = || self.query_one_text("SELECT pg_conf_load_time()");
        let before = loaded();
        self.execute(&format!("ALTER SYSTEM SET {name} = '{}'", value.replace('\'', "''")));
        self.execute("SELECT pg_reload_conf()");
        eventually(|| (loaded() != before).then_some(()))
            .unwrap_or_else(|| self.server.fail(&format!("it does not load {name}")));
    }

    /// Ends it as by a crash: every process at once.
    pub fn kill(&self) {
        self.server.kill();
    }

    /// Ends it in order, with the connections that it has.
    pub fn stop_fast(&self) {
        self.server.stop(Signal::INT);
    }

    /// Stops it if it runs, and starts it again on the same port with the same data.
    ///
    /// # Panics
    /// It does not start.
    pub fn restart(&self) {
        if self.server.is_running() {
            self.stop_fast();
        }
        if !self.becomes_ready() {
            self.server.fail("it does not start again");
        }
    }

    /// Holds every process of it: connections stay, and nothing answers.
    pub fn pause(&self) {
        self.server.pause();
    }

    /// Lets it go on.
    pub fn resume(&self) {
        self.server.resume();
    }

    /// Kills one backend, upon which PostgreSQL ends all of them and recovers; returns when the backend is gone.
    ///
    /// # Panics
    /// The process is none of this server's.
    pub fn kill_backend(&self, pid: i32) {
        let backend = Pid::from_raw(pid).filter(|pid| processes::children(self.server.pid()).contains(pid));
        let backend = backend.unwrap_or_else(|| self.server.fail(&format!("{pid} is no process of it")));
        processes::signal(backend, Signal::KILL);
        eventually(|| processes::is_gone(backend).then_some(()))
            .unwrap_or_else(|| self.server.fail("the backend does not end"));
    }

    /// Cuts every client's connection.
    pub fn terminate_connections(&self) {
        self.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity \
             WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()",
        );
    }
}
