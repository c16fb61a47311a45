//! What goes on beside statements: connections, probes, the map of buckets, plans of slow statements.
//!
//! Every task belongs to the [`Upkeep`], which its owner runs; dropped, it takes them along.

use std::{panic, sync::Arc, time::Duration};

use futures_util::future::BoxFuture;
use tokio::{sync::mpsc, task::JoinSet, time};

use super::{SHARDS_MAX, map, plans, shared::Shared, state::ShardState};

/// Something that runs until the topology is closed, or sooner.
pub(crate) type Task = BoxFuture<'static, ()>;

/// Tasks that wait to be taken over.
pub(crate) const TASKS_MAX: usize = 64;

/// After a probe that a failed statement asked for: a server that fails all of them is not asked as often as it is used.
const HINTED_PAUSE: Duration = Duration::from_millis(20);

/// Keeps a topology going: to be run for as long as it is used. It ends when the topology is closed and what was on its way has
/// ended.
#[must_use = "statements find no connection unless this runs"]
pub struct Upkeep {
    shared: Arc<Shared>,
    tasks: JoinSet<()>,
    requests: mpsc::Receiver<Task>,
}

enum Event {
    Asked(Task),
    Ended(Result<(), tokio::task::JoinError>),
    Closed,
}

impl Upkeep {
    pub(crate) fn new(shared: Arc<Shared>, requests: mpsc::Receiver<Task>) -> Self {
        Self { shared, tasks: JoinSet::new(), requests }
    }

    /// Begins a task at once.
    pub(crate) fn begin(&mut self, task: Task) {
        self.tasks.spawn(task);
    }

    /// Begins what a topology has once, whatever its shards.
    pub(crate) fn begin_common(&mut self, plan_requests: plans::Requests) {
        let shared = Arc::clone(&self.shared);
        self.begin(Box::pin(plans::explain(shared, plan_requests)));
        let shared = Arc::clone(&self.shared);
        self.begin(Box::pin(watch_map(shared)));
    }

    /// Runs until the topology is closed.
    ///
    /// # Panics
    /// When one of its tasks has.
    pub async fn run(mut self) {
        let closed = self.shared.closed.clone();
        loop {
            let event = tokio::select! {
                Some(task) = self.requests.recv() => Event::Asked(task),
                Some(ended) = self.tasks.join_next() => Event::Ended(ended),
                () = closed.cancelled() => Event::Closed,
            };
            match event {
                Event::Asked(task) => self.begin(task),
                Event::Ended(ended) => pass_panic_on(ended),
                Event::Closed => break,
            }
        }
        adopted(self.tasks).await;
    }
}

/// Runs tasks that another set has begun already.
pub(crate) async fn adopted(mut tasks: JoinSet<()>) {
    while let Some(ended) = tasks.join_next().await {
        pass_panic_on(ended);
    }
}

fn pass_panic_on(ended: Result<(), tokio::task::JoinError>) {
    if let Some(panicked) = ended.err().and_then(|error| error.try_into_panic().ok()) {
        panic::resume_unwind(panicked);
    }
}

/// Probes one server of a shard until another state has taken the shard's place.
pub(crate) async fn watch(shared: Arc<Shared>, state: Arc<ShardState>, index: usize) {
    let settings = &shared.settings;
    let place = &state.places[index];
    loop {
        let period =
            if state.view().primary.is_none() { settings.search_period } else { settings.probe_period };
        let is_hinted = tokio::select! {
            () = time::sleep(jittered(period)) => false,
            () = place.hint.notified() => true,
            () = state.retired.cancelled() => return,
            () = shared.closed.cancelled() => return,
        };
        let outcome = time::timeout(settings.probe_timeout, place.member.endpoint.probe()).await;
        if let Ok(Err(error)) = &outcome {
            let error: &dyn std::error::Error = error;
            tracing::debug!(server = place.url.name(), error, "probe failed");
        }
        state.probed(index, outcome.ok().and_then(Result::ok));
        if is_hinted {
            time::sleep(HINTED_PAUSE).await;
        }
    }
}

/// Asks one shard after the other for its map.
async fn watch_map(shared: Arc<Shared>) {
    // Processes that started together begin with different shards.
    let mut turn = fastrand::usize(..SHARDS_MAX);
    loop {
        tokio::select! {
            () = time::sleep(jittered(shared.settings.map_period)) => {}
            () = shared.closed.cancelled() => return,
        }
        map::poll(&shared, turn).await;
        turn = turn.wrapping_add(1);
    }
}

/// A quarter more or less: a fleet that started together does not ask together.
fn jittered(period: Duration) -> Duration {
    period.mul_f64(0.75 + fastrand::f64() / 2.0)
}
