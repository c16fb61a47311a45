//! The process of a replica: one leader and whatever it starts, as one process group.
//!
//! Invariants: signals go to the group, and none to an id that may belong to somebody else: the end of a leader is seen
//! without reaping it, and until it is reaped the kernel keeps its id. A group does not outlive its [`Process`], and a leader
//! does not outlive Phalanx (see [`sys`]).
//! Elsewhere: a process that leaves its group (`setsid`) can be reached only through a cgroup (`crate::cgroup`).
//! Fails at the start only.

mod groups;
mod sys;

use std::{
    io,
    os::{fd::OwnedFd, unix::process::CommandExt},
    process::{Child, Command, ExitStatus, Stdio},
    sync::Arc,
};

use rustix::process::{Pid, Signal, WaitOptions, waitpid};
use tokio::{io::unix::AsyncFd, net::unix::pipe};

use self::groups::Group;
pub(crate) use self::groups::Groups;

/// A process group whose leader has not been reaped. Dropped instead of cleaned up, it is killed, and the leader stays a
/// zombie until Phalanx ends: to wait for it could block the one control thread.
#[derive(Debug)]
pub(crate) struct Process {
    group: Group,
    child: Child,
    /// Becomes readable when the leader ends.
    leader: AsyncFd<OwnedFd>,
}

/// Reaps a process of ours whose [`Process`] was dropped and killed it. Until then nobody else has its id.
pub(crate) async fn reap(pid: u32) {
    let Some(id) = i32::try_from(pid).ok().and_then(Pid::from_raw) else { return };
    // It was killed, so this takes no longer than the kernel does; and where it cannot be watched, it stays a zombie.
    let Ok(leader) = sys::observe_end(id) else { return };
    if leader.readable().await.is_ok() {
        let _ = waitpid(Some(id), WaitOptions::NOHANG);
    }
}

/// What a started process prints.
#[derive(Debug)]
pub(crate) struct Streams {
    pub(crate) stdout: pipe::Receiver,
    pub(crate) stderr: pipe::Receiver,
}

impl Process {
    /// Starts `command` as the leader of a group of its own, so that Ctrl-C in the terminal reaches Phalanx alone.
    ///
    /// To be called on the thread that ends last: the kernel kills the process when the *thread* that started it ends.
    pub(crate) fn start(command: &mut Command, groups: &Arc<Groups>) -> io::Result<(Self, Streams)> {
        command.process_group(0).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        sys::die_with_phalanx(command);
        let mut child = command.spawn()?;
        let id = Pid::from_child(&child);
        // From here on, an error kills what was started.
        let group = Group::enlist(id, groups);
        let stdout = child.stdout.take().expect("stdout was asked for");
        let stderr = child.stderr.take().expect("stderr was asked for");
        let streams = Streams {
            stdout: pipe::Receiver::from_owned_fd(stdout.into())?,
            stderr: pipe::Receiver::from_owned_fd(stderr.into())?,
        };
        let leader = sys::observe_end(id)?;
        Ok((Self { group, child, leader }, streams))
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Returns when the leader has ended, without reaping it. Cancel-safe.
    pub(crate) async fn exited(&self) {
        let mut readiness = self.leader.readable().await.expect("the reactor outlives the tasks it runs");
        readiness.retain_ready();
    }

    /// TERM to the group; members that are stopped (`SIGSTOP`, a debugger) are woken, or they would not see it.
    pub(crate) fn terminate(&self) {
        self.group.signal(Signal::TERM);
        self.group.signal(Signal::CONT);
    }

    /// KILL to the group.
    pub(crate) fn kill(&self) {
        self.group.signal(Signal::KILL);
    }

    /// Kills what is left of the group of a leader that has ended, and reaps the leader.
    pub(crate) fn clean_up(self) -> ExitStatus {
        let Self { group, mut child, leader: _ } = self;
        drop(group);
        child.wait().expect("a child can be waited for once, and nobody else does")
    }
}
