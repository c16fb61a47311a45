//! A client under load, as a process (`super::client`), and what it has counted.

use std::{env, process::Stdio, time::Duration};

use anyhow::{Context, ensure};
use clap::ValueEnum as _;
use tokio::process::Command;

use super::{
    client::{Kind, TARGET},
    timeline::Reading,
};

/// What a client is to do.
#[derive(Clone, Copy, Debug)]
pub(super) struct Load<'a> {
    pub(super) kind: Kind,
    /// A URL of a database, or the address of a service.
    pub(super) target: &'a str,
    pub(super) tasks: u32,
    /// Keys are from 1 to this.
    pub(super) rows: u32,
    pub(super) length: Duration,
}

impl Load<'_> {
    /// Runs it to its end.
    pub(super) async fn run(&self) -> anyhow::Result<Vec<Reading>> {
        let kind = self.kind.to_possible_value().expect("no kind is skipped");
        let mut command = Command::new(env::current_exe().context("find this program")?);
        command
            .args(["data-client", "--kind", kind.get_name()])
            .args(["--tasks", &self.tasks.to_string()])
            .args(["--rows", &self.rows.to_string()])
            .args(["--milliseconds", &self.length.as_millis().to_string()])
            .env(TARGET, self.target)
            .stdin(Stdio::null())
            .kill_on_drop(true);
        let output = command.output().await.context("run the client")?;
        let complaint = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "the client ended with {}: {}", output.status, complaint.trim());
        let lines = String::from_utf8_lossy(&output.stdout);
        let readings = lines.lines().map(serde_json::from_str).collect::<Result<Vec<Reading>, _>>();
        readings.context("read what the client printed")
    }
}
