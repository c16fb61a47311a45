//! The requests of one HTTP/2 connection: each a task that ends with the connection, and counted, so that a connection without
//! any does not stay for ever.

use std::sync::{
    Arc, Mutex, MutexGuard, PoisonError, Weak,
    atomic::{AtomicU64, Ordering},
};

use hyper::{rt::Executor, service::Service};
use tokio::task::JoinSet;

/// The tasks of a connection. Dropped, it aborts them.
#[derive(Default)]
pub(super) struct Streams {
    tasks: Arc<Mutex<JoinSet<()>>>,
    begun: Arc<AtomicU64>,
}

impl Streams {
    /// What runs the requests.
    pub(super) fn executor(&self) -> StreamExecutor {
        // The tasks hold one each: if it owned them they would own themselves.
        StreamExecutor { tasks: Arc::downgrade(&self.tasks) }
    }

    /// `service`, with its requests counted.
    pub(super) fn counted<S>(&self, service: S) -> Counted<S> {
        Counted { service, begun: self.begun.clone() }
    }

    /// Requests so far.
    pub(super) fn begun(&self) -> u64 {
        self.begun.load(Ordering::Relaxed)
    }
}

/// Runs requests in the name of a connection.
#[derive(Clone)]
pub(super) struct StreamExecutor {
    tasks: Weak<Mutex<JoinSet<()>>>,
}

impl<F: Future<Output = ()> + Send + 'static> Executor<F> for StreamExecutor {
    fn execute(&self, request: F) {
        if let Some(tasks) = self.tasks.upgrade() {
            let mut tasks = lock(&tasks);
            tasks.spawn(request);
            while tasks.try_join_next().is_some() {}
        }
    }
}

fn lock(tasks: &Mutex<JoinSet<()>>) -> MutexGuard<'_, JoinSet<()>> {
    // A panic elsewhere leaves the set whole.
    tasks.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A service that counts its requests.
pub(super) struct Counted<S> {
    service: S,
    begun: Arc<AtomicU64>,
}

impl<R, S: Service<R>> Service<R> for Counted<S> {
    type Response = S::Response;
    type Error = S::Error;
    type Future = S::Future;

    fn call(&self, request: R) -> S::Future {
        self.begun.fetch_add(1, Ordering::Relaxed);
        self.service.call(request)
    }
}
