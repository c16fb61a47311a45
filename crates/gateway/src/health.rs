//! Judges fixed endpoints: sends the active checks, takes in failed attempts, and publishes what follows.
//!
//! The decisions are `phalanx_balance::health`'s; this loop brings it events and acts on its answers. Replicas that Phalanx
//! runs are judged by their readiness probe instead.

mod check;

use std::{num::NonZeroU32, sync::Arc, time::Duration};

use phalanx_balance::health::{Event, Health, Policy, Standing};
use phalanx_config::{ActiveHealth, Config, PassiveHealth, ServiceName, Source};
use phalanx_telemetry::{clock, upstream::EndpointCounters};
use tokio::{sync::mpsc, task::JoinSet, time::MissedTickBehavior};
use tokio_util::sync::CancellationToken;

use crate::{Gateway, table::Endpoint};

/// Check results that wait to be judged.
const RESULTS_MAX: usize = 256;
/// How often the end of an ejection is looked for.
const TICK: Duration = Duration::from_millis(250);

/// A worker could not reach an endpoint, or got no answer from it.
pub(crate) struct AttemptFailed {
    pub(crate) endpoint: Arc<Endpoint>,
}

/// Judges the fixed endpoints of a gateway as long as it runs.
pub struct HealthLoop {
    gateway: Gateway,
    patients: Vec<Patient>,
    failed_attempts: mpsc::Receiver<AttemptFailed>,
}

/// An endpoint that is judged.
struct Patient {
    service: ServiceName,
    endpoint: Arc<Endpoint>,
    counters: Arc<EndpointCounters>,
    health: Health,
    check: Option<ActiveHealth>,
}

/// The result of an active check.
struct Checked {
    patient: usize,
    result: Result<(), check::CheckFailure>,
}

enum Wake {
    Checked(Checked),
    AttemptFailed(AttemptFailed),
    Tick,
    Stop,
}

impl HealthLoop {
    pub(crate) fn new(
        config: &Config,
        gateway: Gateway,
        failed_attempts: mpsc::Receiver<AttemptFailed>,
    ) -> Self {
        let mut patients = Vec::new();
        for (name, service) in &config.services {
            let (Source::Endpoints { passive_health, active_health, .. }
            | Source::Discovered { passive_health, active_health, .. }) = &service.source
            else {
                continue;
            };
            for (endpoint, _) in gateway.endpoints(name) {
                patients.push(Patient {
                    service: name.clone(),
                    counters: gateway.upstreams().counters(name.as_str(), &endpoint.address.to_string()),
                    endpoint,
                    health: Health::new(policy(passive_health, active_health.as_ref())),
                    check: active_health.clone(),
                });
            }
        }
        Self { gateway, patients, failed_attempts }
    }

    /// Judges until `stop`.
    pub async fn run(mut self, stop: CancellationToken) {
        let began = clock::now();
        let (results, mut checked) = mpsc::channel(RESULTS_MAX);
        let mut checks = JoinSet::new();
        for (index, patient) in self.patients.iter().enumerate() {
            if let Some(policy) = patient.check.clone() {
                checks.spawn(check_for_ever(index, patient.endpoint.address, policy, results.clone()));
            }
        }
        let mut ticks = tokio::time::interval(TICK);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let wake = tokio::select! {
                () = stop.cancelled() => Wake::Stop,
                Some(result) = checked.recv() => Wake::Checked(result),
                Some(failed) = self.failed_attempts.recv() => Wake::AttemptFailed(failed),
                _ = ticks.tick() => Wake::Tick,
            };
            let now = clock::now().saturating_duration_since(began);
            match wake {
                Wake::Checked(checked) => self.on_checked(&checked, now),
                Wake::AttemptFailed(failed) => self.on_attempt_failed(&failed, now),
                Wake::Tick => self.on_tick(now),
                Wake::Stop => break,
            }
        }
        checks.shutdown().await;
    }

    fn on_checked(&mut self, checked: &Checked, now: Duration) {
        match &checked.result {
            Ok(()) => self.judge(checked.patient, Event::CheckPassed, now, "checks pass"),
            Err(failure) => self.judge(checked.patient, Event::CheckFailed, now, &failure.to_string()),
        }
    }

    fn on_attempt_failed(&mut self, failed: &AttemptFailed, now: Duration) {
        // Replicas are no patients here.
        let Some(index) =
            self.patients.iter().position(|patient| Arc::ptr_eq(&patient.endpoint, &failed.endpoint))
        else {
            return;
        };
        let service = &self.patients[index].service;
        let serving = self.patients.iter().enumerate().filter(|(other, patient)| {
            *other != index && patient.service == *service && patient.health.standing() == Standing::Serving
        });
        let event = Event::AttemptFailed { others_serving: serving.count() };
        self.judge(index, event, now, "requests to it fail");
    }

    fn on_tick(&mut self, now: Duration) {
        for index in 0..self.patients.len() {
            if self.patients[index].health.wakes_at().is_some_and(|at| at <= now) {
                self.judge(index, Event::Tick, now, "its time out is over");
            }
        }
    }

    fn judge(&mut self, index: usize, event: Event, now: Duration, reason: &str) {
        let patient = &mut self.patients[index];
        let served = patient.health.standing() == Standing::Serving;
        let Some(mut standing) = patient.health.on(event, now) else { return };
        if standing == Standing::Trial {
            // No request is held to be the trial, so one that is back serves.
            standing = patient.health.on(Event::AttemptSucceeded, now).unwrap_or(standing);
        }
        let (service, endpoint) = (&patient.service, patient.endpoint.address);
        match standing {
            Standing::Serving | Standing::Trial => {
                tracing::info!(%service, %endpoint, reason, "an endpoint serves again");
            }
            Standing::Ejected { .. } | Standing::Failing | Standing::Draining if !served => {}
            Standing::Ejected { .. } | Standing::Failing | Standing::Draining => {
                patient.counters.ejected();
                tracing::warn!(%service, %endpoint, reason, "an endpoint gets no more requests");
            }
        }
        self.gateway.set_standing(&patient.endpoint, standing);
    }
}

fn policy(passive: &PassiveHealth, active: Option<&ActiveHealth>) -> Policy {
    let count = |configured: Option<u32>| configured.and_then(NonZeroU32::new).unwrap_or(NonZeroU32::MIN);
    Policy {
        fails_max: NonZeroU32::new(passive.max_fails),
        fail_timeout: passive.fail_timeout,
        rise: count(active.map(|active| active.healthy)),
        fall: count(active.map(|active| active.unhealthy)),
    }
}

async fn check_for_ever(
    patient: usize,
    address: std::net::SocketAddr,
    policy: ActiveHealth,
    results: mpsc::Sender<Checked>,
) {
    let mut ticks = tokio::time::interval(policy.interval);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let result = check::check(address, policy.path.as_deref(), policy.timeout).await;
        if results.send(Checked { patient, result }).await.is_err() {
            return;
        }
    }
}
