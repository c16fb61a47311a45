//! What tokens are verified with: keys, terms, and what is known of revocations.

use phalanx_auth::{
    Authenticator, KeyRing, KeySet, Keys, RemoteKeys, RemoteKeysSettings, RemoteKeysTotals, RemoteKeysUpkeep,
    Revocations, Terms, TokenTypes, UrlError, Verifier, WeakSecret,
};
use phalanx_config::{self as config, Auth, KeySource};
use phalanx_telemetry::{
    guard::GuardFamily,
    registry::Registry,
    scraped::{self, Family, Kind},
};
use tokio_util::sync::CancellationToken;

/// What the tokens of requests are verified with. Clones share it: a token that one worker has verified is known to all, in a
/// memory that has one bound however many workers there are, and that nobody locks to read.
#[derive(Clone)]
pub struct Verification {
    pub(super) authenticator: Authenticator,
    /// Where the issuer publishes its keys.
    remote: Option<RemoteKeys>,
    /// The feed that is followed.
    revocations: Option<Revocations>,
    pub(super) family: GuardFamily,
}

/// Keeps the keys of a [`Verification`] up to date; to be run as long as the gateway.
#[must_use = "no key is fetched unless it runs"]
pub struct VerificationUpkeep {
    keys: Option<RemoteKeysUpkeep>,
}

/// Why tokens cannot be verified. A checked configuration has none of these faults.
#[derive(Debug, thiserror::Error)]
pub enum VerificationError {
    /// `secret` is none that can sign.
    #[error(transparent)]
    Secret(#[from] WeakSecret),
    /// `jwks` is none that can be fetched.
    #[error(transparent)]
    Url(#[from] UrlError),
}

impl Verification {
    /// As `[auth]` has it, with keys that are fetched as `settings` say; `revocations` follows the feed that it names.
    ///
    /// # Errors
    /// [`VerificationError`]
    pub fn new(
        auth: &Auth,
        settings: RemoteKeysSettings,
        revocations: Option<Revocations>,
    ) -> Result<(Self, VerificationUpkeep), VerificationError> {
        let (keys, remote, upkeep) = match &auth.keys {
            KeySource::Secret(secret) => {
                (Keys::fixed(KeyRing::from_secret(secret.reveal().as_bytes())?.key_set()), None, None)
            }
            KeySource::Jwks(url) => {
                let (remote, upkeep) = RemoteKeys::new(url, Keys::fixed(KeySet::default()), settings)?;
                (remote.keys().clone(), Some(remote), Some(upkeep))
            }
        };
        let known = revocations.clone().unwrap_or_else(Revocations::none);
        let authenticator = Authenticator::new(Verifier::new(keys, terms(auth)), known);
        let authenticator = match remote.clone() {
            Some(remote) => authenticator.with_remote_keys(remote),
            None => authenticator,
        };
        let verification = Self { authenticator, remote, revocations, family: GuardFamily::new() };
        Ok((verification, VerificationUpkeep { keys: upkeep }))
    }

    /// Exposes what is counted of the requests that are judged, and what that depends on.
    pub fn register(&self, registry: &mut Registry) {
        registry.add(self.family.collector());
        if let Some(remote) = self.remote.clone() {
            registry.add(scraped::collector(move || series(remote.totals())));
        }
        if let Some(revocations) = &self.revocations {
            revocations.register(registry);
        }
    }

    /// Whether no token can be judged, since no key was ever fetched.
    pub(super) fn lacks_keys(&self) -> bool {
        self.authenticator.verifier().keys().is_empty()
    }

    /// Whether there may be more keys than those that are here.
    pub(super) fn may_fetch_keys(&self) -> bool {
        self.remote.is_some()
    }
}

impl VerificationUpkeep {
    /// Runs until `stop`.
    pub async fn run(self, stop: CancellationToken) {
        match self.keys {
            Some(keys) => keys.run(stop).await,
            None => stop.cancelled().await,
        }
    }
}

fn terms(auth: &Auth) -> Terms {
    let types = match auth.types {
        config::TokenTypes::AccessToken => TokenTypes::AccessToken,
        config::TokenTypes::AnyJwt => TokenTypes::AnyJwt,
    };
    Terms { issuer: auth.issuer.clone(), audience: auth.audience.clone(), types }
}

fn series(totals: RemoteKeysTotals) -> Vec<Family> {
    let RemoteKeysTotals { fetched, failed, age } = totals;
    let fetches = Family::new(Kind::Counter, "phalanx_jwks_fetches", "Fetches of the issuer's keys.")
        .with(&[("outcome", "fetched")], fetched as f64)
        .with(&[("outcome", "failed")], failed as f64);
    let help = "Time since the issuer's keys were last fetched.";
    let age = age.map_or(f64::INFINITY, |age| age.as_secs_f64());
    vec![fetches, Family::new(Kind::Gauge, "phalanx_jwks_age_seconds", help).with(&[], age)]
}
