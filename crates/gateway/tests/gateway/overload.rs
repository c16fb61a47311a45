//! More requests than a service can take: who waits, who is turned away, and who never is.

mod breaker;
mod endpoint_limits;
mod exempt;
mod memory;
mod queue;

use crate::support::{Message, Peer, TestGateway};

const GET: &str = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";

/// A client whose request the gateway has taken in, and not answered.
async fn waiting(gateway: &TestGateway) -> Peer {
    let mut client = gateway.connect().await;
    client.send(GET).await;
    gateway.settled().await;
    client
}

/// Whether this is how a client is told to come back.
fn is_turned_away(answer: &Message, retry_after: &str) -> bool {
    answer.status() == 503
        && answer.field("retry-after") == Some(retry_after)
        && answer.field("content-type") == Some("application/problem+json")
}
