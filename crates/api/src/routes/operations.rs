//! What operators and balancers ask: `/health`, `/livez`, `/ready`, `/readyz` and `/metrics`.

use std::{sync::Arc, time::Duration};

use axum::{Json, extract::State, http::header, response::IntoResponse};
use phalanx_telemetry::registry;
use serde::Serialize;
use tokio::time::timeout;

use super::NO_STORE;
use crate::{problem::Problem, router::Service};

/// Less than the second after which a probe usually gives up, so that it gets the reason.
const DATABASE_TIMEOUT: Duration = Duration::from_millis(800);

#[derive(Serialize)]
struct Health {
    status: &'static str,
    instance: String,
}

#[derive(Serialize)]
struct Status {
    status: &'static str,
}

/// That the replica answers, and which one it is.
pub(crate) async fn health(State(service): State<Arc<Service>>) -> impl IntoResponse {
    (NO_STORE, Json(Health { status: "ok", instance: service.instance.as_str().to_owned() }))
}

/// That the event loop turns. Nothing else may fail it: a restart heals no database.
pub(crate) async fn alive() -> impl IntoResponse {
    (NO_STORE, Json(Status { status: "ok" }))
}

/// Whether requests should be sent here.
pub(crate) async fn ready(State(service): State<Arc<Service>>) -> Result<impl IntoResponse, Problem> {
    if service.stop.is_cancelled() {
        return Err(Problem::NotReady { detail: "this replica is stopping" });
    }
    match timeout(DATABASE_TIMEOUT, service.accounts.answers()).await {
        Ok(true) => Ok((NO_STORE, Json(Status { status: "ready" }))),
        _ => Err(Problem::NotReady { detail: "the database does not answer" }),
    }
}

pub(crate) async fn metrics(State(service): State<Arc<Service>>) -> impl IntoResponse {
    ([(header::CONTENT_TYPE, registry::CONTENT_TYPE)], service.registry.encode())
}
