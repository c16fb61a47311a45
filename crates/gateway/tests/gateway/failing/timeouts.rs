//! Endpoints that are slow to connect or to answer, and clients that are slow (B04, S01).

use super::request;
use crate::support::{ClosedPort, Ending, Origin, Peer, Recorder, Reply, Setup, eventually, ok};

const READ: &str = "timeouts = { read = \"500ms\" }";

#[tokio::test]
async fn a_silent_endpoint_is_a_504_and_nobody_else_is_asked() {
    let silent = Recorder::answering(|_| Reply::Silence).await;
    let other = Recorder::start().await;
    let setup = Setup::fronting(&[silent.address(), other.address()]).route(READ);
    let gateway = setup.service("passive_health = { max_fails = 0 }").start();
    for (index, method) in ["GET", "POST"].into_iter().enumerate() {
        let mut client = gateway.connect().await;
        let answer = client.exchange(request(method, "hello")).await;
        assert_eq!((answer.status(), answer.closes()), (504, false));
        // Its answer would come too late for anybody.
        eventually("the end of its connection", || silent.connections_open() == 0).await;
        assert_eq!(gateway.totals(silent.address()).in_flight, 0);
        assert_eq!((silent.requests().len(), other.requests().len()), (index + 1, index));
        // The turn of the other one.
        assert_eq!(client.exchange(request("GET", "")).await.status(), 200);
    }
}

/// An endpoint at which no connection comes to stand, with the one that is in its way.
async fn busy_endpoint() -> (Origin, Peer) {
    let origin = ClosedPort::reserve().open(0);
    let in_the_way = Peer::connect(origin.address()).await;
    (origin, in_the_way)
}

#[tokio::test]
async fn an_endpoint_that_cannot_be_connected_to_in_time_costs_no_request() {
    let (busy, _in_the_way) = busy_endpoint().await;
    let origin = Recorder::start().await;
    let setup = Setup::fronting(&[busy.address(), origin.address()]);
    let gateway = setup.route("timeouts = { connect = \"500ms\" }").start();
    assert_eq!(gateway.exchange(request("POST", "hello")).await.status(), 200);
    assert_eq!(gateway.totals(busy.address()).failures, 1);
    assert_eq!(origin.requests().len(), 1);
}

#[tokio::test]
async fn no_connection_in_time_anywhere_is_a_504() {
    let (busy, _in_the_way) = busy_endpoint().await;
    let gateway = Setup::fronting(&[busy.address()]).route("timeouts = { connect = \"500ms\" }").start();
    assert_eq!(gateway.exchange(request("GET", "")).await.status(), 504);
}

/// A silent service whose 504 tells that the read timeout of the other has passed meanwhile.
fn clock_service(silent: &Recorder) -> String {
    format!(
        "[[route]]\npath_exact = \"/clock\"\nservice = \"clock\"\n{READ}\n[service.clock]\n\
         endpoints = [{{ address = \"{}\" }}]\npassive_health = {{ max_fails = 0 }}",
        silent.address()
    )
}

#[tokio::test]
async fn a_slow_upload_is_not_the_silence_of_its_endpoint() {
    for (fields, parts) in [
        ("Content-Length: 6\r\n", ["one", "two"]),
        ("Transfer-Encoding: chunked\r\n", ["3\r\none\r\n", "3\r\ntwo\r\n0\r\n\r\n"]),
    ] {
        let (origin, silent) = (Origin::listen().await, Recorder::answering(|_| Reply::Silence).await);
        let gateway =
            Setup::fronting(&[origin.address()]).route(READ).tables(&clock_service(&silent)).start();
        let mut client = gateway.connect().await;
        client.send(format!("POST / HTTP/1.1\r\nHost: a\r\n{fields}\r\n{}", parts[0])).await;
        let mut upstream = origin.accept().await;
        upstream.head().await;
        for _ in 0..2 {
            let clock = gateway.exchange("GET /clock HTTP/1.1\r\nHost: a\r\n\r\n").await;
            assert_eq!(clock.status(), 504);
        }
        client.send(parts[1]).await;
        upstream.bytes(parts.concat().len()).await;
        upstream.send(ok("thanks")).await;
        assert_eq!(client.response().await.text(), "thanks");
        assert_eq!(gateway.totals(origin.address()).failures, 0);
    }
}

#[tokio::test]
async fn the_time_to_answer_begins_with_the_end_of_the_upload() {
    let silent = Recorder::answering(|_| Reply::Silence).await;
    let gateway = Setup::fronting(&[silent.address()]).route(READ).start();
    let mut client = gateway.connect().await;
    client.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n").await;
    gateway.settled().await;
    assert_eq!(client.exchange("hello").await.status(), 504);
}

#[tokio::test]
async fn a_head_that_does_not_end_is_a_408_and_a_connection_that_says_nothing_is_closed() {
    let origin = Recorder::start().await;
    let gateway = Setup::fronting(&[origin.address()]).start();
    let mut silent = gateway.connect().await;
    let mut idle = gateway.connect().await;
    assert_eq!(idle.exchange(request("GET", "")).await.status(), 200);
    let mut client = gateway.connect().await;
    client.send("GET / HTTP/1.1\r\nHost:").await;
    let answer = client.response().await;
    assert_eq!((answer.status(), answer.closes()), (408, true));
    assert_eq!(client.ending().await, Ending::Closed);
    assert_eq!(silent.ending().await, Ending::Closed);
    // One that has had its say may be idle for longer.
    assert_eq!(idle.exchange(request("GET", "")).await.status(), 200);
    assert_eq!(origin.request_count(), 2);
}
