//! What a client gets of a response, byte by byte.

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue};

use super::{Exchange, GET};
use crate::support::{Connection, Ending};

const GET_OLD: &str = "GET / HTTP/1.0\r\nHost: a\r\n\r\n";
const HEAD: &str = "HEAD / HTTP/1.1\r\nHost: a\r\n\r\n";

/// Checks a response of this status and these fields, with this body where there is one.
async fn check(
    sent: &str,
    (status, fields, body): (u16, &[(&str, &str)], Option<&'static str>),
    expected: &str,
    connection: Connection,
) {
    let mut exchange = Exchange::begin(sent).await;
    match body {
        None => exchange.request.answer_empty(status, fields),
        Some(body) => {
            let mut stream = exchange.request.begin(status, fields);
            stream.send_data(Bytes::from_static(body.as_bytes()), true).unwrap();
        }
    }
    let received = exchange.client.bytes(expected.len()).await;
    assert_eq!(String::from_utf8(received).unwrap(), expected);
    match connection {
        Connection::Closed => assert_eq!(exchange.client.ending().await, Ending::Closed),
        Connection::Kept => {
            // The next response begins behind this one, and comes over the same connection.
            exchange.client.send(GET).await;
            exchange.connection.request().await.answer("next");
            assert_eq!(exchange.client.response().await.text(), "next");
        }
    }
}

#[tokio::test]
async fn a_response_is_framed_as_its_client_needs() {
    use Connection::{Closed, Kept};
    let length: &[(&str, &str)] = &[("x", "y"), ("content-length", "5")];
    let plain: &[(&str, &str)] = &[("x", "y")];
    for (sent, response, expected, connection) in [
        (
            GET,
            (200, length, Some("hello")),
            "HTTP/1.1 200 OK\r\nx: y\r\nContent-Length: 5\r\n\r\nhello",
            Kept,
        ),
        (
            GET,
            (200, plain, Some("hello")),
            "HTTP/1.1 200 OK\r\nx: y\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
            Kept,
        ),
        (GET, (404, plain, None), "HTTP/1.1 404 Not Found\r\nx: y\r\nContent-Length: 0\r\n\r\n", Kept),
        (
            GET_OLD,
            (200, length, Some("hello")),
            "HTTP/1.1 200 OK\r\nx: y\r\nContent-Length: 5\r\nConnection: close\r\n\r\nhello",
            Closed,
        ),
        (
            GET_OLD,
            (200, plain, Some("hello")),
            "HTTP/1.1 200 OK\r\nx: y\r\nConnection: close\r\n\r\nhello",
            Closed,
        ),
        (HEAD, (200, length, None), "HTTP/1.1 200 OK\r\nx: y\r\nContent-Length: 5\r\n\r\n", Kept),
        (HEAD, (200, plain, None), "HTTP/1.1 200 OK\r\nx: y\r\n\r\n", Kept),
        (GET, (204, plain, None), "HTTP/1.1 204 No Content\r\nx: y\r\n\r\n", Kept),
        (GET, (304, length, None), "HTTP/1.1 304 Not Modified\r\nx: y\r\nContent-Length: 5\r\n\r\n", Kept),
        // A status without a name.
        (GET, (599, plain, None), "HTTP/1.1 599 \r\nx: y\r\nContent-Length: 0\r\n\r\n", Kept),
    ] {
        check(sent, response, expected, connection).await;
    }
}

#[tokio::test]
async fn fields_stay_as_they_are_but_for_those_of_one_connection() {
    let fields: &[(&str, &str)] = &[
        ("set-cookie", "a=1"),
        ("set-cookie", "b=2"),
        ("proxy-authenticate", "a"),
        ("x_y", "\u{e4}"),
        ("content-length", "0"),
    ];
    let expected =
        "HTTP/1.1 200 OK\r\nset-cookie: a=1\r\nset-cookie: b=2\r\nx_y: \u{e4}\r\nContent-Length: 0\r\n\r\n";
    check(GET, (200, fields, None), expected, Connection::Kept).await;
}

#[tokio::test]
async fn trailers_follow_the_last_chunk() {
    let Exchange { gateway: _gateway, mut client, mut request, connection: _connection, .. } =
        Exchange::begin(GET).await;
    let mut stream = request.begin(200, &[]);
    stream.send_data(Bytes::from_static(b"hello"), false).unwrap();
    let trailers = [("x-sum", "1"), ("content-length", "5"), ("set-cookie", "a")];
    let trailers =
        trailers.map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)));
    stream.send_trailers(HeaderMap::from_iter(trailers)).unwrap();
    let answer = client.response().await;
    assert_eq!((answer.text(), answer.trailers.as_str()), ("hello", "x-sum: 1\r\n"));
}

