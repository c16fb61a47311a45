//! Before anything is sent: a request gets room at an endpoint, waits for it, or is turned away.
//!
//! There are two places to wait at: the queue, for room at endpoints that serve, and the hold, for one that serves. Nothing of a
//! body is read meanwhile but what came with the head.
//!
//! Invariant: nobody overtakes those who wait, and nobody who has waited past the timeout is served.
//! Elsewhere: the two places ([`Gate`], [`Hold`]), and who makes room there.

use std::{sync::Arc, time::Duration};

use phalanx_config::Shedding;
use phalanx_telemetry::{clock, upstream::Shed};

use crate::{
    answer::{Answer, RETRY_AFTER},
    connection::{Client, Forward, Request},
    table::{Bound, Gate, Hold, Pass, Place},
    worker::{GivenUp, LocalService, NoSlot, Slot, Worker},
};

/// How often somebody who waits looks for room by himself: another may have been woken who could not use it.
const LOOK_AGAIN: Duration = Duration::from_millis(100);

/// A request that may be sent.
pub(super) struct Admitted {
    /// Held until the request is over.
    pub(super) pass: Option<Pass>,
    pub(super) slot: Slot,
}

/// Why there is no room for a request.
pub(super) enum NotAdmitted {
    /// Its client is told so.
    TurnedAway(Answer),
    /// Its client did not wait for it.
    ClientGone,
}

/// Whether the limits of a service hold for a request.
pub(super) fn bound(forward: &Forward) -> Bound {
    match forward.policy.shedding {
        Shedding::Sheds => Bound::ByLimits,
        Shedding::Exempt => Bound::Exempt,
    }
}

/// Finds room for a request.
pub(super) async fn find(
    worker: &Worker,
    client: &Client,
    request: &Request,
    forward: &Forward,
) -> Result<Admitted, NotAdmitted> {
    match at_once(worker, forward) {
        Ok(admitted) => Ok(admitted),
        // In a place of its own: every busy connection would make room for it.
        Err(none) => Box::pin(later(worker, client, request, forward, none)).await,
    }
}

/// Takes room where there is some and nobody waits for it.
fn at_once(worker: &Worker, forward: &Forward) -> Result<Admitted, NoRoom> {
    let is_held_up = hold(forward).is_some_and(|hold| !hold.is_empty());
    if is_held_up { Err(NoRoom::NoEndpoint) } else { unheld(worker, &forward.service, forward) }
}

/// The same for whoever was held, or need not be.
fn unheld(worker: &Worker, service: &LocalService, forward: &Forward) -> Result<Admitted, NoRoom> {
    let bound = bound(forward);
    match service.gate.as_ref().filter(|_| bound == Bound::ByLimits) {
        Some(gate) if gate.has_waiting() => Err(NoRoom::Full),
        Some(gate) => look(worker, service, gate, forward),
        None => match service.slot(forward.key, bound, &[], worker.deadlines.now()) {
            Ok(slot) => Ok(Admitted { pass: None, slot }),
            Err(none) => Err(none.into()),
        },
    }
}

/// Where a request may wait while no endpoint serves.
fn hold(forward: &Forward) -> Option<&Arc<Hold>> {
    // A prober is to be told that none does.
    forward.service.hold.as_ref().filter(|_| bound(forward) == Bound::ByLimits)
}

/// Waits where that is provided for.
async fn later(
    worker: &Worker,
    client: &Client,
    request: &Request,
    forward: &Forward,
    none: NoRoom,
) -> Result<Admitted, NotAdmitted> {
    let none = match none {
        NoRoom::Full => queued(worker, client, forward, None).await,
        none => Err(none),
    };
    let outcome = match (none, hold(forward)) {
        (Err(NoRoom::NoEndpoint), Some(hold)) => held(worker, client, forward, hold).await,
        (outcome, _) => outcome,
    };
    // What it waited for is not the endpoint's time.
    request.attempt_begins();
    outcome.map_err(|none| none.told(&forward.service))
}

/// Waits for room, in the queue of the service if it has one. Whoever was held leaves that place when he has the next.
async fn queued(
    worker: &Worker,
    client: &Client,
    forward: &Forward,
    held: Option<Place<'_>>,
) -> Result<Admitted, NoRoom> {
    let service = &forward.service;
    let Some(gate) = service.gate.as_ref().filter(|_| bound(forward) == Bound::ByLimits) else {
        return Err(NoRoom::Full);
    };
    let Some((waiting, place)) =
        gate.waiting.as_ref().and_then(|waiting| Some((waiting, waiting.enter().ok()?)))
    else {
        gate.counters.shed(Shed::Full);
        return Err(NoRoom::Full);
    };
    drop(held);
    let began = clock::now();
    loop {
        let left = waiting.timeout.saturating_sub(clock::now().saturating_duration_since(began));
        if left.is_zero() {
            service.counters.shed(Shed::QueueTimeout);
            return Err(NoRoom::InVain(queue_timeout(service, waiting.timeout)));
        }
        if place.is_first() {
            // Endpoints may have come and gone since.
            let table = worker.table();
            let service = table.service(&service.name).unwrap_or(service);
            let gate = service.gate.as_ref();
            match gate.map_or(Err(NoRoom::NoEndpoint), |gate| look(worker, service, gate, forward)) {
                Err(NoRoom::Full) => {}
                outcome => return outcome,
            }
        }
        // Whether it was woken or the time is over, it looks.
        if let Err(GivenUp::InVain) = client.awaiting(left.min(LOOK_AGAIN), place.turn()).await {
            return Err(NoRoom::ClientGone);
        }
    }
}

