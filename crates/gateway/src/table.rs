//! What the workers route by: an immutable snapshot of the routes and of the endpoints that may get requests.
//!
//! Invariant: a table is consistent in itself, and the only way to change what workers do is to publish another. Every table
//! has a generation, by which a worker says which one it works with.

mod learned;
mod routes;

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
};

pub(crate) use learned::{Learned, Look, Spoken};
use phalanx_balance::{Weight, algorithm};
use phalanx_config::{Balance, Protocol, ServiceName};
use phalanx_telemetry::clock;
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
    pub(crate) balance: Balance,
    pub(crate) protocol: Protocol,
    /// Idle connections kept to each endpoint, per worker.
    pub(crate) keepalive: usize,
    pub(crate) endpoints: Vec<Arc<Endpoint>>,
}

/// An endpoint. Its identity is the allocation: one that goes and comes back at the same address is another.
pub(crate) struct Endpoint {
    pub(crate) address: SocketAddr,
    pub(crate) weight: Weight,
    /// What hashing algorithms know it by: the same for the same address, in every process.
    pub(crate) hash: u64,
    /// What it speaks, where `protocol` leaves that to be found out.
    pub(crate) learned: Learned,
    /// Requests of all workers that it has not answered yet.
    in_flight: AtomicU32,
}

impl Endpoint {
    pub(crate) fn new(address: SocketAddr, weight: Weight) -> Self {
        let hash = algorithm::hash(address.to_string().as_bytes());
        Self { address, weight, hash, learned: Learned::new(clock::now()), in_flight: AtomicU32::new(0) }
    }

    /// Requests of all workers that it has not answered yet.
    pub(crate) fn in_flight(&self) -> u32 {
        self.in_flight.load(Ordering::Relaxed)
    }

    pub(crate) fn request_begun(&self) {
        self.in_flight.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn request_ended(&self) {
        self.in_flight.fetch_sub(1, Ordering::Relaxed);
    }
}
