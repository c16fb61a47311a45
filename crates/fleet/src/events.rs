//! What happens in a fleet, one after the other, each with its reason: for `/v1/events` and for people who look back.
//!
//! Invariants: numbers go up by one, so a gap tells that something was lost; between what is past and what is to come nothing is
//! lost or said twice. Bounded: the last [`EVENTS_KEPT_MAX`] are kept, and who reads too slowly is told how many were missed.
//! Elsewhere: the log of the program (`crate::notice`, [`tell`]).

mod kind;
mod tell;
#[cfg(test)]
mod tests;
mod told;

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, PoisonError},
    time::SystemTime,
};

use phalanx_config::ServiceName;
use phalanx_telemetry::clock;
use tokio::sync::broadcast::{self, error::RecvError};

pub use self::kind::EventKind;
pub(crate) use self::{tell::tell, told::told};

/// Hours of a calm fleet, and minutes of one in trouble.
const EVENTS_KEPT_MAX: usize = 1000;

/// Something that has happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FleetEvent {
    /// From 1, one more each time.
    pub id: u64,
    /// When, for people.
    pub at: SystemTime,
    /// To which service.
    pub service: ServiceName,
    /// To which of its replicas; `None`: to the service.
    pub instance: Option<Arc<str>>,
    /// What.
    pub kind: EventKind,
    /// Why, or what is known of it.
    pub reason: Arc<str>,
}

/// Events that the reader was too slow for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{count} events were missed")]
pub struct Missed {
    /// How many.
    pub count: u64,
}

/// The events to come.
#[derive(Debug)]
pub struct EventStream(Option<broadcast::Receiver<FleetEvent>>);

impl EventStream {
    /// The next event, or how many were missed, after which it goes on; `None`: the fleet has ended. Cancel-safe.
    pub async fn next(&mut self) -> Option<Result<FleetEvent, Missed>> {
        match self.0.as_mut()?.recv().await {
            Ok(event) => Some(Ok(event)),
            Err(RecvError::Lagged(count)) => Some(Err(Missed { count })),
            Err(RecvError::Closed) => None,
        }
    }
}

/// The events of one fleet.
#[derive(Debug)]
pub(crate) struct EventLog(Mutex<Log>);

#[derive(Debug)]
struct Log {
    past: VecDeque<FleetEvent>,
    next_id: u64,
    /// `None` once the fleet has ended.
    to_come: Option<broadcast::Sender<FleetEvent>>,
}

impl EventLog {
    pub(crate) fn new() -> Self {
        let to_come = Some(broadcast::Sender::new(EVENTS_KEPT_MAX));
        Self(Mutex::new(Log { past: VecDeque::new(), next_id: 1, to_come }))
    }

    pub(crate) fn record(
        &self,
        service: &ServiceName,
        instance: Option<&Arc<str>>,
        kind: EventKind,
        reason: impl Into<Arc<str>>,
    ) {
        let reason = reason.into();
        self.with(|log| {
            let (id, at) = (log.next_id, clock::wall());
            log.next_id += 1;
            let (service, instance) = (service.clone(), instance.cloned());
            let event = FleetEvent { id, at, service, instance, kind, reason };
            if log.past.len() == EVENTS_KEPT_MAX {
                log.past.pop_front();
            }
            log.past.push_back(event.clone());
            if let Some(to_come) = &log.to_come {
                // Fails where nobody listens.
                let _ = to_come.send(event);
            }
        });
    }

    /// Those after `id` that are kept, and those to come.
    pub(crate) fn after(&self, id: u64) -> (Vec<FleetEvent>, EventStream) {
        self.with(|log| {
            let past = log.past.iter().filter(|event| event.id > id).cloned().collect();
            (past, EventStream(log.to_come.as_ref().map(broadcast::Sender::subscribe)))
        })
    }

    /// Nothing comes any more.
    pub(crate) fn close(&self) {
        self.with(|log| log.to_come = None);
    }

    fn with<T>(&self, act: impl FnOnce(&mut Log) -> T) -> T {
        act(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
