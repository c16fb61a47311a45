//! The proxies that are compared, each as its file in `configs/` says.

use std::{
    ffi::{OsStr, OsString},
    fmt, fs,
    net::SocketAddr,
    path::Path,
};

use anyhow::Context;
use clap::ValueEnum;
use rustix::process::Pid;

use crate::{
    check,
    cores::Core,
    daemon::Daemon,
    origin::free_address,
    programs::{Program, Programs},
    scenario::Body,
    template,
};

/// Which proxy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
pub(crate) enum Kind {
    Nginx,
    Haproxy,
    Phalanx,
}

impl fmt::Display for Kind {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(match self {
            Self::Nginx => "nginx",
            Self::Haproxy => "HAProxy",
            Self::Phalanx => "Phalanx",
        })
    }
}

impl Kind {
    /// The program that runs it.
    pub(crate) fn program(self) -> Program {
        match self {
            Self::Nginx => Program::Nginx,
            Self::Haproxy => Program::Haproxy,
            Self::Phalanx => Program::Phalanx,
        }
    }

    fn template(self) -> &'static str {
        match self {
            Self::Nginx => include_str!("../configs/nginx.conf"),
            Self::Haproxy => include_str!("../configs/haproxy.cfg"),
            Self::Phalanx => include_str!("../configs/phalanx.toml"),
        }
    }

    fn arguments(self, file: &Path, directory: &Path) -> Vec<OsString> {
        let (file, directory) = (file.as_os_str(), directory.as_os_str());
        let arguments: &[&OsStr] = match self {
            Self::Nginx => &["-c".as_ref(), file, "-p".as_ref(), directory],
            Self::Haproxy => &["-db".as_ref(), "-f".as_ref(), file],
            Self::Phalanx => &["gateway".as_ref(), "-c".as_ref(), file],
        };
        arguments.iter().map(OsString::from).collect()
    }
}

/// What every proxy of one comparison is started with.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Site<'a> {
    /// Where the programs are.
    pub(crate) programs: &'a Programs,
    /// Where files may be written.
    pub(crate) directory: &'a Path,
    /// The origin behind the proxy.
    pub(crate) origin: SocketAddr,
    /// Client connections that it must be able to hold at once.
    pub(crate) clients_max: u32,
    /// Where it runs.
    pub(crate) core: Core,
}

/// A running proxy that was seen doing its work.
#[derive(Debug)]
pub(crate) struct Proxy {
    /// Which one.
    pub(crate) kind: Kind,
    /// Where it listens.
    pub(crate) address: SocketAddr,
    daemon: Daemon,
}

impl Proxy {
    /// Starts it, waits until it answers and checks that it forwards as all the others do.
    pub(crate) async fn start(kind: Kind, site: Site<'_>) -> anyhow::Result<Self> {
        let address = free_address()?;
        let directory = site.directory.join(format!("{}-{}", kind.program(), address.port()));
        fs::create_dir(&directory).with_context(|| format!("create {}", directory.display()))?;
        let config = template::fill(
            kind.template(),
            &[
                ("DIRECTORY", &directory.display().to_string()),
                ("LISTEN", &address.to_string()),
                ("ORIGIN", &site.origin.to_string()),
                ("ADMIN", &free_address()?.to_string()),
                ("CLIENTS_MAX", &site.clients_max.to_string()),
                // A proxied request takes two: one to the client, one to the origin.
                ("CONNECTIONS_MAX", &(2 * site.clients_max).to_string()),
            ],
        );
        let file = directory.join("config");
        fs::write(&file, config).with_context(|| format!("write {}", file.display()))?;
        let arguments = kind.arguments(&file, &directory);
        let arguments: Vec<&OsStr> = arguments.iter().map(OsString::as_os_str).collect();
        let mut daemon =
            Daemon::start(site.programs, kind.program(), &arguments, &[], &directory, site.core)?;
        daemon.until_answers(address, Body::Json.path()).await?;
        check::forwards(address).await.with_context(|| format!("check what {kind} forwards"))?;
        Ok(Self { kind, address, daemon })
    }

    /// The process at the root of its tree.
    pub(crate) fn pid(&self) -> Pid {
        self.daemon.pid()
    }
}
