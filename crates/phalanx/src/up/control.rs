//! Who obeys the admin API: the fleet as to services, the gateway as to endpoints.
//!
//! Invariant: what is refused has changed nothing.
//! Elsewhere: the routes, and who may ask (`phalanx-admin`); what an order does (`phalanx-fleet`).

use std::{net::SocketAddr, sync::Arc};

use phalanx_admin::control::{Control, DrainOrder, Ending, Events, Order, Pending, Placed, Refusal, Told};
use phalanx_balance::Weight;
use phalanx_config::{Role, ServiceName};
use phalanx_fleet::{Accepted, FleetHandle, OrderError, OrderOutcome};
use phalanx_gateway::Gateway;
use tokio::sync::watch;

use super::{holds::Holds, overview::told::event, reload::Reloader};

/// Carries out the orders of the admin API.
pub(super) struct Obedience {
    gateway: Gateway,
    fleet: FleetHandle,
    holds: Arc<Holds>,
    reloader: Arc<Reloader>,
    is_draining: watch::Receiver<bool>,
}

impl Obedience {
    pub(super) fn new(
        gateway: Gateway,
        fleet: FleetHandle,
        holds: Arc<Holds>,
        reloader: Arc<Reloader>,
        is_draining: watch::Receiver<bool>,
    ) -> Self {
        Self { gateway, fleet, holds, reloader, is_draining }
    }
}

impl Control for Obedience {
    fn order(&self, service: &str, order: Order) -> Pending<Result<Placed, Refusal>> {
        let (fleet, service) = (self.fleet.clone(), service.to_owned());
        let is_draining = *self.is_draining.borrow();
        Box::pin(async move {
            if is_draining {
                return Err(Refusal::Stopping);
            }
            let given = match order {
                Order::Scale { replicas } => fleet.scale(&service, replicas).await,
                Order::Restart => fleet.restart(&service).await,
                Order::Undo { revision } => fleet.undo(&service, revision).await,
                Order::Pause => fleet.pause(&service).await,
                Order::Resume => fleet.resume(&service).await,
            };
            let accepted = given.map_err(|error| refusal(&service, error))?;
            let told = told(&accepted, order);
            let ending: Pending<Ending> = match order {
                // There is nothing to wait for.
                Order::Pause => {
                    let told = told.clone();
                    Box::pin(async { Ending::Complete { told } })
                }
                _ => Box::pin(ending(fleet, accepted)),
            };
            Ok(Placed { told, ending })
        })
    }

    fn drain(&self, endpoint: SocketAddr, order: DrainOrder) -> Pending<Result<Placed, Refusal>> {
        let found = self.find(endpoint);
        let (gateway, holds) = (self.gateway.clone(), self.holds.clone());
        Box::pin(async move {
            let Found { service, instance } = found?;
            match order {
                DrainOrder::Drain => drain(gateway, &holds, endpoint, service, instance).await,
                DrainOrder::Resume => take_back(&gateway, &holds, endpoint).await,
            }
        })
    }

    fn reload(&self) -> Pending<Result<Placed, Refusal>> {
        let (fleet, reloader) = (self.fleet.clone(), self.reloader.clone());
        let is_draining = *self.is_draining.borrow();
        Box::pin(async move {
            if is_draining {
                return Err(Refusal::Stopping);
            }
            let orders = reloader.reload().await?;
            let names: Vec<_> = orders.iter().map(|order| order.service.as_str()).collect();
            let told = match names[..] {
                [] => "the file says nothing that is not so already".to_owned(),
                _ => format!("the file changes {}", names.join(", ")),
            };
            Ok(Placed { ending: Box::pin(all(fleet, orders, told.clone())), told })
        })
    }

    fn output(&self, instance: &str) -> Result<Vec<String>, Refusal> {
        let records = self.fleet.output(instance);
        let state = self.fleet.state();
        let known = || state.iter().flat_map(|service| &service.replicas).map(|replica| &replica.instance);
        if records.is_empty() && !known().any(|known| **known == *instance) {
            return Err(Refusal::Unknown {
                what: "replica",
                name: instance.to_owned(),
                known: known().map(ToString::to_string).collect(),
            });
        }
        Ok(records.into_iter().map(|record| record.text).collect())
    }

    fn events(&self, after: Option<u64>) -> Events {
        // Without a number nothing of the past is asked for.
        let (past, live) = self.fleet.events(after.unwrap_or(u64::MAX));
        let live = futures_util::stream::unfold(live, |mut live| async {
            let told = match live.next().await? {
                Ok(happened) => Told::Event(event(&happened)),
                Err(missed) => Told::Missed(missed.count),
            };
            Some((told, live))
        });
        Events { past: past.iter().map(event).collect(), live: Box::pin(live) }
    }
}

