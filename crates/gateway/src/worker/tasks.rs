//! What a worker runs beside its client connections: the connections to endpoints that carry many requests each.
//!
//! They begin in the middle of a request, and outlive it; they all end with the worker.

use std::{cell::RefCell, future::Future};

use tokio::task::{JoinError, JoinSet};

/// The tasks of one worker.
#[derive(Default)]
pub(super) struct Tasks {
    set: RefCell<JoinSet<()>>,
}

impl Tasks {
    /// Runs `task` until it ends, or the worker does.
    pub(super) fn spawn(&self, task: impl Future<Output = ()> + 'static) {
        self.set.borrow_mut().spawn_local(task);
    }

    /// Forgets those that have ended.
    pub(super) fn reap(&self) {
        while let Some(ended) = self.set.borrow_mut().try_join_next() {
            report(ended);
        }
    }

    /// Cuts those that run.
    pub(super) async fn shutdown(&self) {
        let mut set = self.set.take();
        set.abort_all();
        while let Some(ended) = set.join_next().await {
            report(ended);
        }
    }
}

fn report(ended: Result<(), JoinError>) {
    if let Err(error) = ended
        && error.is_panic()
    {
        tracing::error!(%error, "a connection to an endpoint ended in a panic; please report this");
    }
}
