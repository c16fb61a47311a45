//! Upgrades: nothing but HTTP before a 101 that was asked for, and nothing but bytes after it.

mod handshakes;
mod tunnels;

use crate::support::{Origin, Peer, Setup, TestGateway, forwarded};

const HANDSHAKE: &str = "GET /chat HTTP/1.1\r\nHost: a\r\nX-Request-Id: t\r\n\
    traceparent: 00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01\r\nConnection: keep-alive, Upgrade\r\n\
    Sec-WebSocket-Version: 13\r\nUpgrade: websocket\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";

const SWITCH: &str = "HTTP/1.1 101 Switching Protocols\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\
    Connection: Upgrade\r\nUpgrade: websocket\r\n\r\n";

/// What an origin gets of [`HANDSHAKE`].
fn forwarded_handshake() -> String {
    forwarded(
        "GET /chat",
        "a",
        "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n",
        "Connection: Upgrade\r\nUpgrade: websocket\r\n",
    )
}

/// A tunnel that stands.
struct Tunnel {
    gateway: TestGateway,
    origin: Origin,
    client: Peer,
    upstream: Peer,
}

impl Tunnel {
    async fn open() -> Self {
        Self::open_at(|origin| Setup::fronting(&[origin.address()])).await
    }

    async fn open_at(setup: impl FnOnce(&Origin) -> Setup) -> Self {
        let origin = Origin::listen().await;
        let gateway = setup(&origin).start();
        let mut client = gateway.connect().await;
        client.send(HANDSHAKE).await;
        let (mut upstream, request) = origin.accept_request().await;
        assert_eq!(request.head, forwarded_handshake());
        upstream.send(SWITCH).await;
        assert_eq!(client.head().await.head, SWITCH);
        Self { gateway, origin, client, upstream }
    }

    /// Sends a piece each way.
    async fn carries(&mut self) {
        for piece in ["one", "two", "GET / HTTP/1.1\r\n\r\n"] {
            self.client.send(piece).await;
            assert_eq!(self.upstream.bytes(piece.len()).await, piece.as_bytes());
            self.upstream.send(piece).await;
            assert_eq!(self.client.bytes(piece.len()).await, piece.as_bytes());
        }
    }
}
