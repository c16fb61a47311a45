//! The folder of one test.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use super::until;

/// A folder that everything of one test is started in: whatever runs there belongs to the test, even an orphan of an orphan.
/// Dropped, it kills all of that.
pub(crate) struct Home {
    folder: TempDir,
}

impl Home {
    pub(crate) fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap() }
    }

    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }

    pub(crate) fn write(&self, name: &str, text: &str) -> PathBuf {
        let file = self.path().join(name);
        fs::write(&file, text).unwrap();
        file
    }

    /// Every process in this folder. A zombie is in no folder.
    pub(crate) fn processes(&self) -> Vec<u32> {
        let folder = self.path().canonicalize().unwrap();
        fs::read_dir("/proc")
            .unwrap()
            .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
            .filter(|pid: &u32| fs::read_link(format!("/proc/{pid}/cwd")).is_ok_and(|cwd| cwd == folder))
            .collect()
    }

    /// Fails if anything runs here.
    pub(crate) fn assert_empty(&self) {
        let left = self.processes();
        let commands =
            left.iter().map(|pid| fs::read_to_string(format!("/proc/{pid}/cmdline")).unwrap_or_default());
        assert!(left.is_empty(), "left running: {:?}", commands.collect::<Vec<_>>());
    }

    /// Waits until nothing runs here any longer.
    pub(crate) fn becomes_empty(&self) {
        until("no process is left", || self.processes().is_empty());
    }

    /// KILL to everything that runs here.
    pub(crate) fn kill_all(&self) {
        self.processes().into_iter().for_each(|pid| send(pid, Signal::KILL));
    }
}

impl Drop for Home {
    fn drop(&mut self) {
        // Again until nothing is left: what was being started during the first look is not in it.
        while !self.processes().is_empty() {
            self.kill_all();
        }
    }
}

/// Sends a signal; to a process that has ended, none.
pub(crate) fn send(pid: u32, signal: Signal) {
    let pid = Pid::from_raw(i32::try_from(pid).unwrap()).unwrap();
    match kill_process(pid, signal).map_err(io::Error::from) {
        Err(error) if error.raw_os_error() != Some(rustix::io::Errno::SRCH.raw_os_error()) => {
            panic!("{error}")
        }
        _ => {}
    }
}
