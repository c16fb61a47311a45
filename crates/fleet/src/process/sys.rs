//! The unsafe calls of this crate: code between `fork` and `exec`, and a file descriptor handed to the runtime.

use std::{
    io,
    os::{fd::OwnedFd, unix::process::CommandExt},
    process::Command,
};

use rustix::process::{
    Pid, PidfdFlags, Signal, getpid, getppid, pidfd_open, set_parent_process_death_signal,
};
use tokio::io::{Interest, unix::AsyncFd};

/// Has the kernel kill the process when the thread that starts it ends, however it ends: without this, `kill -9` of Phalanx
/// leaves replicas behind that hold their ports and the database. What the process itself has started is not covered.
#[expect(unsafe_code, reason = "a death signal can only be asked for by the child, before exec")]
pub(super) fn die_with_phalanx(command: &mut Command) {
    let phalanx = getpid();
    let between_fork_and_exec = move || {
        set_parent_process_death_signal(Some(Signal::KILL))?;
        // If Phalanx has died since the fork there was no signal, and the parent is another.
        if getppid() == Some(phalanx) { Ok(()) } else { Err(io::Error::from(rustix::io::Errno::SRCH)) }
    };
    // SAFETY: the closure runs in a child forked from a process with several threads, where only async-signal-safe calls are
    // sound. It makes two system calls, `prctl` and `getppid`, and builds errors from numbers alone: it takes no lock,
    // allocates nothing, and captures one integer.
    unsafe {
        command.pre_exec(between_fork_and_exec);
    }
}

/// A file descriptor that becomes readable when this child, which has not been reaped, ends.
#[expect(unsafe_code, reason = "the runtime trusts the caller that a file descriptor stays what it is")]
pub(super) fn observe_end(child: Pid) -> io::Result<AsyncFd<OwnedFd>> {
    let end = pidfd_open(child, PidfdFlags::NONBLOCK)?;
    // SAFETY: an `OwnedFd` is open, names the same file until it is dropped, and moves into the `AsyncFd`, out of which
    // nothing takes it.
    Ok(unsafe { AsyncFd::register_with_interest(end, Interest::READABLE) }?)
}
