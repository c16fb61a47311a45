//! Follows DNS: keeps the endpoints of services that are discovered as it tells of them.
//!
//! Every service has a task of its own, which asks, plans and acts, one after the other. All of it runs where
//! [`DiscoveryLoop::run`] is run, never on a worker.
//!
//! Invariant: endpoints change only by what an answer said; a failure changes none (`plan`).
//!
//! Elsewhere: whether the endpoints are well (`crate::health`).

mod answer;
mod lookup;
mod plan;

use std::{convert::Infallible, time::Duration};

use phalanx_config::{Config, Discovery, ServiceName, Source};
use phalanx_telemetry::{
    clock,
    discovery::{DiscoveryFailures, DiscoveryFamily},
};
use plan::{Known, Notice, Plan, Policy};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::Gateway;

const POLICY: Policy = Policy {
    ttl: Duration::from_secs(1)..=Duration::from_mins(5),
    pause: Duration::from_secs(1)..=Duration::from_secs(30),
    endpoints_max: 1000,
};

/// Follows DNS for a gateway as long as it runs.
pub struct DiscoveryLoop {
    followers: Vec<Follower>,
    family: DiscoveryFamily,
}

/// Follows DNS for one service.
struct Follower {
    gateway: Gateway,
    service: ServiceName,
    discovery: Discovery,
    failures: DiscoveryFailures,
}

impl DiscoveryLoop {
    pub(crate) fn new(config: &Config, gateway: &Gateway) -> Self {
        let family = DiscoveryFamily::new();
        let followers = config.services.iter().filter_map(|(name, service)| match &service.source {
            Source::Discovered { discovery, .. } => Some(Follower {
                gateway: gateway.clone(),
                service: name.clone(),
                discovery: discovery.clone(),
                failures: family.failures(name.as_str()),
            }),
            Source::Endpoints { .. } | Source::Replicas(_) => None,
        });
        Self { followers: followers.collect(), family }
    }

    /// What it counts.
    #[must_use]
    pub fn family(&self) -> DiscoveryFamily {
        self.family.clone()
    }

    /// Follows until `stop`.
    pub async fn run(self, stop: CancellationToken) {
        let mut following = JoinSet::new();
        for follower in self.followers {
            following.spawn(follower.follow());
        }
        tokio::select! {
            () = stop.cancelled() => {}
            Some(Err(panicked)) = following.join_next() => std::panic::resume_unwind(panicked.into_panic()),
        }
        following.shutdown().await;
    }
}

impl Follower {
    async fn follow(self) -> Infallible {
        let began = clock::now();
        let mut known = Known::default();
        loop {
            let observed = lookup::lookup(&self.discovery, POLICY.endpoints_max).await;
            let now = clock::now().saturating_duration_since(began);
            let plan = plan::plan(&POLICY, &known, observed, now, fastrand::f64());
            self.tell(&plan);
            self.apply(&plan).await;
            known = plan.known;
            tokio::time::sleep_until((began + plan.ask_at).into()).await;
        }
    }

    async fn apply(&self, plan: &Plan) {
        // First those that come: in between there is never a moment without endpoints.
        if !plan.admitted.is_empty() {
            self.gateway.admit_all(&self.service, &plan.admitted).await;
        }
        if !plan.withdrawn.is_empty() {
            self.gateway.withdraw_all(&self.service, &plan.withdrawn).await;
        }
        // Nobody waits for the last requests to endpoints that left before: they are looked for when there is something to do.
        self.gateway.forget_the_gone();
        if plan.failure.is_some() {
            self.failures.failed();
        }
    }

    fn tell(&self, plan: &Plan) {
        let (service, name) = (&self.service, &self.discovery.name);
        let endpoints = plan.known.endpoints.len();
        for notice in &plan.notices {
            match notice {
                Notice::Failing(failure) => tracing::warn!(
                    %service, %name, %failure, endpoints,
                    "DNS does not tell the endpoints of a service; what it told last stays"
                ),
                Notice::Recovered => tracing::info!(
                    %service, %name, endpoints,
                    "DNS tells the endpoints of a service again"
                ),
                Notice::TooMany { excess } => tracing::warn!(
                    %service, %name, endpoints, excess,
                    "DNS tells more endpoints of a service than are taken; some get no requests"
                ),
            }
        }
        if !plan.admitted.is_empty() || !plan.withdrawn.is_empty() {
            let (admitted, withdrawn) = (plan.admitted.len(), plan.withdrawn.len());
            tracing::info!(
                %service, %name, endpoints, admitted, withdrawn,
                "DNS changed the endpoints of a service"
            );
        }
    }
}
