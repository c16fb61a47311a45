//! How many connections an endpoint gets, and who waits.

use tokio::task::JoinSet;

use super::{Exchange, GET, H2C, setup};
use crate::support::{Peer, Setup, StreamOrigin, StreamRecorder, eventually};

#[tokio::test]
async fn one_connection_carries_as_many_requests_as_its_peer_allows() {
    let origin = StreamOrigin::listen().await.streams_max(2);
    let gateway = setup(&origin).start();
    let mut clients = Vec::new();
    let mut connections = Vec::new();
    let mut requests = Vec::new();
    for count in 0..8 {
        let mut client = gateway.connect().await;
        client.send(GET).await;
        if count % 2 == 0 {
            connections.push(origin.accept().await);
        }
        requests.push(connections.last_mut().unwrap().request().await);
        clients.push(client);
    }
    assert_eq!(gateway.totals(origin.address()).connections, 4);

    // One more has to wait for one of them.
    let mut waiting = gateway.connect().await;
    waiting.send(GET).await;
    gateway.settled().await;
    assert_eq!(gateway.totals(origin.address()).in_flight, 9);
    assert!(connections.iter().all(|connection| !connection.has_request()));
    requests[3].answer("hello");
    connections[1].request().await.answer("waited");
    assert_eq!(waiting.response().await.text(), "waited");
    assert_eq!(gateway.totals(origin.address()).connections, 4);
}

#[tokio::test]
async fn whoever_waits_too_long_is_told_so() {
    let origin = StreamOrigin::listen().await.streams_max(1);
    let gateway = setup(&origin).route("timeouts = { connect = \"300ms\" }").start();
    let mut kept = Vec::new();
    for _ in 0..4 {
        let mut client = gateway.connect().await;
        client.send(GET).await;
        kept.push((client, origin.accept_request().await));
    }
    let answer = gateway.exchange(GET).await;
    assert_eq!(answer.status(), 504);
    assert_eq!(gateway.totals(origin.address()).in_flight, 4);
}

#[tokio::test]
async fn requests_one_after_the_other_share_a_connection() {
    let Exchange { gateway, origin, mut client, mut connection, mut request } = Exchange::begin(GET).await;
    request.answer("hello");
    assert_eq!(client.response().await.text(), "hello");
    for method in ["GET", "POST", "DELETE"] {
        let mut client = gateway.connect().await;
        client.send(format!("{method} / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nab")).await;
        connection.request().await.answer("again");
        assert_eq!(client.response().await.text(), "again");
    }
    eventually("the end of the last", || gateway.totals(origin.address()).in_flight == 0).await;
    let totals = gateway.totals(origin.address());
    assert_eq!((totals.connections, totals.requests, totals.failures), (1, 4, 0));
}

#[tokio::test]
async fn many_requests_at_a_time_need_few_connections() {
    const CLIENTS: usize = 500;
    const REQUESTS_EACH: usize = 4;
    let origin = StreamRecorder::start().await;
    let gateway = Setup::fronting(&[origin.address()]).service(H2C).start();
    let mut clients = JoinSet::new();
    for _ in 0..CLIENTS {
        let mut client = Peer::connect(gateway.address).await;
        clients.spawn(async move {
            for _ in 0..REQUESTS_EACH {
                assert_eq!(client.exchange(GET).await.text(), "hello");
            }
        });
    }
    while let Some(ended) = clients.join_next().await {
        ended.unwrap();
    }
    assert_eq!(origin.request_count(), CLIENTS * REQUESTS_EACH);
    assert!(origin.connections() <= 4, "{} connections", origin.connections());
    eventually("the end of the last", || gateway.totals(origin.address()).in_flight == 0).await;
    let totals = gateway.totals(origin.address());
    assert_eq!((totals.requests, totals.failures), (2000, 0));
}

#[tokio::test]
async fn a_connection_that_was_closed_while_idle_is_not_used() {
    for method in ["GET", "POST"] {
        let Exchange { gateway, origin, mut client, connection, mut request } = Exchange::begin(GET).await;
        request.answer("hello");
        assert_eq!(client.response().await.text(), "hello");
        connection.close().await;
        client.send(format!("{method} / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n")).await;
        let (_fresh, mut request) = origin.accept_request().await;
        request.answer("fresh");
        assert_eq!(client.response().await.text(), "fresh");
        eventually("one connection", || gateway.totals(origin.address()).connections == 1).await;
        assert_eq!(gateway.totals(origin.address()).failures, 0);
    }
}
