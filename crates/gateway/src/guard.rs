//! Who may come: judges what requests bring to be known by, for the routes that ask for it.
//!
//! A token is verified where the head of its request still lies in the buffer, without waiting and mostly from memory. Where
//! something has to be asked first, the issuer for a key or the store of revocations for a token, the request becomes a
//! [`Question`], which owns what it needs, and waits for its answer while its worker serves others.
//!
//! Invariants: what cannot be judged does not pass; nobody passes as somebody whose name would not reach the endpoint as it is.
//! Elsewhere: tokens, keys, revocations and refusals (`phalanx-auth`); what becomes of a request that passes
//! (`crate::connection`).
//! How it fails: with a [`Refusal`], which is the client's answer.

mod credentials;
mod verification;

use std::sync::Arc;

use credentials::Credentials;
use phalanx_auth::{Claims, Freshness, Refusal, Standing, TokenError};
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
    Refused(Refusal),
    /// It depends on something that has to be asked for.
    Open(Question),
}

/// Somebody whose token is good.
pub(crate) struct Visitor {
    claims: Arc<Claims>,
}

/// A token that cannot be judged by what is known here.
pub(crate) struct Question {
    token: Box<[u8]>,
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
            Credentials::Ambiguous => Judgement::Refused(Refusal::InvalidToken),
            Credentials::None => return self.judge_nobody(access, head),
        };
        match &judgement {
            Judgement::Passes(_) => self.counters.judged(GuardOutcome::Allowed),
            Judgement::Refused(refusal) => self.counters.judged(outcome(refusal)),
            // It is counted once it is answered.
            Judgement::Open(_) => {}
        }
        judgement
    }

    fn judge_nobody(&self, access: &Access, head: &RequestHead<'_, '_>) -> Judgement {
        let (judgement, outcome) = match (access.presence, access.preflights) {
            (Presence::Optional, _) => (Judgement::Passes(None), GuardOutcome::Anonymous),
            (Presence::Required, Preflights::PassedOn) if credentials::is_preflight(head) => {
                (Judgement::Passes(None), GuardOutcome::Preflight)
            }
            (Presence::Required, _) => (Judgement::Refused(Refusal::NoToken), GuardOutcome::NoToken),
        };
        self.counters.judged(outcome);
        judgement
    }

    fn judge_token(&self, access: &Access, token: &[u8]) -> Judgement {
        let question = || Judgement::Open(Question { token: token.into() });
        let verification = &self.verification;
        let claims = match verification.authenticator.verifier().verify(token, clock::unix_seconds()) {
            Ok(claims) => claims,
            Err(_) if verification.lacks_keys() => return question(),
            Err(TokenError::UnknownKey) if verification.may_fetch_keys() => return question(),
            Err(TokenError::Expired) => return Judgement::Refused(Refusal::TokenExpired),
            Err(TokenError::UnknownKey | TokenError::Invalid(_)) => {
                return Judgement::Refused(Refusal::InvalidToken);
            }
        };
        let standing = verification.authenticator.revocations().check(&*claims);
        match (standing, vet(access, claims)) {
            (Standing::Revoked, _) => Judgement::Refused(Refusal::Revoked),
            (_, Err(refusal)) => Judgement::Refused(refusal),
            (Standing::Live, Ok(visitor)) => Judgement::Passes(Some(visitor)),
            (Standing::Unsure, Ok(_)) => question(),
        }
    }

    /// Judges the request that a question is about, by what those say who are asked.
    pub(crate) async fn answer(&self, access: &Access, question: Question) -> Result<Visitor, Refusal> {
        let authenticator = &self.verification.authenticator;
        let found = match authenticator.authenticate_token(&question.token, Freshness::Feed).await {
            Ok(identity) => vet(access, Arc::new(identity.claims().clone())),
            // Without a key every token looks forged.
            Err(_) if self.verification.lacks_keys() => Err(Refusal::KeysUnavailable),
            Err(refusal) => Err(refusal),
        };
        self.counters.judged(found.as_ref().map_or_else(outcome, |_| GuardOutcome::Allowed));
        found
    }

    /// What the client is told whose question was not answered in time.
    pub(crate) fn gave_up(&self) -> Refusal {
        let refusal = Refusal::StateUnavailable;
        self.counters.judged(outcome(&refusal));
        refusal
    }
}

/// Whether somebody whose token is good may pass here.
fn vet(access: &Access, claims: Arc<Claims>) -> Result<Visitor, Refusal> {
    if let Some(roles) = access.roles.as_ref().filter(|roles| !roles.permit(&claims)) {
        return Err(Refusal::Forbidden(roles.clone()));
    }
    Visitor::of(claims).ok_or(Refusal::InvalidToken)
}

fn outcome(refusal: &Refusal) -> GuardOutcome {
    match refusal {
        Refusal::NoToken => GuardOutcome::NoToken,
        Refusal::InvalidToken => GuardOutcome::Invalid,
        Refusal::TokenExpired => GuardOutcome::Expired,
        Refusal::Revoked => GuardOutcome::Revoked,
        Refusal::Forbidden(_) => GuardOutcome::Forbidden,
        Refusal::KeysUnavailable | Refusal::StateUnavailable => GuardOutcome::Unavailable,
    }
}
