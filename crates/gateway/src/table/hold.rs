//! Requests that are held while no endpoint of their service serves: those of all workers, in the order in which they came, each
//! until there is one or its time is over.
//!
//! Nobody is woken by the control side, whose table a worker may not have yet: every worker that has taken over another table wakes
//! whoever came first, and everybody who leaves wakes the next.
//!
//! Invariant: nobody who comes later overtakes those who are held.
//! Elsewhere: what becomes of whoever is woken (`crate::exchange`); where requests wait for room at endpoints that serve
//! ([`super::Gate`]).

use std::{sync::Arc, time::Duration};

use phalanx_admission::queue::Full;
use phalanx_config as config;
use phalanx_telemetry::upstream::ServiceCounters;
use tokio::sync::watch;

use super::waiting::{Place, Waiting, Want};

/// The hold of a service.
pub(crate) struct Hold {
    waiting: Waiting,
    /// Told whenever somebody comes and nobody is held.
    demand: watch::Sender<u64>,
}

impl Hold {
    pub(crate) fn new(
        configured: config::Hold,
        counters: Arc<ServiceCounters>,
        demand: watch::Sender<u64>,
    ) -> Self {
        let config::Hold { max, timeout } = configured;
        Self { waiting: Waiting::new(Want::Endpoint, max, timeout, counters), demand }
    }

    /// How long somebody is held at most.
    pub(crate) fn timeout(&self) -> Duration {
        self.waiting.timeout
    }

    /// Whether nobody is held, whom nobody is to overtake.
    pub(crate) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// The last place, unless as many are held as may be.
    pub(crate) fn enter(&self) -> Result<Place<'_>, Full> {
        let place = self.waiting.enter()?;
        if place.is_first() {
            self.demand.send_modify(|times| *times += 1);
        }
        Ok(place)
    }

    /// Lets whoever came first look: there may be an endpoint.
    pub(crate) fn let_the_first_look(&self) {
        self.waiting.wake_first();
    }

    /// Lets everybody look: a worker ends, and nobody of it is held any longer.
    pub(crate) fn let_all_look(&self) {
        self.waiting.wake_all();
    }
}
