//! The loop that decides how many replicas there are: observed, planned, acted on, again and again.
//!
//! Every interval of a service what is there is put together (the board, `/proc`, the balancer's counts), `phalanx_scale` decides, and
//! the fleet is ordered to. Somebody who waits for the first replica of a service does not wait for an interval.
//! Invariants: the number lies between `min` and `max`, and `max` is no more than the machine has room for. What is not known never
//! takes it down: a replica that takes no requests, that was measured only once, or not at all, has no sample. A change that could
//! not be made uses up no rate.
//! Elsewhere: the arithmetic and its reasons (`phalanx_scale`); how replicas come and go (`crate::manager`).
//! Fails by holding: an order that the fleet refuses is logged, and the next interval decides anew.

mod load;
mod observe;
mod orders;
mod runs;
mod scaled;

#[cfg(test)]
mod tests;

use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

use phalanx_config::{Replicas, ServiceName};
use phalanx_scale::{Why, host::Host};
use phalanx_telemetry::clock;
use tokio_util::sync::CancellationToken;

use self::scaled::Scaled;
pub use self::{
    load::{EndpointLoad, Load, ServiceLoad},
    orders::AutoscalerHandle,
};
use crate::{
    handle::FleetHandle,
    manager::at,
    orders::OrderError,
    state::{AutoscaleState, MetricState},
};

/// Decides for every service that has an autoscaler.
pub struct Autoscaler<L> {
    services: Vec<Scaled>,
    handle: AutoscalerHandle,
    host: Host,
    fleet: FleetHandle,
    load: L,
}

/// Why the loop goes on.
enum Hint {
    /// The time has come.
    Time,
    /// Somebody waits for a replica.
    Demand,
    /// The file says something else.
    File,
}

impl<L: Load> Autoscaler<L> {
    /// For these services, as far as they have an autoscaler, on such a machine.
    pub fn new<'a>(
        services: impl IntoIterator<Item = (&'a ServiceName, &'a Replicas)>,
        host: Host,
        fleet: FleetHandle,
        load: L,
    ) -> Self {
        let handle = AutoscalerHandle::new(services);
        let mut autoscaler = Self { services: Vec::new(), handle, host, fleet, load };
        autoscaler.follow_the_file(clock::now());
        autoscaler
    }

    /// A handle to tell it what the file says by now.
    #[must_use]
    pub fn handle(&self) -> AutoscalerHandle {
        self.handle.clone()
    }

    /// Decides until `stop`; once the fleet stops, or where no service has an autoscaler, there is nothing to decide until then.
    pub async fn run(mut self, stop: CancellationToken) {
        let (mut demand, mut said) = (self.load.demand(), self.handle.subscribe());
        loop {
            let wakes_at = self.services.iter().map(Scaled::wakes_at).min();
            let hint = tokio::select! {
                () = stop.cancelled() => return,
                // A balancer that is gone asks for nothing more; the timer goes on.
                Ok(()) = demand.changed() => Hint::Demand,
                Ok(()) = said.changed() => Hint::File,
                () = at(wakes_at) => Hint::Time,
            };
            if self.pass(hint).await == Ended::Yes {
                break;
            }
        }
        stop.cancelled().await;
    }

    /// Looks at every service, and decides for those whose time has come.
    async fn pass(&mut self, hint: Hint) -> Ended {
        let now = clock::now();
        if let Hint::File = hint {
            self.follow_the_file(now);
        }
        let loads: Vec<_> = self.services.iter().map(|service| self.load.load(service.name())).collect();
        for (service, load) in self.services.iter_mut().zip(&loads) {
            service.glance(load, now);
            if matches!(hint, Hint::Demand) && load.held > 0 {
                service.hurry(now);
            }
        }
        let is_due = |service: &Scaled| service.is_due(now);
        if !self.services.iter().any(is_due) {
            return Ended::No;
        }
        let used = match self.services.iter().any(|service| is_due(service) && service.goes_by_usage()) {
            true => self.fleet.measure().await,
            false => HashMap::new(),
        };
        for (service, load) in self.services.iter_mut().zip(&loads).filter(|(service, _)| service.is_due(now))
        {
            // Looked up after the measuring, and for each anew: whoever scales by hand meanwhile is not overruled by what was before.
            let Some(state) = self.fleet.service(service.name()) else { continue };
            let why = service.decide(&state, load, &used, now);
            if act(&self.fleet, service, &why, now).await == Ended::Yes {
                return Ended::Yes;
            }
        }
        Ended::No
    }

    /// Takes up what the file says. Who is scaled as before remembers what was; anybody else begins anew, with the number found.
    fn follow_the_file(&mut self, now: Instant) {
        let mut before = std::mem::take(&mut self.services);
        for (name, replicas) in &*self.handle.said() {
            let known = before.iter().position(|service| service.name() == name && service.is_for(replicas));
            let service = match known {
                Some(known) => Some(before.swap_remove(known)),
                None => Scaled::new(name, replicas, self.host, now),
            };
            self.services.extend(service);
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Ended {
    Yes,
    No,
}

/// Orders what was decided, and shows it; remembers a change only if it was made.
async fn act(fleet: &FleetHandle, service: &mut Scaled, why: &Why, now: Instant) -> Ended {
    let line = why.to_string();
    tracing::debug!(service = %service.name(), reason = line, "autoscaler has decided");
    let decided = AutoscaleState { desired: why.to(), line, at: now, metrics: metrics(why) };
    match fleet.autoscale(service.name().as_str(), decided).await {
        Ok(_) => {
            service.changed(why, now);
            Ended::No
        }
        Err(OrderError::Stopping | OrderError::Ended) => Ended::Yes,
        Err(error) => {
            tracing::warn!(service = %service.name(), %error, "the fleet refuses what the autoscaler has decided");
            Ended::No
        }
    }
}

fn metrics(why: &Why) -> Vec<MetricState> {
    let seen = why.seen().into_iter();
    seen.map(|seen| MetricState { name: seen.name.into(), value: seen.value, target: seen.target }).collect()
}

/// Between two looks at what is in flight.
const GLANCE_INTERVAL: Duration = Duration::from_secs(1);
