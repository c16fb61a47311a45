//! One server of a shard while it is in the topology.

use std::sync::{
    Arc,
    atomic::{AtomicU32, AtomicU64, Ordering},
};

use crate::backend::Endpoint;

/// A server, with what its reads count.
pub(crate) struct Member {
    pub(crate) endpoint: Endpoint,
    /// Statements that are on their way: what a choice between replicas goes by.
    in_flight: AtomicU32,
}

impl Member {
    pub(crate) fn new(endpoint: Endpoint) -> Self {
        Self { endpoint, in_flight: AtomicU32::new(0) }
    }

    pub(crate) fn in_flight(&self) -> u32 {
        self.in_flight.load(Ordering::Relaxed)
    }

    /// A statement that is on its way until the guard is dropped, however it ends.
    pub(crate) fn statement(&self) -> InFlight<'_> {
        self.in_flight.fetch_add(1, Ordering::Relaxed);
        InFlight { member: self }
    }
}

/// See [`Member::statement`].
pub(crate) struct InFlight<'a> {
    member: &'a Member,
}

impl Drop for InFlight<'_> {
    fn drop(&mut self) {
        self.member.in_flight.fetch_sub(1, Ordering::Relaxed);
    }
}

/// How far a replica has replayed on one timeline. That only grows, so what is known of it is a safe lower bound; on another
/// timeline a replica gets another `Progress`.
#[derive(Debug)]
pub(crate) struct Progress {
    timeline: u32,
    lsn: AtomicU64,
}

impl Progress {
    pub(crate) fn new(timeline: u32, lsn: u64) -> Arc<Self> {
        Arc::new(Self { timeline, lsn: AtomicU64::new(lsn) })
    }

    pub(crate) fn timeline(&self) -> u32 {
        self.timeline
    }

    pub(crate) fn lsn(&self) -> u64 {
        self.lsn.load(Ordering::Relaxed)
    }

    /// It is known to be at least there.
    pub(crate) fn reached(&self, lsn: u64) {
        self.lsn.fetch_max(lsn, Ordering::Relaxed);
    }
}
