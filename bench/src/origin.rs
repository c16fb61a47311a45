//! The origin that all proxies share: an nginx that answers from memory.

use std::{
    fs, io,
    net::{Ipv4Addr, SocketAddr, TcpListener},
    path::Path,
};

use anyhow::Context;
use rustix::process::Pid;

use crate::{
    cores::Core,
    daemon::Daemon,
    http,
    programs::{Program, Programs},
    scenario::{Body, kib},
    template,
};

const TEMPLATE: &str = include_str!("../configs/origin.nginx.conf");

/// The running origin.
#[derive(Debug)]
pub(crate) struct Origin {
    /// Where it listens.
    pub(crate) address: SocketAddr,
    daemon: Daemon,
}

impl Origin {
    /// Starts it, and waits until it answers.
    pub(crate) async fn start(
        programs: &Programs,
        directory: &Path,
        clients_max: u32,
        core: Core,
    ) -> anyhow::Result<Self> {
        let address = free_address()?;
        let directory = directory.join("origin");
        fs::create_dir(&directory).with_context(|| format!("create {}", directory.display()))?;
        let config = template::fill(
            TEMPLATE,
            &[
                ("DIRECTORY", &directory.display().to_string()),
                ("LISTEN", &address.to_string()),
                ("CONNECTIONS_MAX", &(2 * clients_max).to_string()),
                ("JSON", &Body::Json.text()),
                ("KIB", &kib()),
            ],
        );
        let file = directory.join("nginx.conf");
        fs::write(&file, config).with_context(|| format!("write {}", file.display()))?;
        let arguments = ["-c".as_ref(), file.as_os_str(), "-p".as_ref(), directory.as_os_str()];
        let mut daemon = Daemon::start(programs, Program::Nginx, &arguments, &[], &directory, core)?;
        daemon.until_answers(address, Body::Json.path()).await.context("start the origin")?;
        Ok(Self { address, daemon })
    }

    /// The process at the root of its tree.
    pub(crate) fn pid(&self) -> Pid {
        self.daemon.pid()
    }

    /// Connections that it accepted since its start, the one that asks included.
    pub(crate) async fn connections_accepted(&self) -> anyhow::Result<u64> {
        let status = http::get(self.address, "/status").await.context("ask the origin for its status")?;
        accepted(&status.body).with_context(|| format!("read the status of the origin `{}`", status.body))
    }
}

/// The first number below `server accepts handled requests`.
fn accepted(status: &str) -> Option<u64> {
    let (_, numbers) = status.split_once("requests")?;
    numbers.split_whitespace().next()?.parse().ok()
}

/// A loopback address that nothing listens on at this moment. Whoever takes it in between makes the start fail, visibly.
pub(crate) fn free_address() -> io::Result<SocketAddr> {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()
}

#[cfg(test)]
mod tests {
    use super::accepted;

    #[test]
    fn accepted_connections_are_read_from_the_status_page() {
        let page = "Active connections: 2 \nserver accepts handled requests\n 131 130 7041 \nReading: 0 Writing: 1 Waiting: 1 \n";
        assert_eq!(accepted(page), Some(131));
        assert_eq!(accepted("404"), None);
    }
}
