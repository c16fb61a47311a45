//! What replicas print: read line by line, bounded, kept, and passed on with the instance as its prefix.
//!
//! Invariants: whatever a replica prints, it is read on, so that the program does not stand still, and what is kept of it is
//! bounded: in lines and bytes a second (`bound`), in lines and bytes that are remembered (`ring`), in lines on their way to
//! the terminal. Nobody waits for a terminal that stands still: a replica waits once, for a second, and from then on its lines
//! are dropped until they are taken again. What is dropped is counted, and told in its place.
//! Elsewhere: the thread that [`write_lines`] needs (the binary); the messages of the fleet itself (`crate::notice`).

mod bound;
mod clean;
mod pump;
mod ring;
mod sink;
mod terminal;

use std::sync::Arc;

use tokio::sync::mpsc;

pub use self::{
    clean::Colours,
    ring::{OutputRecord, OutputStream},
    terminal::{LostLines, write_lines},
};
pub(crate) use self::{
    pump::pump,
    ring::LastLines,
    sink::{Outputs, Sink},
};

pub(crate) use self::clean::clean;
/// Lines on their way to the terminal.
const QUEUE_LINES_MAX: usize = 256;

/// A line that a replica printed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OutputLine {
    /// Which replica; `None`: what Phalanx itself tells, printed as it is.
    pub instance: Option<Arc<str>>,
    /// As printed, without its end; bytes that are not UTF-8 are replaced.
    pub text: String,
}

impl OutputLine {
    /// What Phalanx itself tells, of one line or several.
    #[must_use]
    pub fn verbatim(text: String) -> Self {
        Self { instance: None, text }
    }

    /// As it is shown: `INSTANCE | TEXT`, or what Phalanx tells.
    #[must_use]
    pub fn shown(&self, colours: Colours) -> String {
        match &self.instance {
            Some(instance) => format!("{instance} | {}", clean(&self.text, colours)),
            None => self.text.clone(),
        }
    }
}

/// The queue between the replicas and the thread that runs [`write_lines`].
#[must_use]
pub fn output_queue() -> (mpsc::Sender<OutputLine>, mpsc::Receiver<OutputLine>) {
    mpsc::channel(QUEUE_LINES_MAX)
}