#[tokio::test]
async fn a_body_is_passed_on_as_it_comes() {
    let Exchange { gateway: _gateway, mut client, mut request, connection: _connection, .. } =
        Exchange::begin(GET).await;
    let mut stream = request.begin(200, &[]);
    assert_eq!(client.head().await.status(), 200);
    for part in ["one", "two"] {
        stream.send_data(Bytes::from_static(part.as_bytes()), false).unwrap();
        assert_eq!(client.bytes(8).await, format!("3\r\n{part}\r\n").as_bytes());
    }
    stream.send_data(Bytes::new(), true).unwrap();
    assert_eq!(client.bytes(5).await, b"0\r\n\r\n");
}

#[tokio::test]
async fn interim_responses_are_relayed_but_not_without_end() {
    let Exchange { gateway: _gateway, mut client, mut request, connection: _connection, .. } =
        Exchange::begin(GET).await;
    request.interim(103, &[("link", "</a>")]);
    assert_eq!(client.head().await.head, "HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n");
    for _ in 0..16 {
        request.interim(103, &[]);
    }
    for _ in 0..15 {
        assert_eq!(client.head().await.status(), 103);
    }
    assert_eq!(client.response().await.status(), 502);
    assert_eq!(request.cancelled().await, h2::Reason::CANCEL);
}

#[tokio::test]
async fn an_old_client_gets_no_interim_response() {
    let Exchange { gateway: _gateway, mut client, mut request, connection: _connection, .. } =
        Exchange::begin(GET_OLD).await;
    request.interim(103, &[]);
    request.answer("hello");
    assert_eq!(client.response().await.text(), "hello");
}

#[tokio::test]
async fn a_switch_of_protocols_that_nobody_asked_for_is_refused() {
    let Exchange { gateway: _gateway, mut client, mut request, connection: _connection, .. } =
        Exchange::begin(GET).await;
    request.interim(101, &[]);
    assert_eq!(client.response().await.status(), 502);
}

#[tokio::test]
async fn a_response_past_the_limits_of_a_head_is_refused_and_the_connection_stays() {
    let large = "a".repeat(40 * 1024);
    let many: Vec<_> = (0..101).map(|index| format!("x-{index}")).collect();
    let many: Vec<_> = many.iter().map(|name| (name.as_str(), "1")).collect();
    for fields in [&[("x", large.as_str())][..], &many] {
        let Exchange { gateway: _gateway, mut client, mut request, mut connection, .. } =
            Exchange::begin(GET).await;
        request.answer_empty(200, fields);
        assert_eq!(client.response().await.status(), 502);
        client.send(GET).await;
        connection.request().await.answer("next");
        assert_eq!(client.response().await.text(), "next");
    }
}

#[tokio::test]
async fn a_body_that_is_not_as_long_as_announced_does_not_look_whole() {
    for body in ["hell", "hello!"] {
        let Exchange { gateway: _gateway, mut client, mut request, connection: _connection, .. } =
            Exchange::begin(GET).await;
        let mut stream = request.begin(200, &[("content-length", "5")]);
        assert_eq!(client.head().await.status(), 200);
        stream.send_data(Bytes::from_static(body.as_bytes()), true).unwrap();
        assert_eq!(client.ending_after_all().await, Ending::Reset, "{body}");
    }
}

#[tokio::test]
async fn pipelined_requests_are_answered_in_order() {
    let Exchange { gateway: _gateway, mut client, mut request, mut connection, .. } =
        Exchange::begin(&GET.repeat(3)).await;
    request.answer("1");
    connection.request().await.answer("2");
    connection.request().await.answer("3");
    for expected in ["1", "2", "3"] {
        assert_eq!(client.response().await.text(), expected);
    }
}