/// Waits until an endpoint serves. Then the request goes on as if it had just come: within the limits of its service, and
/// through its queue.
async fn held(worker: &Worker, client: &Client, forward: &Forward, hold: &Hold) -> Result<Admitted, NoRoom> {
    let service = &forward.service;
    let began = clock::now();
    let mut kept = None;
    loop {
        let Some(place) = kept.take().or_else(|| hold.enter().ok()) else {
            service.counters.shed(Shed::HoldFull);
            return Err(NoRoom::InVain(hold_full(service)));
        };
        if worker.is_draining() {
            return Err(NoRoom::NoEndpoint);
        }
        let left = hold.timeout().saturating_sub(clock::now().saturating_duration_since(began));
        if left.is_zero() {
            service.counters.shed(Shed::HoldTimeout);
            return Err(NoRoom::InVain(hold_timeout(service, hold.timeout())));
        }
        if place.is_first() {
            // Endpoints have come and gone since.
            let table = worker.table();
            let service = table.service(&service.name).unwrap_or(service);
            match unheld(worker, service, forward) {
                Err(NoRoom::NoEndpoint) => {}
                Err(NoRoom::Full) => match queued(worker, client, forward, Some(place)).await {
                    // They have gone again: it is held anew, for the rest of its time.
                    Err(NoRoom::NoEndpoint) => continue,
                    outcome => return outcome,
                },
                outcome => return outcome,
            }
        }
        if let Err(GivenUp::InVain) = client.awaiting(left, place.turn()).await {
            return Err(NoRoom::ClientGone);
        }
        kept = Some(place);
    }
}

/// Why a request has no room.
enum NoRoom {
    /// Endpoints serve, and none of them has any.
    Full,
    /// None serves.
    NoEndpoint,
    Broken {
        retry_after: Duration,
    },
    /// It has waited, or could not.
    InVain(Answer),
    ClientGone,
}

impl NoRoom {
    fn told(self, service: &LocalService) -> NotAdmitted {
        NotAdmitted::TurnedAway(match self {
            Self::Full => full(service),
            Self::NoEndpoint => no_endpoint(service),
            Self::Broken { retry_after } => broken(service, retry_after),
            Self::InVain(answer) => answer,
            Self::ClientGone => return NotAdmitted::ClientGone,
        })
    }
}

impl From<NoSlot> for NoRoom {
    fn from(none: NoSlot) -> Self {
        match none {
            NoSlot::Full => Self::Full,
            NoSlot::NoEndpoint => Self::NoEndpoint,
        }
    }
}

/// Takes the room that there is.
fn look(
    worker: &Worker,
    service: &LocalService,
    gate: &Arc<Gate>,
    forward: &Forward,
) -> Result<Admitted, NoRoom> {
    if gate.is_broken() {
        gate.counters.shed(Shed::BreakerOpen);
        return Err(NoRoom::Broken { retry_after: gate.retry_after() });
    }
    let pass = gate.enter().ok_or(NoRoom::Full)?;
    let slot = service.slot(forward.key, Bound::ByLimits, &[], worker.deadlines.now())?;
    // Last: a trial that is taken has to be sent.
    if !gate.takes_request() {
        gate.counters.shed(Shed::BreakerOpen);
        return Err(NoRoom::Broken { retry_after: gate.retry_after() });
    }
    Ok(Admitted { pass: Some(pass.used()), slot })
}

fn no_endpoint(service: &LocalService) -> Answer {
    Answer::unavailable(format!("service `{}` has no endpoint that serves", service.name), RETRY_AFTER)
}

fn full(service: &LocalService) -> Answer {
    Answer::unavailable(
        format!("service `{}` has as many requests as it can take", service.name),
        RETRY_AFTER,
    )
}

fn queue_timeout(service: &LocalService, timeout: Duration) -> Answer {
    let detail = format!("service `{}` had no room for {timeout:?}", service.name);
    Answer::unavailable(detail, RETRY_AFTER)
}

fn hold_full(service: &LocalService) -> Answer {
    let detail = format!("service `{}` has no endpoint that serves, and too many wait for one", service.name);
    Answer::unavailable(detail, RETRY_AFTER)
}

fn hold_timeout(service: &LocalService, timeout: Duration) -> Answer {
    let detail = format!("service `{}` had no endpoint that serves for {timeout:?}", service.name);
    Answer::unavailable(detail, RETRY_AFTER)
}

fn broken(service: &LocalService, retry_after: Duration) -> Answer {
    let detail = format!("service `{}` fails most requests and gets none for a while", service.name);
    Answer::unavailable(detail, retry_after)
}
