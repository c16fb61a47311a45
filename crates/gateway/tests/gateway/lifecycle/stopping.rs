//! The end of a gateway: what is under way ends well, what is idle ends at once, and nothing begins.

use super::GET;
use crate::support::{Ending, Origin, Recorder, Reply, Setup, eventually, ok};

#[tokio::test]
async fn a_request_in_flight_is_answered_and_told_that_the_connection_ends() {
    let origin = Origin::listen().await;
    let mut gateway = Setup::fronting(&[origin.address()]).start();
    let mut idle = gateway.connect().await;
    let mut busy = gateway.connect().await;
    busy.send(GET).await;
    let (mut upstream, _) = origin.accept_request().await;

    gateway.stop_listening().await;
    assert_eq!(idle.ending().await, Ending::Closed);

    upstream.send(ok("done")).await;
    let answer = busy.response().await;
    assert_eq!((answer.text(), answer.closes()), ("done", true));
    assert_eq!(busy.ending().await, Ending::Closed);
    gateway.ended().await;
    assert_eq!(gateway.state().connections, 0);
}

#[tokio::test]
async fn a_pipeline_ends_with_the_request_that_was_under_way() {
    let origin = Origin::listen().await;
    let mut gateway = Setup::fronting(&[origin.address()]).start();
    let mut client = gateway.connect().await;
    client.send(GET.repeat(3)).await;
    let (mut upstream, _) = origin.accept_request().await;
    gateway.stop_listening().await;
    upstream.send(ok("done")).await;
    assert!(client.response().await.closes());
    assert_eq!(client.ending().await, Ending::Closed);
    drop(client);
    gateway.ended().await;
}

#[tokio::test]
async fn a_response_that_began_before_the_stop_ends_and_its_connection_with_it() {
    let origin = Origin::listen().await;
    let mut gateway = Setup::fronting(&[origin.address()]).start();
    let mut client = gateway.connect().await;
    client.send(GET).await;
    let (mut upstream, _) = origin.accept_request().await;
    upstream.send("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello").await;
    client.head().await;
    client.bytes(5).await;
    gateway.stop_listening().await;
    upstream.send("world").await;
    assert_eq!(client.bytes(5).await, b"world");
    assert_eq!(client.ending().await, Ending::Closed);
    gateway.ended().await;
}

/// Each of many gateways stops at another moment of what happens here.
const STOPS: usize = 16;

#[tokio::test]
async fn a_request_that_arrived_before_the_stop_is_answered() {
    let origin = Recorder::start().await;
    for _ in 0..STOPS {
        let mut gateway = Setup::fronting(&[origin.address()]).start();
        let mut used = gateway.connect().await;
        assert_eq!(used.exchange(GET).await.status(), 200);
        let mut unused = gateway.connect().await;
        used.send(GET).await;
        unused.send(GET).await;
        gateway.gateway.stop();
        assert_eq!(used.response().await.status(), 200);
        assert_eq!(unused.response().await.status(), 200);
        drop((used, unused));
        gateway.ended().await;
    }
}

#[tokio::test]
async fn a_silent_connection_does_not_hold_the_end_up_whenever_it_came() {
    for _ in 0..STOPS {
        let mut gateway = Setup::of_replicas().start();
        let mut silent = gateway.connect().await;
        gateway.gateway.stop();
        assert_eq!(silent.ending().await, Ending::Closed);
        gateway.ended().await;
    }
}

#[tokio::test]
async fn what_is_not_done_at_the_drain_deadline_is_cut() {
    let origin = Recorder::answering(|_| Reply::Silence).await;
    let setup = Setup::fronting(&[origin.address()]).gateway("drain_deadline = \"200ms\"");
    let mut gateway = setup.start();
    let mut client = gateway.connect().await;
    client.send(GET).await;
    eventually("the request", || origin.request_count() == 1).await;
    gateway.gateway.stop();
    gateway.ended().await;
    client.ending().await;
    eventually("the end of its connection", || origin.connections_open() == 0).await;
    assert_eq!((gateway.state().connections, gateway.state().requests_in_flight), (0, 0));
    assert_eq!(gateway.totals(origin.address()).in_flight, 0);
}

#[tokio::test]
async fn a_response_that_is_cut_at_the_drain_deadline_does_not_look_whole() {
    let origin = Origin::listen().await;
    let setup = Setup::fronting(&[origin.address()]).gateway("drain_deadline = \"200ms\"");
    let mut gateway = setup.start();
    let mut client = gateway.connect().await;
    client.send("GET / HTTP/1.0\r\n\r\n").await;
    let (mut upstream, _) = origin.accept_request().await;
    // Of such a body only the end of the connection tells the end.
    upstream.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n").await;
    assert_eq!(client.head().await.status(), 200);
    gateway.gateway.stop();
    gateway.ended().await;
    assert_eq!(client.ending_after_all().await, Ending::Reset);
}

#[tokio::test]
async fn every_worker_ends() {
    let origin = Recorder::start().await;
    let gateway = Setup::fronting(&[origin.address()]).workers(3).start();
    assert_eq!(gateway.state().workers, 3);
    let mut clients = Vec::new();
    for _ in 0..12 {
        let mut client = gateway.connect().await;
        assert_eq!(client.exchange(GET).await.status(), 200);
        clients.push(client);
    }
    gateway.stop().await;
    for mut client in clients {
        assert_eq!(client.ending().await, Ending::Closed);
    }
}
