//! What operators and balancers ask: `/health`, `/livez`, `/ready`, `/readyz` and `/metrics`.

use std::{sync::Arc, time::Duration};

use axum::{Json, extract::State, http::header, response::IntoResponse};
use phalanx_telemetry::registry;
use serde::Serialize;
use tokio::time::timeout;
use utoipa::ToSchema;

use super::NO_STORE;
use crate::{problem::Problem, service::Service};

/// Less than the second after which a probe usually gives up, so that it gets the reason.
const DATABASE_TIMEOUT: Duration = Duration::from_millis(800);

#[derive(Serialize, ToSchema)]
pub(crate) struct Health {
    status: &'static str,
    instance: String,
}

#[derive(Serialize, ToSchema)]
pub(crate) struct Status {
    status: &'static str,
}

/// That the replica answers, and which one it is.
#[utoipa::path(
    get,
    path = "/health",
    tag = "operations",
    responses((status = 200, description = "It does.", body = Health)),
)]
pub(crate) async fn health(State(service): State<Arc<Service>>) -> impl IntoResponse {
    (NO_STORE, Json(Health { status: "ok", instance: service.instance.as_str().to_owned() }))
}

/// That the event loop turns. Nothing else may fail it: a restart heals no database.
#[utoipa::path(
    get,
    path = "/livez",
    tag = "operations",
    responses((status = 200, description = "It turns.", body = Status)),
)]
pub(crate) async fn alive() -> impl IntoResponse {
    (NO_STORE, Json(Status { status: "ok" }))
}

/// Whether requests should be sent here.
#[utoipa::path(
    get,
    path = "/ready",
    tag = "operations",
    responses(
        (status = 200, description = "They should.", body = Status),
        (status = 503, description = "It is stopping, or its database does not answer."),
    ),
)]
pub(crate) async fn ready(State(service): State<Arc<Service>>) -> Result<impl IntoResponse, Problem> {
    if service.stop.is_cancelled() {
        return Err(Problem::NotReady { detail: "this replica is stopping" });
    }
    match timeout(DATABASE_TIMEOUT, service.accounts.answers()).await {
        Ok(true) => Ok((NO_STORE, Json(Status { status: "ready" }))),
        _ => Err(Problem::NotReady { detail: "the database does not answer" }),
    }
}

/// Whether requests should be sent here, under the name that Kubernetes' own servers use.
#[utoipa::path(
    get,
    path = "/readyz",
    tag = "operations",
    responses(
        (status = 200, description = "They should.", body = Status),
        (status = 503, description = "It is stopping, or its database does not answer."),
    ),
)]
pub(crate) async fn readyz(state: State<Arc<Service>>) -> Result<impl IntoResponse, Problem> {
    ready(state).await
}

/// What the replica counts, for Prometheus.
#[utoipa::path(
    get,
    path = "/metrics",
    tag = "operations",
    responses((status = 200, description = "The series, in the text format of OpenMetrics.", body = String,
        content_type = "application/openmetrics-text")),
)]
pub(crate) async fn metrics(State(service): State<Arc<Service>>) -> impl IntoResponse {
    ([(header::CONTENT_TYPE, registry::CONTENT_TYPE)], service.registry.encode())
}
