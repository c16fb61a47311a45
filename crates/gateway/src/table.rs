//! What the workers route by: an immutable snapshot of the routes and of the endpoints that may get requests.
//!
//! Invariant: a table is consistent in itself, and the only way to change what workers do is to publish another. Every table
//! has a generation, by which a worker says which one it works with.

mod routes;

use std::{net::SocketAddr, sync::Arc};

use phalanx_balance::Weight;
use phalanx_config::ServiceName;
pub(crate) use routes::{Action, METHODS, Routes, Verdict};

/// One snapshot.
pub(crate) struct Table {
    pub(crate) generation: u64,
    pub(crate) routes: Arc<Routes>,
    /// In the order that [`Action::Forward`] counts in.
    pub(crate) services: Vec<Service>,
}

/// The endpoints of a service that may get requests.
pub(crate) struct Service {
    pub(crate) name: ServiceName,
    /// Idle connections kept to each endpoint, per worker.
    pub(crate) keepalive: usize,
    pub(crate) endpoints: Vec<Arc<Endpoint>>,
}

/// An endpoint. Its identity is the allocation: one that goes and comes back at the same address is another.
pub(crate) struct Endpoint {
    pub(crate) address: SocketAddr,
    pub(crate) weight: Weight,
}
