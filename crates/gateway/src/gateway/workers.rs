//! The threads that the workers run on.

use std::{fmt, io, thread};

use tokio::{sync::oneshot, task::JoinSet};

use crate::worker::{self, Seat};

/// A worker thread that could not be started.
#[derive(Debug, thiserror::Error)]
#[error("cannot start worker thread {index}")]
pub struct StartError {
    /// The worker, from zero.
    pub index: usize,
    /// What the system said.
    pub source: io::Error,
}

/// The threads of a gateway.
#[derive(Default)]
pub struct Workers {
    ends: Vec<oneshot::Receiver<io::Result<()>>>,
}

impl Workers {
    pub(super) fn start(&mut self, seat: Seat) -> Result<(), StartError> {
        let index = seat.index;
        let (ended, end) = oneshot::channel();
        thread::Builder::new()
            .name(format!("worker-{index}"))
            .spawn(move || {
                // Nobody listens when the process is ending anyway.
                let _ = ended.send(worker::run(seat));
            })
            .map_err(|source| StartError { index, source })?;
        self.ends.push(end);
        Ok(())
    }

    /// Returns when every worker has ended: after [`Gateway::stop`](crate::Gateway::stop) and draining, or because one failed.
    ///
    /// # Errors
    /// [`WorkerError`] for the first that did not end in order.
    pub async fn ended(self) -> Result<(), WorkerError> {
        let mut ends = JoinSet::new();
        for (index, end) in self.ends.into_iter().enumerate() {
            ends.spawn(async move { (index, end.await) });
        }
        while let Some(Ok((index, end))) = ends.join_next().await {
            match end {
                Ok(Ok(())) => {}
                Ok(Err(source)) => return Err(WorkerError { index, source: Some(source) }),
                Err(_) => return Err(WorkerError { index, source: None }),
            }
        }
        Ok(())
    }
}

/// A worker that ended out of turn.
#[derive(Debug)]
pub struct WorkerError {
    /// The worker, from zero.
    pub index: usize,
    /// What the system said; `None` when the thread panicked.
    pub source: Option<io::Error>,
}

impl fmt::Display for WorkerError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { index, source } = self;
        match source {
            Some(_) => write!(formatter, "worker thread {index} failed"),
            None => write!(formatter, "worker thread {index} panicked"),
        }
    }
}

impl std::error::Error for WorkerError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.source.as_ref().map(|source| source as _)
    }
}
