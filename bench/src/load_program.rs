//! Programs that make load, and tell at their end what came of it.

use std::process::Stdio;

use anyhow::{Context, ensure};
use tokio::process::Command;

use crate::cores::Core;

/// Runs one on `core` to its end, and returns what it printed. Dropping the future ends it.
pub(crate) async fn run(mut command: Command, program: &str, core: Core) -> anyhow::Result<String> {
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
    let spawned = core.run(|| command.spawn()).and_then(|spawned| spawned);
    let child = spawned.with_context(|| format!("start {program}"))?;
    let output = child.wait_with_output().await.with_context(|| format!("wait for {program}"))?;
    let complaint = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{program} ended with {}: {}", output.status, complaint.trim());
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}
