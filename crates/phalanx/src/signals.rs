//! The signals of a verb that runs until it is told to stop.

use std::io;

use tokio::signal::unix::{Signal, SignalKind, signal};

/// A signal that asks the program to stop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum StopSignal {
    /// INT, as Ctrl-C sends it.
    Interrupt,
    /// TERM.
    Terminate,
}

impl StopSignal {
    /// The exit code of a program that it stopped at once.
    pub(crate) fn exit_code(self) -> u8 {
        match self {
            Self::Interrupt => 130,
            Self::Terminate => 143,
        }
    }
}

/// A signal that means something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Received {
    /// Stop.
    Stop(StopSignal),
    /// Read the file again.
    Reload,
}

/// Listens to TERM, INT and HUP, and keeps the signals that have no meaning yet from ending the process.
pub(crate) struct Signals {
    interrupt: Signal,
    terminate: Signal,
    hangup: Signal,
    others: [(Signal, &'static str); 2],
}

impl Signals {
    /// Listens from here on.
    pub(crate) fn listen() -> io::Result<Self> {
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
            hangup: signal(SignalKind::hangup())?,
            others: [
                (signal(SignalKind::user_defined1())?, "USR1"),
                (signal(SignalKind::user_defined2())?, "USR2"),
            ],
        })
    }

    /// The next TERM or INT.
    pub(crate) async fn stop(&mut self) -> StopSignal {
        loop {
            match self.next().await {
                Received::Stop(signal) => return signal,
                Received::Reload => tracing::warn!(signal = "HUP", "nothing is read again here"),
            }
        }
    }

    /// The next TERM, INT or HUP.
    pub(crate) async fn next(&mut self) -> Received {
        let [first, second] = &mut self.others;
        loop {
            let ignored = tokio::select! {
                _ = self.interrupt.recv() => return Received::Stop(StopSignal::Interrupt),
                _ = self.terminate.recv() => return Received::Stop(StopSignal::Terminate),
                _ = self.hangup.recv() => return Received::Reload,
                _ = first.0.recv() => first.1,
                _ = second.0.recv() => second.1,
            };
            tracing::warn!(signal = ignored, "this version does nothing on this signal");
        }
    }
}
