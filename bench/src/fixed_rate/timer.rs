//! A timer that is precise to microseconds. Tokio's own are as coarse as a millisecond, in which dozens of requests are due:
//! they would come in bursts.

use std::{io, os::fd::OwnedFd, time::Duration};

use rustix::time::{
    Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, timerfd_create, timerfd_settime,
};
use tokio::io::unix::AsyncFd;

/// A timer of the kernel.
#[derive(Debug)]
pub(super) struct Timer(AsyncFd<OwnedFd>);

impl Timer {
    /// Not running.
    pub(super) fn new() -> io::Result<Self> {
        let flags = TimerfdFlags::NONBLOCK | TimerfdFlags::CLOEXEC;
        let descriptor = timerfd_create(TimerfdClockId::Monotonic, flags)?;
        #[expect(
            deprecated,
            reason = "its successor is unsafe for the sake of types that change their descriptor; an `OwnedFd` cannot"
        )]
        AsyncFd::new(descriptor).map(Self)
    }

    /// Waits for `duration`, in any case until other tasks had their turn.
    pub(super) async fn wait(&self, duration: Duration) -> io::Result<()> {
        // Zero would disarm it.
        let duration = duration.max(Duration::from_nanos(1)).try_into().map_err(io::Error::other)?;
        let once = Itimerspec { it_interval: Timespec::default(), it_value: duration };
        timerfd_settime(&self.0, TimerfdTimerFlags::empty(), &once)?;
        // Each expiry is an edge, which wakes this task, and setting the timer anew forgets it: nobody has to read it.
        self.0.readable().await?.clear_ready();
        Ok(())
    }
}
