//! Several requests on one connection: each is parsed and routed on its own, and answered in its turn.

use super::{request, send_in_pieces};
use tokio::task::JoinSet;

use crate::support::{Ending, Message, Origin, Recorder, Reply, Setup, TestGateway, ok, within};

const HEALTH: &str = "[[route]]\npath_exact = \"/health\"\nrespond = { body = \"healthy\" }";

/// Answers with the first line and the body of the request.
async fn echo() -> Recorder {
    Recorder::answering(|request: &Message| {
        Reply::Send(ok(&format!("{} {}", request.start_line(), request.text())))
    })
    .await
}

fn behind(origin: &Recorder) -> TestGateway {
    Setup::fronting(&[origin.address()]).tables(HEALTH).start()
}

#[tokio::test]
async fn requests_in_one_packet_are_answered_in_order() {
    let origin = echo().await;
    let gateway = behind(&origin);
    let sent = [
        request("GET /1", "", ""),
        request("POST /2", "Content-Length: 5\r\n", "hello"),
        "\r\n".to_owned(),
        request("GET /health", "", ""),
        request("DELETE /3", "Content-Length: 3\r\n", "all"),
        request("PUT /4", "Transfer-Encoding: chunked\r\n", "5\r\nworld\r\n0\r\n\r\n"),
        request("GET /5", "Connection: close\r\n", ""),
        request("GET /never", "", ""),
    ]
    .concat();
    for cuts in [&[][..], &[1, 70], &[100, 200], &[260, 261], &[430, sent.len() - 1]] {
        let mut client = gateway.connect().await;
        send_in_pieces(&gateway, &mut client, sent.as_bytes(), cuts).await;
        for expected in [
            "GET /1 HTTP/1.1 ",
            "POST /2 HTTP/1.1 hello",
            "healthy",
            "DELETE /3 HTTP/1.1 all",
            "PUT /4 HTTP/1.1 world",
            "GET /5 HTTP/1.1 ",
        ] {
            assert_eq!(client.response().await.text(), expected, "cut at {cuts:?}");
        }
        assert_eq!(client.ending().await, Ending::Closed);
    }
    assert!(origin.start_lines().iter().all(|line| line != "GET /never HTTP/1.1"));
}

#[tokio::test]
async fn a_bad_request_behind_a_good_one_takes_nothing_from_it() {
    let origin = echo().await;
    let gateway = behind(&origin);
    let mut client = gateway.connect().await;
    let bad = request("GET /2", "Content-Length: 1\r\nTransfer-Encoding: chunked\r\n", "0\r\n\r\n");
    client.send([request("GET /1", "", ""), bad, request("GET /3", "", "")].concat()).await;
    assert_eq!(client.response().await.text(), "GET /1 HTTP/1.1 ");
    assert_eq!(client.response().await.status(), 400);
    assert_eq!(client.ending().await, Ending::Closed);
    assert_eq!(origin.start_lines(), ["GET /1 HTTP/1.1"]);
}

#[tokio::test]
async fn a_body_that_the_method_needs_not_is_no_request() {
    let origin = echo().await;
    let gateway = behind(&origin);
    let inner = request("GET /smuggled", "", "");
    let fields = format!("Content-Length: {}\r\n", inner.len());
    let mut client = gateway.connect().await;
    for method in ["GET", "DELETE", "OPTIONS", "POST"] {
        let answer = client.exchange(request(&format!("{method} /"), &fields, &inner)).await;
        assert_eq!(answer.text(), format!("{method} / HTTP/1.1 {inner}"));
    }
    assert_eq!(client.exchange(request("GET /next", "", "")).await.text(), "GET /next HTTP/1.1 ");
}

#[tokio::test]
async fn the_body_of_a_failed_upload_is_not_taken_from_the_next_request() {
    let origin = Origin::listen().await;
    let gateway = Setup::fronting(&[origin.address()]).start();
    let mut client = gateway.connect().await;
    client.send(request("POST /", "Content-Length: 5\r\n", "")).await;
    let mut upstream = origin.accept().await;
    upstream.head().await;
    client.send(format!("hello{}", request("GET /next", "", ""))).await;
    assert_eq!(upstream.bytes(5).await, b"hello");
    drop(upstream);
    assert_eq!(client.response().await.status(), 502);
    let (mut upstream, next) = origin.accept_request().await;
    assert_eq!(next.start_line(), "GET /next HTTP/1.1");
    upstream.send(ok("next")).await;
    assert_eq!(client.response().await.text(), "next");
}

/// Clients at a time, and requests that each sends without waiting.
const CLIENTS: usize = 24;
const REQUESTS: usize = 60;

/// A request that is like no other, and what answers it.
fn numbered(client: usize, index: usize) -> (String, String) {
    let line = format!("/{client}/{index}");
    let body = "x".repeat(index * 97 % 3000);
    match index % 5 {
        0 => (request(&format!("GET {line}"), "", ""), format!("GET {line} HTTP/1.1 ")),
        1 => {
            let length = format!("Content-Length: {}\r\n", body.len());
            (request(&format!("POST {line}"), &length, &body), format!("POST {line} HTTP/1.1 {body}"))
        }
        2 => {
            let chunk =
                if body.is_empty() { body.clone() } else { format!("{:x}\r\n{body}\r\n", body.len()) };
            let chunked = format!("{chunk}0\r\n\r\n");
            let sent = request(&format!("PUT {line}"), "Transfer-Encoding: chunked\r\n", &chunked);
            (sent, format!("PUT {line} HTTP/1.1 {body}"))
        }
        3 => (request("GET /health", "", ""), "healthy".to_owned()),
        // Answered by the gateway itself, with a body that nobody reads.
        _ => (request("POST /health", "Content-Length: 5\r\n", "GET /"), "healthy".to_owned()),
    }
}

#[tokio::test]
async fn many_pipelines_at_a_time_are_each_answered_in_order() {
    let origins = [echo().await, echo().await];
    let addresses = origins.each_ref().map(Recorder::address);
    let gateway = Setup::fronting(&addresses).tables(HEALTH).workers(2).start();
    let mut clients = JoinSet::new();
    for client in 0..CLIENTS {
        let mut peer = gateway.connect().await;
        clients.spawn(async move {
            let sent: String = (0..REQUESTS).map(|index| numbered(client, index).0).collect();
            // Cut anywhere, another for each client.
            for piece in sent.as_bytes().chunks(1000 + 37 * client) {
                peer.send(piece).await;
            }
            for index in 0..REQUESTS {
                assert_eq!(peer.response().await.text(), numbered(client, index).1, "client {client}");
            }
        });
    }
    while let Some(ended) = within("the end of a client", clients.join_next()).await {
        ended.expect("every client got its answers");
    }
    let received: usize = origins.iter().map(Recorder::request_count).sum();
    assert_eq!(received, CLIENTS * REQUESTS * 3 / 5);
}
