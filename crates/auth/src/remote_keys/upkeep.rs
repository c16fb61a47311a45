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
    pub(super) publish: watch::Sender<State>,
}

enum Event {
    Stopped,
    /// The wait is over.
    Due,
    /// Somebody asks for a key.
    Wanted,
    Fetched(Result<Fetched, FetchError>),
}

impl RemoteKeysUpkeep {
    /// Fetches when it is due, until `stop` is cancelled. A fetch that is under way then is left to its timeout.
    pub async fn run(self, stop: CancellationToken) {
        let cooldown = self.shared.settings.cooldown;
        loop {
            let state = *self.publish.borrow();
            let event = match plan(&state, cooldown, self.shared.now()) {
                Plan::Fetch => {
                    self.publish.send_modify(|state| state.begin(self.shared.now()));
                    tokio::select! {
                        () = stop.cancelled() => Event::Stopped,
                        outcome = fetch(self.source.clone()) => Event::Fetched(outcome),
                    }
                }
                Plan::Wait(time) => tokio::select! {
                    () = stop.cancelled() => Event::Stopped,
                    () = self.shared.wanted.notified() => Event::Wanted,
                    () = sleep(time) => Event::Due,
                },
            };
            match event {
                Event::Stopped => return,
                Event::Due => {}
                Event::Wanted => self.publish.send_modify(|state| state.wanted = true),
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
                self.publish.send_modify(|state| state.succeed(lifetime, self.shared.now()));
            }
            Err(error) => {
                tracing::warn!(%url, error = &error as &dyn std::error::Error, "keys cannot be fetched");
                self.publish.send_modify(State::fail);
            }
        }
    }
}

async fn fetch(source: Source) -> Result<Fetched, FetchError> {
    let fetching = tokio::task::spawn_blocking(move || source.fetch());
    fetching.await.unwrap_or_else(|ended| panic::resume_unwind(ended.into_panic()))
}
