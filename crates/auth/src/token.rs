//! Access tokens: JWTs signed with HMAC-SHA-256 (RFC 7519, RFC 9068), issued and verified.
//!
//! `jsonwebtoken` decodes and checks the signature. What it leaves open is closed here: it accepts a token without `aud`
//! or `iss`, ignores `nbf` and `crit`, reads the clock by itself, and takes keys of any length.
//!
//! Invariant: the verifier decides on the algorithm and the key, never the header of the token; `kid`, `jku`, `jwk` and
//! `x5u` are not looked at.
//! Elsewhere: where the token stands in a request (the service).

use std::{fmt, time::Duration};

use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use serde::{Deserialize, Serialize};

use crate::Role;

#[cfg(test)]
mod tests;

/// RFC 7518, section 3.2: a key at least as long as the hash.
pub const SECRET_BYTES_MIN: usize = 32;

/// Longer tokens are refused unread. Ours have about 400 bytes.
pub const TOKEN_BYTES_MAX: usize = 4096;

/// How far ahead of this machine's clock the issuer's may be, for `nbf`. `exp` has no such grace: a token that ends some
/// seconds early costs a refresh, one that lives longer than its issuer said costs more.
pub const NOT_BEFORE_SKEW_SECONDS: u64 = 5;

/// RFC 9068: an access token says so, and cannot be taken for an identity token of the same issuer.
const TYPE: &str = "at+jwt";
const TOKEN_ID_BYTES: usize = 16;

/// A secret that signs and verifies. It cannot be printed.
#[derive(Clone)]
pub struct TokenKey {
    signing: EncodingKey,
    verifying: DecodingKey,
}

/// A secret too short to sign with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the secret has {bytes} bytes, at least {SECRET_BYTES_MIN} are needed")]
pub struct WeakSecret {
    /// How many it has.
    pub bytes: usize,
}

impl TokenKey {
    /// A key of these bytes.
    ///
    /// # Errors
    /// When there are fewer than [`SECRET_BYTES_MIN`].
    pub fn from_secret(secret: &[u8]) -> Result<Self, WeakSecret> {
        if secret.len() < SECRET_BYTES_MIN {
            return Err(WeakSecret { bytes: secret.len() });
        }
        Ok(Self { signing: EncodingKey::from_secret(secret), verifying: DecodingKey::from_secret(secret) })
    }

    /// A secret for another use, which tells nothing of this one. Equal secrets and purposes give equal ones.
    ///
    /// # Panics
    /// Never: HMAC takes any message.
    #[must_use]
    pub fn derived(&self, purpose: &str) -> String {
        // No token begins like this, so none can be taken for a derived secret.
        let message = format!("phalanx derived secret: {purpose}");
        jsonwebtoken::crypto::sign(message.as_bytes(), &self.signing, Algorithm::HS256)
            .expect("the key is one for HMAC")
    }
}

impl fmt::Debug for TokenKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("TokenKey(..)")
    }
}

/// What issuer and verifier agree on.
#[derive(Clone, Debug)]
pub struct TokenTerms {
    /// `iss`
    pub issuer: String,
    /// `aud`
    pub audience: String,
}

/// What a verified token says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claims {
    /// `sub`: the account.
    pub subject: String,
    /// `role`
    pub role: Role,
    /// `jti`: this token among all.
    pub token_id: String,
    /// `iat`, in Unix seconds.
    pub issued_at: u64,
    /// `exp`, in Unix seconds: the first second in which the token is worth nothing.
    pub expires_at: u64,
}

/// Why a token proves nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    /// It is not one of ours, or not for here, or not yet. Which of these is nobody's business but the issuer's.
    #[error("invalid token")]
    Invalid,
    /// It was one of ours until its `exp`.
    #[error("token expired")]
    Expired,
}

/// The claims as they stand in the payload. Every one is required; a claim that comes twice or has another type is a fault;
/// claims that are not named here are let through, since a later version of Phalanx may issue them.
#[derive(Serialize, Deserialize)]
struct Payload {
    sub: String,
    role: String,
    iss: String,
    aud: String,
    iat: u64,
    nbf: u64,
    exp: u64,
    jti: String,
}

