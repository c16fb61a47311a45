//! What `/v1/state` says, as JSON: written by the server, read by `phalanx status`.
//!
//! These types are a public format. Fields are added, never renamed or given another meaning, and a reader ignores those
//! it does not know.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A running Phalanx.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct State {
    /// The version of the program.
    pub version: String,
    /// Since when it runs.
    pub uptime_seconds: u64,
    /// Its gateway.
    pub gateway: Gateway,
    /// Its services, by name.
    pub services: Vec<Service>,
}

/// The gateway.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Gateway {
    /// Addresses it listens on.
    pub listeners: Vec<String>,
    /// Worker threads.
    pub workers: usize,
    /// Connections of clients.
    pub connections: u64,
    /// Requests begun and not ended.
    pub requests_in_flight: u64,
}

/// A service and what answers for it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Service {
    /// Its name.
    pub name: String,
    /// Replicas that should run; `None` where the endpoints are fixed.
    pub desired: Option<u32>,
    /// Endpoints that get requests.
    pub serving: u32,
    /// All endpoints, those without requests too.
    pub endpoints: Vec<Endpoint>,
}

/// An endpoint of a service: a replica that Phalanx runs, or an address from the file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Endpoint {
    /// Where it listens.
    pub address: String,
    /// The name of the replica; `None` for a fixed endpoint.
    pub instance: Option<String>,
    /// Whether it gets requests, and if not, why.
    pub state: EndpointState,
    /// What led to this state, where there is more to say.
    pub reason: Option<String>,
    /// Its share of the requests, relative to the others.
    pub weight: u32,
    /// Requests it has not answered yet.
    pub in_flight: u64,
    /// Requests sent to it.
    pub requests: u64,
    /// Of these, how many failed.
    pub failures: u64,
    /// The process; `None` for a fixed endpoint and while none runs.
    pub pid: Option<u32>,
    /// How often the process was started again.
    pub restarts: u64,
    /// How long it has been in this state; `None` for a fixed endpoint.
    pub since_seconds: Option<u64>,
}

/// What an endpoint is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum EndpointState {
    /// Its process starts; it has not been ready yet.
    Starting,
    /// It gets fewer requests than its weight, and gradually more.
    Warming,
    /// It gets requests.
    Serving,
    /// Its readiness probe fails.
    NotReady,
    /// It failed too often and gets no requests for a while.
    Ejected,
    /// It finishes what it has and gets nothing more.
    Draining,
    /// Its process ended and will be started again after a pause.
    BackOff,
    /// Its process ends again and again.
    CrashLoop,
    /// Its process has ended for good.
    Stopped,
}

impl EndpointState {
    /// All states, in the order of a life.
    pub const ALL: [Self; 9] = [
        Self::Starting,
        Self::Warming,
        Self::Serving,
        Self::NotReady,
        Self::Ejected,
        Self::Draining,
        Self::BackOff,
        Self::CrashLoop,
        Self::Stopped,
    ];

    /// The text in JSON, tables and metric labels.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Starting => "starting",
            Self::Warming => "warming",
            Self::Serving => "serving",
            Self::NotReady => "not-ready",
            Self::Ejected => "ejected",
            Self::Draining => "draining",
            Self::BackOff => "back-off",
            Self::CrashLoop => "crash-loop",
            Self::Stopped => "stopped",
        }
    }
}

impl fmt::Display for EndpointState {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn states_have_one_spelling() {
        for state in EndpointState::ALL {
            assert_eq!(serde_json::to_value(state).unwrap(), state.as_str());
        }
    }

    #[test]
    fn a_reader_ignores_fields_it_does_not_know() {
        let gateway = r#"{"listeners":[],"workers":1,"connections":0,"requests_in_flight":0,"colour":"red"}"#;
        assert_eq!(serde_json::from_str::<Gateway>(gateway).unwrap().workers, 1);
    }
}
