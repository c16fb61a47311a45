//! Who a request is from: its bearer token, verified, and not revoked.
//!
//! Invariant: an [`Identity`] is made here only, from a token that the verifier accepted and the revocations did not refuse.
//! Elsewhere: signature, times and claims (`crate::token`); how services ask for it (`crate::layer`); the answer to a refusal
//! (`crate::refusal`).
//! How it fails: with a [`Refusal`].

mod bearer;
mod roles;

use std::sync::Arc;

use http::HeaderMap;
use phalanx_telemetry::clock;

pub use self::{bearer::bearer, roles::RequiredRoles};
use crate::{
    Claims, Freshness, Refusal, RemoteKeys, Revocations, Standing, StandingError, StateError, TokenError,
    Verifier,
};

/// Tells who a request is from; cheap to clone.
#[derive(Clone, Debug)]
pub struct Authenticator {
    verifier: Verifier,
    remote_keys: Option<RemoteKeys>,
    revocations: Revocations,
}

/// The account and the login that a request is from. Layers put it into the extensions of the request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    claims: Arc<Claims>,
}

impl Identity {
    /// What its token says.
    #[must_use]
    pub fn claims(&self) -> &Claims {
        &self.claims
    }
}

impl Authenticator {
    /// One that accepts what `verifier` accepts and `revocations` do not refuse.
    #[must_use]
    pub fn new(verifier: Verifier, revocations: Revocations) -> Self {
        Self { verifier, remote_keys: None, revocations }
    }

    /// The same whose verifier has its keys from another issuer: a token by a key that is not there may have it fetched.
    #[must_use]
    pub fn with_remote_keys(self, remote_keys: RemoteKeys) -> Self {
        Self { remote_keys: Some(remote_keys), ..self }
    }

    /// Its verifier.
    #[must_use]
    pub fn verifier(&self) -> &Verifier {
        &self.verifier
    }

    /// What it goes by to refuse tokens that are good otherwise.
    #[must_use]
    pub fn revocations(&self) -> &Revocations {
        &self.revocations
    }

    /// Who a request with these headers is from. It waits for nothing, unless `freshness` or a feed that is behind make it ask the
    /// store, or the token is by a key that has to be fetched.
    ///
    /// # Errors
    /// When the request is not to be let through.
    pub async fn authenticate(&self, headers: &HeaderMap, freshness: Freshness) -> Result<Identity, Refusal> {
        self.authenticate_token(bearer(headers)?, freshness).await
    }

    /// The same of a token that came in another way.
    ///
    /// # Errors
    /// When the token is not to be let through.
    pub async fn authenticate_token(&self, token: &[u8], freshness: Freshness) -> Result<Identity, Refusal> {
        let claims = self.verify(token).await?;
        match self.revocations.permits(&*claims, freshness).await {
            Ok(Standing::Live | Standing::Unsure) => Ok(Identity { claims }),
            Ok(Standing::Revoked) => Err(Refusal::Revoked),
            Err(error) => {
                tell(&error);
                Err(Refusal::StateUnavailable)
            }
        }
    }

    /// The same as [`Self::authenticate`] where it has nothing to wait for, else `None`.
    pub(crate) fn glance(
        &self,
        headers: &HeaderMap,
        freshness: Freshness,
    ) -> Option<Result<Identity, Refusal>> {
        let token = match bearer(headers) {
            Ok(token) => token,
            Err(refusal) => return Some(Err(refusal)),
        };
        let claims = match self.verifier.verify(token, clock::unix_seconds()) {
            Ok(claims) => claims,
            Err(TokenError::UnknownKey) if self.remote_keys.is_some() => return None,
            Err(error) => return Some(Err(self.refusal(error))),
        };
        match (self.revocations.check(&*claims), freshness) {
            (Standing::Revoked, _) => Some(Err(Refusal::Revoked)),
            (Standing::Live, Freshness::Feed) => Some(Ok(Identity { claims })),
            (Standing::Live, Freshness::Store) | (Standing::Unsure, _) => None,
        }
    }

    async fn verify(&self, token: &[u8]) -> Result<Arc<Claims>, Refusal> {
        let now = clock::unix_seconds();
        let outcome = match &self.remote_keys {
            Some(remote_keys) => remote_keys.verify(&self.verifier, token, now).await,
            None => self.verifier.verify(token, now),
        };
        outcome.map_err(|error| self.refusal(error))
    }

    fn refusal(&self, error: TokenError) -> Refusal {
        match error {
            TokenError::Expired => Refusal::TokenExpired,
            TokenError::UnknownKey if self.verifier.keys().is_empty() => Refusal::KeysUnavailable,
            TokenError::UnknownKey | TokenError::Invalid(_) => Refusal::InvalidToken,
        }
    }
}

/// An outage was told when it began, and every request meets it; a defect is nobody's but the operator's.
fn tell(error: &StandingError) {
    let is_defect = matches!(error, StandingError::Store(error) if StateError::is_defect(error));
    let error: &dyn std::error::Error = error;
    if is_defect {
        tracing::error!(error, "revocations cannot be read");
    } else {
        tracing::debug!(error, "a token could not be checked");
    }
}
