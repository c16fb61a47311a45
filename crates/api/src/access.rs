//! Who may call a route: said in the table of routes, and enforced before the handler sees anything of the request.
//!
//! Invariant: a handler is reached by way of a [`Guarded`] alone, and there is none without an [`Access`]; so no route is without
//! a decision, and a [`Caller`] stands in a request only where somebody was let in.
//! Elsewhere: where a token stands in a request (`crate::bearer`); what a token or a cookie must be (`phalanx-auth`).

use std::{pin::Pin, sync::Arc};

use axum::{
    extract::{FromRequestParts, Request},
    handler::Handler,
    http::request,
    response::{IntoResponse, Response},
};
use phalanx_auth::{
    Freshness, Identity, LoginId, Marks, Refusal, RequiredRoles, Role, Session, Standing, bearer,
    cookies::HostCookie, csrf::is_same_origin,
};
use phalanx_telemetry::clock;

use crate::{accounts::AccountId, bearer::offered, problem::Problem, service::Service};

/// What a browser proves itself with.
pub(crate) const COOKIE: HostCookie = HostCookie::new("__Host-phalanx_session");

/// Whom a route lets in, and how recent the knowledge has to be that nobody has revoked what he shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Access {
    /// Everybody; a token that came along is not looked at.
    Public,
    /// Whoever holds a token.
    Token(Freshness),
    /// Whoever holds a token with one of these roles.
    Roles(&'static [Role], Freshness),
    /// Whoever holds a token or the cookie of a session.
    TokenOrCookie(Freshness),
    /// The same for a WebSocket; scripts in browsers cannot set the header, and offer the token as a subprotocol.
    Socket,
}

/// Who was let in.
#[derive(Clone, Debug)]
pub(crate) struct Caller {
    pub(crate) account: AccountId,
    proof: Proof,
}

/// What somebody was let in by.
#[derive(Clone, Debug)]
enum Proof {
    Token(Identity),
    Cookie {
        session: Arc<Session>,
        /// In Unix seconds.
        expires_at: u64,
    },
}

/// A handler behind its access.
#[derive(Clone)]
pub(crate) struct Guarded<H> {
    access: Access,
    handler: H,
}

impl Access {
    /// Leaves a [`Caller`] in the request, or says why not.
    async fn admit(self, parts: &mut request::Parts, service: &Service) -> Result<(), Problem> {
        let token = match self {
            Self::Public => return Ok(()),
            Self::Socket => offered(&parts.headers),
            Self::Token(_) | Self::Roles(..) | Self::TokenOrCookie(_) => bearer(&parts.headers),
        };
        let freshness = match self {
            Self::Token(freshness) | Self::Roles(_, freshness) | Self::TokenOrCookie(freshness) => freshness,
            Self::Public | Self::Socket => Freshness::Feed,
        };
        // A token goes before a cookie, which browsers send without being asked.
        let proof = match (token, self.cookie(parts)) {
            (Err(Refusal::NoToken), Some(cookie)) => {
                Proof::of_cookie(cookie, parts, service, freshness).await?
            }
            (token, _) => Proof::of_token(token?, service, freshness).await?,
        };
        // A subject that is no id: the token is from another service with the same key.
        let account = AccountId::parse(proof.marks().subject).ok_or(Refusal::InvalidToken)?;
        let caller = Caller { account, proof };
        if let Self::Roles(roles, _) = self
            && !roles.iter().any(|role| caller.has_role(*role))
        {
            let names = roles.iter().map(|role| role.as_str());
            return Err(Refusal::Forbidden(RequiredRoles::any_of(names)).into());
        }
        parts.extensions.insert(caller);
        Ok(())
    }

    /// The cookie, where one counts.
    fn cookie(self, parts: &request::Parts) -> Option<&str> {
        match self {
            Self::TokenOrCookie(_) | Self::Socket => COOKIE.find(&parts.headers),
            Self::Public | Self::Token(_) | Self::Roles(..) => None,
        }
    }
}

