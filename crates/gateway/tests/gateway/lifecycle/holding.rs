//! `hold`: requests wait while no endpoint serves, in their order, within bounds, and never beyond their time.

use super::GET;
use crate::support::{
    Ending, Message, Origin, Peer, Recorder, Reply, Setup, StreamOrigin, TestGateway, eventually, large_body,
    ok, within,
};

const HOLD: &str = "hold = { max = 10, timeout = \"10m\" }";

/// A client whose request is held, and of which `held` then are.
async fn holding(gateway: &TestGateway, request: &str, held: u64) -> Peer {
    let mut client = gateway.connect().await;
    client.send(request).await;
    eventually("a request that is held", || gateway.load().held == held).await;
    client
}

fn is_turned_away(answer: &Message) -> bool {
    answer.status() == 503
        && answer.field("retry-after") == Some("1")
        && answer.field("content-type") == Some("application/problem+json")
}

#[tokio::test]
async fn whoever_comes_before_the_first_replica_is_served_in_order() {
    let origin = Recorder::start().await;
    let setup = Setup::of_replicas().service(HOLD).service("limits = { connections = 1 }");
    let gateway = setup.service("queue = { max = 10, timeout = \"10m\" }").start();
    let mut clients = Vec::new();
    for number in 1..=5 {
        clients.push(holding(&gateway, &format!("GET /{number} HTTP/1.1\r\nHost: a\r\n\r\n"), number).await);
    }
    gateway.admit(origin.address()).await;
    for client in &mut clients {
        assert_eq!(client.response().await.text(), "hello");
    }
    let expected = [1, 2, 3, 4, 5].map(|number| format!("GET /{number} HTTP/1.1"));
    assert_eq!(origin.start_lines(), expected);
    assert_eq!(gateway.load().held, 0);
}

#[tokio::test]
async fn a_replica_frees_those_of_all_workers() {
    let origin = Recorder::start().await;
    let gateway = Setup::of_replicas().service("hold = {}").workers(4).start();
    let mut clients = Vec::new();
    for number in 1..=24 {
        clients.push(holding(&gateway, GET, number).await);
    }
    gateway.admit(origin.address()).await;
    for client in &mut clients {
        assert_eq!(client.response().await.status(), 200);
    }
    assert_eq!(gateway.exchange(GET).await.status(), 200);
}

#[tokio::test]
async fn the_first_that_is_held_is_told() {
    let origin = Recorder::start().await;
    let gateway = Setup::of_replicas().service(HOLD).start();
    let mut demand = gateway.gateway.demand();
    for round in 1..=2 {
        let mut first = holding(&gateway, GET, 1).await;
        within("word of it", demand.changed()).await.unwrap();
        assert_eq!(*demand.borrow_and_update(), round);
        let mut second = holding(&gateway, GET, 2).await;
        assert!(!demand.has_changed().unwrap(), "it is known");
        gateway.admit(origin.address()).await;
        for client in [&mut first, &mut second] {
            assert_eq!(client.response().await.status(), 200);
        }
        gateway.withdraw(origin.address()).await;
    }
}

#[tokio::test]
async fn one_more_than_may_be_held_is_turned_away() {
    let gateway = Setup::of_replicas().service("hold = { max = 1, timeout = \"10m\" }").workers(2).start();
    let _held = holding(&gateway, GET, 1).await;
    let answer = gateway.exchange(GET).await;
    assert!(is_turned_away(&answer), "{answer:?}");
    assert_eq!(gateway.shed("hold_full"), 1);
}

#[tokio::test]
async fn nobody_is_held_beyond_the_timeout() {
    let origin = Recorder::start().await;
    let gateway = Setup::of_replicas().service("hold = { max = 10, timeout = \"300ms\" }").start();
    let mut client = holding(&gateway, "GET /late HTTP/1.1\r\nHost: a\r\n\r\n", 1).await;
    let answer = client.response().await;
    assert!(is_turned_away(&answer), "{answer:?}");
    assert_eq!((gateway.load().held, gateway.shed("hold_timeout")), (0, 1));
    gateway.admit(origin.address()).await;
    assert_eq!(client.exchange(GET).await.status(), 200);
    assert_eq!(origin.start_lines(), ["GET / HTTP/1.1"]);
}

