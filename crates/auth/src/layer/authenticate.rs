//! The layer that tells who a request is from.

use std::{
    future::{Ready, ready},
    mem,
    task::{Context, Poll},
};

use bytes::Bytes;
use futures_util::future::{BoxFuture, Either};
use http::{Request, Response};
use tower_layer::Layer;
use tower_service::Service;

use crate::{Authenticator, Freshness};

/// Lets requests pass that bring a good token, with their [`Identity`](crate::Identity) in the extensions, and answers others with
/// 401, or with 503 where it cannot tell. [`AuthorizeLayer`](crate::AuthorizeLayer) stands behind it.
///
/// It works with every service whose body can be made of [`Bytes`], an axum router for instance:
///
/// ```
/// use std::time::Duration;
///
/// use axum::{Extension, Router, routing::get};
/// use phalanx_auth::{
///     AuthenticateLayer, Authenticator, AuthorizeLayer, Freshness, Identity, Keys, KeyRing, Revocations, Terms, TokenTypes,
///     Verifier,
/// };
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let ring = KeyRing::from_secret(b"a secret of thirty-two bytes, at least")?;
/// let terms = Terms {
///     issuer: Some("https://api.example.com".to_owned()),
///     audience: Some("api".to_owned()),
///     types: TokenTypes::AccessToken,
/// };
/// let verifier = Verifier::new(Keys::fixed(ring.key_set()), terms);
/// // A service that shares the state of its replicas has `Revocations::follow` in its place.
/// let authenticator = Authenticator::new(verifier, Revocations::none());
///
/// let authenticate = AuthenticateLayer::new(authenticator.clone());
/// let router: Router = Router::new()
///     .route("/users", get(users))
///     // The last layer is the first that a request meets.
///     .route_layer(AuthorizeLayer::any_of(["admin"]))
///     .route("/profile", get(profile))
///     .route_layer(authenticate)
///     // What cannot be undone asks the store whether the token was revoked, rather than what the feed has brought.
///     .merge(
///         Router::new()
///             .route("/account", axum::routing::delete(erase))
///             .route_layer(AuthenticateLayer::new(authenticator).with_freshness(Freshness::Store)),
///     );
/// # let _ = router;
/// # Ok(())
/// # }
///
/// async fn profile(Extension(identity): Extension<Identity>) -> String {
///     format!("account {}", identity.claims().subject)
/// }
///
/// async fn users() -> &'static str {
///     "for administrators"
/// }
///
/// async fn erase(Extension(identity): Extension<Identity>) -> String {
///     format!("nothing is left of {}", identity.claims().subject)
/// }
/// ```
#[derive(Clone, Debug)]
pub struct AuthenticateLayer {
    authenticator: Authenticator,
    freshness: Freshness,
}

impl AuthenticateLayer {
    /// A layer that goes by what the feed of revocations has brought.
    #[must_use]
    pub fn new(authenticator: Authenticator) -> Self {
        Self { authenticator, freshness: Freshness::Feed }
    }

    /// The same with another demand: [`Freshness::Store`] for routes whose effects cannot be undone.
    #[must_use]
    pub fn with_freshness(self, freshness: Freshness) -> Self {
        Self { freshness, ..self }
    }
}

impl<S> Layer<S> for AuthenticateLayer {
    type Service = Authenticate<S>;

    fn layer(&self, inner: S) -> Authenticate<S> {
        Authenticate { inner, authenticator: self.authenticator.clone(), freshness: self.freshness }
    }
}

/// What [`AuthenticateLayer`] makes of a service.
#[derive(Clone, Debug)]
pub struct Authenticate<S> {
    inner: S,
    authenticator: Authenticator,
    freshness: Freshness,
}

impl<S, B, R> Service<Request<B>> for Authenticate<S>
where
    S: Service<Request<B>, Response = Response<R>, Error: Send, Future: Send + 'static>
        + Clone
        + Send
        + 'static,
    B: Send + 'static,
    R: From<Bytes> + Send + 'static,
{
    type Response = S::Response;
    type Error = S::Error;
    /// Only a request that has to wait costs an allocation.
    type Future = Either<
        Either<S::Future, Ready<Result<S::Response, S::Error>>>,
        BoxFuture<'static, Result<S::Response, S::Error>>,
    >;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, mut request: Request<B>) -> Self::Future {
        match self.authenticator.glance(request.headers(), self.freshness) {
            Some(Ok(identity)) => {
                request.extensions_mut().insert(identity);
                return Either::Left(Either::Left(self.inner.call(request)));
            }
            Some(Err(refusal)) => return Either::Left(Either::Right(ready(Ok(refusal.response())))),
            None => {}
        }
        // That clone of the service which was found ready takes the request; the other one waits for its turn.
        let other = self.inner.clone();
        let mut inner = mem::replace(&mut self.inner, other);
        let (authenticator, freshness) = (self.authenticator.clone(), self.freshness);
        Either::Right(Box::pin(async move {
            match authenticator.authenticate(request.headers(), freshness).await {
                Ok(identity) => {
                    request.extensions_mut().insert(identity);
                    inner.call(request).await
                }
                Err(refusal) => Ok(refusal.response()),
            }
        }))
    }
}
