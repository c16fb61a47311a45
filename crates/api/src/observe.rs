//! What every response gets and every request is counted by: the replica's name and the request series.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use axum::{
    extract::{Request, State},
    http::{HeaderName, HeaderValue},
    middleware::Next,
    response::Response,
};
use phalanx_telemetry::{
    clock,
    requests::{MethodLabel, RequestSeries},
};

const INSTANCE: HeaderName = HeaderName::from_static("x-phalanx-instance");
/// What a request is counted as whose client went away before there was an answer; nginx uses the same number.
const CLIENT_CLOSED_REQUEST: u16 = 499;

/// The series of one route, found once when the route is built, and the name of the replica.
#[derive(Clone)]
pub(crate) struct Observer {
    pub(crate) series: Arc<RequestSeries>,
    pub(crate) instance: HeaderValue,
}

/// The middleware around every route.
pub(crate) async fn observe(State(observer): State<Observer>, request: Request, next: Next) -> Response {
    let mut begun = Begun::count(&observer.series, MethodLabel::of(request.method().as_str().as_bytes()));
    let mut response = next.run(request).await;
    begun.status = response.status().as_u16();
    response.headers_mut().insert(INSTANCE, observer.instance.clone());
    response
}

/// A request in flight; counted as ended when it is dropped, which also happens when its connection breaks.
struct Begun<'a> {
    series: &'a RequestSeries,
    method: MethodLabel,
    started: Instant,
    status: u16,
}

impl<'a> Begun<'a> {
    fn count(series: &'a RequestSeries, method: MethodLabel) -> Self {
        series.begun();
        Self { series, method, started: clock::now(), status: CLIENT_CLOSED_REQUEST }
    }
}

impl Drop for Begun<'_> {
    fn drop(&mut self) {
        let elapsed: Duration = clock::now().saturating_duration_since(self.started);
        self.series.ended(self.method, self.status, elapsed);
    }
}
