//! The reader threads: each has its own connection, all take from one queue.

use std::sync::{Arc, Mutex, PoisonError};

use rusqlite::Connection;
use tokio::sync::mpsc;

/// What a reader thread is told.
pub(crate) enum Command {
    Run(Job),
    /// Ends the one thread that takes it.
    Stop,
}

/// A read; it answers its caller by itself and does not panic.
pub(crate) type Job = Box<dyn FnOnce(&Connection) + Send>;

/// The queue that the reader threads share.
pub(crate) type Queue = Arc<Mutex<mpsc::Receiver<Command>>>;

/// Runs one reader thread until it is told to stop or nobody can ask any more.
#[expect(
    clippy::needless_pass_by_value,
    reason = "the thread owns its connection and its share of the queue"
)]
pub(crate) fn run(connection: Connection, queue: Queue) {
    loop {
        // The idle threads wait for the lock, one of them for the queue; it lets go before it works.
        let command = queue.lock().unwrap_or_else(PoisonError::into_inner).blocking_recv();
        match command {
            Some(Command::Run(job)) => job(&connection),
            Some(Command::Stop) | None => return,
        }
    }
}
