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

/// Listens to TERM and INT, and keeps the signals that have no meaning yet from ending the process.
pub(crate) struct Signals {
    interrupt: Signal,
    terminate: Signal,
    others: [(Signal, &'static str); 3],
}

impl Signals {
    /// Listens from here on.
    pub(crate) fn listen() -> io::Result<Self> {
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
            others: [
                (signal(SignalKind::hangup())?, "HUP"),
                (signal(SignalKind::user_defined1())?, "USR1"),
                (signal(SignalKind::user_defined2())?, "USR2"),
            ],
        })
    }

    /// The next TERM or INT.
    pub(crate) async fn stop(&mut self) -> StopSignal {
        let [hangup, first, second] = &mut self.others;
        loop {
            let ignored = tokio::select! {
                _ = self.interrupt.recv() => return StopSignal::Interrupt,
                _ = self.terminate.recv() => return StopSignal::Terminate,
                _ = hangup.0.recv() => hangup.1,
                _ = first.0.recv() => first.1,
                _ = second.0.recv() => second.1,
            };
            tracing::warn!(signal = ignored, "this version does nothing on this signal");
        }
    }
}
