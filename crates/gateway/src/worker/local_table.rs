//! A [`Table`] made ready for one worker: metric handles resolved, connections kept where the endpoint stays.

use std::{cell::RefCell, rc::Rc, sync::Arc, time::Duration};

use phalanx_balance::RetryBudget;
use phalanx_config::ServiceName;
use phalanx_telemetry::requests::RequestSeries;

use super::{LocalService, Seat, Upstream, service};
use crate::table::{Action, Memory, Routes, Service, Table};

/// The service and route labels of a request that no route takes.
const NO_ROUTE: &str = "none";

/// Retries each second that a service may have over all workers, however few requests it gets.
const RETRIES_PER_SECOND_MIN: f64 = 10.0;

/// What one worker routes by.
pub(crate) struct LocalTable {
    pub(crate) generation: u64,
    pub(crate) routes: Arc<Routes>,
    /// By the index of the route.
    series: Rc<[Arc<RequestSeries>]>,
    no_route: Arc<RequestSeries>,
    pub(crate) services: Vec<Rc<LocalService>>,
    pub(crate) memory: Memory,
}

impl LocalTable {
    /// Builds the worker's view of `table`; what `previous` knows of an endpoint that stays goes over.
    pub(crate) fn build(table: &Table, previous: Option<&Self>, seat: &Seat) -> Self {
        let kept = previous.filter(|previous| Arc::ptr_eq(&previous.routes, &table.routes));
        let services = table.services.iter().map(|service| {
            // What changed elsewhere is no reason to begin the turns of this service anew.
            let unchanged = kept.and_then(|kept| kept.services.iter().find(|known| known.is_over(service)));
            unchanged.cloned().unwrap_or_else(|| Rc::new(local_service(service, previous, seat)))
        });
        let services = services.collect();
        let next = Self {
            generation: table.generation,
            routes: table.routes.clone(),
            series: kept.map_or_else(|| all_series(table, seat), |kept| kept.series.clone()),
            no_route: kept
                .map_or_else(|| seat.requests.series(NO_ROUTE, NO_ROUTE), |kept| kept.no_route.clone()),
            services,
            memory: table.memory,
        };
        for gone in previous.iter().flat_map(|previous| previous.upstreams()) {
            if !next.upstreams().any(|stays| Rc::ptr_eq(stays, gone)) {
                gone.withdraw();
            }
        }
        next
    }

    /// The series of a route, by its index; of requests without a route for `None`.
    pub(crate) fn series(&self, route: Option<usize>) -> &Arc<RequestSeries> {
        route.map_or(&self.no_route, |index| &self.series[index])
    }

    /// The service of this name.
    pub(crate) fn service(&self, name: &ServiceName) -> Option<&Rc<LocalService>> {
        self.services.iter().find(|service| service.name == *name)
    }

    /// Closes idle connections that are past their time.
    pub(crate) fn sweep(&self, now: Duration) {
        for upstream in self.upstreams() {
            upstream.sweep(now);
        }
    }

    /// Wakes the requests that wait for an endpoint, or for room at one: there may be others than before.
    pub(crate) fn let_the_waiting_look(&self) {
        for service in &self.services {
            if let Some(gate) = &service.gate {
                gate.make_room();
            }
            if let Some(hold) = &service.hold {
                hold.let_the_first_look();
            }
        }
    }

    /// Wakes all requests that are held, whoever comes first.
    pub(crate) fn let_all_held_look(&self) {
        self.services.iter().filter_map(|service| service.hold.as_ref()).for_each(|hold| hold.let_all_look());
    }

    fn upstreams(&self) -> impl Iterator<Item = &Rc<Upstream>> {
        self.services.iter().flat_map(|service| &service.upstreams)
    }
}

fn all_series(table: &Table, seat: &Seat) -> Rc<[Arc<RequestSeries>]> {
    let service_of = |action: &Action| match action {
        Action::Forward { service, .. } => table.services[*service].name.to_string(),
        Action::Respond { .. } => NO_ROUTE.to_owned(),
    };
    table.routes.iter().map(|route| seat.requests.series(&service_of(&route.action), &route.label)).collect()
}

fn local_service(service: &Service, previous: Option<&LocalTable>, seat: &Seat) -> LocalService {
    let known = || previous.iter().flat_map(|previous| previous.upstreams());
    let upstreams = service.endpoints.iter().map(|endpoint| {
        match known().find(|upstream| Arc::ptr_eq(&upstream.endpoint, endpoint)) {
            Some(upstream) => upstream.clone(),
            None => {
                let counters = seat.upstreams.counters(service.name.as_str(), &endpoint.address.to_string());
                let timing = service::timing(&service.balance);
                Rc::new(Upstream::new(
                    endpoint.clone(),
                    counters,
                    service.protocol,
                    service.keepalive,
                    timing,
                ))
            }
        }
    });
    let known = previous.and_then(|previous| previous.service(&service.name));
    let budget = known.map_or_else(|| Rc::new(RefCell::new(retry_budget(seat))), |known| known.budget());
    LocalService::new(service, upstreams.collect(), budget, seat.index)
}

/// What one worker may repeat of the requests for a service that have earned nothing yet.
fn retry_budget(seat: &Seat) -> RetryBudget {
    // The precision of a count of threads is no matter.
    let workers = f64::from(u32::try_from(seat.workers).unwrap_or(u32::MAX));
    RetryBudget::new(RETRIES_PER_SECOND_MIN / workers)
}
