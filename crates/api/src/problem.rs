//! Every error answer of the service: one table of status, short text and detail.

use std::borrow::Cow;

use axum::{
    Json,
    http::{HeaderName, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use phalanx_auth::{HashingError, TokenError};
use phalanx_data::{AccessError, Kind, ScatterError, ShardFault};
use serde::Serialize;

use crate::accounts::ListError;

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
    NoToken,
    InvalidToken,
    TokenExpired,
    InvalidCredentials,
    Forbidden,
    NotFound,
    MethodNotAllowed,
    BodyTimeout,
    EmailTaken,
    BodyTooLarge,
    NotJson,
    InvalidFields(Vec<FieldFault>),
    Overloaded,
    StorageFull,
    /// The database cannot be reached, or moves.
    Unavailable,
    /// The connection broke in the middle of a write.
    OutcomeUnknown,
    DatabaseTimeout,
    NotReady {
        detail: &'static str,
    },
    Internal,
}

/// What is wrong with one member of the body.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub(crate) struct FieldFault {
    /// RFC 6901.
    pub(crate) pointer: String,
    pub(crate) detail: String,
}

impl Problem {
    /// An answer that tells a stranger nothing; the log line tells the operator what happened.
    pub(crate) fn internal(error: &(dyn std::error::Error + 'static)) -> Self {
        tracing::error!(error, "a request failed");
        Self::Internal
    }

    fn status(&self) -> StatusCode {
        match self {
            Self::MalformedJson { .. } | Self::BodyIncomplete => StatusCode::BAD_REQUEST,
            Self::NoToken | Self::InvalidToken | Self::TokenExpired | Self::InvalidCredentials => {
                StatusCode::UNAUTHORIZED
            }
            Self::Forbidden => StatusCode::FORBIDDEN,
            Self::NotFound => StatusCode::NOT_FOUND,
            Self::MethodNotAllowed => StatusCode::METHOD_NOT_ALLOWED,
            Self::BodyTimeout => StatusCode::REQUEST_TIMEOUT,
            Self::EmailTaken => StatusCode::CONFLICT,
            Self::BodyTooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::NotJson => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::InvalidFields(_) => StatusCode::UNPROCESSABLE_ENTITY,
            Self::Overloaded
            | Self::StorageFull
            | Self::Unavailable
            | Self::OutcomeUnknown
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
            Self::NoToken => "No token provided",
            Self::InvalidToken => "Invalid token",
            Self::TokenExpired => "Token expired",
            Self::InvalidCredentials => "Invalid credentials",
            Self::Forbidden => "Insufficient permissions",
            Self::NotFound => "Not found",
            Self::MethodNotAllowed => "Method not allowed",
            Self::BodyTimeout => "Body timeout",
            Self::EmailTaken => "Email already registered",
            Self::BodyTooLarge => "Body too large",
            Self::NotJson => "Unsupported media type",
            Self::InvalidFields(_) => "Invalid fields",
            Self::Overloaded => "Overloaded",
            Self::StorageFull => "Storage full",
            Self::Unavailable => "Database unavailable",
            Self::OutcomeUnknown => "Outcome unknown",
            Self::DatabaseTimeout => "Database timeout",
            Self::NotReady { .. } => "Not ready",
            Self::Internal => "Internal error",
        }
    }

    fn detail(&self) -> Cow<'static, str> {
        Cow::Borrowed(match self {
            Self::MalformedJson { detail, .. } => return Cow::Owned(detail.clone()),
            Self::InvalidFields(faults) => return Cow::Owned(sentence(faults)),
            Self::BodyIncomplete => "the body ended before its announced length",
            Self::NoToken => "send the token of a login as `Authorization: Bearer <token>`",
            Self::InvalidToken => "the token is not one that this service issued for this use",
            Self::TokenExpired => "log in again",
            Self::InvalidCredentials => "no account has this email and password",
            Self::Forbidden => "this is for accounts with the role admin",
            Self::NotFound => "nothing is here",
            Self::MethodNotAllowed => "the `Allow` header lists the methods of this resource",
            Self::BodyTimeout => "the body did not arrive in time",
            Self::EmailTaken => "an account with this email exists",
            Self::BodyTooLarge => "the body is longer than this service reads",
            Self::NotJson => "send the body as `Content-Type: application/json`, uncompressed",
            Self::Overloaded => "more work is waiting than can be done in time; try again",
            Self::StorageFull => "nothing can be stored at present; reading goes on",
            Self::Unavailable => "the database cannot be reached at present; try again",
            Self::OutcomeUnknown => {
                "the connection to the database broke: look whether it was done before you try again"
            }
            Self::DatabaseTimeout => "the database took too long",
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

    /// RFC 6750: an error code only where a token was sent.
    fn header(&self) -> Option<(HeaderName, &'static str)> {
        match self {
            Self::NoToken | Self::InvalidCredentials => Some((header::WWW_AUTHENTICATE, "Bearer")),
            Self::InvalidToken => Some((header::WWW_AUTHENTICATE, r#"Bearer error="invalid_token""#)),
            Self::TokenExpired => Some((
                header::WWW_AUTHENTICATE,
                r#"Bearer error="invalid_token", error_description="the token expired""#,
            )),
            Self::Overloaded | Self::StorageFull | Self::Unavailable | Self::NotReady { .. } => {
                Some((header::RETRY_AFTER, RETRY_AFTER_SECONDS))
            }
            _ => None,
        }
    }
}

#[derive(Serialize)]
struct ProblemBody<'a> {
    r#type: &'static str,
    title: &'static str,
    status: u16,
    detail: Cow<'static, str>,
    error: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pointer: Option<&'a str>,
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
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        if let Some((name, value)) = self.header() {
            headers.insert(name, HeaderValue::from_static(value));
        }
        response
    }
}

impl From<TokenError> for Problem {
    fn from(error: TokenError) -> Self {
        match error {
            TokenError::Invalid(_) | TokenError::UnknownKey => Self::InvalidToken,
            TokenError::Expired => Self::TokenExpired,
        }
    }
}

impl From<HashingError> for Problem {
    fn from(error: HashingError) -> Self {
        match error {
            HashingError::Busy => Self::Overloaded,
            _ => Self::internal(&error),
        }
    }
}

impl From<AccessError> for Problem {
    fn from(error: AccessError) -> Self {
        if let AccessError::Closed = error {
            return Self::NotReady { detail: "this replica is stopping" };
        }
        let problem = match error.verdict().kind {
            Kind::Overloaded => Self::Overloaded,
            Kind::Unavailable => Self::Unavailable,
            Kind::Unknown => Self::OutcomeUnknown,
            Kind::Timeout => Self::DatabaseTimeout,
            Kind::Full => Self::StorageFull,
            Kind::Duplicate | Kind::Invalid | Kind::Fault => return Self::internal(&error),
        };
        let error: &dyn std::error::Error = &error;
        match problem {
            // Every request says so while it lasts, and the topology has said it once.
            Self::Overloaded | Self::Unavailable => {
                tracing::debug!(error, "the database did not answer a request");
            }
            _ => tracing::error!(error, "a statement failed"),
        }
        problem
    }
}

impl From<ScatterError> for Problem {
    fn from(error: ScatterError) -> Self {
        match error.source {
            ShardFault::Access(error) => error.into(),
            _ => Self::DatabaseTimeout,
        }
    }
}

impl From<ListError> for Problem {
    fn from(error: ListError) -> Self {
        match error {
            ListError::Shard(error) => error.into(),
            ListError::Merge(_) => Self::internal(&error),
        }
    }
}

fn sentence(faults: &[FieldFault]) -> String {
    let faults: Vec<_> =
        faults.iter().map(|FieldFault { pointer, detail }| format!("{pointer} {detail}")).collect();
    faults.join("; ")
}
