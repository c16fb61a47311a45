//! Before anything is sent: a request gets room at an endpoint, waits for it, or is turned away.
//!
//! Invariant: nobody overtakes those who wait, and nobody who has waited past the timeout is served.

use std::{sync::Arc, time::Duration};

use phalanx_config::Shedding;
use phalanx_telemetry::{clock, upstream::Shed};

use crate::{
    answer::{Answer, RETRY_AFTER},
    connection::{Client, Forward},
    table::{Bound, Gate, Pass, Waiting},
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

impl From<Answer> for NotAdmitted {
    fn from(answer: Answer) -> Self {
        Self::TurnedAway(answer)
    }
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
    forward: &Forward,
) -> Result<Admitted, NotAdmitted> {
    let service = &forward.service;
    let bound = bound(forward);
    let Some(gate) = service.gate.as_ref().filter(|_| bound == Bound::ByLimits) else {
        return match service.slot(forward.key, bound, &[], worker.deadlines.now()) {
            Ok(slot) => Ok(Admitted { pass: None, slot }),
            Err(NoSlot::NoEndpoint) => Err(no_endpoint(service).into()),
            Err(NoSlot::Full) => Err(full(service).into()),
        };
    };
    if !gate.has_waiting() {
        match look(worker, service, gate, forward) {
            Err(NoRoom::Full) => {}
            Ok(admitted) => return Ok(admitted),
            Err(none) => return Err(none.answer(service).into()),
        }
    }
    // In a place of its own: every busy connection would make room for it.
    match &gate.waiting {
        Some(waiting) => Box::pin(wait(worker, client, forward, waiting)).await,
        None => {
            gate.counters.shed(Shed::Full);
            Err(full(service).into())
        }
    }
}

async fn wait(
    worker: &Worker,
    client: &Client,
    forward: &Forward,
    waiting: &Waiting,
) -> Result<Admitted, NotAdmitted> {
    let service = &forward.service;
    let Ok(place) = waiting.enter() else {
        service.counters.shed(Shed::Full);
        return Err(full(service).into());
    };
    let began = clock::now();
    loop {
        let left = waiting.timeout.saturating_sub(clock::now().saturating_duration_since(began));
        if left.is_zero() {
            service.counters.shed(Shed::QueueTimeout);
            return Err(queue_timeout(service, waiting.timeout).into());
        }
        if place.is_first() {
            // Endpoints may have come and gone since.
            let table = worker.table();
            let service = table.service(&service.name).unwrap_or(service);
            let gate = service.gate.as_ref();
            match gate.map_or(Err(NoRoom::NoEndpoint), |gate| look(worker, service, gate, forward)) {
                Ok(admitted) => return Ok(admitted),
                Err(NoRoom::Full) => {}
                Err(none) => return Err(none.answer(service).into()),
            }
        }
        // Whether it was woken or the time is over, it looks.
        if let Err(GivenUp::InVain) = client.awaiting(left.min(LOOK_AGAIN), place.turn()).await {
            return Err(NotAdmitted::ClientGone);
        }
    }
}

enum NoRoom {
    Full,
    NoEndpoint,
    Broken { retry_after: Duration },
}

impl NoRoom {
    fn answer(&self, service: &LocalService) -> Answer {
        match self {
            Self::Full => full(service),
            Self::NoEndpoint => no_endpoint(service),
            Self::Broken { retry_after } => broken(service, *retry_after),
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
    let slot = service.slot(forward.key, Bound::ByLimits, &[], worker.deadlines.now());
    let slot = slot.map_err(|none| match none {
        NoSlot::Full => NoRoom::Full,
        NoSlot::NoEndpoint => NoRoom::NoEndpoint,
    })?;
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

fn broken(service: &LocalService, retry_after: Duration) -> Answer {
    let detail = format!("service `{}` fails most requests and gets none for a while", service.name);
    Answer::unavailable(detail, retry_after)
}
