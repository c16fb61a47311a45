//! Why a request is not let through, and the answer that says so (RFC 6750, RFC 9457).
//!
//! Invariant: the gateway and every service answer the same refusal with the same bytes, and none of them says more than a
//! stranger may know. That a token was revoked is not told apart from its never having been good.
//! Elsewhere: who refuses (`crate::authenticator`, `crate::layer`, the gateway).

use bytes::Bytes;
use http::{HeaderName, HeaderValue, Response, StatusCode, header};
use serde::Serialize;

use crate::RequiredRoles;

/// What every refusal's body is.
pub const PROBLEM_CONTENT_TYPE: &str = "application/problem+json";

/// Whoever was refused for an outage may come back after this.
const RETRY_AFTER_SECONDS: &str = "1";

/// Why a request is not let through.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// It brings no token.
    NoToken,
    /// Its token is not good here, or it brings several.
    InvalidToken,
    /// Its token was good until a moment ago.
    TokenExpired,
    /// Its token was revoked.
    Revoked,
    /// The token is good, and its account has none of the roles that this is for.
    Forbidden(RequiredRoles),
    /// There are no keys to verify tokens with, because those that publish them were not reached so far.
    KeysUnavailable,
    /// Whether the token was revoked cannot be told, and policy or route do not let it pass unchecked.
    StateUnavailable,
}

impl Refusal {
    /// The status of the answer.
    #[must_use]
    pub fn status(&self) -> StatusCode {
        match self {
            Self::NoToken | Self::InvalidToken | Self::TokenExpired | Self::Revoked => {
                StatusCode::UNAUTHORIZED
            }
            Self::Forbidden(_) => StatusCode::FORBIDDEN,
            Self::KeysUnavailable | Self::StateUnavailable => StatusCode::SERVICE_UNAVAILABLE,
        }
    }

    /// The short text, which is a contract with clients.
    #[must_use]
    pub fn error(&self) -> &'static str {
        match self {
            Self::NoToken => "No token provided",
            Self::InvalidToken | Self::Revoked => "Invalid token",
            Self::TokenExpired => "Token expired",
            Self::Forbidden(_) => "Insufficient permissions",
            Self::KeysUnavailable => "Keys unavailable",
            Self::StateUnavailable => "State unavailable",
        }
    }

    /// What to do about it.
    #[must_use]
    pub fn detail(&self) -> String {
        match self {
            Self::NoToken => "send the token of a login as `Authorization: Bearer <token>`".to_owned(),
            Self::InvalidToken | Self::Revoked => {
                "the token is not one that this service issued for this use".to_owned()
            }
            Self::TokenExpired => "log in again".to_owned(),
            Self::Forbidden(roles) => format!("this is for accounts with the role {roles}"),
            Self::KeysUnavailable => "no token can be verified at present; try again".to_owned(),
            Self::StateUnavailable => {
                "whether the token was revoked cannot be told at present; try again".to_owned()
            }
        }
    }

    /// The header that goes with it beside those of every problem: RFC 6750 has an error code only where a token was sent.
    #[must_use]
    pub fn header(&self) -> (HeaderName, &'static str) {
        match self {
            Self::NoToken => (header::WWW_AUTHENTICATE, "Bearer"),
            Self::InvalidToken | Self::Revoked => {
                (header::WWW_AUTHENTICATE, r#"Bearer error="invalid_token""#)
            }
            Self::TokenExpired => (
                header::WWW_AUTHENTICATE,
                r#"Bearer error="invalid_token", error_description="the token expired""#,
            ),
            Self::Forbidden(_) => (header::WWW_AUTHENTICATE, r#"Bearer error="insufficient_scope""#),
            Self::KeysUnavailable | Self::StateUnavailable => (header::RETRY_AFTER, RETRY_AFTER_SECONDS),
        }
    }

    /// The body, of the type [`PROBLEM_CONTENT_TYPE`].
    ///
    /// # Panics
    /// Never: texts and numbers are always JSON.
    #[must_use]
    pub fn body(&self) -> Bytes {
        let status = self.status();
        let problem = Problem {
            // The status says it all, so the type is the one that means just that.
            r#type: "about:blank",
            title: status.canonical_reason().unwrap_or_default(),
            status: status.as_u16(),
            detail: self.detail(),
            error: self.error(),
        };
        serde_json::to_vec(&problem).expect("texts and numbers").into()
    }

    /// The whole answer. No cache may keep it.
    #[must_use]
    pub fn response<B: From<Bytes>>(&self) -> Response<B> {
        let mut response = Response::new(self.body().into());
        *response.status_mut() = self.status();
        let (name, value) = self.header();
        for (name, value) in
            [(header::CONTENT_TYPE, PROBLEM_CONTENT_TYPE), (header::CACHE_CONTROL, "no-store"), (name, value)]
        {
            response.headers_mut().insert(name, HeaderValue::from_static(value));
        }
        response
    }
}

#[derive(Serialize)]
struct Problem {
    r#type: &'static str,
    title: &'static str,
    status: u16,
    detail: String,
    error: &'static str,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_has_one_answer() {
        let forbidden = Refusal::Forbidden(RequiredRoles::any_of(["admin"]));
        for (refusal, status, error, header) in [
            (Refusal::NoToken, 401, "No token provided", "www-authenticate: Bearer"),
            (Refusal::InvalidToken, 401, "Invalid token", "www-authenticate: Bearer error=\"invalid_token\""),
            (
                Refusal::TokenExpired,
                401,
                "Token expired",
                "www-authenticate: Bearer error=\"invalid_token\", error_description=\"the token expired\"",
            ),
            (
                forbidden,
                403,
                "Insufficient permissions",
                "www-authenticate: Bearer error=\"insufficient_scope\"",
            ),
            (Refusal::KeysUnavailable, 503, "Keys unavailable", "retry-after: 1"),
            (Refusal::StateUnavailable, 503, "State unavailable", "retry-after: 1"),
        ] {
            let response = refusal.response::<Bytes>();
            let body: serde_json::Value = serde_json::from_slice(response.body()).unwrap();
            assert_eq!((response.status().as_u16(), &body["error"]), (status, &error.into()), "{refusal:?}");
            assert_eq!((&body["type"], &body["status"]), (&"about:blank".into(), &status.into()));
            let (name, value) = header.split_once(": ").unwrap();
            assert_eq!(response.headers()[name], value, "{refusal:?}");
            assert_eq!(response.headers()["content-type"], "application/problem+json");
            assert_eq!(response.headers()["cache-control"], "no-store");
        }
    }

    #[test]
    fn a_revoked_token_is_like_one_that_never_was_good() {
        let (revoked, invalid) =
            (Refusal::Revoked.response::<Bytes>(), Refusal::InvalidToken.response::<Bytes>());
        assert_eq!((revoked.status(), revoked.headers()), (invalid.status(), invalid.headers()));
        assert_eq!(revoked.body(), invalid.body());
    }

    #[test]
    fn the_body_is_what_it_always_was() {
        let forbidden = Refusal::Forbidden(RequiredRoles::any_of(["admin"])).body();
        assert_eq!(
            String::from_utf8(forbidden.to_vec()).unwrap(),
            r#"{"type":"about:blank","title":"Forbidden","status":403,"detail":"this is for accounts with the role admin","error":"Insufficient permissions"}"#
        );
    }
}
