//! Bodies of requests that the gateway answers by itself: skipped where that is cheap, else the end of the connection.

use super::request;
use crate::support::{Ending, Message, Peer, Recorder, Setup, TestGateway, eventually};

const HEALTH: &str = "[[route]]\npath_exact = \"/health\"\nrespond = { body = \"healthy\" }";
/// The largest body that is skipped.
const UNREAD_BYTES_MAX: usize = 64 * 1024;

struct Scene {
    origin: Recorder,
    gateway: TestGateway,
    client: Peer,
}

impl Scene {
    async fn begin() -> Self {
        let origin = Recorder::start().await;
        let gateway = Setup::fronting(&[origin.address()]).tables(HEALTH).start();
        let client = gateway.connect().await;
        Self { origin, gateway, client }
    }

    /// Sends a head, and reads the answer to it.
    async fn answer_to(&mut self, fields: &str) -> Message {
        let answer = self.client.exchange(request("POST /health", fields, "")).await;
        assert_eq!((answer.status(), answer.text()), (200, "healthy"));
        answer
    }

    async fn goes_on(mut self) {
        assert_eq!(self.client.exchange(request("GET /next", "", "")).await.text(), "hello");
        assert_eq!(self.origin.start_lines(), ["GET /next HTTP/1.1"]);
    }

    /// The connection ends, and nothing behind the head was taken for a request.
    async fn ends(mut self) {
        assert_eq!(self.client.ending().await, Ending::Closed);
        self.gateway.settled().await;
        assert_eq!(self.origin.connections(), 0);
    }
}

const CHUNKED: &str = "Transfer-Encoding: chunked\r\n";

#[tokio::test]
async fn a_body_that_comes_after_the_answer_is_skipped() {
    let smuggled = request("GET /smuggled", "", "");
    let chunk = format!("{:x};a=b\r\n{smuggled}\r\n", smuggled.len());
    let large = smuggled.repeat(UNREAD_BYTES_MAX / smuggled.len());
    for (fields, body) in [
        ("Content-Length: 5\r\n".to_owned(), "hello".to_owned()),
        (format!("Content-Length: {}\r\n", smuggled.len()), smuggled.clone()),
        (format!("Content-Length: {}\r\n", large.len()), large),
        (CHUNKED.to_owned(), "0\r\n\r\n".to_owned()),
        (CHUNKED.to_owned(), format!("{}0\r\nX-Checksum: 1\r\n\r\n", chunk.repeat(100))),
    ] {
        let mut scene = Scene::begin().await;
        assert!(!scene.answer_to(&fields).await.closes(), "{fields}");
        // In two pieces, of which the gateway meets each on its own.
        let (first, second) = body.split_at(body.len() / 2);
        scene.client.send(first).await;
        scene.gateway.settled().await;
        scene.client.send(second).await;
        scene.goes_on().await;
    }
}

#[tokio::test]
async fn a_body_that_is_here_is_skipped_at_once() {
    for (fields, body) in [("Content-Length: 5\r\n", "hello"), (CHUNKED, "5\r\nhello\r\n0\r\n\r\n")] {
        for expect in ["", "Expect: 100-continue\r\n"] {
            let mut scene = Scene::begin().await;
            let sent = request("POST /health", &format!("{fields}{expect}"), body);
            let answer = scene.client.exchange(sent).await;
            assert_eq!((answer.text(), answer.closes()), ("healthy", false));
            scene.goes_on().await;
        }
    }
}

#[tokio::test]
async fn a_large_body_ends_the_connection_after_the_answer() {
    let mut scene = Scene::begin().await;
    let answer = scene.answer_to(&format!("Content-Length: {}\r\n", UNREAD_BYTES_MAX + 1)).await;
    assert!(answer.closes());
    // What is sent into the closed half does not reset the answer away.
    scene.client.send(request("GET /smuggled", "", "").repeat(100)).await;
    scene.client.send_end().await;
    scene.ends().await;
}

/// Of chunks nobody knows beforehand how many there are.
#[tokio::test]
async fn chunks_beyond_the_bound_end_the_connection() {
    let mut scene = Scene::begin().await;
    scene.answer_to(CHUNKED).await;
    scene.client.send(format!("2000\r\n{}\r\n", "x".repeat(0x2000)).repeat(9)).await;
    scene.client.send(format!("0\r\n\r\n{}", request("GET /late", "", ""))).await;
    scene.client.send_end().await;
    scene.ends().await;
}

#[tokio::test]
async fn a_malformed_body_ends_the_connection() {
    for body in ["zz\r\n", "5\r\nhelloX\r\n", "0\r\nno colon\nGET"] {
        let mut scene = Scene::begin().await;
        scene.answer_to(CHUNKED).await;
        scene.client.send(format!("{body}{}", request("GET /late", "", ""))).await;
        scene.client.send_end().await;
        scene.ends().await;
    }
}

/// F20: whether a body comes that was not asked for, only the client knows.
#[tokio::test]
async fn a_client_that_waits_for_100_is_closed_on() {
    for framing in ["Content-Length: 5\r\n", CHUNKED] {
        let mut scene = Scene::begin().await;
        assert!(scene.answer_to(&format!("{framing}Expect: 100-continue\r\n")).await.closes());
        scene.client.send("hello").await;
        scene.client.send_end().await;
        scene.ends().await;
    }
}

/// An answer for want of an endpoint is one of the gateway's own, too.
#[tokio::test]
async fn the_body_of_a_request_without_an_endpoint_is_skipped() {
    let gateway = Setup::of_replicas().start();
    let mut client = gateway.connect().await;
    for _ in 0..3 {
        let answer = client.exchange(request("POST /", "Content-Length: 5\r\n", "")).await;
        assert_eq!((answer.status(), answer.closes()), (503, false));
        client.send("hello").await;
    }
}

#[tokio::test]
async fn a_request_ends_with_its_answer_and_not_with_its_body() {
    let mut scene = Scene::begin().await;
    scene.answer_to("Content-Length: 5\r\n").await;
    // By when the body is missed the connection ends, and could not go on.
    eventually("the end of the request", || scene.gateway.state().requests_in_flight == 0).await;
    scene.client.send("hello").await;
    scene.goes_on().await;
}