#[tokio::test]
async fn whoever_leaves_makes_room() {
    let origin = Recorder::start().await;
    let gateway = Setup::of_replicas().service("hold = { max = 2, timeout = \"10m\" }").start();
    let leaving = holding(&gateway, "GET /left HTTP/1.1\r\nHost: a\r\n\r\n", 1).await;
    let mut second = holding(&gateway, GET, 2).await;
    leaving.reset();
    eventually("his place", || gateway.load().held == 1).await;
    let mut third = holding(&gateway, GET, 2).await;
    gateway.admit(origin.address()).await;
    for client in [&mut second, &mut third] {
        assert_eq!(client.response().await.status(), 200);
    }
    assert_eq!(origin.start_lines(), ["GET / HTTP/1.1"; 2]);
}

#[tokio::test]
async fn the_end_of_the_gateway_is_the_end_of_the_wait() {
    let mut gateway = Setup::of_replicas().service(HOLD).workers(2).start();
    let mut clients = Vec::new();
    for number in 1..=6 {
        clients.push(holding(&gateway, GET, number).await);
    }
    gateway.gateway.stop();
    for client in &mut clients {
        let answer = client.response().await;
        assert!(is_turned_away(&answer) && answer.closes(), "{answer:?}");
        assert_eq!(client.ending().await, Ending::Closed);
    }
    gateway.ended().await;
}

#[tokio::test]
async fn a_prober_is_told_at_once_that_nobody_serves() {
    let probe = "[[route]]\npath_exact = \"/health\"\nservice = \"api\"\nshed = false";
    let gateway = Setup::of_replicas().service(HOLD).tables(probe).start();
    let _held = holding(&gateway, GET, 1).await;
    let answer = gateway.exchange("GET /health HTTP/1.1\r\nHost: a\r\n\r\n").await;
    assert!(is_turned_away(&answer), "{answer:?}");
}

#[tokio::test]
async fn a_body_waits_with_its_request() {
    let origin = Recorder::answering(|request| Reply::Send(ok(&request.body.len().to_string()))).await;
    let gateway = Setup::of_replicas().service(HOLD).start();
    let body = large_body();
    let mut client = gateway.connect().await;
    client.send(format!("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: {}\r\n\r\n", body.len())).await;
    eventually("a request that is held", || gateway.load().held == 1).await;
    let (sent, ()) = tokio::join!(client.try_send(&body), gateway.admit(origin.address()));
    sent.unwrap();
    assert_eq!(client.response().await.text(), body.len().to_string());
}

#[tokio::test]
async fn a_restart_of_the_only_replica_is_waited_for_over_http2_too() {
    let (before, after) = (StreamOrigin::listen().await, StreamOrigin::listen().await);
    let gateway = Setup::of_replicas().service(HOLD).service("protocol = \"h2c\"").start();
    gateway.admit(before.address()).await;
    let mut client = gateway.connect().await;
    client.send(GET).await;
    let (_connection, mut request) = before.accept_request().await;
    request.answer("before");
    assert_eq!(client.response().await.text(), "before");
    gateway.withdraw(before.address()).await;
    let mut other = holding(&gateway, GET, 1).await;
    gateway.admit(after.address()).await;
    let (_connection, mut request) = after.accept_request().await;
    request.answer("after");
    assert_eq!(other.response().await.text(), "after");
}

#[tokio::test]
async fn whoever_waits_for_room_when_the_last_endpoint_leaves_is_held() {
    let (leaving, coming) = (Origin::listen().await, Recorder::start().await);
    let setup = Setup::of_replicas().service(HOLD).service("limits = { connections = 1 }");
    let gateway = setup.service("queue = { max = 10, timeout = \"10m\" }").start();
    gateway.admit(leaving.address()).await;
    let mut first = gateway.connect().await;
    first.send(GET).await;
    let (mut endpoint, _) = leaving.accept_request().await;
    let mut second = gateway.connect().await;
    second.send(GET).await;
    eventually("the queue", || gateway.load().waiting == 1).await;
    gateway.withdraw(leaving.address()).await;
    eventually("the hold", || (gateway.load().waiting, gateway.load().held) == (0, 1)).await;
    gateway.admit(coming.address()).await;
    assert_eq!(second.response().await.text(), "hello");
    endpoint.send(ok("done")).await;
    assert_eq!(first.response().await.text(), "done");
}
