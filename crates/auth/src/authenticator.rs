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
    Claims, Freshness, Refusal, Revocations, Standing, StandingError, StateError, TokenError, Verifier,
};

/// Tells who a request is from; cheap to clone.
#[derive(Clone, Debug)]
pub struct Authenticator {
    verifier: Verifier,
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

/// What can be said of a token without waiting.
pub(crate) enum Judgement {
    Passes(Identity),
    Refused(Refusal),
    /// The store has to be asked whether it was revoked.
    Asks(Identity),
}

impl Authenticator {
    /// One that accepts what `verifier` accepts and `revocations` do not refuse.
    #[must_use]
    pub fn new(verifier: Verifier, revocations: Revocations) -> Self {
        Self { verifier, revocations }
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
    /// store.
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
        match self.judge(token, freshness) {
            Judgement::Passes(identity) => Ok(identity),
            Judgement::Refused(refusal) => Err(refusal),
            Judgement::Asks(identity) => self.ask(identity, freshness).await,
        }
    }

    pub(crate) fn judge_headers(&self, headers: &HeaderMap, freshness: Freshness) -> Judgement {
        match bearer(headers) {
            Ok(token) => self.judge(token, freshness),
            Err(refusal) => Judgement::Refused(refusal),
        }
    }

    fn judge(&self, token: &[u8], freshness: Freshness) -> Judgement {
        let claims = match self.verifier.verify(token, clock::unix_seconds()) {
            Ok(claims) => claims,
            Err(error) => return Judgement::Refused(self.refusal(error)),
        };
        match (self.revocations.check(&*claims), freshness) {
            (Standing::Revoked, _) => Judgement::Refused(Refusal::Revoked),
            (Standing::Live, Freshness::Feed) => Judgement::Passes(Identity { claims }),
            (Standing::Unsure, _) | (_, Freshness::Store) => Judgement::Asks(Identity { claims }),
        }
    }

    pub(crate) async fn ask(&self, identity: Identity, freshness: Freshness) -> Result<Identity, Refusal> {
        match self.revocations.permits(identity.claims(), freshness).await {
            Ok(Standing::Live | Standing::Unsure) => Ok(identity),
            Ok(Standing::Revoked) => Err(Refusal::Revoked),
            Err(error) => {
                tell(&error);
                Err(Refusal::StateUnavailable)
            }
        }
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
