//! Bytes that answer a request which nobody made: their connection is dropped before another client could get them.

use super::{Exchange, GET, HEAD};
use crate::support::ok;

const POISON: &str = "HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\npoison";

/// The next request goes out on another connection, and gets its own answer.
async fn assert_next_is_clean(exchange: Exchange) {
    let Exchange { gateway: _gateway, origin, mut client, mut upstream } = exchange;
    client.send(GET).await;
    let (mut fresh, _) = origin.accept_request().await;
    fresh.send(ok("clean")).await;
    assert_eq!(client.response().await.text(), "clean");
    upstream.ending().await;
}

#[tokio::test]
async fn bytes_behind_a_response_end_its_connection() {
    for (request, sent) in [
        (GET, [&ok("hello")[..], POISON.as_bytes()].concat()),
        (GET, [b"HTTP/1.1 204 No Content\r\n\r\n", POISON.as_bytes()].concat()),
        (GET, b"HTTP/1.1 204 No Content\r\n\r\nbody".to_vec()),
        (GET, b"HTTP/1.1 304 Not Modified\r\nContent-Length: 4\r\n\r\nbody".to_vec()),
        (HEAD, b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nbody".to_vec()),
        (HEAD, [b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n", POISON.as_bytes()].concat()),
        (
            GET,
            [b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", POISON.as_bytes()].concat(),
        ),
    ] {
        println!("{}", sent.escape_ascii());
        let mut exchange = Exchange::begin(request).await;
        exchange.upstream.send(sent).await;
        let answer = exchange.client.head().await;
        if answer.status() == 200 && request == GET {
            let body_bytes = if answer.field("content-length").is_some() { 5 } else { "0\r\n\r\n".len() };
            exchange.client.bytes(body_bytes).await;
        }
        assert!(!answer.closes(), "{answer:?}");
        assert_next_is_clean(exchange).await;
    }
}

#[tokio::test]
async fn a_body_that_is_announced_and_cannot_be_there_ends_its_connection() {
    for fields in ["Content-Length: 4\r\n", "Transfer-Encoding: chunked\r\n"] {
        let mut exchange = Exchange::begin(GET).await;
        exchange.upstream.send(format!("HTTP/1.1 204 No Content\r\n{fields}\r\n")).await;
        let answer = exchange.client.response().await;
        assert_eq!(answer.head, "HTTP/1.1 204 No Content\r\n\r\n");
        assert_next_is_clean(exchange).await;
    }
}

#[tokio::test]
async fn bytes_on_an_idle_connection_end_it() {
    let mut exchange = Exchange::begin(GET).await;
    exchange.upstream.send(ok("hello")).await;
    assert_eq!(exchange.client.response().await.text(), "hello");
    exchange.upstream.send(POISON).await;
    assert_next_is_clean(exchange).await;
}
