//! Bodies of many times what any buffer holds.

use super::{Exchange, GET, GET_OLD};
use crate::support::{LARGE_BYTES, eventually, large_body};

/// The body as an origin sends it.
enum Sent {
    Length,
    Chunked,
    UntilClose,
}

#[tokio::test]
async fn a_large_body_arrives_as_it_was_sent() {
    let body = large_body();
    for (request, sent) in [
        (GET, Sent::Length),
        (GET, Sent::Chunked),
        (GET, Sent::UntilClose),
        (GET_OLD, Sent::Length),
        (GET_OLD, Sent::Chunked),
        (GET_OLD, Sent::UntilClose),
    ] {
        let Exchange { gateway: _gateway, origin: _origin, mut client, mut upstream } =
            Exchange::begin(request).await;
        let sending = async {
            match sent {
                Sent::Length => {
                    upstream.send(format!("HTTP/1.1 200 OK\r\nContent-Length: {LARGE_BYTES}\r\n\r\n")).await;
                    upstream.send(&body).await;
                }
                Sent::Chunked => {
                    upstream.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n").await;
                    for chunk in body.chunks(100_001).flat_map(|chunk| chunk.chunks(100_000)) {
                        let framed = [format!("{:x}\r\n", chunk.len()).as_bytes(), chunk, b"\r\n"].concat();
                        upstream.send(framed).await;
                    }
                    upstream.send("0\r\n\r\n").await;
                }
                Sent::UntilClose => {
                    upstream.send("HTTP/1.1 200 OK\r\n\r\n").await;
                    upstream.send(&body).await;
                    upstream.send_end().await;
                }
            }
        };
        let (response, ()) = tokio::join!(client.response(), sending);
        assert!(response.body == body, "{} bytes arrived, not the same", response.body.len());
    }
}

#[tokio::test]
async fn a_client_that_leaves_within_a_response_frees_the_origin() {
    let Exchange { gateway, origin, mut client, mut upstream } = Exchange::begin(GET).await;
    upstream.send(format!("HTTP/1.1 200 OK\r\nContent-Length: {LARGE_BYTES}\r\n\r\n")).await;
    client.head().await;
    client.reset();
    // Nobody reads it, so it cannot all be sent.
    assert!(upstream.try_send(large_body()).await.is_err());
    eventually("the end of the request", || {
        gateway.totals(origin.address()).in_flight == 0 && gateway.state().requests_in_flight == 0
    })
    .await;
}
