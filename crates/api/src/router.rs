//! What surrounds every handler.

use std::{any::Any, collections::BTreeMap, sync::Arc};

use axum::{
    Router, middleware,
    response::{IntoResponse, Response},
    routing::{MethodRouter, any},
};
use phalanx_telemetry::requests::RequestFamily;
use tower_http::catch_panic::CatchPanicLayer;

use crate::{
    observe::{Observer, observe},
    problem::Problem,
    service::Service,
    table::{Route, table},
};

const SERVICE: &str = "api";
/// The route label of every path that no route has: a client cannot make series.
const UNMATCHED: &str = "unmatched";

/// Every route, observed.
pub(crate) fn router(service: Arc<Service>, requests: &RequestFamily) -> Router {
    let observed = |template: &str, methods: MethodRouter<Arc<Service>>| {
        let observer =
            Observer { series: requests.series(SERVICE, template), instance: service.instance.header() };
        // Outermost is the observer, so that a panic's answer is counted and named too.
        methods
            .layer(CatchPanicLayer::custom(panicked))
            .layer(middleware::from_fn_with_state(observer, observe))
    };
    let mut router = Router::new();
    for (template, methods) in by_template(table()) {
        router = router.route(template, observed(template, methods.fallback(method_not_allowed)));
    }
    let unmatched = observed(UNMATCHED, any(not_found)).with_state(Arc::clone(&service));
    router.fallback_service(unmatched).with_state(service)
}

fn by_template(routes: Vec<Route>) -> BTreeMap<&'static str, MethodRouter<Arc<Service>>> {
    let mut templates = BTreeMap::new();
    for Route { template, handler, .. } in routes {
        let methods: MethodRouter<_> = templates.remove(template).unwrap_or_default();
        templates.insert(template, methods.merge(handler));
    }
    templates
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
