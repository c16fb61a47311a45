//! The keys of the comparison: what services verify with, and the tokens that they are sent.

use std::{fmt, time::Duration};

use anyhow::Context;
use phalanx_auth::{Algorithm, Issuer, KeyRing, Subject, Terms, TokenTypes, generate};
use phalanx_telemetry::clock;
use serde_json::Value;

/// Longer than any comparison.
const LIFETIME: Duration = Duration::from_hours(12);
/// What the reference API puts into its tokens, and asks of them.
const ISSUER: &str = "phalanx";
const AUDIENCE: &str = "api";

/// One algorithm with a key.
pub(super) struct Signing {
    pub(super) algorithm: Algorithm,
    ring: KeyRing,
    issuer: Issuer,
}

impl fmt::Debug for Signing {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Signing").field("algorithm", &self.algorithm).finish_non_exhaustive()
    }
}

impl Signing {
    /// With a fresh key, of this comparison alone.
    pub(super) fn new(algorithm: Algorithm) -> anyhow::Result<Self> {
        let ring = if algorithm.is_symmetric() {
            KeyRing::from_secret(secret().as_bytes())?
        } else {
            KeyRing::of(vec![generate(algorithm)]).context("make a key")?
        };
        let terms = Terms {
            issuer: Some(ISSUER.to_owned()),
            audience: Some(AUDIENCE.to_owned()),
            types: TokenTypes::AccessToken,
        };
        let issuer = Issuer::new(ring.clone(), terms, LIFETIME);
        Ok(Self { algorithm, ring, issuer })
    }

    /// A token of the account with this id.
    pub(super) fn token(&self, account: u32) -> String {
        let account = account.to_string();
        let subject = Subject { subject: &account, session: Some(&account), epoch: 0, roles: &["user"] };
        self.issuer.issue(&subject, clock::unix_seconds())
    }

    /// The variable from which the reference API has its keys.
    pub(super) fn of_api(&self) -> (&'static str, String) {
        if self.algorithm.is_symmetric() {
            ("JWT_SECRET", secret())
        } else {
            ("JWT_KEYS", self.ring.to_private_jwks())
        }
    }

    /// The variables from which the app on Express has them.
    pub(super) fn of_express(&self) -> anyhow::Result<Vec<(&'static str, String)>> {
        let key = if self.algorithm.is_symmetric() {
            ("JWT_SECRET", secret())
        } else {
            let set: Value = serde_json::from_str(&self.ring.key_set().to_public_jwks())?;
            ("JWT_PUBLIC_JWK", set["keys"][0].to_string())
        };
        Ok(vec![("JWT_ALGORITHM", self.algorithm.as_str().to_owned()), key])
    }
}

/// For the length of a comparison, on this machine alone.
fn secret() -> String {
    "a secret of the comparison alone".to_owned()
}
