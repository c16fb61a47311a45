//! The directory of a server, and the guard that removes it together with the processes in it.
//!
//! The guard is a shell that waits for the end of a pipe which this process holds: so it acts when the value is dropped and
//! when the process is killed alike. A death signal would not do: it ends with the thread that asked for it, does not reach
//! stopped grandchildren, and leaves the directory.

use std::{
    fs,
    io::Read as _,
    os::unix::process::CommandExt as _,
    path::{Path, PathBuf},
    process::{Child, Stdio},
};

use crate::account::Account;

/// Whoever works in the directory is the server's, also one that its parent has left behind and one that is stopped. With
/// the account of the server the guard may see where its processes work. What PostgreSQL leaves of System V shared memory
/// when it is killed has its number in the seventh line of `postmaster.pid`.
const GUARD: &str = r#"
trap '' INT TERM HUP
echo ready
read -r _
while :; do
  found=$(find /proc -mindepth 2 -maxdepth 2 -name cwd -lname "$1/*" 2>/dev/null | cut -d/ -f3)
  [ -z "$found" ] && break
  kill -KILL $found 2>/dev/null
done
memory=$(sed -n '7s/.* //p' "$1/data/postmaster.pid" 2>/dev/null)
[ -n "$memory" ] && ipcrm -m "$memory" 2>/dev/null
exec rm -rf "$1"
"#;

#[derive(Debug)]
pub(crate) struct Home {
    path: PathBuf,
    guard: Child,
}

impl Home {
    /// An empty directory of the account with a guard before it.
    pub(crate) fn create(account: Account, prefix: &str) -> Self {
        let path = tempfile::Builder::new()
            .prefix(&format!("phalanx-{prefix}-"))
            .tempdir_in(account.temporary())
            .expect("a directory in one that can be written to")
            .keep();
        account.own(&path);
        let mut guard = account.command(Path::new("sh"));
        guard.args(["-c", GUARD, "guard"]).arg(&path).current_dir("/");
        // A group of its own: the signal that ends the tests' must not end the guard before its work is done.
        guard.process_group(0).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut guard = guard.spawn().expect("a shell, and setpriv of util-linux");
        let mut ready = [0; 6];
        let stdout = guard.stdout.as_mut().expect("it was piped");
        stdout.read_exact(&mut ready).expect("a guard that says that it is there");
        Self { path, guard }
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Where the server works: below the directory, so that the guard finds it by that.
    pub(crate) fn data(&self) -> PathBuf {
        self.path.join("data")
    }

    pub(crate) fn log(&self) -> PathBuf {
        self.path.join("log")
    }

    /// The last lines that the server has printed.
    pub(crate) fn log_tail(&self) -> String {
        const LINES: usize = 30;
        let log = fs::read(self.log()).unwrap_or_default();
        let log = String::from_utf8_lossy(&log);
        let lines: Vec<_> = log.lines().collect();
        lines[lines.len().saturating_sub(LINES)..].join("\n")
    }
}

impl Drop for Home {
    fn drop(&mut self) {
        drop(self.guard.stdin.take());
        // Its failure shows in what is left, and a panic here would hide the one that unwinds.
        let _ = self.guard.wait();
    }
}
