//! The fleet as others have it in their hands: they look at it, give it orders, wait for what comes of them, and stop it at once.

use std::{collections::HashMap, sync::Arc, time::Duration};

use phalanx_config::{Replicas, ServiceName};
use tokio::{
    sync::{mpsc, oneshot, watch},
    time::{MissedTickBehavior, interval},
};
use tokio_util::sync::CancellationToken;

use crate::{
    events::{EventLog, EventStream, FleetEvent},
    orders::{self, Accepted, Order, OrderError, OrderOutcome, Request},
    output::{OutputRecord, Outputs},
    ports::Ports,
    process::Groups,
    state::{AutoscaleState, ServiceState},
    usage::{Measured, Meter, Usage},
};

/// How often replicas are measured for those who merely look, as often as a kubelet does.
const MEASURE_PERIOD: Duration = Duration::from_secs(15);

/// The fleet has ended, and what was waited for will not come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the fleet has ended")]
pub struct FleetEnded;

/// Watches a fleet, gives it orders, and stops it at once.
#[derive(Clone, Debug)]
pub struct FleetHandle {
    pub(crate) board: watch::Receiver<Vec<ServiceState>>,
    pub(crate) orders: mpsc::Sender<Order>,
    pub(crate) events: Arc<EventLog>,
    pub(crate) groups: Arc<Groups>,
    pub(crate) meter: Arc<Meter>,
    pub(crate) outputs: Arc<Outputs>,
    pub(crate) ports: Arc<Ports>,
    pub(crate) stop_now: CancellationToken,
}

impl FleetHandle {
    /// Every service and its replicas.
    #[must_use]
    pub fn state(&self) -> Vec<ServiceState> {
        self.board.borrow().clone()
    }

    /// One service and its replicas.
    pub(crate) fn service(&self, name: &ServiceName) -> Option<ServiceState> {
        self.board.borrow().iter().find(|state| state.service == *name).cloned()
    }

    /// Measures every replica that has a process, by instance; one that could not be measured is missing. Reads files on a
    /// thread for such work.
    pub async fn measure(&self) -> HashMap<Arc<str>, Usage> {
        let replicas = self.state().into_iter().flat_map(|service| service.replicas);
        let running = replicas.filter_map(|replica| Some((replica.instance, replica.process?.pid)));
        self.meter.measure(running.collect()).await
    }

