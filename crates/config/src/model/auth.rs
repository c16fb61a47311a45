//! `[auth]` and `auth` of a route, checked.

use std::{fmt, path::PathBuf, sync::Arc, time::Duration};

/// `[auth]`: how tokens are verified.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Auth {
    /// The `iss` of every token; `None`: any.
    pub issuer: Option<String>,
    /// What the `aud` of every token names; `None`: anything.
    pub audience: Option<String>,
    /// What signatures are verified with.
    pub keys: KeySource,
    /// `types`
    pub types: TokenTypes,
    /// `revocation`; `None`: a token is good until it expires.
    pub revocation: Option<Revocation>,
}

/// `jwks` or `secret`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeySource {
    /// `jwks`: the `http` or `https` URL of a key set.
    Jwks(String),
    /// `secret`: at least 32 bytes, for HS256.
    Secret(Secret),
}

/// `types`: which tokens are taken.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TokenTypes {
    /// Those of the type `at+jwt`.
    #[default]
    AccessToken,
    /// Also those of the type `JWT`, or of none.
    AnyJwt,
}

/// `revocation`, with what goes with it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Revocation {
    /// Where it is told.
    pub store: RevocationStore,
    /// `revocation_lag`: from which age on what is known counts as stale; default 5 s.
    pub lag: Duration,
    /// `stale`
    pub stale: StaleFeed,
}

/// Where revocations are told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RevocationStore {
    /// A `redis` or `rediss` URL, which may hold a password.
    Redis(Secret),
    /// The directory of the embedded shared state.
    Sqlite(PathBuf),
}

/// `stale`: what happens to a token while revocations are not heard of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum StaleFeed {
    /// The store is asked; where it does not answer, what is known decides.
    #[default]
    Ask,
    /// It is refused.
    Refuse,
}

/// `auth` of a route.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RouteAuth {
    /// `required`
    pub presence: Presence,
    /// `roles`: a token has to have one of them; empty: any token will do.
    pub roles: Vec<String>,
}

/// `required`: whether a request needs a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Presence {
    /// It does.
    Required,
    /// One without a token passes as nobody's.
    Optional,
}

/// A text that no message and no log shows.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(pub(crate) Arc<str>);

impl Secret {
    /// The text itself.
    #[must_use]
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Secret(…)")
    }
}
