//! One endpoint, as all workers and the control side share it.

use std::{
    net::SocketAddr,
    num::NonZeroU32,
    sync::atomic::{AtomicBool, AtomicU8, AtomicU32, Ordering},
};

use phalanx_balance::{Share, Weight, algorithm};
use phalanx_config::{EndpointLimits, Role};
use phalanx_telemetry::clock;

use super::Learned;

/// Whether the control side is told of failed attempts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reports {
    Outcomes,
    /// Nobody judges it by them.
    Nothing,
}

/// What is said of an endpoint where it is configured, discovered or started.
#[derive(Clone, Copy, Debug)]
pub(crate) struct EndpointSettings {
    pub(crate) address: SocketAddr,
    pub(crate) weight: Weight,
    pub(crate) role: Role,
    pub(crate) limits: EndpointLimits,
    pub(crate) reports: Reports,
}

/// An endpoint. Its identity is the allocation: one that goes and comes back at the same address is another.
pub(crate) struct Endpoint {
    pub(crate) address: SocketAddr,
    pub(crate) weight: Weight,
    pub(crate) role: Role,
    pub(crate) reports: Reports,
    /// What hashing algorithms know it by: the same for the same address, in every process.
    pub(crate) hash: u64,
    /// What it speaks, where `protocol` leaves that to be found out.
    pub(crate) learned: Learned,
    in_flight_max: u32,
    pending_max: u32,
    /// Requests of all workers that it has not answered yet.
    in_flight: AtomicU32,
    /// Requests of all workers that wait for a connection to it.
    pending: AtomicU32,
    /// What it gets of its weight, as [`Share::get`] has it.
    share: AtomicU32,
    trial: AtomicU8,
    lost_readiness: AtomicBool,
}

/// [`Endpoint::trial`]: it gets whatever is balanced to it.
const TRIAL_NONE: u8 = 0;
/// It gets one request.
const TRIAL_OPEN: u8 = 1;
/// It has got that request.
const TRIAL_TAKEN: u8 = 2;
/// It gets whatever is balanced to it, as there may be nobody else, and each request decides.
const TRIAL_UNBOUNDED: u8 = 3;

/// Whether the limits of an endpoint hold for a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Bound {
    ByLimits,
    /// As for a prober.
    Exempt,
}

/// A request that was counted in at an endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Begun {
    Usual,
    /// What becomes of it decides about the endpoint.
    OnTrial,
}

impl Endpoint {
    pub(crate) fn new(settings: EndpointSettings) -> Self {
        let EndpointSettings { address, weight, role, limits, reports } = settings;
        let hash = algorithm::hash(address.to_string().as_bytes());
        let or_none = |limit: Option<NonZeroU32>| limit.map_or(u32::MAX, NonZeroU32::get);
        Self {
            address,
            weight,
            role,
            reports,
            hash,
            learned: Learned::new(clock::now()),
            in_flight_max: or_none(limits.connections),
            pending_max: or_none(limits.pending),
            in_flight: AtomicU32::new(0),
            pending: AtomicU32::new(0),
            share: AtomicU32::new(Share::from(weight).get()),
            trial: AtomicU8::new(TRIAL_NONE),
            lost_readiness: AtomicBool::new(false),
        }
    }

    /// Requests of all workers that it has not answered yet.
    pub(crate) fn in_flight(&self) -> u32 {
        self.in_flight.load(Ordering::Relaxed)
    }

    /// Whether another request may begin.
    pub(crate) fn has_room(&self, bound: Bound) -> bool {
        self.trial.load(Ordering::Relaxed) != TRIAL_TAKEN
            && (bound == Bound::Exempt || self.in_flight() < self.in_flight_max)
    }

    /// Whether another request may wait for a connection.
    pub(crate) fn may_connect(&self) -> bool {
        self.pending.load(Ordering::Relaxed) < self.pending_max
    }

    /// Counts a request in, unless others have taken the room meanwhile. [`Self::request_ended`] counts it out.
    pub(crate) fn begin_request(&self, bound: Bound) -> Option<Begun> {
        let before = self.in_flight.fetch_add(1, Ordering::Relaxed);
        let begun = match self.trial.load(Ordering::Relaxed) {
            _ if before >= self.in_flight_max && bound == Bound::ByLimits => None,
            TRIAL_NONE => Some(Begun::Usual),
            TRIAL_UNBOUNDED => Some(Begun::OnTrial),
            _ => self.take_trial(),
        };
        if begun.is_none() {
            self.request_ended();
        }
        begun
    }

    pub(crate) fn request_ended(&self) {
        self.in_flight.fetch_sub(1, Ordering::Relaxed);
    }

    /// Counts a request in that waits for a connection, unless too many do; [`Self::connected`] counts it out.
    pub(crate) fn begin_connecting(&self, bound: Bound) -> bool {
        let before = self.pending.fetch_add(1, Ordering::Relaxed);
        let has_room = before < self.pending_max || bound == Bound::Exempt;
        if !has_room {
            self.connected();
        }
        has_room
    }

    pub(crate) fn connected(&self) {
        self.pending.fetch_sub(1, Ordering::Relaxed);
    }

    fn take_trial(&self) -> Option<Begun> {
        let taken =
            self.trial.compare_exchange(TRIAL_OPEN, TRIAL_TAKEN, Ordering::Relaxed, Ordering::Relaxed);
        taken.ok().map(|_| Begun::OnTrial)
    }

    /// From here on it gets one request, until [`Self::end_trial`]; it may be on trial already.
    pub(crate) fn begin_trial(&self) {
        let _ = self.trial.try_update(Ordering::Relaxed, Ordering::Relaxed, |trial| match trial {
            TRIAL_NONE | TRIAL_UNBOUNDED => Some(TRIAL_OPEN),
            _ => None,
        });
    }

    /// From here on it gets requests as all do, and whichever is answered first ends the trial.
    pub(crate) fn begin_unbounded_trial(&self) {
        self.trial.store(TRIAL_UNBOUNDED, Ordering::Relaxed);
    }

    /// The request on trial told nothing: another may come.
    pub(crate) fn give_trial_back(&self) {
        // Unless the trial has been ended meanwhile.
        let _ = self.trial.compare_exchange(TRIAL_TAKEN, TRIAL_OPEN, Ordering::Relaxed, Ordering::Relaxed);
    }

    pub(crate) fn end_trial(&self) {
        self.trial.store(TRIAL_NONE, Ordering::Relaxed);
    }

    /// It was withdrawn because it is not ready: whoever waits for its answer may wait in vain.
    pub(crate) fn lose_readiness(&self) {
        self.lost_readiness.store(true, Ordering::Relaxed);
    }

    /// Whether it was withdrawn for that. What comes back at its address is another endpoint.
    pub(crate) fn has_lost_readiness(&self) -> bool {
        self.lost_readiness.load(Ordering::Relaxed)
    }

    /// What it gets of its weight.
    pub(crate) fn share(&self) -> Share {
        NonZeroU32::new(self.share.load(Ordering::Relaxed)).map_or_else(|| self.weight.into(), Share::from)
    }

    pub(crate) fn set_share(&self, share: Share) {
        self.share.store(share.get(), Ordering::Relaxed);
    }
}