    /// Measures regularly, so that [`Self::measured`] has something to tell, until `stop`.
    pub async fn keep_measuring(&self, stop: CancellationToken) {
        let mut ticks = interval(MEASURE_PERIOD);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                _ = ticks.tick() => {}
            }
            self.measure().await;
        }
    }

    /// What a replica used at the last sample of the fleet, if it was measured.
    #[must_use]
    pub fn measured(&self, instance: &str) -> Option<Measured> {
        self.meter.measured(instance)
    }

    /// The last lines that a replica printed, oldest first, over its restarts: at most 500 and 256 KiB. None where there is no
    /// such replica.
    #[must_use]
    pub fn output(&self, instance: &str) -> Vec<OutputRecord> {
        self.outputs.records(instance)
    }

    /// Lines of a replica that were dropped since it has been there: more than it may print, or more than were taken.
    #[must_use]
    pub fn dropped_lines(&self, instance: &str) -> u64 {
        self.outputs.dropped_lines(instance)
    }

    /// Waits until the fleet is in a state that `level` is content with.
    ///
    /// # Errors
    /// When the fleet has ended and was not.
    pub async fn wait_until(&self, mut level: impl FnMut(&[ServiceState]) -> bool) -> Result<(), FleetEnded> {
        let reached = self.board.clone().wait_for(|services| level(services)).await.map(|_| ());
        reached.map_err(|_| FleetEnded)
    }

    /// Waits until every replica that should be there takes requests.
    ///
    /// # Errors
    /// When the fleet has ended before.
    pub async fn all_ready(&self) -> Result<(), FleetEnded> {
        self.wait_until(|services| services.iter().all(ServiceState::is_complete)).await
    }

    /// What has happened after the event `after`, as far as it is kept, and what is to come. Numbers go up by one: a first one
    /// above `after + 1` tells that those between are not kept any more.
    #[must_use]
    pub fn events(&self, after: u64) -> (Vec<FleetEvent>, EventStream) {
        self.events.after(after)
    }

    /// How many ports are taken for replicas: one for each that has a process, or had one before its next start.
    #[must_use]
    pub fn ports_taken(&self) -> usize {
        self.ports.taken()
    }

    /// Wants so many replicas.
    ///
    /// # Errors
    /// When there may not be so many.
    pub async fn scale(&self, service: &str, replicas: u32) -> Result<Accepted, OrderError> {
        self.order(service, Request::Scale(replicas)).await
    }

    /// Wants as many replicas as the autoscaler has decided, and shows why.
    ///
    /// # Errors
    /// When there may not be so many.
    pub async fn autoscale(&self, service: &str, decided: AutoscaleState) -> Result<Accepted, OrderError> {
        self.order(service, Request::Autoscale(decided)).await
    }

    /// Wants another replica in place of each.
    ///
    /// # Errors
    /// While the rollout is paused.
    pub async fn restart(&self, service: &str) -> Result<Accepted, OrderError> {
        self.order(service, Request::Restart).await
    }

    /// Wants an earlier revision back: `revision`, or the one before the current one.
    ///
    /// # Errors
    /// When there is none, and while the rollout is paused.
    pub async fn undo(&self, service: &str, revision: Option<u64>) -> Result<Accepted, OrderError> {
        self.order(service, Request::Undo(revision)).await
    }

    /// Replaces no more replicas until [`Self::resume`]. Their number is followed all the same.
    ///
    /// # Errors
    /// When there is no such service.
    pub async fn pause(&self, service: &str) -> Result<Accepted, OrderError> {
        self.order(service, Request::Pause).await
    }

    /// Goes on after [`Self::pause`].
    ///
    /// # Errors
    /// When there is no such service.
    pub async fn resume(&self, service: &str) -> Result<Accepted, OrderError> {
        self.order(service, Request::Resume).await
    }

    /// Wants what the file says by now: replicas like these, replaced in this way, and, if that is another number than the
    /// file said before, so many. What they depend on stays as it was at the start.
    ///
    /// # Errors
    /// When there may not be so many.
    pub async fn roll_to(&self, service: &str, replicas: Box<Replicas>) -> Result<Accepted, OrderError> {
        self.order(service, Request::RollTo(replicas)).await
    }

    /// Waits for what comes of an order. A rollout that can neither end nor stall, such as a paused one, leaves that open.
    ///
    /// # Errors
    /// When the fleet has ended before.
    pub async fn outcome(&self, accepted: &Accepted) -> Result<OrderOutcome, FleetEnded> {
        let mut outcome = None;
        self.wait_until(|services| {
            let state = services.iter().find(|state| state.service == accepted.service);
            outcome = state.and_then(|state| orders::outcome(accepted, state));
            outcome.is_some()
        })
        .await?;
        outcome.ok_or(FleetEnded)
    }

    /// KILL to every process of every replica, in this call; nothing is started afterwards, and [`crate::Fleet::run`] returns
    /// soon.
    pub fn stop_now(&self) {
        // First, or a replica whose process is seen to end would be taken for one that crashed.
        self.stop_now.cancel();
        self.groups.kill_all();
    }

    async fn order(&self, service: &str, request: Request) -> Result<Accepted, OrderError> {
        let known: Vec<_> = self.board.borrow().iter().map(|state| state.service.clone()).collect();
        let Some(name) = known.iter().find(|name| name.as_str() == service) else {
            return Err(OrderError::UnknownService { service: service.to_owned(), known });
        };
        let (answer, answered) = oneshot::channel();
        let order = Order { service: name.clone(), request, answer };
        self.orders.send(order).await.map_err(|_| OrderError::Ended)?;
        answered.await.unwrap_or(Err(OrderError::Ended))
    }
}
