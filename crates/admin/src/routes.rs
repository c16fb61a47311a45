//! The routes of the admin API.

use std::sync::Arc;

use axum::{
    Json, Router,
    extract::{Request, State},
    http::{HeaderName, StatusCode, header},
    middleware,
    response::{IntoResponse, Response},
    routing::get,
};
use phalanx_telemetry::registry::CONTENT_TYPE;
use serde::Serialize;

use crate::{Readiness, Source, guard, problem::Problem, state};

/// What `/` says.
const INDEX: &str = "\
Phalanx admin API

/metrics    Prometheus metrics
/v1/state   services, replicas and their states, as JSON
/livez      200 while this process answers
/readyz     200 while traffic may come, 503 with the reasons while it may not
";

type Shared = State<Arc<dyn Source>>;

/// The routes, behind the guard.
pub(crate) fn router(source: Arc<dyn Source>) -> Router {
    Router::new()
        .route("/", get(INDEX))
        .route("/metrics", get(metrics))
        .route("/v1/state", get(state))
        .route("/livez", get("ok\n"))
        .route("/readyz", get(readyz))
        .fallback(not_found)
        .method_not_allowed_fallback(method_not_allowed)
        .layer(middleware::from_fn(guard::refuse_foreign))
        .with_state(source)
}

async fn metrics(State(source): Shared) -> ([(HeaderName, &'static str); 1], String) {
    ([(header::CONTENT_TYPE, CONTENT_TYPE)], source.metrics())
}

async fn state(State(source): Shared) -> Json<state::State> {
    Json(source.state())
}

#[derive(Serialize)]
struct ReadinessBody {
    ready: bool,
    reasons: Vec<String>,
}

async fn readyz(State(source): Shared) -> Response {
    match source.readiness() {
        Readiness::Ready => Json(ReadinessBody { ready: true, reasons: Vec::new() }).into_response(),
        Readiness::NotReady { reasons } => {
            (StatusCode::SERVICE_UNAVAILABLE, Json(ReadinessBody { ready: false, reasons })).into_response()
        }
    }
}

async fn not_found(request: Request) -> Problem {
    Problem {
        status: StatusCode::NOT_FOUND,
        error: "Not found",
        detail: format!("There is no {}; / lists what there is.", request.uri().path()),
    }
}

/// The `Allow` header comes from the router.
async fn method_not_allowed(request: Request) -> Problem {
    Problem {
        status: StatusCode::METHOD_NOT_ALLOWED,
        error: "Method not allowed",
        detail: format!("{} does not take {}.", request.uri().path(), request.method()),
    }
}
