//! Access tokens: JWTs in the compact form (RFC 7519, RFC 7515, RFC 9068), issued and verified as RFC 8725 asks.
//!
//! Header and payload are read here, strictly; the library behind `crate::keys` computes signatures and decides nothing.
//!
//! Invariants: the key decides on the algorithm, never the header; `kid` is a name to look up in memory, and `jku`, `x5u`, `x5c`
//! and `jwk` are not looked at; no claim is believed, or even read, before the signature was verified.
//! Elsewhere: keys (`crate::keys`); where the token stands in a request (the service); whether its login was ended (revocation).
//! Fails with [`TokenError`], whatever the bytes.

mod cache;
mod compact;
mod issuer;
mod payload;
mod verifier;

pub use self::{
    cache::CACHE_BYTES_MAX,
    compact::{Parts, TOKEN_BYTES_VERIFIED_MAX, parts},
    issuer::{Issuer, TOKEN_BYTES_MAX, TokenTooLong},
    payload::NOT_BEFORE_SKEW_SECONDS,
    verifier::{Verifier, verify_signature},
};

/// What issuer and verifier agree on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Terms {
    /// `iss`; verified only if there is one.
    pub issuer: Option<String>,
    /// `aud`; verified only if there is one.
    pub audience: Option<String>,
    /// Which kinds of token are accepted.
    pub types: TokenTypes,
}

/// Which kinds of token a verifier accepts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TokenTypes {
    /// Access tokens as [`Issuer`] signs them: `typ` is `at+jwt` (RFC 9068), and no claim may be missing but the roles.
    AccessToken,
    /// Tokens of other issuers too: `typ` may also be `JWT` or missing, and only `sub` and `exp` must be there.
    AnyJwt,
}

/// Who a token is for.
#[derive(Clone, Copy, Debug)]
pub struct Subject<'a> {
    /// `sub`: the account.
    pub subject: &'a str,
    /// `sid`: the login. Without one, a verifier of [`TokenTypes::AccessToken`] refuses the token.
    pub session: Option<&'a str>,
    /// `sv`: tokens of an account's earlier epochs can be refused all at once.
    pub epoch: u64,
    /// `role`
    pub roles: &'a [&'a str],
}

/// What a verified token says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claims {
    /// `sub`: the account. Neither empty nor with control characters.
    pub subject: String,
    /// `sid`: the login it belongs to.
    pub session: Option<String>,
    /// `sv`: the account's epoch; 0 if the issuer has none.
    pub epoch: u64,
    /// `role` or `roles`. None is empty or has a comma or control characters.
    pub roles: Vec<String>,
    /// `jti`: this token among all; empty if the issuer gives none.
    pub token_id: String,
    /// `iat`, in Unix seconds; 0 if the issuer does not say.
    pub issued_at: u64,
    /// `exp`, in Unix seconds: the first second in which the token is worth nothing.
    pub expires_at: u64,
}

impl Claims {
    /// Whether the account has a role.
    #[must_use]
    pub fn has_role(&self, role: &str) -> bool {
        self.roles.iter().any(|own| own == role)
    }
}

/// Why a token proves nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    /// It is not valid here. Why is nobody's business but the operator's.
    #[error("invalid token")]
    Invalid(#[source] Fault),
    /// It names a key that the set does not have: it may be forged, or the set old.
    #[error("the token names a key that is not in the set")]
    UnknownKey,
    /// Time is all that is wrong with it.
    #[error("token expired")]
    Expired,
}

/// What is wrong with a token: for logs and tools, never for the one who sent it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Fault {
    /// It is longer than any token that is read.
    #[error("it has more than {TOKEN_BYTES_VERIFIED_MAX} bytes")]
    TooLong,
    /// It is not three parts in canonical base64url, without padding, between two dots.
    #[error("it is not three parts of base64url without padding")]
    Form,
    /// The header is no JSON object, repeats a name, or has `alg`, `kid` or `typ` of another type than text.
    #[error("its header is no JSON object of the right types, or repeats a name")]
    Header,
    /// The header asks for something that must be understood (`crit`, `b64`, `zip`), and nothing of it is.
    #[error("its header has `crit`, `b64` or `zip`, none of which is supported")]
    Extension,
    /// The header names no algorithm that is known, or another than the key's.
    #[error("its algorithm is not known, or not that of the key")]
    Algorithm,
    /// The signature is by none of the keys.
    #[error("its signature is not by any of the keys")]
    Signature,
    /// `typ` is not one that is accepted.
    #[error("its type is not one that is accepted")]
    Type,
    /// The payload is no JSON object, or repeats a name.
    #[error("its payload is no JSON object, or repeats a name")]
    Payload,
    /// A claim is not there.
    #[error("the claim `{0}` is missing")]
    Missing(&'static str),
    /// A claim has another JSON type than it must have, or a value that is none.
    #[error("the claim `{0}` has the wrong type or no usable value")]
    Claim(&'static str),
    /// `iss` is another.
    #[error("it is from another issuer")]
    Issuer,
    /// `aud` has others only.
    #[error("it is for another audience")]
    Audience,
    /// `nbf` or `iat` are in the future.
    #[error("it is not valid yet")]
    NotYet,
}

impl From<Fault> for TokenError {
    fn from(fault: Fault) -> Self {
        Self::Invalid(fault)
    }
}
