//! Tells every request of a connection who is at its other end.

use std::net::SocketAddr;

use hyper::{Request, service::Service};

use crate::address::Peer;

/// A service whose requests know their [`Peer`].
#[derive(Clone)]
pub(super) struct WithPeer<S> {
    service: S,
    peer: Peer,
}

impl<S> WithPeer<S> {
    pub(super) fn new(service: S, address: SocketAddr) -> Self {
        Self { service, peer: Peer(address) }
    }
}

impl<B, S: Service<Request<B>>> Service<Request<B>> for WithPeer<S> {
    type Response = S::Response;
    type Error = S::Error;
    type Future = S::Future;

    fn call(&self, mut request: Request<B>) -> S::Future {
        request.extensions_mut().insert(self.peer);
        self.service.call(request)
    }
}
