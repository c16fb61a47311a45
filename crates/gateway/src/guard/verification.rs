//! What tokens are verified with: keys, terms, and what is known of revocations.

use phalanx_auth::{KeyRing, KeySet, Keys, Revocations, Terms, TokenTypes, Verifier, WeakSecret};
use phalanx_config::{self as config, Auth, KeySource};
use phalanx_telemetry::{guard::GuardFamily, registry::Registry};

/// What the tokens of requests are verified with. Clones share it: a token that one worker has verified is known to all, in a
/// memory that has one bound however many workers there are, and that nobody locks to read.
#[derive(Clone)]
pub struct Verification {
    pub(super) verifier: Verifier,
    pub(super) revocations: Option<Revocations>,
    pub(super) family: GuardFamily,
}

impl Verification {
    /// As `[auth]` has it; `revocations` follows the feed that it names.
    ///
    /// # Errors
    /// When the secret is too short, which a checked configuration has none of.
    pub fn new(auth: &Auth, revocations: Option<Revocations>) -> Result<Self, WeakSecret> {
        let keys = match &auth.keys {
            KeySource::Secret(secret) => {
                Keys::fixed(KeyRing::from_secret(secret.reveal().as_bytes())?.key_set())
            }
            KeySource::Jwks(_) => Keys::fixed(KeySet::default()),
        };
        Ok(Self { verifier: Verifier::new(keys, terms(auth)), revocations, family: GuardFamily::new() })
    }

    /// Exposes what is counted of the requests that are judged, and what that depends on.
    pub fn register(&self, registry: &mut Registry) {
        registry.add(self.family.collector());
        if let Some(revocations) = &self.revocations {
            revocations.register(registry);
        }
    }

    /// Whether no token can be judged, since no key was ever fetched.
    pub(super) fn lacks_keys(&self) -> bool {
        self.verifier.keys().is_empty()
    }

    /// Whether there may be more keys than those that are here.
    pub(super) fn can_ask_for_keys(&self) -> bool {
        false
    }

    /// Waits until the keys were fetched again, if they may be at this moment.
    pub(super) async fn ask_for_keys(&self) {}
}

fn terms(auth: &Auth) -> Terms {
    let types = match auth.types {
        config::TokenTypes::AccessToken => TokenTypes::AccessToken,
        config::TokenTypes::AnyJwt => TokenTypes::AnyJwt,
    };
    Terms { issuer: auth.issuer.clone(), audience: auth.audience.clone(), types }
}
