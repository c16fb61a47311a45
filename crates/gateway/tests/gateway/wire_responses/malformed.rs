//! Responses that nobody should relay: the client gets 502, and their connection is never used again (B09).

use super::{Exchange, GET};
use crate::support::{Origin, Recorder, Setup};

fn malformed() -> Vec<(&'static str, Vec<u8>)> {
    let head = |fields: &[u8]| [b"HTTP/1.1 200 OK\r\n", fields, b"\r\n\r\nhello"].concat();
    vec![
        ("length and chunks", head(b"Content-Length: 5\r\nTransfer-Encoding: chunked")),
        ("two lengths", head(b"Content-Length: 5\r\nContent-Length: 6")),
        ("the same length twice", head(b"Content-Length: 5\r\nContent-Length: 5")),
        ("a list of lengths", head(b"Content-Length: 5, 5")),
        ("a length that is no number", head(b"Content-Length: +5")),
        ("a length beyond 64 bits", head(b"Content-Length: 18446744073709551616")),
        ("another coding", head(b"Transfer-Encoding: gzip, chunked")),
        ("chunked twice", head(b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked")),
        ("chunks in HTTP/1.0", b"HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n".to_vec()),
        ("a NUL in a field", head(b"X: a\0b")),
        ("space before a colon", head(b"Content-Length : 5")),
        ("a folded line", head(b"X: a\r\n b")),
        ("a line without a colon", head(b"nocolon")),
        ("a line that ends in LF", b"HTTP/1.1 200 OK\nContent-Length: 5\n\nhello".to_vec()),
        ("a CR alone", head(b"X: a\rb")),
        ("a status that is no number", b"HTTP/1.1 abc OK\r\nContent-Length: 5\r\n\r\nhello".to_vec()),
        ("a status of two digits", b"HTTP/1.1 20 OK\r\nContent-Length: 5\r\n\r\nhello".to_vec()),
        ("a status beyond 599", b"HTTP/1.1 600 OK\r\nContent-Length: 5\r\n\r\nhello".to_vec()),
        ("a status below 100", b"HTTP/1.1 099 OK\r\nContent-Length: 5\r\n\r\nhello".to_vec()),
        ("another version", b"HTTP/2.0 200 OK\r\nContent-Length: 5\r\n\r\nhello".to_vec()),
        ("HTTP/0.9", b"<html>hello</html>".to_vec()),
        ("a head of 1 MB", head(&[b"X: ", &b"x".repeat(1 << 20)[..]].concat())),
        ("a thousand fields", head(&[&b"X: y\r\n".repeat(1000)[..], b"Content-Length: 5"].concat())),
        ("a chunk without a size", head(b"Transfer-Encoding: chunked")),
    ]
}

#[tokio::test]
async fn a_malformed_response_is_a_502_and_its_connection_is_not_used_again() {
    for (name, sent) in malformed() {
        println!("{name}");
        let Exchange { gateway: _gateway, origin, mut client, mut upstream } = Exchange::begin(GET).await;
        // The gateway may close before it has read all of it.
        let _ = upstream.try_send(sent).await;
        let answer = client.response().await;
        assert_eq!((answer.status(), answer.closes()), (502, false), "{name}");
        assert_eq!(answer.field("content-type"), Some("application/problem+json"), "{name}");
        upstream.ending().await;
        client.send(GET).await;
        origin.accept_request().await;
    }
}

#[tokio::test]
async fn a_malformed_response_is_not_asked_for_again() {
    let other = Recorder::start().await;
    let other_address = other.address();
    let setup = |origin: &Origin| Setup::fronting(&[origin.address(), other_address]);
    let Exchange { gateway, origin, mut client, mut upstream } = Exchange::begin_at(setup, GET).await;
    upstream.send("HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n").await;
    assert_eq!(client.response().await.status(), 502);
    assert_eq!(gateway.totals(origin.address()).failures, 1);
    assert_eq!(other.start_lines(), [""; 0]);
}

#[tokio::test]
async fn an_error_of_the_gateway_is_a_problem_document() {
    let Exchange { gateway: _gateway, origin, mut client, mut upstream } = Exchange::begin(GET).await;
    upstream.send("nonsense").await;
    let answer = client.response().await;
    let problem: serde_json::Value = serde_json::from_str(answer.text()).unwrap();
    assert_eq!(problem["status"], 502);
    assert_eq!((&problem["title"], &problem["error"]), (&"Bad Gateway".into(), &"Bad Gateway".into()));
    let detail = problem["detail"].as_str().unwrap();
    assert!(detail.contains("`api`"), "{detail}");
    // Where the endpoints are is nobody's business outside.
    assert!(!answer.text().contains(&origin.address().to_string()), "{detail}");
}
