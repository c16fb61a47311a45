//! What the gateway answers by itself: configured responses, and its own errors as RFC 9457 problem documents.

use std::{borrow::Cow, sync::Arc, time::Duration};

use phalanx_auth::{PROBLEM_CONTENT_TYPE, Refusal};
use phalanx_http1::{
    Version,
    rewrite::{self, Persistence},
};
use phalanx_telemetry::clock;

/// An answer that no endpoint gave.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    /// `respond` of a route.
    Text { status: u16, body: Arc<str> },
    /// An error.
    Problem { status: u16, detail: String, field: Option<(&'static str, String)> },
    /// A request to a route that asks for a token was turned away.
    Refused(Refusal),
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
            Self::Refused(refusal) => refusal.status().as_u16(),
            Self::Empty => 204,
        }
    }
}

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
        Answer::Text { status: 204 | 304, .. } | Answer::Empty => ("", Cow::Borrowed(&b""[..])),
        Answer::Text { body, .. } => ("text/plain; charset=utf-8", Cow::Borrowed(body.as_bytes())),
        Answer::Problem { detail, .. } => {
            (PROBLEM_CONTENT_TYPE, Cow::Owned(problem_document(status, detail).into_bytes()))
        }
        // The same as from every service that refuses by itself.
        Answer::Refused(refusal) => (PROBLEM_CONTENT_TYPE, Cow::Owned(refusal.body().into())),
    };
    let date = httpdate::fmt_http_date(clock::wall());
    let mut head = format!("HTTP/1.1 {status} {}\r\nDate: {date}\r\n", reason(status));
    if !content_type.is_empty() {
        head += &format!("Content-Type: {content_type}\r\nContent-Length: {}\r\n", body.len());
    }
    match answer {
        Answer::Problem { field: Some((name, value)), .. } => head += &format!("{name}: {value}\r\n"),
        Answer::Refused(refusal) => {
            let (name, value) = refusal.header();
            head += &format!("{name}: {value}\r\nCache-Control: no-store\r\n");
        }
        Answer::Problem { field: None, .. } | Answer::Text { .. } | Answer::Empty => {}
    }
    out.extend_from_slice(head.as_bytes());
    out.extend_from_slice(rewrite::connection_line(client, persistence));
    out.extend_from_slice(b"\r\n");
    if body_sent == BodySent::Yes {
        out.extend_from_slice(&body);
    }
}

fn problem_document(status: u16, detail: &str) -> String {
    let title = reason(status);
    serde_json::json!({
        "type": "about:blank",
        "title": title,
        "status": status,
        "detail": detail,
        "error": title,
    })
    .to_string()
}

/// The reason phrase of a status that the gateway sends (RFC 9110, section 15); empty for any other.
fn reason(status: u16) -> &'static str {
    http::StatusCode::from_u16(status).ok().and_then(|status| status.canonical_reason()).unwrap_or_default()
}
