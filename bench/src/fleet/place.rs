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
    admin: SocketAddr,
}

impl Place {
    /// Starts it on all cores, with these lines of its service.
    pub(super) async fn start(site: Site<'_>, name: &str, service: &str) -> anyhow::Result<Self> {
        let (gateway, admin) = (free_address()?.to_string(), free_address()?);
        let directory = site.subdirectory(name)?;
        let file = directory.join("phalanx.toml");
        let values: [(&str, &str); 3] =
            [("LISTEN", &gateway), ("ADMIN", &admin.to_string()), ("SERVICE", service)];
        fs::write(&file, template::fill(TEMPLATE, &values))
            .with_context(|| format!("write {}", file.display()))?;
        let arguments: [&OsStr; 3] = ["up".as_ref(), "-c".as_ref(), file.as_os_str()];
        let mut daemon = Daemon::start(site.programs, Program::Phalanx, &arguments, &[], &directory, None)?;
        daemon.until_answers(admin, "/livez").await.context("start phalanx")?;
        Ok(Self { daemon, admin })
    }

    /// Phalanx itself, without what it runs.
    pub(super) fn pid(&self) -> Pid {
        self.daemon.pid()
    }

    /// Waits until so many replicas get requests.
    pub(super) async fn until_serving(&self, replicas: u32) -> anyhow::Result<()> {
        let mut connection = Connection::open(self.admin).await?;
        let deadline = clock::now() + PATIENCE;
        loop {
            let answer = connection.get("/v1/state").await?;
            ensure!(answer.status == 200, "/v1/state answers {}", answer.status);
            let serving = serving(&answer.body)?;
            if serving == replicas as usize {
                return Ok(());
            }
            ensure!(
                clock::now() < deadline,
                "only {serving} of {replicas} replicas serve after {PATIENCE:?}"
            );
            tokio::time::sleep(POLL).await;
        }
    }
}

fn serving(state: &str) -> anyhow::Result<usize> {
    let state: Value = serde_json::from_str(state).context("read the state")?;
    let endpoints = state["services"][0]["endpoints"].as_array().context("no endpoints in the state")?;
    Ok(endpoints.iter().filter(|endpoint| endpoint["state"] == "serving").count())
}

#[cfg(test)]
mod tests {
    use super::serving;

    #[test]
    fn replicas_that_get_requests_are_counted() {
        let state =
            r#"{"services":[{"endpoints":[{"state":"serving"},{"state":"starting"},{"state":"serving"}]}]}"#;
        assert_eq!(serving(state).unwrap(), 2);
        assert!(serving("{}").is_err());
    }
}
