//! Every error answer of the service: one table of status, short text and detail.

mod causes;

use std::borrow::Cow;

use axum::{
    Json,
    http::{HeaderName, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use phalanx_auth::{PROBLEM_CONTENT_TYPE, Refusal, RetryAfter};
use serde::Serialize;
use utoipa::ToSchema;

/// Whoever was refused for lack of room may come back after this.
const RETRY_AFTER_SECONDS: &str = "1";

/// Why a request has no other answer (RFC 9457).
#[derive(Debug)]
pub(crate) enum Problem {
    MalformedJson {
        pointer: Option<String>,
        detail: String,
    },
    BodyIncomplete,
    MalformedKey,
    /// The library lets nobody in with what he has shown.
    Refused(Refusal),
    InvalidCredentials,
    /// A cookie came with a request of another site's page.
    CrossOrigin,
    NotFound,
    MethodNotAllowed,
    BodyTimeout,
    EmailTaken,
    /// Somebody else's change was first.
    ChangedMeanwhile,
    /// Another request with the same idempotency key is being carried out.
    KeyInUse,
    BodyTooLarge,
    NotJson,
    InvalidFields(Vec<FieldFault>),
    UpgradeRequired,
    /// An idempotency key came with another request before.
    KeyReused,
    TooManyAttempts(RetryAfter),
    Overloaded,
    StorageFull,
    /// The database cannot be reached, or moves.
    Unavailable,
    /// The connection broke in the middle of a write.
    OutcomeUnknown,
    DatabaseTimeout,
    /// What replicas share beside the database cannot be reached.
    StateUnavailable,
    NotReady {
        detail: &'static str,
    },
    Internal,
}

/// What is wrong with one member of the body.
#[derive(Debug, PartialEq, Eq, Serialize, ToSchema)]
pub(crate) struct FieldFault {
    /// Which (RFC 6901).
    #[schema(example = "/email")]
    pub(crate) pointer: String,
    #[schema(example = "must be an e-mail address")]
    pub(crate) detail: String,
}

impl Problem {
    /// An answer that tells a stranger nothing; the log line tells the operator what happened.
    pub(crate) fn internal(error: &(dyn std::error::Error + 'static)) -> Self {
        tracing::error!(error, "a request failed");
        Self::Internal
    }

    pub(crate) fn status(&self) -> StatusCode {
        match self {
            Self::MalformedJson { .. } | Self::BodyIncomplete | Self::MalformedKey => StatusCode::BAD_REQUEST,
            Self::Refused(refusal) => refusal.status(),
            Self::InvalidCredentials => StatusCode::UNAUTHORIZED,
            Self::CrossOrigin => StatusCode::FORBIDDEN,
            Self::NotFound => StatusCode::NOT_FOUND,
            Self::MethodNotAllowed => StatusCode::METHOD_NOT_ALLOWED,
            Self::BodyTimeout => StatusCode::REQUEST_TIMEOUT,
            Self::EmailTaken | Self::ChangedMeanwhile | Self::KeyInUse => StatusCode::CONFLICT,
            Self::BodyTooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::NotJson => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::InvalidFields(_) | Self::KeyReused => StatusCode::UNPROCESSABLE_ENTITY,
            Self::UpgradeRequired => StatusCode::UPGRADE_REQUIRED,
            Self::TooManyAttempts(_) => StatusCode::TOO_MANY_REQUESTS,
            Self::Overloaded
            | Self::StorageFull
            | Self::Unavailable
            | Self::OutcomeUnknown
            | Self::StateUnavailable
            | Self::NotReady { .. } => StatusCode::SERVICE_UNAVAILABLE,
            Self::DatabaseTimeout => StatusCode::GATEWAY_TIMEOUT,
            Self::Internal => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    /// The short text; that of a 401 is a contract with clients.
    fn error(&self) -> &'static str {
        match self {
            Self::MalformedJson { .. } => "Malformed JSON",
            Self::BodyIncomplete => "Incomplete body",
            Self::MalformedKey => "Malformed idempotency key",
            Self::Refused(refusal) => refusal.error(),
            Self::InvalidCredentials => "Invalid credentials",
            Self::CrossOrigin => "Cross-origin request",
            Self::NotFound => "Not found",
            Self::MethodNotAllowed => "Method not allowed",
            Self::BodyTimeout => "Body timeout",
            Self::EmailTaken => "Email already registered",
            Self::ChangedMeanwhile => "Changed meanwhile",
            Self::KeyInUse => "Request in progress",
            Self::BodyTooLarge => "Body too large",
            Self::NotJson => "Unsupported media type",
            Self::InvalidFields(_) => "Invalid fields",
            Self::UpgradeRequired => "Upgrade required",
            Self::KeyReused => "Idempotency key reused",
            Self::TooManyAttempts(_) => "Too many attempts",
            Self::Overloaded => "Overloaded",
            Self::StorageFull => "Storage full",
            Self::Unavailable => "Database unavailable",
            Self::OutcomeUnknown => "Outcome unknown",
            Self::DatabaseTimeout => "Database timeout",
            Self::StateUnavailable => "State unavailable",
            Self::NotReady { .. } => "Not ready",
            Self::Internal => "Internal error",
        }
    }

    fn detail(&self) -> Cow<'static, str> {
        Cow::Borrowed(match self {
            Self::MalformedJson { detail, .. } => return Cow::Owned(detail.clone()),
            Self::InvalidFields(faults) => return Cow::Owned(sentence(faults)),
            Self::Refused(refusal) => return Cow::Owned(refusal.detail()),
            Self::BodyIncomplete => "the body ended before its announced length",
            Self::MalformedKey => {
                "send one `Idempotency-Key` of 1 to 255 visible ASCII characters, quoted or not"
            }
            Self::InvalidCredentials => "no account has this email and password",
            Self::CrossOrigin => {
                "a cookie counts only on requests of this service's own pages; send a token instead"
            }
            Self::NotFound => "nothing is here",
            Self::MethodNotAllowed => "the `Allow` header lists the methods of this resource",
            Self::BodyTimeout => "the body did not arrive in time",
            Self::EmailTaken => "an account with this email exists",
            Self::ChangedMeanwhile => "another request has changed the same; look at it, and try again",
            Self::KeyInUse => {
                "a request with this `Idempotency-Key` is being carried out; try again for its answer"
            }
            Self::BodyTooLarge => "the body is longer than this service reads",
            Self::NotJson => "send the body as `Content-Type: application/json`, uncompressed",
            Self::UpgradeRequired => "this is for WebSockets of version 13 over HTTP/1.1",
            Self::KeyReused => "another request came with this `Idempotency-Key`: give each request its own",
            Self::TooManyAttempts(_) => "the password was wrong too often; try again later",
            Self::Overloaded => "more work is waiting than can be done in time; try again",
            Self::StorageFull => "nothing can be stored at present; reading goes on",
            Self::Unavailable => "the database cannot be reached at present; try again",
            Self::OutcomeUnknown => {
                "the connection to the database broke: look whether it was done before you try again"
            }
            Self::DatabaseTimeout => "the database took too long",
            Self::StateUnavailable => {
                "what replicas share cannot be reached at present, and this needs it; try again"
            }
            Self::NotReady { detail } => detail,
            Self::Internal => "the request failed through no fault of yours",
        })
    }

    fn pointer(&self) -> Option<&str> {
        match self {
            Self::MalformedJson { pointer, .. } => pointer.as_deref(),
            Self::InvalidFields(faults) => faults.first().map(|fault| fault.pointer.as_str()),
            _ => None,
        }
    }

    /// What stands beside the body.
    fn headers(&self) -> Vec<(HeaderName, HeaderValue)> {
        let fixed = |(name, value)| (name, HeaderValue::from_static(value));
        match self {
            Self::Refused(refusal) => vec![fixed(refusal.header())],
            Self::InvalidCredentials => vec![fixed((header::WWW_AUTHENTICATE, "Bearer"))],
            Self::UpgradeRequired => vec![
                fixed((header::CONNECTION, "upgrade")),
                fixed((header::UPGRADE, "websocket")),
                fixed((header::SEC_WEBSOCKET_VERSION, "13")),
            ],
            Self::TooManyAttempts(retry_after) => vec![(header::RETRY_AFTER, retry_after.seconds().into())],
            Self::KeyInUse
            | Self::Overloaded
            | Self::StorageFull
            | Self::Unavailable
            | Self::StateUnavailable
            | Self::NotReady { .. } => vec![fixed((header::RETRY_AFTER, RETRY_AFTER_SECONDS))],
            _ => Vec::new(),
        }
    }
}

/// An error (RFC 9457).
#[derive(Serialize, ToSchema)]
#[schema(as = Problem)]
pub(crate) struct ProblemBody<'a> {
    #[schema(example = "about:blank")]
    r#type: &'static str,
    /// The status in words.
    #[schema(example = "Unprocessable Content")]
    title: &'static str,
    #[schema(example = 422, minimum = 400, maximum = 599)]
    status: u16,
    /// What is wrong, for people.
    #[schema(example = "/email must be an e-mail address")]
    detail: Cow<'static, str>,
    /// What is wrong, for programs.
    #[schema(example = "Invalid fields")]
    error: &'static str,
    /// Where in the body, if it is there (RFC 6901): the first of `errors`.
    #[schema(example = "/email", nullable = false)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pointer: Option<&'a str>,
    /// All that is wrong with the body's members.
    #[schema(required = false)]
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    errors: &'a [FieldFault],
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let status = self.status();
        let body = Json(ProblemBody {
            // The status says it all, so the type is the one that means just that.
            r#type: "about:blank",
            title: status.canonical_reason().unwrap_or_default(),
            status: status.as_u16(),
            detail: self.detail(),
            error: self.error(),
            pointer: self.pointer(),
            errors: if let Self::InvalidFields(faults) = &self { faults } else { &[] },
        });
        let mut response = (status, body).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(PROBLEM_CONTENT_TYPE));
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        headers.extend(self.headers());
        response
    }
}

fn sentence(faults: &[FieldFault]) -> String {
    let faults: Vec<_> =
        faults.iter().map(|FieldFault { pointer, detail }| format!("{pointer} {detail}")).collect();
    faults.join("; ")
}
