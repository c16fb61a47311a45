//! Request bodies on their way to an origin.

use super::{check, passed, request};
use crate::support::{Ending, LARGE_BYTES, Message, Origin, Setup, forwarded, large_body, ok};

#[tokio::test]
async fn any_method_may_bring_a_body() {
    for method in ["GET", "HEAD", "DELETE", "OPTIONS", "PATCH", "POST", "PUT"] {
        let line = format!("{method} /");
        let whole = |framing: &str| Message::new(forwarded(&line, "a", "", framing), "hello");
        check([
            passed("F17", request(&line, "Content-Length: 5\r\n", "hello"), whole("Content-Length: 5\r\n")),
            passed(
                "F17",
                request(&line, "Transfer-Encoding: chunked\r\n", "5\r\nhello\r\n0\r\n\r\n"),
                whole("Transfer-Encoding: chunked\r\n"),
            ),
        ])
        .await;
    }
}

#[tokio::test]
async fn a_length_of_zero_is_told_where_it_was_told() {
    let sent = request("POST /", "Content-Length: 0\r\n", "");
    let expected = Message::new(forwarded("POST /", "a", "", "Content-Length: 0\r\n"), "");
    check([passed("F17", sent, expected)]).await;
}

#[tokio::test]
async fn a_large_body_arrives_as_it_was_sent() {
    let origin = Origin::listen().await;
    let gateway = Setup::fronting(&[origin.address()]).start();
    let body = large_body();
    let mut client = gateway.connect().await;
    let sending = async {
        client.send(request("PUT /", &format!("Content-Length: {LARGE_BYTES}\r\n"), "")).await;
        client.send(&body).await;
    };
    let (mut upstream, received) = tokio::join!(origin.accept_request(), sending).0;
    assert!(received.body == body, "{} bytes arrived, not the same", received.body.len());
    upstream.send(ok("all")).await;
    let answer = client.response().await;
    assert_eq!((answer.text(), answer.closes()), ("all", false));
}

#[tokio::test]
async fn a_large_chunked_body_arrives_as_it_was_sent() {
    let origin = Origin::listen().await;
    let gateway = Setup::fronting(&[origin.address()]).start();
    let body = large_body();
    let mut client = gateway.connect().await;
    let sending = async {
        client.send(request("POST /", "Transfer-Encoding: chunked\r\n", "")).await;
        // Chunks larger and smaller than any buffer, in turn.
        for chunk in body.chunks(100_001).flat_map(|chunk| chunk.chunks(100_000)) {
            client.send([format!("{:x}\r\n", chunk.len()).as_bytes(), chunk, b"\r\n"].concat()).await;
        }
        client.send("0\r\n\r\n").await;
    };
    let (mut upstream, received) = tokio::join!(origin.accept_request(), sending).0;
    assert!(received.body == body, "{} bytes arrived, not the same", received.body.len());
    upstream.send(ok("all")).await;
    assert_eq!(client.response().await.text(), "all");
}

#[tokio::test]
async fn an_answer_before_the_end_of_the_body_reaches_the_client_and_ends_both_connections() {
    let origin = Origin::listen().await;
    let gateway = Setup::fronting(&[origin.address()]).start();
    let mut client = gateway.connect().await;
    client.send(request("POST /", "Content-Length: 1000000\r\n", "the beginning")).await;
    let mut upstream = origin.accept().await;
    upstream.head().await;
    upstream.send("HTTP/1.1 413 Content Too Large\r\nContent-Length: 3\r\n\r\nbig").await;
    let answer = client.response().await;
    assert_eq!((answer.status(), answer.text(), answer.closes()), (413, "big", true));
    assert_eq!(client.ending().await, Ending::Closed);
    // What is left of the body must not be taken for a request.
    upstream.bytes("the beginning".len()).await;
    upstream.ending().await;
}

#[tokio::test]
async fn an_origin_that_answers_and_no_longer_reads_is_heard() {
    let origin = Origin::listen().await;
    let gateway = Setup::fronting(&[origin.address()]).start();
    let body = large_body();
    let mut client = gateway.connect().await;
    client.send(request("POST /", &format!("Content-Length: {LARGE_BYTES}\r\n"), "")).await;
    let mut upstream = origin.accept().await;
    upstream.head().await;
    upstream.send("HTTP/1.1 413 Content Too Large\r\nContent-Length: 0\r\n\r\n").await;
    let answer = client.response().await;
    assert_eq!((answer.status(), answer.closes()), (413, true));
    // The client may find its connection closed under the rest, which it was told.
    let _ = client.try_send(&body).await;
    upstream.ending_after_all().await;
}

#[tokio::test]
async fn an_origin_that_dies_within_the_body_is_a_502_and_ends_the_connection() {
    let origin = Origin::listen().await;
    let gateway = Setup::fronting(&[origin.address()]).start();
    let mut client = gateway.connect().await;
    client.send(request("PUT /", &format!("Content-Length: {LARGE_BYTES}\r\n"), "the beginning")).await;
    let mut upstream = origin.accept().await;
    upstream.head().await;
    upstream.reset();
    let answer = client.response().await;
    assert_eq!((answer.status(), answer.closes()), (502, true));
    assert_eq!(client.ending().await, Ending::Closed);
}
