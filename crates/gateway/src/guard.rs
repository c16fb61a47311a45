//! Who may come: judges what requests bring to be known by, for the routes that ask for it.
//!
//! A token is verified where the head of its request still lies in the buffer, without waiting and mostly from memory. Where
//! something has to be asked first, the issuer for a key or the store of revocations for a token, what is to be asked is a
//! [`Question`], which owns what it needs, and the request waits for its answer while its worker serves others.
//!
//! Invariants: what cannot be judged does not pass; nobody passes as somebody whose name would not reach the endpoint as it is.
//! Elsewhere: tokens, keys and revocations (`phalanx-auth`); what becomes of a request that passes (`crate::connection`).
//! How it fails: with a [`Denial`], which is the client's answer.

mod credentials;
mod denial;
mod verification;

use std::sync::Arc;

use credentials::Credentials;
pub(crate) use denial::Denial;
use phalanx_auth::{Claims, Freshness, Marks, Standing, TokenError};
use phalanx_config::Presence;
use phalanx_http1::{Identity, request::RequestHead};
use phalanx_telemetry::{
    clock,
    guard::{GuardCounters, GuardOutcome},
};
pub use verification::{Verification, VerificationError, VerificationUpkeep};

use crate::table::{Access, Preflights};

/// The guard of one worker.
pub(crate) struct Guard {
    verification: Verification,
    counters: Arc<GuardCounters>,
}

/// What is found of a request.
pub(crate) enum Judgement {
    /// It may pass, as somebody's or as nobody's.
    Passes(Option<Visitor>),
    /// It may not.
    Denied(Denial),
    /// It depends on something that has to be asked for.
    Open(Question),
}

/// Somebody whose token is good.
pub(crate) struct Visitor {
    claims: Arc<Claims>,
}

/// What has to be asked before a request can be judged.
pub(crate) enum Question {
    /// Whether there is a key by now that this token names.
    Key { token: Box<[u8]> },
    /// Whether the token of this visitor, who may pass otherwise, was revoked.
    Revocation { visitor: Visitor },
}

impl Visitor {
    /// `None` where its name or session would not arrive as it is.
    fn of(claims: Arc<Claims>) -> Option<Self> {
        identity(&claims).is_some().then_some(Self { claims })
    }

    /// Adds to a complete request head whom it is from.
    pub(crate) fn introduce(&self, head: &mut Vec<u8>) {
        if let Some(identity) = identity(&self.claims) {
            identity.write(head);
        }
    }

    fn has_one_of(&self, roles: &[String]) -> bool {
        roles.iter().any(|role| self.claims.has_role(role))
    }

    /// By what its token can be revoked.
    fn marks(&self) -> Marks<'_> {
        let Claims { session, subject, epoch, .. } = &*self.claims;
        Marks { session: session.as_deref(), subject, epoch: *epoch }
    }
}

fn identity(claims: &Claims) -> Option<Identity<'_>> {
    Identity::new(&claims.subject, &claims.roles, claims.session.as_deref())
}

impl Guard {
    pub(crate) fn new(verification: Verification) -> Self {
        let counters = verification.family.join();
        Self { verification, counters }
    }

    /// Judges a request to a route that asks for a token.
    pub(crate) fn judge(&self, access: &Access, head: &RequestHead<'_, '_>) -> Judgement {
        let judgement = match Credentials::of(head) {
            Credentials::Bearer(token) => self.judge_token(access, token),
            Credentials::Ambiguous => Judgement::Denied(Denial::InvalidToken),
            Credentials::None => return self.judge_nobody(access, head),
        };
        self.count(&judgement);
        judgement
    }

    fn judge_nobody(&self, access: &Access, head: &RequestHead<'_, '_>) -> Judgement {
        let (judgement, outcome) = match (access.presence, access.preflights) {
            (Presence::Optional, _) => (Judgement::Passes(None), GuardOutcome::Anonymous),
            (Presence::Required, Preflights::PassedOn) if credentials::is_preflight(head) => {
                (Judgement::Passes(None), GuardOutcome::Preflight)
            }
            (Presence::Required, _) => (Judgement::Denied(Denial::NoToken), GuardOutcome::NoToken),
        };
        self.counters.judged(outcome);
        judgement
    }

