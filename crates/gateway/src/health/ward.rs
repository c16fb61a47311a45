//! The endpoints of one service, judged together: some decisions are about one among the others, some about all of them.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use phalanx_balance::{
    breaker::{self, CircuitBreaker},
    health::{self, Event, Standing},
    outlier::{self, Detector},
};
use phalanx_config::{ActiveHealth, Service, ServiceName, Source};
use phalanx_telemetry::upstream::EndpointTotals;
use tokio::{sync::mpsc, task::JoinSet};

use super::{
    Checked,
    patient::{Beginning, Patient},
    policies,
};
use crate::{
    Gateway,
    table::{Endpoint, Gate},
};

/// A service and what is known of its endpoints.
pub(super) struct Ward {
    service: ServiceName,
    policy: health::Policy,
    check: Option<ActiveHealth>,
    slow_start: Duration,
    patients: Vec<Patient>,
    outliers: Option<Detector>,
    breaker: Option<Breaker>,
}

/// The circuit breaker of a service, and where it keeps requests back.
struct Breaker {
    gate: Arc<Gate>,
    breaker: CircuitBreaker,
}

impl Ward {
    pub(super) fn new(name: &ServiceName, service: &Service, gateway: &Gateway) -> Self {
        let (passive, active) = match &service.source {
            Source::Endpoints { passive_health, active_health, .. }
            | Source::Discovered { passive_health, active_health, .. } => {
                (Some(passive_health), active_health.clone())
            }
            // The fleet judges them by their probes.
            Source::Replicas(_) => (None, None),
        };
        let resilience = &service.resilience;
        let breaker = resilience.circuit_breaker.as_ref().map(policies::breaker);
        Self {
            service: name.clone(),
            policy: policies::health(passive, active.as_ref()),
            check: active,
            slow_start: resilience.slow_start,
            patients: Vec::new(),
            outliers: resilience.outlier_ejection.as_ref().map(policies::outliers),
            breaker: gateway.gate(name).zip(breaker).map(|(gate, breaker)| Breaker { gate, breaker }),
        }
    }

    /// Takes up the endpoints that have come, and lets go of those that have gone.
    pub(super) fn follow(
        &mut self,
        gateway: &Gateway,
        results: &mpsc::Sender<Checked>,
        checks: &mut JoinSet<()>,
        now: Duration,
    ) {
        let endpoints = gateway.endpoints(&self.service);
        self.patients.retain(|patient| endpoints.iter().any(|stays| Arc::ptr_eq(stays, &patient.endpoint)));
        let beginning =
            if self.patients.iter().any(Patient::serves) { Beginning::Cold } else { Beginning::Warm };
        for endpoint in endpoints {
            if self.find(&endpoint).is_none() {
                let address = endpoint.address.to_string();
                let counters = gateway.upstreams().counters(self.service.as_str(), &address);
                let mut patient = Patient::new(endpoint, counters, self.policy);
                if let Some(check) = &self.check {
                    patient.begin_checks(check, results, checks);
                }
                patient.begin_serving(beginning, self.slow_start, now);
                self.patients.push(patient);
            }
        }
    }

    /// The patient that is this endpoint.
    pub(super) fn find(&self, endpoint: &Arc<Endpoint>) -> Option<usize> {
        self.patients.iter().position(|patient| Arc::ptr_eq(&patient.endpoint, endpoint))
    }

    /// The patient at this address.
    pub(super) fn find_address(&self, address: SocketAddr) -> Option<usize> {
        self.patients.iter().position(|patient| patient.endpoint.address == address)
    }

    /// How many serve beside this one.
    pub(super) fn others_serving(&self, index: usize) -> usize {
        let others = self.patients.iter().enumerate().filter(|(other, _)| *other != index);
        others.filter(|(_, patient)| patient.serves()).count()
    }

