//! Feeds the decisions about endpoints and services (`phalanx-balance`, `phalanx-admission`) with what happens, and puts them
//! into force: standings and shares of endpoints, breakers, limits.
//!
//! It runs beside the workers, which learn of everything through tables and a few shared numbers. Failed attempts and checks
//! reach it as they happen; what follows from counts it finds by looking at the counters a few times a second, so that counting
//! costs a request nothing.

mod check;
mod patient;
mod policies;
mod ward;

use std::{net::SocketAddr, sync::Arc, time::Duration};

use check::CheckFailure;
use phalanx_balance::health::Event;
use phalanx_config::Config;
use phalanx_telemetry::clock;
use tokio::{
    sync::{mpsc, oneshot, watch},
    task::{JoinError, JoinSet},
    time::MissedTickBehavior,
};
use tokio_util::sync::CancellationToken;
use ward::Ward;

use crate::{
    Gateway,
    table::{Endpoint, Table},
};

/// Check results that wait to be judged.
const RESULTS_MAX: usize = 256;
/// How often counters are looked at, and the end of an ejection is looked for.
const TICK: Duration = Duration::from_millis(250);

/// What became of a request at an endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// It gave a whole response.
    Answered,
    /// It could not be reached, or gave none.
    Failed,
}

/// An attempt that a worker has made.
pub(crate) struct Attempted {
    pub(crate) endpoint: Arc<Endpoint>,
    pub(crate) outcome: Outcome,
}

/// What somebody wants of an endpoint.
pub(crate) struct Order {
    pub(crate) address: SocketAddr,
    /// [`Event::Drain`] or [`Event::Resume`].
    pub(crate) event: Event,
    /// Told the generation of the table in which it is obeyed, or that there is no such endpoint.
    pub(crate) obeyed: oneshot::Sender<Option<u64>>,
}

/// The result of an active check.
struct Checked {
    endpoint: Arc<Endpoint>,
    result: Result<(), CheckFailure>,
}

/// Judges the endpoints of a gateway as long as it runs.
pub struct HealthLoop {
    gateway: Gateway,
    wards: Vec<Ward>,
    attempts: mpsc::Receiver<Attempted>,
    orders: mpsc::Receiver<Order>,
    tables: watch::Receiver<Arc<Table>>,
}

enum Wake {
    Checked(Checked),
    Attempted(Attempted),
    Ordered(Order),
    TablePublished,
    Tick,
    Stop,
}

impl HealthLoop {
    pub(crate) fn new(
        config: &Config,
        gateway: Gateway,
        attempts: mpsc::Receiver<Attempted>,
        orders: mpsc::Receiver<Order>,
    ) -> Self {
        let wards = config.services.iter().map(|(name, service)| Ward::new(name, service, &gateway));
        Self { wards: wards.collect(), tables: gateway.tables(), gateway, attempts, orders }
    }

    /// Judges until `stop`.
    pub async fn run(mut self, stop: CancellationToken) {
        let began = clock::now();
        let (results, mut checked) = mpsc::channel(RESULTS_MAX);
        let mut checks = JoinSet::new();
        let mut ticks = tokio::time::interval(TICK);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        for ward in &mut self.wards {
            ward.follow(&self.gateway, &results, &mut checks, Duration::ZERO);
        }
        loop {
            let wake = tokio::select! {
                () = stop.cancelled() => Wake::Stop,
                Some(result) = checked.recv() => Wake::Checked(result),
                Some(attempted) = self.attempts.recv() => Wake::Attempted(attempted),
                Some(order) = self.orders.recv() => Wake::Ordered(order),
                Ok(()) = self.tables.changed() => Wake::TablePublished,
                _ = ticks.tick() => Wake::Tick,
            };
            let now = clock::now().saturating_duration_since(began);
            match wake {
                Wake::Checked(Checked { endpoint, result: Ok(()) }) => {
                    self.judge(&endpoint, |_| Event::CheckPassed, now, "its checks pass");
                }
                Wake::Checked(Checked { endpoint, result: Err(failure) }) => {
                    self.judge(&endpoint, |_| Event::CheckFailed, now, &failure.to_string());
                }
                Wake::Attempted(Attempted { endpoint, outcome: Outcome::Answered }) => {
                    self.judge(&endpoint, |_| Event::AttemptSucceeded, now, "it answered a request on trial");
                }
                Wake::Attempted(Attempted { endpoint, outcome: Outcome::Failed }) => {
                    let event = |others_serving| Event::AttemptFailed { others_serving };
                    self.judge(&endpoint, event, now, "requests to it fail");
                }
                Wake::Ordered(order) => self.obey(order, now),
                Wake::TablePublished => {
                    self.tables.mark_unchanged();
                    for ward in &mut self.wards {
                        ward.follow(&self.gateway, &results, &mut checks, now);
                    }
                }
                Wake::Tick => {
                    // Those that were ended with their endpoint.
                    while let Some(ended) = checks.try_join_next() {
                        report(ended);
                    }
                    for ward in &mut self.wards {
                        ward.tick(&self.gateway, now);
                    }
                }
                Wake::Stop => break,
            }
        }
        checks.shutdown().await;
    }

    fn obey(&mut self, order: Order, now: Duration) {
        let mut is_known = false;
        for ward in &mut self.wards {
            if let Some(index) = ward.find_address(order.address) {
                ward.judge(index, order.event, now, "it was ordered", &self.gateway);
                is_known = true;
            }
        }
        // Whoever gave the order may have left.
        let _ = order.obeyed.send(is_known.then(|| self.gateway.generation()));
    }

    /// Tells the endpoint's ward what happened; `event` is made of how many others serve.
    fn judge(
        &mut self,
        endpoint: &Arc<Endpoint>,
        event: impl Fn(usize) -> Event,
        now: Duration,
        reason: &str,
    ) {
        // An endpoint that has been withdrawn meanwhile is nobody's patient.
        for ward in &mut self.wards {
            if let Some(index) = ward.find(endpoint) {
                let event = event(ward.others_serving(index));
                ward.judge(index, event, now, reason, &self.gateway);
            }
        }
    }
}

fn report(ended: Result<(), JoinError>) {
    if let Err(error) = ended
        && error.is_panic()
    {
        tracing::error!(%error, "the checks of an endpoint ended in a panic; please report this");
    }
}
