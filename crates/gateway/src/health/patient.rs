//! One endpoint as it is judged: its health, its checks, and how long it has been serving.

use std::{sync::Arc, time::Duration};

use phalanx_balance::{
    health::{Health, Policy, Standing},
    slow_start,
};
use phalanx_config::ActiveHealth;
use phalanx_telemetry::upstream::EndpointCounters;
use tokio::{
    sync::mpsc,
    task::{AbortHandle, JoinSet},
    time::MissedTickBehavior,
};

use super::{Checked, check};
use crate::table::Endpoint;

/// An endpoint that is judged.
pub(super) struct Patient {
    pub(super) endpoint: Arc<Endpoint>,
    pub(super) counters: Arc<EndpointCounters>,
    pub(super) health: Health,
    /// Since when it warms up; `None` once it gets its whole share.
    warming_since: Option<Duration>,
    check: Option<AbortHandle>,
}

/// Whether an endpoint that begins to serve gets its whole share at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Beginning {
    /// As when all begin together: nobody could take what it does not get.
    Warm,
    /// The others serve already.
    Cold,
}

impl Patient {
    pub(super) fn new(endpoint: Arc<Endpoint>, counters: Arc<EndpointCounters>, policy: Policy) -> Self {
        Self { endpoint, counters, health: Health::new(policy), warming_since: None, check: None }
    }

    /// Checks it from here on, as long as it is a patient.
    pub(super) fn begin_checks(
        &mut self,
        policy: &ActiveHealth,
        results: &mpsc::Sender<Checked>,
        checks: &mut JoinSet<()>,
    ) {
        let checking = check_for_ever(self.endpoint.clone(), policy.clone(), results.clone());
        self.check = Some(checks.spawn(checking));
    }

    /// Whether it gets requests as others do.
    pub(super) fn serves(&self) -> bool {
        self.health.standing() == Standing::Serving
    }

    /// It begins to serve.
    pub(super) fn begin_serving(&mut self, beginning: Beginning, slow_start: Duration, now: Duration) {
        self.warming_since = (beginning == Beginning::Cold && !slow_start.is_zero()).then_some(now);
        self.warm_up(slow_start, now);
    }

    /// Gives it the share that it may have by now.
    pub(super) fn warm_up(&mut self, slow_start: Duration, now: Duration) {
        let weight = self.endpoint.weight;
        let elapsed = self.warming_since.map_or(slow_start, |since| now.saturating_sub(since));
        let share = slow_start::share(weight, elapsed, slow_start);
        self.endpoint.set_share(share);
        if share == weight.into() {
            self.warming_since = None;
        }
    }
}

impl Drop for Patient {
    fn drop(&mut self) {
        if let Some(check) = &self.check {
            check.abort();
        }
    }
}

async fn check_for_ever(endpoint: Arc<Endpoint>, policy: ActiveHealth, results: mpsc::Sender<Checked>) {
    let mut ticks = tokio::time::interval(policy.interval);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let result = check::check(endpoint.address, policy.path.as_deref(), policy.timeout).await;
        if results.send(Checked { endpoint: endpoint.clone(), result }).await.is_err() {
            return;
        }
    }
}