    fn judge_token(&self, access: &Access, token: &[u8]) -> Judgement {
        let verification = &self.verification;
        match verification.verifier.verify(token, clock::unix_seconds()) {
            Ok(claims) => self.judge_claims(access, claims),
            Err(_) if verification.lacks_keys() => Judgement::Open(Question::Key { token: token.into() }),
            Err(TokenError::UnknownKey) if verification.can_ask_for_keys() => {
                Judgement::Open(Question::Key { token: token.into() })
            }
            Err(TokenError::Expired) => Judgement::Denied(Denial::TokenExpired),
            Err(TokenError::UnknownKey | TokenError::Invalid(_)) => Judgement::Denied(Denial::InvalidToken),
        }
    }

    fn judge_claims(&self, access: &Access, claims: Arc<Claims>) -> Judgement {
        let Some(visitor) = Visitor::of(claims) else { return Judgement::Denied(Denial::InvalidToken) };
        let revocations = self.verification.revocations.as_ref();
        match revocations.map_or(Standing::Live, |revocations| revocations.check(visitor.marks())) {
            Standing::Revoked => Judgement::Denied(Denial::TokenRevoked),
            _ if !access.roles.is_empty() && !visitor.has_one_of(&access.roles) => {
                Judgement::Denied(Denial::Forbidden)
            }
            Standing::Live => Judgement::Passes(Some(visitor)),
            Standing::Unsure => Judgement::Open(Question::Revocation { visitor }),
        }
    }

    /// Judges a request by the answer to the question about it.
    pub(crate) async fn answer(&self, access: &Access, question: Question) -> Result<Visitor, Denial> {
        let judgement = match question {
            Question::Key { token } => self.judge_with_new_keys(access, &token).await,
            Question::Revocation { visitor } => Judgement::Open(Question::Revocation { visitor }),
        };
        let found = match judgement {
            Judgement::Passes(Some(visitor)) => Ok(visitor),
            Judgement::Open(Question::Revocation { visitor }) => self.ask_store(visitor).await,
            Judgement::Denied(denial) => Err(denial),
            // A second fetch would bring what the first did.
            Judgement::Open(Question::Key { .. }) | Judgement::Passes(None) => Err(Denial::InvalidToken),
        };
        self.counters
            .judged(found.as_ref().map_or_else(|denial| denial.outcome(), |_| GuardOutcome::Allowed));
        found
    }

    async fn judge_with_new_keys(&self, access: &Access, token: &[u8]) -> Judgement {
        self.verification.ask_for_key_of(token).await;
        if self.verification.lacks_keys() {
            Judgement::Denied(Denial::NoKeys)
        } else {
            self.judge_token(access, token)
        }
    }

    async fn ask_store(&self, visitor: Visitor) -> Result<Visitor, Denial> {
        let Some(revocations) = &self.verification.revocations else { return Ok(visitor) };
        match revocations.permits(visitor.marks(), Freshness::Feed).await {
            Ok(Standing::Live | Standing::Unsure) => Ok(visitor),
            Ok(Standing::Revoked) => Err(Denial::TokenRevoked),
            Err(error) => {
                // Whoever follows the feed has told the operator once.
                tracing::debug!(%error, "a token was refused unchecked");
                Err(Denial::NoRevocations)
            }
        }
    }

    /// What a request is told whose question was not answered in time.
    pub(crate) fn gave_up(&self) -> Denial {
        let denial = Denial::NoRevocations;
        self.counters.judged(denial.outcome());
        denial
    }

    /// Counts a judgement that stands.
    fn count(&self, judgement: &Judgement) {
        match judgement {
            Judgement::Passes(_) => self.counters.judged(GuardOutcome::Allowed),
            Judgement::Denied(denial) => self.counters.judged(denial.outcome()),
            Judgement::Open(_) => {}
        }
    }
}
