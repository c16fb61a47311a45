//! The routes, and what each handler works with.

use std::{any::Any, sync::Arc};

use axum::{
    Router, middleware,
    response::{IntoResponse, Response},
    routing::{MethodRouter, any, get, post},
};
use phalanx_auth::{Hasher, Issuer, Verifier};
use phalanx_telemetry::{registry::Registry, requests::RequestFamily};
use tokio_util::sync::CancellationToken;
use tower_http::catch_panic::CatchPanicLayer;

use crate::{
    InstanceName,
    accounts::Accounts,
    idempotency::Idempotency,
    observe::{Observer, observe},
    positions::PositionTokens,
    problem::Problem,
    routes::{account, accounts, catalog, operations, session},
};

const SERVICE: &str = "api";
/// The route label of every path that no route has: a client cannot make series.
const UNMATCHED: &str = "unmatched";

/// What the handlers share. Nothing in it outlives the replica.
pub(crate) struct Service {
    pub(crate) accounts: Accounts,
    pub(crate) idempotency: Idempotency,
    pub(crate) positions: PositionTokens,
    pub(crate) hasher: Hasher,
    pub(crate) issuer: Issuer,
    pub(crate) verifier: Verifier,
    pub(crate) instance: InstanceName,
    pub(crate) registry: Registry,
    pub(crate) stop: CancellationToken,
}

/// Every route, observed.
pub(crate) fn router(service: Arc<Service>, requests: &RequestFamily) -> Router {
    let routes = [
        ("/api/auth/register", post(session::register)),
        ("/api/auth/login", post(session::login)),
        ("/api/profile", get(account::profile)),
        ("/api/users", get(accounts::list)),
        ("/api/users/{id}", get(account::user)),
        ("/api/stats/users", get(accounts::totals)),
        ("/api/catalog", get(catalog::list)),
        ("/health", get(operations::health)),
        ("/livez", get(operations::alive)),
        ("/ready", get(operations::ready)),
        ("/readyz", get(operations::ready)),
        ("/metrics", get(operations::metrics)),
    ];
    let observed = |template: &str, methods: MethodRouter<Arc<Service>>| {
        let observer =
            Observer { series: requests.series(SERVICE, template), instance: service.instance.header() };
        // Outermost is the observer, so that a panic's answer is counted and named too.
        methods
            .layer(CatchPanicLayer::custom(panicked))
            .layer(middleware::from_fn_with_state(observer, observe))
    };
    let mut router = Router::new();
    for (template, methods) in routes {
        router = router.route(template, observed(template, methods.fallback(method_not_allowed)));
    }
    let unmatched = observed(UNMATCHED, any(not_found)).with_state(Arc::clone(&service));
    router.fallback_service(unmatched).with_state(service)
}

async fn method_not_allowed() -> Problem {
    Problem::MethodNotAllowed
}

async fn not_found() -> Problem {
    Problem::NotFound
}

#[expect(clippy::needless_pass_by_value, reason = "the signature that the layer asks for")]
fn panicked(payload: Box<dyn Any + Send>) -> Response {
    let text =
        payload.downcast_ref::<&str>().copied().or(payload.downcast_ref::<String>().map(String::as_str));
    tracing::error!(panic = text.unwrap_or("without a text"), "a handler panicked");
    Problem::Internal.into_response()
}
