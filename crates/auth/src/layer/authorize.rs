//! The layer that asks for a role.

use std::{
    future::{Ready, ready},
    task::{Context, Poll},
};

use bytes::Bytes;
use futures_util::future::Either;
use http::{Request, Response};
use tower_layer::Layer;
use tower_service::Service;

use crate::{Identity, Refusal, RequiredRoles};

/// Lets requests pass whose account has one of the roles, and answers others.
#[derive(Clone, Debug)]
pub struct AuthorizeLayer {
    roles: RequiredRoles,
}

impl AuthorizeLayer {
    /// A layer that asks for one of these roles, whichever.
    pub fn any_of<R: Into<Box<str>>>(roles: impl IntoIterator<Item = R>) -> Self {
        Self { roles: RequiredRoles::any_of(roles) }
    }
}

impl<S> Layer<S> for AuthorizeLayer {
    type Service = Authorize<S>;

    fn layer(&self, inner: S) -> Authorize<S> {
        Authorize { inner, roles: self.roles.clone() }
    }
}

/// What [`AuthorizeLayer`] makes of a service.
#[derive(Clone, Debug)]
pub struct Authorize<S> {
    inner: S,
    roles: RequiredRoles,
}

impl<S> Authorize<S> {
    fn judge(&self, identity: Option<&Identity>) -> Result<(), Refusal> {
        match identity {
            None => Err(Refusal::NoToken),
            Some(identity) if self.roles.permit(identity.claims()) => Ok(()),
            Some(_) => Err(Refusal::Forbidden(self.roles.clone())),
        }
    }
}

impl<S, B, R> Service<Request<B>> for Authorize<S>
where
    S: Service<Request<B>, Response = Response<R>>,
    R: From<Bytes>,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = Either<S::Future, Ready<Result<S::Response, S::Error>>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        match self.judge(request.extensions().get::<Identity>()) {
            Ok(()) => Either::Left(self.inner.call(request)),
            Err(refusal) => Either::Right(ready(Ok(refusal.response()))),
        }
    }
}
