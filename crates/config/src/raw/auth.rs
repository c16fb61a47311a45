//! `[auth]`, and `auth` of a route.

use schemars::JsonSchema;
use serde::Deserialize;

use crate::located::{At, DurationText};

/// How the tokens are verified that routes with `auth` ask for.
///
/// ```toml
/// [auth]
/// issuer = "https://api.example.com"
/// audience = "api"
/// jwks = "http://127.0.0.1:3000/.well-known/jwks.json"
/// revocation = "redis://127.0.0.1:6379"
/// stale = "refuse"
/// ```
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Auth {
    /// The `iss` that every token must have. Without it: any.
    #[schemars(extend("examples" = ["https://api.example.com"]))]
    pub(crate) issuer: Option<At<String>>,
    /// What must stand in the `aud` of every token. Without it: anything.
    #[schemars(extend("examples" = ["api"]))]
    pub(crate) audience: Option<At<String>>,
    /// Where the issuer publishes its keys (RFC 7517), an `http` or `https` URL. They are fetched in the background, and again when a
    /// token names an unknown one.
    #[schemars(extend("examples" = ["http://127.0.0.1:3000/.well-known/jwks.json"]))]
    pub(crate) jwks: Option<At<String>>,
    /// The secret that tokens are signed with (HS256), at least 32 bytes. There is either `jwks` or `secret`.
    #[schemars(extend("examples" = ["${JWT_SECRET}"]))]
    pub(crate) secret: Option<At<String>>,
    /// Which tokens are taken: `access_token` those of the type `at+jwt` with all claims that the reference API writes (RFC 9068),
    /// `any_jwt` also those of other issuers, of which only `sub` and `exp` must be there.
    #[schemars(extend("default" = "access_token"))]
    pub(crate) types: Option<TokenTypes>,
    /// Where logouts are told of: `redis://…`, `rediss://…` over TLS, or `sqlite:DIRECTORY`, that of the shared state of the API on this
    /// machine. Without it a token is good until it expires.
    #[schemars(extend("examples" = ["redis://127.0.0.1:6379"]))]
    pub(crate) revocation: Option<At<String>>,
    /// With `revocation`: how old what was heard from there may be before it counts as stale.
    #[schemars(extend("default" = "5s"))]
    pub(crate) revocation_lag: Option<At<DurationText>>,
    /// With `revocation`: what happens while it is stale. `ask` asks for each request, and lets pass what is not known to be revoked where
    /// no answer comes; `refuse` answers 503.
    #[schemars(extend("default" = "ask"))]
    pub(crate) stale: Option<At<StaleFeed>>,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum TokenTypes {
    AccessToken,
    AnyJwt,
}

#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum StaleFeed {
    Ask,
    Refuse,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct RouteAuth {
    /// `false` lets requests without a token pass as nobody's; one with a bad token is refused all the same.
    #[schemars(extend("default" = true))]
    pub(crate) required: Option<At<bool>>,
    /// Roles of which a token must have one. Without it: any token will do.
    #[schemars(extend("examples" = [["admin"]]))]
    pub(crate) roles: Option<At<Vec<At<String>>>>,
}
