//! Why a request to a route that asks for a token is turned away, and how its client is told (RFC 6750, section 3).

use phalanx_telemetry::guard::GuardOutcome;

/// A reason.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Denial {
    /// It brings none.
    NoToken,
    /// It brings none that is taken here.
    InvalidToken,
    /// Its token has expired.
    TokenExpired,
    /// Its token was revoked, which its client is told in the words of any other bad token.
    TokenRevoked,
    /// Its token has none of the roles.
    Forbidden,
    /// There is no key to verify a token with yet.
    NoKeys,
    /// What was revoked is not known, and a guess is not allowed.
    NoRevocations,
}

impl Denial {
    pub(crate) fn status(self) -> u16 {
        match self {
            Self::NoToken | Self::InvalidToken | Self::TokenExpired | Self::TokenRevoked => 401,
            Self::Forbidden => 403,
            Self::NoKeys | Self::NoRevocations => 503,
        }
    }

    /// The text that a program looks at, the same from every service.
    pub(crate) fn error(self) -> &'static str {
        match self {
            Self::NoToken => "No token provided",
            Self::InvalidToken | Self::TokenRevoked => "Invalid token",
            Self::TokenExpired => "Token expired",
            Self::Forbidden => "Insufficient permissions",
            Self::NoKeys | Self::NoRevocations => "Service Unavailable",
        }
    }

    /// For a person.
    pub(crate) fn detail(self) -> &'static str {
        match self {
            Self::NoToken => "send the token of a login as `Authorization: Bearer <token>`",
            Self::InvalidToken | Self::TokenRevoked => "the token is not one that is taken here",
            Self::TokenExpired => "log in again",
            Self::Forbidden => "the token has none of the roles that this asks for",
            Self::NoKeys => "tokens cannot be verified at present; try again",
            Self::NoRevocations => "whether the token is still good is not known at present; try again",
        }
    }

    /// An error code only where a token was sent.
    pub(crate) fn field(self) -> (&'static str, &'static str) {
        match self {
            Self::NoToken => ("WWW-Authenticate", "Bearer"),
            Self::InvalidToken | Self::TokenRevoked => {
                ("WWW-Authenticate", r#"Bearer error="invalid_token""#)
            }
            Self::TokenExpired => {
                ("WWW-Authenticate", r#"Bearer error="invalid_token", error_description="the token expired""#)
            }
            Self::Forbidden => ("WWW-Authenticate", r#"Bearer error="insufficient_scope""#),
            Self::NoKeys | Self::NoRevocations => ("Retry-After", "1"),
        }
    }

    pub(super) fn outcome(self) -> GuardOutcome {
        match self {
            Self::NoToken => GuardOutcome::NoToken,
            Self::InvalidToken => GuardOutcome::Invalid,
            Self::TokenExpired => GuardOutcome::Expired,
            Self::TokenRevoked => GuardOutcome::Revoked,
            Self::Forbidden => GuardOutcome::Forbidden,
            Self::NoKeys | Self::NoRevocations => GuardOutcome::Unavailable,
        }
    }
}
