//! Who may call a route: said in the table of routes, and enforced before the handler sees anything of the request.
//!
//! Invariant: a handler is reached by way of a [`Guarded`] alone, and there is none without an [`Access`]; so no route is without
//! a decision, and a [`Caller`] stands in a request only where somebody was let in.
//! Elsewhere: where a token stands in a request (`crate::bearer`); what a token must be (`phalanx-auth`).

use std::{pin::Pin, sync::Arc};

use axum::{
    extract::{FromRequestParts, Request},
    handler::Handler,
    http::request,
    response::{IntoResponse, Response},
};
use phalanx_auth::{Claims, Role};
use phalanx_telemetry::clock;

use crate::{accounts::AccountId, bearer, problem::Problem, router::Service};

/// Whom a route lets in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Access {
    /// Everybody; a token that came along is not looked at.
    Public,
    /// Whoever holds a token.
    Authenticated,
    /// Whoever holds a token with one of these roles.
    Roles(&'static [Role]),
    /// Whoever holds a token, in the header or, since scripts in browsers cannot set it, offered as a subprotocol.
    Socket,
}

/// Who was let in.
#[derive(Clone, Debug)]
pub(crate) struct Caller {
    pub(crate) account: AccountId,
    /// When what he showed ends, in Unix seconds.
    pub(crate) expires_at: u64,
}

/// A handler behind its access.
#[derive(Clone)]
pub(crate) struct Guarded<H> {
    access: Access,
    handler: H,
}

impl Access {
    /// Leaves a [`Caller`] in the request, or says why not.
    fn admit(self, parts: &mut request::Parts, service: &Service) -> Result<(), Problem> {
        let roles = match self {
            Self::Public => return Ok(()),
            Self::Authenticated | Self::Socket => None,
            Self::Roles(roles) => Some(roles),
        };
        let token = match self {
            Self::Socket => bearer::offered(&parts.headers)?,
            _ => bearer::token(&parts.headers)?,
        };
        let claims = service.verifier.verify(token, clock::unix_seconds())?;
        let caller = Caller::of(&claims)?;
        if roles.is_some_and(|roles| !roles.iter().any(|role| claims.has_role(role.as_str()))) {
            return Err(Problem::Forbidden);
        }
        parts.extensions.insert(caller);
        Ok(())
    }
}

impl Caller {
    fn of(claims: &Claims) -> Result<Self, Problem> {
        // A subject that is no id: the token is from another service with the same key.
        let account = AccountId::parse(&claims.subject).ok_or(Problem::InvalidToken)?;
        Ok(Self { account, expires_at: claims.expires_at })
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
            if let Err(problem) = self.access.admit(&mut parts, &service) {
                return problem.into_response();
            }
            self.handler.call(Request::from_parts(parts, body), service).await
        })
    }
}
