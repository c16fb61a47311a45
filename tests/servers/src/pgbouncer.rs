//! A PgBouncer before a [`Postgres`] server, in transaction mode: a client's session lasts as long as its transaction.

use std::{fs, path::Path, process::Command};

use crate::{
    account::Account,
    port,
    postgres::{PASSWORD, Postgres, USER},
    server::Server,
};

/// Where Debian has it, outside of an ordinary user's PATH.
const PROGRAM: &str = "/usr/sbin/pgbouncer";
/// A port that was free may be taken before it has it; so often in a row it is something else.
const STARTS: usize = 5;

/// A pooler with its directory; dropping it ends the one and removes the other. The server behind it has to outlive it.
#[derive(Debug)]
pub struct PgBouncer {
    server: Server,
    port: u16,
}

impl PgBouncer {
    /// Starts one that opens at most `sessions` sessions of the server's, and waits until it takes statements.
    ///
    /// # Panics
    /// Where PgBouncer is not installed or does not start.
    #[must_use]
    pub fn start(postgres: &Postgres, sessions: u16) -> Self {
        assert!(
            Path::new(PROGRAM).exists(),
            "PgBouncer is not installed: install the package `pgbouncer` (Debian), or run scripts/needs pgbouncer"
        );
        let server = Server::create(Account::unprivileged(), "pgbouncer");
        fs::create_dir(server.home().data()).expect("a directory in the own one");
        server.account().own(&server.home().data());
        let mut pooler = Self { server, port: 0 };
        for _ in 0..STARTS {
            pooler.port = port::free();
            pooler.configure(postgres, sessions);
            if pooler.becomes_ready() {
                return pooler;
            }
        }
        pooler.server.fail("it does not start")
    }

    fn configure(&self, postgres: &Postgres, sessions: u16) {
        let data = self.server.home().data();
        let (users, file) = (data.join("users.txt"), data.join("pgbouncer.ini"));
        let text = format!(
            "[databases]\n* = host=127.0.0.1 port={}\n[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {}\n\
             unix_socket_dir =\nauth_type = scram-sha-256\nauth_file = {}\npool_mode = transaction\n\
             default_pool_size = {sessions}\nserver_reset_query =\n",
            postgres.port(),
            self.port,
            users.display()
        );
        for (path, text) in [(users, format!("\"{USER}\" \"{PASSWORD}\"\n")), (file, text)] {
            fs::write(&path, text).expect("a file in the own directory");
            self.server.account().own(&path);
        }
    }

    fn becomes_ready(&self) -> bool {
        let mut command = self.server.account().command(Path::new(PROGRAM));
        command.arg(self.server.home().data().join("pgbouncer.ini"));
        self.server.spawn(command);
        self.server.becomes_ready(|| {
            let mut ask = Command::new("psql");
            ask.args([&*self.url(), "--no-psqlrc", "--quiet", "--tuples-only", "--command", "SELECT 1"]);
            ask.output().is_ok_and(|answer| answer.status.success())
        })
    }

    /// Where clients find the server's first database, by way of this one.
    #[must_use]
    pub fn url(&self) -> String {
        format!("postgres://{USER}:{PASSWORD}@127.0.0.1:{}/postgres", self.port)
    }
}
