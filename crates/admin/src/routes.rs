//! The routes of the admin API.

use std::sync::Arc;

use axum::{
    Json, Router,
    extract::{DefaultBodyLimit, Path, Request, State},
    http::{HeaderMap, HeaderName, StatusCode, header},
    middleware,
    response::{IntoResponse, Response},
    routing::{get, post},
};
use phalanx_telemetry::registry::CONTENT_TYPE;
use serde::Serialize;
use tokio_util::sync::CancellationToken;

use crate::{
    Readiness, Source,
    body::BODY_BYTES_MAX,
    control::Control,
    events::{self, Places},
    guard, orders,
    problem::Problem,
    state,
};

/// What `/` says.
const INDEX: &str = "\
Phalanx admin API

/metrics    Prometheus metrics
/v1/state   services, replicas and their states, as JSON
/v1/events  what happens, as server-sent events; Last-Event-ID goes on after that one
/livez      200 while this process answers
/readyz     200 while traffic may come, 503 with the reasons while it may not

GET    /v1/services/NAME/rollout    how far the change of its replicas is
GET    /v1/replicas/INSTANCE/output the last lines that a replica printed
POST   /v1/services/NAME/scale      {\"replicas\": 8}
POST   /v1/services/NAME/rollout    {\"action\": \"restart\"}, or undo (\"revision\": 3), pause, resume
POST   /v1/endpoints/ADDRESS/drain  {}, or {\"action\": \"resume\"}; DELETE takes it back too
POST   /v1/reload                   {}: reads phalanx.toml again

A POST takes JSON (Content-Type: application/json), and is answered 202 when it is accepted; with \"wait\": \"600s\" when it has
come out: 200 done, 409 not, 504 still under way.
";

/// What the routes share.
#[derive(Clone)]
pub(crate) struct Admin {
    pub(crate) source: Arc<dyn Source>,
    pub(crate) control: Arc<dyn Control>,
    pub(crate) places: Places,
    /// Ends what would go on: streams, and waits for an outcome.
    pub(crate) stop: CancellationToken,
}

/// The routes, behind the guard.
pub(crate) fn router(source: Arc<dyn Source>, control: Arc<dyn Control>, stop: CancellationToken) -> Router {
    Router::new()
        .route("/", get(INDEX))
        .route("/metrics", get(metrics))
        .route("/v1/state", get(state))
        .route("/v1/events", get(events))
        .route("/v1/services/{name}/scale", post(orders::scale))
        .route("/v1/services/{name}/rollout", get(rollout).post(orders::rollout))
        .route("/v1/endpoints/{address}/drain", post(orders::drain).delete(orders::resume))
        .route("/v1/reload", post(orders::reload))
        .route("/v1/replicas/{instance}/output", get(output))
        .route("/livez", get("ok\n"))
        .route("/readyz", get(readyz))
        .fallback(not_found)
        .method_not_allowed_fallback(method_not_allowed)
        .layer(DefaultBodyLimit::max(BODY_BYTES_MAX))
        .layer(middleware::from_fn(guard::refuse_foreign))
        .with_state(Admin { source, control, places: Places::new(), stop })
}

async fn metrics(State(admin): State<Admin>) -> ([(HeaderName, &'static str); 1], String) {
    ([(header::CONTENT_TYPE, CONTENT_TYPE)], admin.source.metrics())
}

async fn state(State(admin): State<Admin>) -> Json<state::State> {
    Json(admin.source.state())
}

async fn events(State(admin): State<Admin>, headers: HeaderMap) -> Result<Response, Problem> {
    let after = events::last_event_id(&headers)?;
    let place = admin.places.take()?;
    Ok(events::answer(admin.control.events(after), after, place, admin.stop))
}

async fn rollout(
    State(admin): State<Admin>,
    Path(name): Path<String>,
) -> Result<Json<state::Rollout>, Problem> {
    let services = admin.source.state().services;
    let found = services.iter().find(|service| service.name == name && service.rollout.is_some());
    found.and_then(|service| service.rollout.clone()).map(Json).ok_or_else(|| {
        let run = services.iter().filter(|service| service.rollout.is_some());
        orders::unknown(
            "service with replicas",
            &name,
            &run.map(|service| service.name.clone()).collect::<Vec<_>>(),
        )
    })
}

#[derive(Serialize)]
struct OutputBody {
    instance: String,
    lines: Vec<String>,
}

async fn output(
    State(admin): State<Admin>,
    Path(instance): Path<String>,
) -> Result<Json<OutputBody>, Problem> {
    let lines = admin.control.output(&instance)?;
    Ok(Json(OutputBody { instance, lines }))
}

#[derive(Serialize)]
struct ReadinessBody {
    ready: bool,
    reasons: Vec<String>,
}

async fn readyz(State(admin): State<Admin>) -> Response {
    match admin.source.readiness() {
        Readiness::Ready => Json(ReadinessBody { ready: true, reasons: Vec::new() }).into_response(),
        Readiness::NotReady { reasons } => {
            (StatusCode::SERVICE_UNAVAILABLE, Json(ReadinessBody { ready: false, reasons })).into_response()
        }
    }
}

async fn not_found(request: Request) -> Problem {
    let detail = format!("There is no {}; / lists what there is.", request.uri().path());
    Problem::new(StatusCode::NOT_FOUND, "Not found", detail)
}

/// The `Allow` header comes from the router.
async fn method_not_allowed(request: Request) -> Problem {
    let detail = format!("{} does not take {}.", request.uri().path(), request.method());
    Problem::new(StatusCode::METHOD_NOT_ALLOWED, "Method not allowed", detail)
}