/// Whose an address is.
struct Found {
    service: ServiceName,
    /// The replica, where it is one.
    instance: Option<Arc<str>>,
}

impl Obedience {
    fn find(&self, address: SocketAddr) -> Result<Found, Refusal> {
        for service in self.fleet.state() {
            let listens_there = |process: phalanx_fleet::ProcessState| process.address == address;
            let replica = service.replicas.iter().find(|replica| replica.process.is_some_and(listens_there));
            if let Some(replica) = replica {
                return Ok(Found { service: service.service, instance: Some(replica.instance.clone()) });
            }
        }
        let endpoints = self.gateway.state().endpoints;
        let found = endpoints.iter().find(|endpoint| endpoint.address == address);
        found.map(|endpoint| Found { service: endpoint.service.clone(), instance: None }).ok_or_else(|| {
            let known = endpoints.iter().map(|endpoint| endpoint.address.to_string()).collect();
            Refusal::Unknown { what: "endpoint", name: address.to_string(), known }
        })
    }
}

async fn drain(
    gateway: Gateway,
    holds: &Holds,
    address: SocketAddr,
    service: ServiceName,
    instance: Option<Arc<str>>,
) -> Result<Placed, Refusal> {
    if let Some(instance) = &instance {
        holds.hold(address, instance);
    }
    // A replica that is not ready is in no table, and the hold keeps it from coming.
    let known = gateway.drain(address).await.is_ok() || instance.is_some();
    if !known {
        return Err(Refusal::Refused { reason: format!("{address} has just left the balance by itself") });
    }
    let ending = Box::pin(async move {
        gateway.drained(&service, address).await;
        Ending::Complete { told: format!("{address} has no requests any more") }
    });
    Ok(Placed { told: format!("{address} gets no more requests; those it has go on"), ending })
}

async fn take_back(gateway: &Gateway, holds: &Holds, address: SocketAddr) -> Result<Placed, Refusal> {
    let was_held = holds.is_held(address);
    match holds.release(address) {
        Some(service) => gateway.admit(&service, address, Weight::ONE, Role::Primary).await,
        None if gateway.resume(address).await.is_err() && !was_held => {
            return Err(Refusal::Refused {
                reason: format!("{address} has just left the balance by itself"),
            });
        }
        None => {}
    }
    let told = format!("{address} gets requests again as soon as it is fit for them");
    let complete = told.clone();
    Ok(Placed { told, ending: Box::pin(async { Ending::Complete { told: complete } }) })
}

fn told(Accepted { service, revision, desired, .. }: &Accepted, order: Order) -> String {
    match order {
        Order::Scale { .. } => format!("{service} is scaled to {desired} replicas"),
        Order::Restart => format!("{service} is restarted, as revision {revision}"),
        Order::Undo { .. } => format!("{service} goes back, as revision {revision}"),
        Order::Pause => format!("{service} is paused: its replicas stay as they are"),
        Order::Resume => format!("{service} goes on with revision {revision}"),
    }
}

/// Done when all are, and not as soon as one is not.
async fn all(fleet: FleetHandle, orders: Vec<Accepted>, told: String) -> Ending {
    for accepted in orders {
        if let Ending::Failed { reason } = ending(fleet.clone(), accepted).await {
            return Ending::Failed { reason };
        }
    }
    Ending::Complete { told }
}

async fn ending(fleet: FleetHandle, accepted: Accepted) -> Ending {
    let Accepted { service, revision, .. } = &accepted;
    let failed = |reason: String| Ending::Failed { reason };
    match fleet.outcome(&accepted).await {
        Ok(OrderOutcome::Complete) => {
            let state = fleet.state().into_iter().find(|state| state.service == *service);
            let available = state.map_or(accepted.desired, |state| state.rollout.available);
            let told = format!("{service} is at revision {revision}, with {available} replicas available");
            Ending::Complete { told }
        }
        Ok(OrderOutcome::Stalled { why }) => {
            failed(format!("{service} stalled at revision {revision}: {why}"))
        }
        Ok(OrderOutcome::RolledBack { from, why }) => {
            failed(format!("{service} was rolled back from revision {from}: {why}"))
        }
        Ok(OrderOutcome::Superseded) => failed(format!("{service} got another order meanwhile")),
        Err(ended) => failed(ended.to_string()),
    }
}

pub(super) fn refusal(service: &str, error: OrderError) -> Refusal {
    match error {
        OrderError::UnknownService { service, known } => Refusal::Unknown {
            what: "service with replicas",
            name: service,
            known: known.iter().map(ToString::to_string).collect(),
        },
        OrderError::Stopping | OrderError::Ended => Refusal::Stopping,
        error => Refusal::Refused { reason: format!("{service}: {error}") },
    }
}
