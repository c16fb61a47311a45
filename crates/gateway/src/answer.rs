//! What the gateway answers by itself: configured responses, and its own errors as RFC 9457 problem documents.

use std::{borrow::Cow, sync::Arc, time::Duration};

use phalanx_http1::{
    Version,
    rewrite::{self, Persistence},
};
use phalanx_telemetry::clock;

use crate::guard::Denial;

/// An answer that no endpoint gave.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    /// `respond` of a route.
    Text { status: u16, body: Arc<str> },
    /// An error.
    Problem { status: u16, detail: String, field: Option<(&'static str, String)> },
    /// A request to a route that asks for a token was turned away.
    Denied(Denial),
    /// 204 to `OPTIONS *`: the gateway itself has nothing to tell.
    Empty,
}

impl Answer {
    pub(crate) fn problem(status: u16, detail: impl Into<String>) -> Self {
        Self::Problem { status, detail: detail.into(), field: None }
    }

    /// 503, for a service that cannot take a request now, and may after `retry_after`.
    pub(crate) fn unavailable(detail: impl Into<String>, retry_after: Duration) -> Self {
        let seconds = retry_after.as_secs() + u64::from(retry_after.subsec_nanos() > 0);
        Self::Problem {
            status: 503,
            detail: detail.into(),
            field: Some(("Retry-After", seconds.max(1).to_string())),
        }
    }

    pub(crate) fn status(&self) -> u16 {
        match self {
            Self::Text { status, .. } | Self::Problem { status, .. } => *status,
            Self::Denied(denial) => denial.status(),
            Self::Empty => 204,
        }
    }
}

const PROBLEM: &str = "application/problem+json";

/// When whoever was turned away may come back, where nothing better is known.
pub(crate) const RETRY_AFTER: Duration = Duration::from_secs(1);

/// Whether the body of an answer is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum BodySent {
    Yes,
    /// The request was `HEAD`: the head alone, as if the body came.
    No,
}

/// Appends the whole response to `out`.
pub(crate) fn write(
    answer: &Answer,
    client: Version,
    body_sent: BodySent,
    persistence: Persistence,
    out: &mut Vec<u8>,
) {
    let status = answer.status();
    let (content_type, body) = match answer {
        // Neither has content, and a length of zero would be told of what was not sent (RFC 9110, section 8.6).
        Answer::Text { status: 204 | 304, .. } | Answer::Empty => ("", Cow::Borrowed("")),
        Answer::Text { body, .. } => ("text/plain; charset=utf-8", Cow::Borrowed(&**body)),
        Answer::Problem { detail, .. } => {
            (PROBLEM, Cow::Owned(problem_document(status, detail, reason(status))))
        }
        Answer::Denied(denial) => {
            (PROBLEM, Cow::Owned(problem_document(status, denial.detail(), denial.error())))
        }
    };
    let date = httpdate::fmt_http_date(clock::wall());
    let mut head = format!("HTTP/1.1 {status} {}\r\nDate: {date}\r\n", reason(status));
    if !content_type.is_empty() {
        head += &format!("Content-Type: {content_type}\r\nContent-Length: {}\r\n", body.len());
    }
    let field = match answer {
        Answer::Problem { field, .. } => field.as_ref().map(|(name, value)| (*name, value.as_str())),
        Answer::Denied(denial) => Some(denial.field()),
        Answer::Text { .. } | Answer::Empty => None,
    };
    if let Some((name, value)) = field {
        head += &format!("{name}: {value}\r\n");
    }
    out.extend_from_slice(head.as_bytes());
    out.extend_from_slice(rewrite::connection_line(client, persistence));
    out.extend_from_slice(b"\r\n");
    if body_sent == BodySent::Yes {
        out.extend_from_slice(body.as_bytes());
    }
}

fn problem_document(status: u16, detail: &str, error: &str) -> String {
    serde_json::json!({
        "type": "about:blank",
        "title": reason(status),
        "status": status,
        "detail": detail,
        "error": error,
    })
    .to_string()
}

/// The reason phrase of a status that the gateway sends (RFC 9110, section 15); empty for any other.
fn reason(status: u16) -> &'static str {
    http::StatusCode::from_u16(status).ok().and_then(|status| status.canonical_reason()).unwrap_or_default()
}
