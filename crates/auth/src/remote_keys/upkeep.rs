//! The loop that fetches: it does what the plan says, and nothing of its own.

use std::{panic, sync::Arc};

use tokio::{sync::watch, time::sleep};
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
                        outcome = fetch(self.source.clone()) => Event::Fetched(outcome),
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
        let url = self.source.url();
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

async fn fetch(source: Source) -> Result<Fetched, FetchError> {
    let fetching = tokio::task::spawn_blocking(move || source.fetch());
    fetching.await.unwrap_or_else(|ended| panic::resume_unwind(ended.into_panic()))
}
