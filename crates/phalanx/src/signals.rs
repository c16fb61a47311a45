//! The signals of a verb that runs until it is told to stop.

use std::io;

use tokio::signal::unix::{Signal, SignalKind, signal};

/// Number of INT.
const INT: u8 = 2;
/// Number of TERM.
const TERM: u8 = 15;

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

    /// The number of the next TERM or INT.
    pub(crate) async fn stop(&mut self) -> u8 {
        let [hangup, first, second] = &mut self.others;
        loop {
            let ignored = tokio::select! {
                _ = self.interrupt.recv() => return INT,
                _ = self.terminate.recv() => return TERM,
                _ = hangup.0.recv() => hangup.1,
                _ = first.0.recv() => first.1,
                _ = second.0.recv() => second.1,
            };
            tracing::warn!(signal = ignored, "this version does nothing on this signal");
        }
    }
}
