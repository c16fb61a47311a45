//! Endpoints in the words of the admin API.

use std::{
    collections::HashMap,
    net::SocketAddr,
    time::{Duration, Instant},
};

use phalanx_admin::state::{Endpoint, EndpointState};
use phalanx_balance::health;
use phalanx_fleet::{ReplicaState, Standing};
use phalanx_gateway::EndpointState as GatewayEndpoint;

/// What was found before the endpoints are gone through.
pub(super) struct Seen {
    pub(super) now: Instant,
    /// Requests a second, by address.
    pub(super) rates: HashMap<String, f64>,
    pub(super) standings: HashMap<SocketAddr, health::Standing>,
}

pub(super) fn fixed(endpoint: &GatewayEndpoint, seen: &Seen) -> Endpoint {
    let (state, reason) = match endpoint.standing {
        health::Standing::Serving => (EndpointState::Serving, None),
        health::Standing::Trial => (EndpointState::Serving, Some("one request tries it")),
        health::Standing::Ejected { cause: health::Cause::Attempts, .. } => {
            (EndpointState::Ejected, Some("requests to it failed"))
        }
        health::Standing::Ejected { cause: health::Cause::Outlier, .. } => {
            (EndpointState::Ejected, Some("it does much worse than the others"))
        }
        health::Standing::Failing => (EndpointState::Ejected, Some("its active checks fail")),
        health::Standing::Draining => (EndpointState::Draining, Some("taken out by an order")),
    };
    Endpoint {
        address: endpoint.address.to_string(),
        instance: None,
        state,
        reason: reason.map(str::to_owned),
        weight: u32::from(endpoint.weight),
        in_flight: u64::try_from(endpoint.totals.in_flight).unwrap_or(0),
        requests: endpoint.totals.requests,
        failures: endpoint.totals.failures,
        pid: None,
        restarts: 0,
        since_seconds: None,
        revision: None,
        cpu_millicores: None,
        memory_bytes: None,
        requests_per_second: seen.rates.get(&endpoint.address.to_string()).copied(),
        last_output: Vec::new(),
    }
}

/// How its last process ended, and when the next one starts.
pub(super) fn reason(replica: &ReplicaState, now: Instant) -> Option<String> {
    let retry_at = match replica.standing {
        // What ended its last process is past once it serves again.
        Standing::Ready => return None,
        Standing::BackingOff { until } | Standing::CrashLoop { until } => Some(until),
        _ => None,
    };
    match (&replica.last_exit, retry_at) {
        (Some(exit), Some(at)) => {
            Some(format!("{exit}; starts again in {}", seconds(at.saturating_duration_since(now))))
        }
        (exit, _) => exit.as_ref().map(ToString::to_string),
    }
}

pub(super) fn state_of(standing: Standing) -> EndpointState {
    match standing {
        Standing::Starting => EndpointState::Starting,
        Standing::Ready => EndpointState::Serving,
        Standing::NotReady => EndpointState::NotReady,
        Standing::Draining | Standing::Stopping => EndpointState::Draining,
        Standing::BackingOff { .. } => EndpointState::BackOff,
        Standing::CrashLoop { .. } => EndpointState::CrashLoop,
        Standing::Stopped => EndpointState::Stopped,
    }
}

fn seconds(duration: Duration) -> String {
    format!("{} s", duration.as_secs() + u64::from(duration.subsec_millis() > 0))
}
