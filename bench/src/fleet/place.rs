//! `phalanx up` with one service of many replicas.

use std::{ffi::OsStr, fs, net::SocketAddr, time::Duration};

use anyhow::{Context, ensure};
use phalanx_telemetry::clock;
use rustix::process::Pid;
use serde_json::Value;

use crate::{
    daemon::Daemon, http::Connection, origin::free_address, programs::Program, service::Site, template,
};

const TEMPLATE: &str = include_str!("../../configs/fleet.phalanx.toml");
/// What takes longer has failed.
const PATIENCE: Duration = Duration::from_mins(5);
const POLL: Duration = Duration::from_millis(10);

/// A Phalanx and its replicas.
#[derive(Debug)]
pub(super) struct Place {
    daemon: Daemon,
    pub(super) gateway: SocketAddr,
    admin: SocketAddr,
}

impl Place {
    /// Starts it on all cores, with these lines of its service.
    pub(super) async fn start(site: Site<'_>, name: &str, service: &str) -> anyhow::Result<Self> {
        let (gateway, admin) = (free_address()?, free_address()?);
        let directory = site.subdirectory(name)?;
        let file = directory.join("phalanx.toml");
        let values: [(&str, &str); 3] =
            [("LISTEN", &gateway.to_string()), ("ADMIN", &admin.to_string()), ("SERVICE", service)];
        fs::write(&file, template::fill(TEMPLATE, &values))
            .with_context(|| format!("write {}", file.display()))?;
        let arguments: [&OsStr; 3] = ["up".as_ref(), "-c".as_ref(), file.as_os_str()];
        let mut daemon = Daemon::start(site.programs, Program::Phalanx, &arguments, &[], &directory, None)?;
        daemon.until_answers(admin, "/livez").await.context("start phalanx")?;
        Ok(Self { daemon, gateway, admin })
    }

    /// Phalanx itself, without what it runs.
    pub(super) fn pid(&self) -> Pid {
        self.daemon.pid()
    }

    /// Waits until so many replicas get requests.
    pub(super) async fn until_serving(&self, replicas: u32) -> anyhow::Result<()> {
        self.until(|state| state.serving == u64::from(replicas)).await
    }

    /// Waits until so many replicas are wanted.
    pub(super) async fn until_desired(&self, replicas: u32) -> anyhow::Result<()> {
        self.until(|state| state.desired == u64::from(replicas)).await
    }

    async fn until(&self, is_reached: impl Fn(&State) -> bool) -> anyhow::Result<()> {
        let mut connection = Connection::open(self.admin).await?;
        let deadline = clock::now() + PATIENCE;
        loop {
            let answer = connection.get("/v1/state").await?;
            ensure!(answer.status == 200, "/v1/state answers {}", answer.status);
            let state = State::read(&answer.body)?;
            if is_reached(&state) {
                return Ok(());
            }
            ensure!(clock::now() < deadline, "still {state:?} after {PATIENCE:?}");
            tokio::time::sleep(POLL).await;
        }
    }
}

/// What the admin API says of the service.
#[derive(Debug, PartialEq, Eq)]
struct State {
    desired: u64,
    /// Replicas that get requests.
    serving: u64,
}

impl State {
    fn read(state: &str) -> anyhow::Result<Self> {
        let state: Value = serde_json::from_str(state).context("read the state")?;
        let service = &state["services"][0];
        let number = |name: &str| service[name].as_u64().with_context(|| format!("no `{name}` in the state"));
        Ok(Self { desired: number("desired")?, serving: number("serving")? })
    }
}

#[cfg(test)]
mod tests {
    use super::State;

    #[test]
    fn what_is_wanted_and_what_serves_are_two_numbers() {
        let read = |text| State::read(text).ok();
        let state = r#"{"services":[{"name":"api","desired":5,"serving":2}]}"#;
        assert_eq!(read(state), Some(State { desired: 5, serving: 2 }));
        assert_eq!(read("{}"), None);
    }
}
