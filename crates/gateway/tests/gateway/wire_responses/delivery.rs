//! How a body reaches a client: by its length where there is one, else in chunks, or for HTTP/1.0 until the connection ends.

use super::{Exchange, GET, GET_OLD, GET_OLD_KEPT, HEAD};
use crate::support::{
    Connection::{self, Closed, Kept},
    Ending,
};

/// Checks that a client gets `expected`, byte by byte, for what an origin `sent`, and what becomes of both connections.
async fn check(request: &str, sent: &str, expected: &str, client_side: Connection, origin_side: Connection) {
    println!("{}: {}", request.escape_debug(), sent.escape_debug());
    let Exchange { gateway, origin: _origin, mut client, mut upstream } = Exchange::begin(request).await;
    upstream.send(sent).await;
    let received = client.bytes(expected.len()).await;
    assert_eq!(String::from_utf8(received).unwrap(), expected);
    match client_side {
        Closed => assert_eq!(client.ending().await, Ending::Closed),
        Kept => gateway.settled().await,
    }
    match origin_side {
        Closed => assert_eq!(upstream.ending().await, Ending::Closed),
        Kept => {
            let mut next = if client_side == Kept { client } else { gateway.connect().await };
            next.send(GET).await;
            assert_eq!(upstream.request().await.start_line(), "GET / HTTP/1.1");
        }
    }
}

#[tokio::test]
async fn a_length_is_told_as_it_was() {
    for (sent, expected) in [
        (
            "HTTP/1.1 200 OK\r\nServer: s\r\nContent-Length: 5\r\nX_Y: z\r\n\r\nhello",
            "HTTP/1.1 200 OK\r\nServer: s\r\nX_Y: z\r\nContent-Length: 5\r\n\r\nhello",
        ),
        (
            "HTTP/1.1 404 Gone Fishing\r\ncontent-length: 005\r\n\r\nhello",
            "HTTP/1.1 404 Gone Fishing\r\nContent-Length: 5\r\n\r\nhello",
        ),
        ("HTTP/1.1 200 \r\nContent-Length: 0\r\n\r\n", "HTTP/1.1 200 \r\nContent-Length: 0\r\n\r\n"),
        ("HTTP/1.1 200\r\nContent-Length: 0\r\n\r\n", "HTTP/1.1 200 \r\nContent-Length: 0\r\n\r\n"),
    ] {
        check(GET, sent, expected, Kept, Kept).await;
    }
}

#[tokio::test]
async fn chunks_are_framed_anew_and_keep_their_trailers() {
    let chunked = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
    for (body, expected) in [
        ("5\r\nhello\r\n0\r\n\r\n", "5\r\nhello\r\n0\r\n\r\n"),
        ("0005;a=b\r\nhello\r\n0\r\n\r\n", "5\r\nhello\r\n0\r\n\r\n"),
        (
            "5\r\nhello\r\n0\r\nX-Checksum: 1\r\nContent-Length: 9\r\nSet-Cookie: a\r\n\r\n",
            "5\r\nhello\r\n0\r\nX-Checksum: 1\r\n\r\n",
        ),
        ("0\r\n\r\n", "0\r\n\r\n"),
    ] {
        check(GET, &format!("{chunked}{body}"), &format!("{chunked}{expected}"), Kept, Kept).await;
    }
}

#[tokio::test]
async fn an_http_1_0_client_gets_the_bytes_alone() {
    let chunked =
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n6\r\n world\r\n0\r\nX: y\r\n\r\n";
    let raw = "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nhello world";
    check(GET_OLD, chunked, raw, Closed, Kept).await;
    check(GET_OLD_KEPT, chunked, raw, Closed, Kept).await;

    let length = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello";
    let closed = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: close\r\n\r\nhello";
    let kept = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: keep-alive\r\n\r\nhello";
    check(GET_OLD, length, closed, Closed, Kept).await;
    check(GET_OLD_KEPT, length, kept, Kept, Kept).await;
}

#[tokio::test]
async fn a_response_without_content_has_none() {
    for (request, sent, expected) in [
        (
            HEAD,
            "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n",
            "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n",
        ),
        (HEAD, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", "HTTP/1.1 200 OK\r\n\r\n"),
        (HEAD, "HTTP/1.1 200 OK\r\nX: y\r\n\r\n", "HTTP/1.1 200 OK\r\nX: y\r\n\r\n"),
        (GET, "HTTP/1.1 204 No Content\r\n\r\n", "HTTP/1.1 204 No Content\r\n\r\n"),
        (GET, "HTTP/1.1 204 No Content\r\nContent-Length: 0\r\n\r\n", "HTTP/1.1 204 No Content\r\n\r\n"),
        (
            GET,
            "HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\nETag: a\r\n\r\n",
            "HTTP/1.1 304 Not Modified\r\nETag: a\r\nContent-Length: 5\r\n\r\n",
        ),
    ] {
        check(request, sent, expected, Kept, Kept).await;
    }
}

#[tokio::test]
async fn what_is_for_one_connection_stays_there() {
    let hops = "Connection: close, X-Hop\r\nX-Hop: 1\r\nKeep-Alive: timeout=5\r\nUpgrade: h2c\r\nProxy-Authenticate: a\r\n";
    let sent = format!("HTTP/1.1 200 OK\r\n{hops}X: y\r\nContent-Length: 5\r\n\r\nhello");
    let expected = "HTTP/1.1 200 OK\r\nX: y\r\nContent-Length: 5\r\n\r\nhello";
    check(GET, &sent, expected, Kept, Closed).await;
    // An old origin keeps a connection only where it says so.
    let old = |fields: &str| format!("HTTP/1.0 200 OK\r\n{fields}X: y\r\nContent-Length: 5\r\n\r\nhello");
    check(GET, &old(""), expected, Kept, Closed).await;
    check(GET, &old("Connection: Keep-Alive\r\n"), expected, Kept, Kept).await;
}

#[tokio::test]
async fn a_body_that_ends_with_its_connection_becomes_chunks_or_ends_with_the_clients() {
    for (request, expected, client_side) in [
        (GET, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n", Kept),
        (GET_OLD, "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nhello", Closed),
        (GET_OLD_KEPT, "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nhello", Closed),
    ] {
        for version in ["1.0", "1.1"] {
            let Exchange { gateway: _gateway, origin, mut client, mut upstream } =
                Exchange::begin(request).await;
            upstream.send(format!("HTTP/{version} 200 OK\r\n\r\nhello")).await;
            upstream.send_end().await;
            let received = client.bytes(expected.len()).await;
            assert_eq!(String::from_utf8(received).unwrap(), expected);
            match client_side {
                Closed => assert_eq!(client.ending().await, Ending::Closed),
                Kept => {
                    client.send(GET).await;
                    origin.accept_request().await;
                }
            }
        }
    }
}

#[tokio::test]
async fn a_body_is_passed_on_as_it_comes() {
    let Exchange { gateway: _gateway, origin: _origin, mut client, mut upstream } =
        Exchange::begin(GET).await;
    upstream.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n").await;
    client.head().await;
    for part in ["one", "two"] {
        upstream.send(format!("3\r\n{part}\r\n")).await;
        assert_eq!(client.bytes(8).await, format!("3\r\n{part}\r\n").as_bytes());
    }
    upstream.send("0\r\n\r\n").await;
    assert_eq!(client.bytes(5).await, b"0\r\n\r\n");
}
