//! What the workers route by: an immutable snapshot of the routes and of the endpoints that may get requests.
//!
//! Invariant: a table is consistent in itself, and the only way to change what workers do is to publish another. Every table
//! has a generation, by which a worker says which one it works with.

mod access;
mod endpoint;
mod gate;
mod hold;
mod learned;
mod routes;
mod waiting;

use std::sync::Arc;

pub(crate) use access::{Access, Preflights};
pub(crate) use endpoint::{Begun, Bound, Endpoint, EndpointSettings, Reports};
pub(crate) use gate::{Gate, Observed, Pass};
pub(crate) use hold::Hold;
pub(crate) use learned::{Learned, Look, Spoken};
use phalanx_config::{Balance, Protocol, ServiceName};
use phalanx_telemetry::upstream::ServiceCounters;
pub(crate) use routes::{Action, METHODS, Refused, Routes};
pub(crate) use waiting::Place;

/// One snapshot.
pub(crate) struct Table {
    pub(crate) generation: u64,
    pub(crate) routes: Arc<Routes>,
    /// In the order that [`Action::Forward`] counts in.
    pub(crate) services: Vec<Service>,
    pub(crate) memory: Memory,
}

/// Whether this process has the memory for what it is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Memory {
    Ample,
    /// Requests are turned away, but for those of probers.
    Short,
}

/// The endpoints of a service that may get requests.
pub(crate) struct Service {
    pub(crate) name: ServiceName,
    pub(crate) balance: Balance,
    pub(crate) protocol: Protocol,
    /// Idle connections kept to each endpoint, per worker.
    pub(crate) keepalive: usize,
    pub(crate) counters: Arc<ServiceCounters>,
    /// Limits of the service as a whole, if it has any.
    pub(crate) gate: Option<Arc<Gate>>,
    /// Where requests wait while no endpoint serves, if they may.
    pub(crate) hold: Option<Arc<Hold>>,
    pub(crate) endpoints: Vec<Arc<Endpoint>>,
}