/// Signs tokens.
#[derive(Clone, Debug)]
pub struct Issuer {
    key: TokenKey,
    terms: TokenTerms,
    lifetime: Duration,
}

impl Issuer {
    /// An issuer of tokens that live for `lifetime`.
    #[must_use]
    pub fn new(key: TokenKey, terms: TokenTerms, lifetime: Duration) -> Self {
        Self { key, terms, lifetime }
    }

    /// A token for `subject`, valid from `now`, in Unix seconds.
    ///
    /// # Panics
    /// When the system has no randomness, which is a broken machine.
    #[must_use]
    pub fn issue(&self, subject: &str, role: Role, now: u64) -> String {
        let payload = Payload {
            sub: subject.to_owned(),
            role: role.as_str().to_owned(),
            iss: self.terms.issuer.clone(),
            aud: self.terms.audience.clone(),
            iat: now,
            nbf: now,
            exp: now.saturating_add(self.lifetime.as_secs()),
            jti: token_id(),
        };
        let header = Header { typ: Some(TYPE.to_owned()), ..Header::new(Algorithm::HS256) };
        jsonwebtoken::encode(&header, &payload, &self.key.signing)
            .expect("strings and numbers serialize, and an HMAC key signs anything")
    }
}

/// Checks tokens.
#[derive(Clone, Debug)]
pub struct Verifier {
    key: TokenKey,
    terms: TokenTerms,
    validation: Validation,
}

impl Verifier {
    /// A verifier of the tokens that an [`Issuer`] of the same key and terms signs.
    #[must_use]
    pub fn new(key: TokenKey, terms: TokenTerms) -> Self {
        let mut validation = Validation::new(Algorithm::HS256);
        // All of these are checked below: against the caller's clock, and with absence as a fault.
        validation.required_spec_claims.clear();
        validation.validate_exp = false;
        validation.validate_nbf = false;
        validation.validate_aud = false;
        Self { key, terms, validation }
    }

    /// Checks a token at `now`, in Unix seconds.
    ///
    /// # Errors
    /// [`TokenError::Expired`] if time is all that is wrong with it, else [`TokenError::Invalid`].
    pub fn verify(&self, token: &[u8], now: u64) -> Result<Claims, TokenError> {
        if token.len() > TOKEN_BYTES_MAX {
            return Err(TokenError::Invalid);
        }
        let decoded = jsonwebtoken::decode::<Payload>(token, &self.key.verifying, &self.validation)
            .map_err(|_| TokenError::Invalid)?;
        let (header, payload) = (decoded.header, decoded.claims);
        // RFC 7515, section 4.1.11: an extension that must be understood, and none is.
        let typed = header.typ.as_deref().is_some_and(|typ| typ.eq_ignore_ascii_case(TYPE));
        if header.crit.is_some() || !typed {
            return Err(TokenError::Invalid);
        }
        let role = Role::of(&payload.role).ok_or(TokenError::Invalid)?;
        let ours = payload.iss == self.terms.issuer && payload.aud == self.terms.audience;
        let begun = payload.nbf <= now.saturating_add(NOT_BEFORE_SKEW_SECONDS);
        if !ours || !begun || payload.sub.is_empty() {
            return Err(TokenError::Invalid);
        }
        if payload.exp <= now {
            return Err(TokenError::Expired);
        }
        Ok(Claims {
            subject: payload.sub,
            role,
            token_id: payload.jti,
            issued_at: payload.iat,
            expires_at: payload.exp,
        })
    }
}

/// 128 random bits, in hexadecimal digits.
fn token_id() -> String {
    let mut bytes = [0; TOKEN_ID_BYTES];
    getrandom::fill(&mut bytes).expect("the kernel's random numbers are there from boot");
    format!("{:032x}", u128::from_be_bytes(bytes))
}
