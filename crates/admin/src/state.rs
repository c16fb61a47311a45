//! What `/v1/state` says, as JSON: written by the server, read by `phalanx status`.
//!
//! These types are a public format. Fields are added, never renamed or given another meaning, and a reader ignores those
//! it does not know.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A running Phalanx.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct State {
    /// The version of the program.
    pub version: String,
    /// Since when it runs.
    pub uptime_seconds: u64,
    /// Whether it was told to stop, and takes no orders any more.
    #[serde(default)]
    pub stopping: bool,
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
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Service {
    /// Its name.
    pub name: String,
    /// Replicas that should run; `None` where the endpoints are fixed.
    pub desired: Option<u32>,
    /// Endpoints that get requests.
    pub serving: u32,
    /// All endpoints, those without requests too.
    pub endpoints: Vec<Endpoint>,
    /// The change of its replicas that goes on, or the last one; `None` where the endpoints are fixed.
    #[serde(default)]
    pub rollout: Option<Rollout>,
    /// What the autoscaler decided last; `None` where there is none, or before its first decision.
    #[serde(default)]
    pub autoscale: Option<Autoscale>,
    /// Whether the kernel holds replicas to the limits of the file; `None` where there are no limits.
    #[serde(default)]
    pub limits_enforced: Option<bool>,
}

/// A change of the replicas of a service.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rollout {
    /// The revision that the replicas are brought to, or have.
    pub revision: u64,
    /// How far it is: `waiting` (for services it depends on), `progressing`, `adjusting` (the same revision, another number),
    /// `complete`, `stalled` or `paused`.
    pub status: String,
    /// What it waits for, or how it ended.
    pub reason: String,
    /// Replicas of that revision.
    pub updated: u32,
    /// Replicas of any revision that take requests.
    pub available: u32,
    /// All replicas.
    pub total: u32,
    /// The revisions that `undo` can go back to, and the one in use, the oldest first.
    pub history: Vec<Revision>,
}

/// A template that the replicas of a service have, or had.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Revision {
    /// Its number.
    pub revision: u64,
    /// What came with it.
    pub change: String,
    /// Whether the replicas are brought to it.
    pub is_current: bool,
}

/// A decision of the autoscaler.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Autoscale {
    /// Replicas that it wants.
    pub desired: u32,
    /// The decision and its reasons, as the log has them.
    pub reason: String,
    /// How long ago it was made.
    pub age_seconds: u64,
    /// What it was made of.
    pub metrics: Vec<AutoscaleMetric>,
}

/// A metric of the autoscaler.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AutoscaleMetric {
    /// Its name: `cpu_percent`.
    pub name: String,
    /// What was measured; `None` where nothing could be.
    pub value: Option<f64>,
    /// What is aimed at.
    pub target: f64,
}

/// An endpoint of a service: a replica that Phalanx runs, or an address from the file.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
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
    /// The revision that it was started from; `None` for a fixed endpoint.
    #[serde(default)]
    pub revision: Option<u64>,
    /// The time of processors that its processes take, in thousandths of one; `None` where it is not known.
    #[serde(default)]
    pub cpu_millicores: Option<u64>,
    /// The memory that its processes have, in bytes; `None` where it is not known.
    #[serde(default)]
    pub memory_bytes: Option<u64>,
    /// Requests that it answers a second; `None` where it is not known.
    #[serde(default)]
    pub requests_per_second: Option<f64>,
    /// The last lines that it printed, where it fails again and again.
    #[serde(default)]
    pub last_output: Vec<String>,
}

/// Something that happened, as `/v1/events` tells it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Event {
    /// From 1, one by one, for as long as the program runs.
    pub id: u64,
    /// When, in milliseconds since 1970.
    pub at_unix_millis: u64,
    /// The service that it happened to.
    pub service: String,
    /// The replica, where it happened to one.
    pub instance: Option<String>,
    /// What happened, of a closed set of words: `replica-ready`.
    pub kind: String,
    /// More about it, and why.
    pub reason: String,
}

/// What became of an order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// It was accepted, and nobody waited for it.
    Accepted,
    /// It is done.
    Complete,
    /// It goes on: the wait was shorter.
    UnderWay,
    /// It did not come out.
    Failed,
    /// It was not accepted.
    Refused,
}

/// The answer to an order. That to one which is not done is a problem document (RFC 9457) with the same fields.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// What became of it.
    pub outcome: Outcome,
    /// The same for a person, with the reason.
    pub detail: String,
    /// The service afterwards, where the order was for one.
    #[serde(default)]
    pub service: Option<Service>,
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
