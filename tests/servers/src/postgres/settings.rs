//! What a server is started with, and the files that say so to PostgreSQL.

use std::{fmt::Write as _, fs, path::Path};

use super::{PASSWORD, USER, template};
use crate::{account::Account, home::Home};

/// How a client proves who it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// By the password, over TCP in the clear or TLS where the server has it.
    Password,
    /// Not at all.
    Trust,
    /// By the password, and over TLS alone. The certificate is the server's own ([`super::Postgres::certificate`]).
    Tls,
}

/// What outlives a crash of the machine. A killed server loses nothing either way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Durability {
    /// Nothing waits for the disk.
    Process,
    /// Each commit waits for the disk, as in production.
    Disk,
}

/// A small server, logical replication allowed, without waiting for the disk.
#[derive(Clone, Debug)]
pub struct Settings {
    /// How clients are let in.
    pub access: Access,
    /// Whether commits wait for the disk.
    pub durability: Durability,
    /// `max_connections`; a replica has those of its primary.
    pub connections_max: u16,
    /// Parameters of `postgresql.conf`, which win over those of this package.
    pub parameters: Vec<(String, String)>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            access: Access::Password,
            durability: Durability::Process,
            connections_max: 60,
            parameters: Vec::new(),
        }
    }
}

impl Settings {
    /// These, and one more parameter of `postgresql.conf`.
    #[must_use]
    pub fn parameter(mut self, name: &str, value: &str) -> Self {
        self.parameters.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Writes what PostgreSQL reads at its start; `more` is for this server alone.
    pub(super) fn write(&self, home: &Home, account: Account, port: u16, more: &[(&str, String)]) {
        if self.access == Access::Tls {
            certify(home, account);
        }
        fs::write(home.data().join("postgresql.conf"), self.configuration(port, more))
            .expect("a file in the own directory");
        let method = if self.access == Access::Trust { "trust" } else { "scram-sha-256" };
        let kind = if self.access == Access::Tls { "hostssl" } else { "host" };
        let let_in =
            format!("{kind} all all 127.0.0.1/32 {method}\n{kind} replication all 127.0.0.1/32 {method}\n");
        fs::write(home.data().join("pg_hba.conf"), let_in).expect("a file in the own directory");
    }

    fn configuration(&self, port: u16, more: &[(&str, String)]) -> String {
        let durable = if self.durability == Durability::Disk { "on" } else { "off" };
        let own = [
            ("listen_addresses", "127.0.0.1"),
            ("unix_socket_directories", ""),
            ("port", &port.to_string()),
            ("max_connections", &self.connections_max.to_string()),
            ("fsync", durable),
            ("full_page_writes", durable),
            ("shared_buffers", "12MB"),
            // In files of the directory: what lies in /dev/shm would stay behind when the server is killed.
            ("dynamic_shared_memory_type", "mmap"),
            ("max_parallel_workers_per_gather", "0"),
            ("jit", "off"),
            ("wal_level", "logical"),
            ("max_wal_senders", "12"),
            ("max_replication_slots", "12"),
            ("max_wal_size", "256MB"),
            ("min_wal_size", "8MB"),
            // A replica that starts before the next fast checkpoint must find what it needs.
            ("wal_keep_size", "64MB"),
            ("hot_standby", "on"),
            ("wal_receiver_status_interval", "1s"),
            ("wal_retrieve_retry_interval", "100ms"),
            ("log_line_prefix", "%m [%p] %q%u@%d "),
            ("timezone", "UTC"),
            ("log_timezone", "UTC"),
            ("ssl", if self.access == Access::Tls { "on" } else { "off" }),
        ];
        let own = own.into_iter().map(|(name, value)| (name, value.to_owned()));
        let more = more.iter().map(|(name, value)| (*name, value.clone()));
        let given = self.parameters.iter().map(|(name, value)| (name.as_str(), value.clone()));
        let mut text = String::new();
        for (name, value) in own.chain(more).chain(given) {
            writeln!(text, "{name} = '{}'", value.replace('\'', "''")).expect("a string takes everything");
        }
        text
    }
}

/// How one server reaches another.
pub(super) fn connection(port: u16, application: &str) -> String {
    format!("host=127.0.0.1 port={port} user={USER} password={PASSWORD} application_name={application}")
}

/// Not an authority's certificate, which strict clients refuse for a server.
const CERTIFICATE: &str = "\
[req]
distinguished_name = name
x509_extensions = extensions
prompt = no
[name]
CN = localhost
[extensions]
basicConstraints = critical, CA:FALSE
subjectAltName = DNS:localhost, IP:127.0.0.1
extendedKeyUsage = serverAuth
";

/// Gives the server a key and a certificate signed by it, where PostgreSQL looks for them.
fn certify(home: &Home, account: Account) {
    let request = home.path().join("certificate.conf");
    fs::write(&request, CERTIFICATE).expect("a file in the own directory");
    let mut openssl = account.command(Path::new("openssl"));
    openssl.args(["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]);
    openssl.args(["-days", "30", "-config"]).arg(request);
    openssl.arg("-keyout").arg(home.data().join("server.key"));
    openssl.arg("-out").arg(home.data().join("server.crt"));
    template::run(&mut openssl, home);
}
