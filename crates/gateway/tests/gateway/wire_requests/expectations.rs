//! `Expect: 100-continue`: the gateway passes it on, and the origin decides.

use super::{check, passed, refused, request};
use crate::support::{Ending, Message, Origin, Setup, forwarded, ok};

const EXPECTING: &str = "Content-Length: 5\r\nExpect: 100-continue\r\n";

#[tokio::test]
async fn an_origin_asks_for_the_body_and_gets_it() {
    let origin = Origin::listen().await;
    let gateway = Setup::fronting(&[origin.address()]).start();
    let mut client = gateway.connect().await;
    client.send(request("POST /", EXPECTING, "")).await;

    let mut upstream = origin.accept().await;
    assert_eq!(upstream.head().await.head, forwarded("POST /", "a", "", EXPECTING));
    upstream.send("HTTP/1.1 100 Continue\r\n\r\n").await;
    assert_eq!(client.response().await.head, "HTTP/1.1 100 Continue\r\n\r\n");

    client.send("hello").await;
    assert_eq!(upstream.bytes(5).await, b"hello");
    upstream.send(ok("thanks")).await;
    let answer = client.response().await;
    assert_eq!((answer.text(), answer.closes()), ("thanks", false));

    // Both connections go on.
    client.send(request("GET /next", "", "")).await;
    assert_eq!(upstream.request().await.start_line(), "GET /next HTTP/1.1");
}

#[tokio::test]
async fn an_answer_instead_of_100_ends_the_connection() {
    let origin = Origin::listen().await;
    let gateway = Setup::fronting(&[origin.address()]).start();
    let mut client = gateway.connect().await;
    client.send(request("POST /", EXPECTING, "")).await;
    let mut upstream = origin.accept().await;
    upstream.head().await;
    upstream.send("HTTP/1.1 401 Unauthorized\r\nContent-Length: 2\r\n\r\nno").await;
    let answer = client.response().await;
    assert_eq!((answer.status(), answer.text(), answer.closes()), (401, "no", true));
    assert_eq!(client.ending().await, Ending::Closed);
    assert_eq!(upstream.ending().await, Ending::Closed);
}

#[tokio::test]
async fn a_body_that_does_not_wait_is_sent_along() {
    let whole = Message::new(forwarded("POST /", "a", "", EXPECTING), "hello");
    check([passed("F20", request("POST /", EXPECTING, "hello"), whole)]).await;
}

#[tokio::test]
async fn http_1_0_expects_nothing() {
    let origin = Origin::listen().await;
    let gateway = Setup::fronting(&[origin.address()]).start();
    let mut client = gateway.connect().await;
    client.send("POST / HTTP/1.0\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\nhello").await;
    let (mut upstream, request) = origin.accept_request().await;
    assert_eq!(request.field("expect"), None);
    upstream.send([b"HTTP/1.1 100 Continue\r\n\r\n", &ok("thanks")[..]].concat()).await;
    assert_eq!(client.response().await.text(), "thanks");
}

#[tokio::test]
async fn any_other_expectation_is_refused() {
    let values = ["y 100-continue", "100-continue, y", "200-ok", ""];
    check(values.map(|value| refused("F20", request("POST /", &format!("Expect: {value}\r\n"), ""), 417)))
        .await;
}
