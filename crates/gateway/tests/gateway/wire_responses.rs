//! What an origin sends, byte by byte, and what the client gets of it.

mod delivery;
mod interim;
mod large;
mod malformed;
mod poisoned;
mod truncated;

use crate::support::{Origin, Peer, Setup, TestGateway};

const GET: &str = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
const GET_OLD: &str = "GET / HTTP/1.0\r\nHost: a\r\n\r\n";
const GET_OLD_KEPT: &str = "GET / HTTP/1.0\r\nHost: a\r\nConnection: keep-alive\r\n\r\n";
const HEAD: &str = "HEAD / HTTP/1.1\r\nHost: a\r\n\r\n";

/// A request on its way: the client waits, and the origin has read it.
struct Exchange {
    gateway: TestGateway,
    origin: Origin,
    client: Peer,
    upstream: Peer,
}

impl Exchange {
    async fn begin(request: &str) -> Self {
        Self::begin_at(|origin| Setup::fronting(&[origin.address()]), request).await
    }

    async fn begin_at(setup: impl FnOnce(&Origin) -> Setup, request: &str) -> Self {
        let origin = Origin::listen().await;
        let gateway = setup(&origin).start();
        let mut client = gateway.connect().await;
        client.send(request).await;
        let (upstream, _) = origin.accept_request().await;
        Self { gateway, origin, client, upstream }
    }
}
