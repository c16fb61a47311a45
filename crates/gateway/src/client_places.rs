//! How many clients are let in: as many as there are places, over all workers.
//!
//! Invariant: clients, with a connection to an endpoint for each, leave descriptors for the rest of the process, whatever the
//! configuration says: without any left nobody could ask what is wrong.
//! Not counted here are idle connections to endpoints, which `keepalive` bounds.
//! Elsewhere: what the others are told (`crate::connection`), and who accepts (`crate::worker`).

use std::{
    num::NonZeroU32,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use phalanx_telemetry::{clock, connections::ConnectionCounts};
use rustix::process::{Resource, getrlimit};

/// Descriptors that no connection of a client or to an endpoint gets: for listeners, the admin API, logs, pipes of replicas.
const DESCRIPTORS_RESERVED: u64 = 256;
/// Connections that are told at a time that there are too many, over all workers. More are closed without a word.
const REFUSALS_MAX: usize = 64;
/// How often it is told that connections cannot be accepted.
const FAULT_TOLD_EVERY: Duration = Duration::from_secs(10);

/// Who may come in; shared by all workers, and asked when a connection comes, never for a request.
pub(crate) struct ClientPlaces {
    clients: Arc<Places>,
    refusals: Arc<Places>,
    refused: AtomicU64,
    fault_told: Mutex<Option<Instant>>,
}

/// What becomes of a connection.
pub(crate) enum Admitted {
    /// It is served.
    Client(Place),
    /// It is told that there are too many.
    Refusal(Place),
    /// It is closed.
    Nothing,
}

struct Places {
    taken: AtomicUsize,
    max: usize,
}

/// A place, taken until it is dropped.
pub(crate) struct Place {
    places: Arc<Places>,
}

impl ClientPlaces {
    /// Places for as many clients as are configured, or as descriptors allow.
    pub(crate) fn new(configured: Option<NonZeroU32>) -> Self {
        let max = clients_max(configured, getrlimit(Resource::Nofile).current);
        Self {
            clients: Arc::new(Places::new(max)),
            refusals: Arc::new(Places::new(REFUSALS_MAX)),
            refused: AtomicU64::new(0),
            fault_told: Mutex::new(None),
        }
    }

    /// What becomes of the connection that has just come.
    pub(crate) fn admit(&self) -> Admitted {
        if let Some(place) = self.clients.take() {
            return Admitted::Client(place);
        }
        self.refused.fetch_add(1, Ordering::Relaxed);
        self.refusals.take().map_or(Admitted::Nothing, Admitted::Refusal)
    }

    pub(crate) fn counts(&self) -> ConnectionCounts {
        ConnectionCounts {
            open: self.clients.taken.load(Ordering::Relaxed) as u64,
            refused: self.refused.load(Ordering::Relaxed),
        }
    }

    /// Whether it is time to tell that connections cannot be accepted, which comes many times a second once it comes.
    pub(crate) fn tells_fault(&self) -> bool {
        let now = clock::now();
        let mut told = self.fault_told.lock().unwrap_or_else(PoisonError::into_inner);
        let is_due = told.is_none_or(|told| now.saturating_duration_since(told) >= FAULT_TOLD_EVERY);
        if is_due {
            *told = Some(now);
        }
        is_due
    }
}

impl Places {
    fn new(max: usize) -> Self {
        Self { taken: AtomicUsize::new(0), max }
    }

    fn take(self: &Arc<Self>) -> Option<Place> {
        let one_more = |taken| (taken < self.max).then_some(taken + 1);
        self.taken.fetch_update(Ordering::Relaxed, Ordering::Relaxed, one_more).ok()?;
        Some(Place { places: self.clone() })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.places.taken.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Places for clients, where so many files may be open; without a number any.
fn clients_max(configured: Option<NonZeroU32>, open_files_max: Option<u64>) -> usize {
    let open_files_max = open_files_max.unwrap_or(u64::MAX);
    // A process with fewer than twice the reserve has to live with less of both.
    let reserved = DESCRIPTORS_RESERVED.min(open_files_max / 2);
    // Each client can need a connection to an endpoint.
    let room = (open_files_max - reserved) / 2;
    let configured = configured.map_or(room, |configured| configured.get().into());
    if configured > room {
        tracing::warn!(
            max_connections = configured,
            open_files_max,
            lowered_to = room,
            "the limit of open files leaves no room for so many connections"
        );
    }
    usize::try_from(configured.min(room)).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connections_leave_descriptors_for_the_rest() {
        for (configured, open_files_max, expected) in [
            (None, Some(1024), 384),
            (None, Some(20_000), 9872),
            (None, Some(512), 128),
            (None, Some(64), 16),
            (Some(100), Some(1024), 100),
            (Some(384), Some(1024), 384),
            (Some(385), Some(1024), 384),
            (Some(1_000_000), None, 1_000_000),
        ] {
            let configured = configured.and_then(NonZeroU32::new);
            assert_eq!(
                clients_max(configured, open_files_max),
                expected,
                "{configured:?} {open_files_max:?}"
            );
        }
    }

    #[test]
    fn a_place_is_free_again_once_it_is_dropped() {
        let client_places = ClientPlaces::new(NonZeroU32::new(1));
        let Admitted::Client(place) = client_places.admit() else { panic!("there is a place") };
        let refusals: Vec<_> = (0..REFUSALS_MAX).map(|_| client_places.admit()).collect();
        assert!(refusals.iter().all(|admitted| matches!(admitted, Admitted::Refusal(_))));
        assert!(matches!(client_places.admit(), Admitted::Nothing));
        let refused = REFUSALS_MAX as u64 + 1;
        assert_eq!(client_places.counts(), ConnectionCounts { open: 1, refused });
        drop((place, refusals));
        assert_eq!(client_places.counts(), ConnectionCounts { open: 0, refused });
        assert!(matches!(client_places.admit(), Admitted::Client(_)));
    }

    #[test]
    fn a_fault_that_goes_on_is_told_once() {
        let client_places = ClientPlaces::new(None);
        assert_eq!([(); 3].map(|()| client_places.tells_fault()), [true, false, false]);
    }
}
