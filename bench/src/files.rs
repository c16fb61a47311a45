//! Where a comparison keeps its files, and how many it may have open.

use std::{fs, os::unix::fs::PermissionsExt};

use anyhow::Context;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tempfile::TempDir;

/// What a process needs besides its connections: listeners, logs, epoll, the active check, a margin.
const OTHER_FILES_MAX: u64 = 128;
/// Clients besides the load: checks, and a margin.
pub(crate) const OTHER_CLIENTS_MAX: u32 = 64;

/// A directory that is gone when the value is.
pub(crate) fn directory() -> anyhow::Result<TempDir> {
    let directory = tempfile::tempdir().context("create a temporary directory")?;
    // nginx started by root gives up its rights and must still reach its files.
    fs::set_permissions(directory.path(), fs::Permissions::from_mode(0o755)).context("open the directory")?;
    Ok(directory)
}

/// Raises the limit of open files as far as this process may; the children inherit it.
pub(crate) fn raise_open_max() -> anyhow::Result<u64> {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit { current: limit.maximum, maximum: limit.maximum };
    setrlimit(Resource::Nofile, raised).context("raise the limit of open files")?;
    Ok(limit.maximum.unwrap_or(u64::MAX))
}

/// A proxy may need two files for each client, one of them to the origin; HAProxy refuses to start with fewer.
pub(crate) fn clients_max(open_max: u64) -> u32 {
    let clients = (open_max.saturating_sub(OTHER_FILES_MAX) / 2).saturating_sub(OTHER_CLIENTS_MAX.into());
    u32::try_from(clients).unwrap_or(u32::MAX)
}
