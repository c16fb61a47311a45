//! What an endpoint gets of a request.

use super::Exchange;
use crate::support::IDS;

/// What the gateway says of every request.
const FORWARDED: &str = "x-forwarded-for: 127.0.0.1\nx-real-ip: 127.0.0.1\nx-forwarded-proto: http\n";

#[tokio::test]
async fn a_head_becomes_pseudo_fields_and_lower_case_names() {
    for (sent, first_line, fields, end) in [
        (
            "GET /a?b=c HTTP/1.1\r\nHost: a.example:81\r\nAccept: */*\r\n",
            "GET http://a.example:81/a?b=c",
            "accept: */*\n",
            "",
        ),
        // What is for one connection stays there, and what it names.
        (
            "GET / HTTP/1.1\r\nHost: a\r\nConnection: keep-alive, X-Hop\r\nX-Hop: 1\r\nKeep-Alive: timeout=5\r\n\
             Upgrade: h2c\r\nProxy-Connection: a\r\nHTTP2-Settings: a\r\nTE: gzip\r\n",
            "GET http://a/",
            "",
            "",
        ),
        ("GET / HTTP/1.1\r\nHost: a\r\nTE: gzip, Trailers\r\n", "GET http://a/", "", "te: trailers\n"),
        ("GET / HTTP/1.1\r\nHost: a\r\nCookie: a=1; b=2\r\n", "GET http://a/", "cookie: a=1; b=2\n", ""),
        // A character that no URI has.
        ("GET /<a>?`b` HTTP/1.1\r\nHost: a\r\n", "GET http://a/%3Ca%3E?%60b%60", "", ""),
        ("OPTIONS /x HTTP/1.1\r\nHost: a\r\n", "OPTIONS http://a/x", "", ""),
        ("PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n", "PUT http://a/", "", "content-length: 0\n"),
        // HTTP/1.0 needs no host: the service is one.
        ("GET / HTTP/1.0\r\n", "GET http://api/", "", ""),
    ] {
        let sent = format!("{sent}{IDS}\r\n");
        let Exchange { gateway: _gateway, mut client, mut request, connection: _connection, .. } =
            Exchange::begin(&sent).await;
        let host = first_line.split('/').nth(2).unwrap();
        let ids = IDS.replace("\r\n", "\n").to_ascii_lowercase();
        let expected = format!("{first_line}\n{fields}{FORWARDED}x-forwarded-host: {host}\n{ids}{end}");
        assert_eq!(request.shown(), expected, "{sent}");
        assert!(request.body.is_end_stream(), "a request without a body ends with its head");
        request.answer("hello");
        assert_eq!(client.response().await.text(), "hello");
    }
}

#[tokio::test]
async fn a_body_that_has_arrived_keeps_its_length() {
    let sent = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello";
    let Exchange { gateway: _gateway, mut client, mut request, connection: _connection, .. } =
        Exchange::begin(sent).await;
    assert_eq!(request.head.headers["content-length"], "5");
    assert_eq!(request.body().await.0, b"hello");
    request.answer("hello");
    assert_eq!(client.response().await.status(), 200);
}

#[tokio::test]
async fn a_chunked_body_becomes_frames_and_its_trailers_stay_trailers() {
    let sent = "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5;x=y\r\nhello\r\n";
    let Exchange { gateway, mut client, mut request, connection: _connection, .. } =
        Exchange::begin(sent).await;
    gateway.settled().await;
    client.send("6\r\n world\r\n0\r\nX-Sum: 1\r\nContent-Length: 5\r\n\r\n").await;
    let (body, trailers) = request.body().await;
    assert_eq!(body, b"hello world");
    assert_eq!(trailers.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>(), ["x-sum"]);
    assert!(!request.head.headers.contains_key("transfer-encoding"));
    request.answer("hello");
    assert_eq!(client.response().await.status(), 200);
    // The next request begins behind the trailers.
    client.send("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n").await;
}

#[tokio::test]
async fn a_malformed_chunk_is_told_to_the_client_and_cancels_the_request() {
    let sent = "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n";
    let Exchange { gateway: _gateway, mut client, mut request, connection: _connection, .. } =
        Exchange::begin(sent).await;
    client.send("x\r\n").await;
    let answer = client.response().await;
    assert_eq!((answer.status(), answer.closes()), (400, true));
    assert_eq!(request.cancelled().await, h2::Reason::CANCEL);
}

const EXPECTING: &str = "POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n";

#[tokio::test]
async fn an_expectation_is_answered_by_the_endpoint() {
    let Exchange { gateway: _gateway, mut client, mut request, connection: _connection, .. } =
        Exchange::begin(EXPECTING).await;
    assert_eq!(request.head.headers["expect"], "100-continue");
    request.interim(100, &[]);
    assert_eq!(client.head().await.head, "HTTP/1.1 100 Continue\r\n\r\n");
    client.send("hello").await;
    assert_eq!(request.body().await.0, b"hello");
    request.answer("done");
    assert_eq!(client.response().await.text(), "done");
}

#[tokio::test]
async fn an_expectation_that_the_endpoint_does_not_answer_is_answered_by_the_gateway() {
    let Exchange { gateway: _gateway, mut client, mut request, connection: _connection, .. } =
        Exchange::begin(EXPECTING).await;
    assert_eq!(client.head().await.head, "HTTP/1.1 100 Continue\r\n\r\n");
    client.send("hello").await;
    assert_eq!(request.body().await.0, b"hello");
    request.answer("done");
    assert_eq!(client.response().await.text(), "done");
}

#[tokio::test]
async fn an_expectation_that_the_endpoint_refuses_closes_the_connection() {
    let Exchange { gateway: _gateway, mut client, mut request, connection: _connection, .. } =
        Exchange::begin(EXPECTING).await;
    request.answer_empty(401, &[]);
    let answer = client.response().await;
    assert_eq!((answer.status(), answer.closes()), (401, true));
    assert_eq!(request.cancelled().await, h2::Reason::CANCEL);
}