    /// Tells a patient's health what happened, and puts what follows into force.
    pub(super) fn judge(
        &mut self,
        index: usize,
        event: Event,
        now: Duration,
        reason: &str,
        gateway: &Gateway,
    ) {
        let beginning = if self.others_serving(index) > 0 { Beginning::Cold } else { Beginning::Warm };
        let patient = &mut self.patients[index];
        let before = patient.health.standing();
        let Some(standing) = patient.health.on(event, now) else { return };
        let (service, endpoint) = (&self.service, patient.endpoint.address);
        match standing {
            Standing::Serving => {
                patient.begin_serving(beginning, self.slow_start, now);
                tracing::info!(%service, %endpoint, reason, "an endpoint serves again");
            }
            Standing::Ejected { .. } | Standing::Failing if before == Standing::Serving => {
                patient.counters.ejected();
                tracing::warn!(%service, %endpoint, reason, "an endpoint gets no more requests");
            }
            Standing::Draining => tracing::info!(%service, %endpoint, "an endpoint drains"),
            Standing::Trial | Standing::Ejected { .. } | Standing::Failing => {}
        }
        gateway.set_standing(&patient.endpoint, standing);
    }

    /// Sees to what comes with time, and to what only the counters tell.
    pub(super) fn tick(&mut self, gateway: &Gateway, now: Duration) {
        for index in 0..self.patients.len() {
            let patient = &mut self.patients[index];
            patient.warm_up(self.slow_start, now);
            if patient.health.wakes_at().is_some_and(|at| at <= now) {
                self.judge(index, Event::Tick, now, "its time out is over", gateway);
            }
        }
        if self.outliers.is_none() && self.breaker.is_none() {
            return;
        }
        let totals: Vec<EndpointTotals> =
            self.patients.iter().map(|patient| self.totals(patient, gateway)).collect();
        self.find_outliers(&totals, gateway, now);
        if let Some(breaker) = &mut self.breaker {
            breaker.tick(&self.service, &totals, now);
        }
    }

    fn totals(&self, patient: &Patient, gateway: &Gateway) -> EndpointTotals {
        gateway.upstreams().totals(self.service.as_str(), &patient.endpoint.address.to_string())
    }

    fn find_outliers(&mut self, totals: &[EndpointTotals], gateway: &Gateway, now: Duration) {
        let Some(outliers) = &mut self.outliers else { return };
        let observed: Vec<_> =
            self.patients.iter().zip(totals).map(|(patient, totals)| observed(patient, totals)).collect();
        for verdict in outliers.on_tick(&observed, now) {
            let found = self.patients.iter().position(|patient| patient.endpoint.hash == verdict.identity);
            if let Some(index) = found {
                let event = Event::FoundOutlying { until: now + verdict.ejected_for };
                self.judge(index, event, now, &format!("it {}", verdict.cause), gateway);
            }
        }
    }
}

impl Breaker {
    fn tick(&mut self, service: &ServiceName, totals: &[EndpointTotals], now: Duration) {
        let totals = breaker::Totals {
            requests: totals.iter().map(requests).sum(),
            failures: totals.iter().map(failures).sum(),
        };
        match self.breaker.on(totals, now) {
            None => {}
            Some(breaker::State::Closed) => {
                self.gate.let_all_through();
                tracing::info!(%service, "the circuit breaker is closed: requests are sent again");
            }
            Some(breaker::State::Open { until }) => {
                self.gate.let_through(0, until.saturating_sub(now));
                tracing::warn!(%service, "the circuit breaker is open: most requests failed, so none are sent");
            }
            Some(breaker::State::HalfOpen { permits, until }) => {
                self.gate.let_through(permits, until.saturating_sub(now));
            }
        }
    }
}

/// Requests that have ended, well or not.
fn requests(totals: &EndpointTotals) -> u64 {
    totals.answers.count() + totals.failures.saturating_sub(totals.truncated)
}

/// Failed attempts, and answers that say that the endpoint failed.
fn failures(totals: &EndpointTotals) -> u64 {
    totals.failures + totals.server_errors
}

fn observed(patient: &Patient, totals: &EndpointTotals) -> outlier::Observed {
    outlier::Observed {
        identity: patient.endpoint.hash,
        standing: patient.health.standing(),
        totals: outlier::Totals {
            requests: requests(totals),
            failures: failures(totals),
            answered: totals.answers.count(),
            response_time: totals.answers.sum(),
        },
    }
}
