//! Whose request it is, before anybody has proved anything: the client's address, and what its program calls itself.

use std::{convert::Infallible, net::IpAddr, sync::Arc};

use axum::{
    extract::FromRequestParts,
    http::{header, request},
};
use phalanx_auth::Device;

use crate::{address::Peer, service::Service};

/// The other end of a request.
#[derive(Clone, Debug)]
pub(crate) struct Client {
    pub(crate) address: IpAddr,
    /// For the owner's list of his logins.
    pub(crate) device: Device,
}

impl FromRequestParts<Arc<Service>> for Client {
    type Rejection = Infallible;

    async fn from_request_parts(
        parts: &mut request::Parts,
        service: &Arc<Service>,
    ) -> Result<Self, Infallible> {
        let Peer(peer) = parts.extensions.get().copied().expect("every connection names its peer");
        let address = service.trusted_proxies.client(peer.ip(), &parts.headers);
        let user_agent = parts.headers.get(header::USER_AGENT).and_then(|value| value.to_str().ok());
        Ok(Self { address, device: Device::new(user_agent.unwrap_or_default(), Some(address)) })
    }
}