impl Proof {
    async fn of_token(token: &[u8], service: &Service, freshness: Freshness) -> Result<Self, Problem> {
        Ok(Self::Token(service.authenticator.authenticate_token(token, freshness).await?))
    }

    async fn of_cookie(
        cookie: &str,
        parts: &request::Parts,
        service: &Service,
        freshness: Freshness,
    ) -> Result<Self, Problem> {
        if !is_same_origin(&parts.method, &parts.uri, &parts.headers) {
            return Err(Problem::CrossOrigin);
        }
        let now = clock::unix_seconds();
        let session = service.sessions.find(cookie, now).await?.ok_or(Refusal::InvalidToken)?;
        // Its use was noted, which happens once a minute.
        if session.seen_at == now && session.created_at != now {
            service.see_that_it_stands(&session).await?;
        }
        let lifetime = service.session_lifetimes.absolute_timeout.as_secs();
        let expires_at = session.created_at.saturating_add(lifetime);
        let proof = Self::Cookie { session: Arc::new(session), expires_at };
        // The cookie only opens the door: it ends with its login and its epoch as a token does.
        proof.confirm(service, freshness).await?;
        Ok(proof)
    }

    async fn confirm(&self, service: &Service, freshness: Freshness) -> Result<(), Problem> {
        match service.revocations().permits(self.marks(), freshness).await? {
            Standing::Revoked => Err(Refusal::InvalidToken.into()),
            Standing::Live | Standing::Unsure => Ok(()),
        }
    }

    fn marks(&self) -> Marks<'_> {
        match self {
            Self::Token(identity) => identity.claims().into(),
            Self::Cookie { session, .. } => {
                let Session { id, subject, epoch, .. } = &**session;
                Marks { session: Some(id), subject, epoch: *epoch }
            }
        }
    }
}

impl Caller {
    /// Sees once more that what he has shown is not revoked.
    pub(crate) async fn confirm(&self, service: &Service, freshness: Freshness) -> Result<(), Problem> {
        self.proof.confirm(service, freshness).await
    }

    /// Whether what he has shown is known to be revoked; nothing is asked.
    pub(crate) fn is_revoked(&self, service: &Service) -> bool {
        service.revocations().check(self.proof.marks()) == Standing::Revoked
    }

    /// The id of the login that he came with.
    pub(crate) fn session(&self) -> Option<&str> {
        self.proof.marks().session
    }

    /// The same, if it is one of this service's.
    pub(crate) fn login(&self) -> Option<LoginId> {
        self.session().and_then(LoginId::parse)
    }

    /// When what he has shown ends, in Unix seconds.
    pub(crate) fn expires_at(&self) -> u64 {
        match &self.proof {
            Proof::Token(identity) => identity.claims().expires_at,
            Proof::Cookie { expires_at, .. } => *expires_at,
        }
    }

    fn has_role(&self, role: Role) -> bool {
        let roles = match &self.proof {
            Proof::Token(identity) => &identity.claims().roles,
            Proof::Cookie { session, .. } => &session.roles,
        };
        roles.iter().any(|own| own == role.as_str())
    }
}

impl FromRequestParts<Arc<Service>> for Caller {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut request::Parts, _: &Arc<Service>) -> Result<Self, Problem> {
        parts.extensions.remove().ok_or_else(|| {
            tracing::error!(uri = %parts.uri, "a handler asks who calls, on a route that does not");
            Problem::Internal
        })
    }
}

impl<H> Guarded<H> {
    pub(crate) fn new(access: Access, handler: H) -> Self {
        Self { access, handler }
    }
}

impl<T: 'static, H: Handler<T, Arc<Service>>> Handler<T, Arc<Service>> for Guarded<H> {
    type Future = Pin<Box<dyn Future<Output = Response> + Send>>;

    fn call(self, request: Request, service: Arc<Service>) -> Self::Future {
        Box::pin(async move {
            let (mut parts, body) = request.into_parts();
            if let Err(problem) = self.access.admit(&mut parts, &service).await {
                return problem.into_response();
            }
            self.handler.call(Request::from_parts(parts, body), service).await
        })
    }
}
