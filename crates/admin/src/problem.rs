//! Errors as RFC 9457 `application/problem+json`, which also carry `error`, a short text.

use axum::{
    Json,
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use serde::Serialize;

use crate::state::{Outcome, Service};

/// An error for a client.
#[derive(Debug)]
pub(crate) struct Problem {
    pub(crate) status: StatusCode,
    pub(crate) error: &'static str,
    pub(crate) detail: String,
    /// What became of the order, where it was one.
    pub(crate) outcome: Option<Outcome>,
    /// The service that the order was for, as it is.
    pub(crate) service: Option<Box<Service>>,
}

impl Problem {
    /// One that has nothing to do with an order.
    pub(crate) fn new(status: StatusCode, error: &'static str, detail: impl Into<String>) -> Self {
        Self { status, error, detail: detail.into(), outcome: None, service: None }
    }

    /// One of an order.
    pub(crate) fn with_outcome(mut self, outcome: Outcome, service: Option<Service>) -> Self {
        self.outcome = Some(outcome);
        self.service = service.map(Box::new);
        self
    }
}

#[derive(Serialize)]
struct Body<'a> {
    r#type: &'static str,
    title: &'static str,
    status: u16,
    error: &'a str,
    detail: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    outcome: Option<Outcome>,
    #[serde(skip_serializing_if = "Option::is_none")]
    service: Option<&'a Service>,
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let body = Json(Body {
            // RFC 9457, section 4.2.1: a problem that says no more than its status.
            r#type: "about:blank",
            title: self.status.canonical_reason().unwrap_or_default(),
            status: self.status.as_u16(),
            error: self.error,
            detail: &self.detail,
            outcome: self.outcome,
            service: self.service.as_deref(),
        });
        let content_type = HeaderValue::from_static("application/problem+json");
        (self.status, [(header::CONTENT_TYPE, content_type)], body).into_response()
    }
}
