//! Endpoints that are spoken to over HTTP/2: what they get, what clients get of them, and how their connections are used.

mod auto;
mod bodies;
mod failing;
mod lifecycle;
mod pooling;
mod requests;
mod responses;

use crate::support::{Peer, Setup, StreamConnection, StreamOrigin, StreamRequest, TestGateway};

const GET: &str = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
const H2C: &str = "protocol = \"h2c\"";
const NOT_EJECTED: &str = "passive_health = { max_fails = 0 }";

/// A gateway in front of one such origin.
fn setup(origin: &StreamOrigin) -> Setup {
    Setup::fronting(&[origin.address()]).service(H2C)
}

/// A request on its way: the client waits, and the origin has its head.
struct Exchange {
    gateway: TestGateway,
    origin: StreamOrigin,
    client: Peer,
    connection: StreamConnection,
    request: StreamRequest,
}

impl Exchange {
    async fn begin(sent: &str) -> Self {
        Self::begin_at(setup, sent).await
    }

    async fn begin_at(setup: impl FnOnce(&StreamOrigin) -> Setup, sent: &str) -> Self {
        let origin = StreamOrigin::listen().await;
        let gateway = setup(&origin).start();
        let mut client = gateway.connect().await;
        client.send(sent).await;
        let (connection, request) = origin.accept_request().await;
        Self { gateway, origin, client, connection, request }
    }
}
