//! The loop that fetches: it does what the plan says, and nothing of its own.

use std::sync::Arc;

use tokio::{sync::watch, task::JoinHandle, time::sleep};
use tokio_util::sync::CancellationToken;

use super::{
    Shared,
    fetch::{FetchError, Fetched, Source},
    plan::{Plan, State, plan},
};

/// Fetches the keys of a [`super::RemoteKeys`].
#[derive(Debug)]
#[must_use = "nothing is fetched unless it runs"]
pub struct RemoteKeysUpkeep {
    pub(super) source: Source,
    pub(super) shared: Arc<Shared>,
}

enum Event {
    Stopped,
    /// The wait is over, or somebody asks for a key.
    Due,
    Fetched(Result<Fetched, FetchError>),
}

impl RemoteKeysUpkeep {
    /// Fetches when it is due, until `stop` is cancelled. A fetch that is under way then is left to its timeout.
    pub async fn run(self, stop: CancellationToken) {
        let Shared { state, settings, .. } = &*self.shared;
        let _stopped = Stopped(state);
        let mut wanted = state.subscribe();
        loop {
            let planned = plan(&state.borrow(), settings.cooldown, self.shared.now());
            let event = match planned {
                Plan::Fetch => {
                    state.send_modify(|state| state.begin(self.shared.now()));
                    tokio::select! {
                        () = stop.cancelled() => Event::Stopped,
                        outcome = ended(fetch(self.source.clone())) => Event::Fetched(outcome),
                    }
                }
                Plan::Wait(time) => tokio::select! {
                    () = stop.cancelled() => Event::Stopped,
                    _ = wanted.wait_for(|state| state.wanted) => Event::Due,
                    () = sleep(time) => Event::Due,
                },
            };
            match event {
                Event::Stopped => return,
                Event::Due => {}
                Event::Fetched(outcome) => self.take(outcome),
            }
        }
    }

    /// Keys are in use before anybody who waits for them hears of it.
    fn take(&self, outcome: Result<Fetched, FetchError>) {
        let url = self.source.shown();
        match outcome {
            Ok(Fetched { set, lifetime }) => {
                for key in set.passed_over() {
                    tracing::warn!(%url, kid = key.kid, fault = %key.fault, "a key cannot be used");
                }
                self.shared.keys.replace(set);
                self.shared.state.send_modify(|state| state.succeed(lifetime, self.shared.now()));
            }
            Err(error) => {
                tracing::warn!(%url, error = &error as &dyn std::error::Error, "keys cannot be fetched");
                self.shared.state.send_modify(State::fail);
            }
        }
    }
}

/// Tells those who wait that the loop has ended, however it has.
struct Stopped<'a>(&'a watch::Sender<State>);

impl Drop for Stopped<'_> {
    fn drop(&mut self) {
        self.0.send_modify(|state| state.stopped = true);
    }
}

fn fetch(source: Source) -> JoinHandle<Result<Fetched, FetchError>> {
    tokio::task::spawn_blocking(move || source.fetch())
}

/// How a fetch ended. A panic is one that failed: the next may be luckier, and until then the keys that are there do.
async fn ended(fetch: JoinHandle<Result<Fetched, FetchError>>) -> Result<Fetched, FetchError> {
    fetch.await.unwrap_or(Err(FetchError::Panicked))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_fetch_that_panics_has_failed() {
        let panicked = ended(tokio::task::spawn_blocking(|| panic!("a defect"))).await;
        assert!(matches!(panicked, Err(FetchError::Panicked)));
    }
}
