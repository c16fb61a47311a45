//! Endpoints that come and go under load. Once one has left and drained, nothing reaches it.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::GET;
use crate::support::{
    ClosedPort, Ending, Origin, Peer, Recorder, Setup, TestGateway, eventually, ok, within,
};

impl TestGateway {
    /// Whether requests to a withdrawn endpoint are still to be waited for.
    async fn is_draining(&self, endpoint: SocketAddr) -> bool {
        tokio::select! {
            biased;
            () = self.gateway.drained(&self.service, endpoint) => false,
            () = std::future::ready(()) => true,
        }
    }
}

/// What keep-alive clients have got so far.
#[derive(Clone, Default)]
struct Load {
    served: Arc<AtomicUsize>,
    stop: CancellationToken,
}

impl Load {
    /// One client, request after request; every one must succeed.
    async fn client(self, gateway: SocketAddr) {
        let mut client = Peer::connect(gateway).await;
        while !self.stop.is_cancelled() {
            for request in [GET, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello"] {
                let answer = client.exchange(request).await;
                assert_eq!((answer.status(), answer.closes()), (200, false), "{answer:?}");
                self.served.fetch_add(1, Ordering::Relaxed);
            }
        }
    }

    async fn goes_on(&self) {
        let before = self.served.load(Ordering::Relaxed);
        eventually("requests", || self.served.load(Ordering::Relaxed) > before + 20).await;
    }
}

#[tokio::test]
async fn endpoints_come_and_go_under_load_and_no_request_fails() {
    let origins = [Recorder::start().await, Recorder::start().await, Recorder::start().await];
    let gateway = Setup::of_replicas().workers(2).start();
    for origin in &origins {
        gateway.admit(origin.address()).await;
    }
    let load = Load::default();
    let mut clients = JoinSet::new();
    for _ in 0..6 {
        clients.spawn(load.clone().client(gateway.address));
    }
    for round in 0..30 {
        let origin = &origins[round % origins.len()];
        gateway.withdraw(origin.address()).await;
        gateway.drained(origin.address()).await;
        let seen = origin.request_count();
        load.goes_on().await;
        assert_eq!(origin.request_count(), seen, "something came after it had drained");
        gateway.admit(origin.address()).await;
        eventually("requests to it", || origin.request_count() > seen).await;
    }
    load.stop.cancel();
    while let Some(ended) = within("the clients", clients.join_next()).await {
        ended.expect("every request succeeds");
    }
}

#[tokio::test]
async fn a_request_in_flight_to_an_endpoint_that_left_is_waited_for() {
    let origin = Origin::listen().await;
    let gateway = Setup::of_replicas().start();
    gateway.admit(origin.address()).await;
    let mut client = gateway.connect().await;
    client.send(GET).await;
    let (mut upstream, _) = origin.accept_request().await;

    gateway.withdraw(origin.address()).await;
    assert!(gateway.is_draining(origin.address()).await);
    assert_eq!(gateway.exchange(GET).await.status(), 503);

    upstream.send(ok("done")).await;
    assert_eq!(client.response().await.text(), "done");
    gateway.drained(origin.address()).await;
    assert_eq!(upstream.ending().await, Ending::Closed);
}

#[tokio::test]
async fn a_request_that_waits_for_its_connection_is_in_flight() {
    let origin = ClosedPort::reserve().open(0);
    let in_the_way = Peer::connect(origin.address()).await;
    let gateway = Setup::of_replicas().start();
    gateway.admit(origin.address()).await;
    let mut client = gateway.connect().await;
    client.send(GET).await;
    eventually("the attempt", || gateway.totals(origin.address()).in_flight == 1).await;

    gateway.withdraw(origin.address()).await;
    assert!(gateway.is_draining(origin.address()).await);
    origin.accept().await;
    drop(in_the_way);
    let (mut upstream, _) = origin.accept_request().await;
    upstream.send(ok("done")).await;
    assert_eq!(client.response().await.text(), "done");
    gateway.drained(origin.address()).await;
}

#[tokio::test]
async fn idle_connections_to_an_endpoint_that_left_are_closed() {
    let origin = Origin::listen().await;
    let gateway = Setup::of_replicas().start();
    gateway.admit(origin.address()).await;
    let mut client = gateway.connect().await;
    client.send(GET).await;
    let (mut upstream, _) = origin.accept_request().await;
    upstream.send(ok("done")).await;
    client.response().await;
    gateway.withdraw(origin.address()).await;
    assert_eq!(upstream.ending().await, Ending::Closed);
}

#[tokio::test]
async fn a_request_that_fails_elsewhere_does_not_go_to_an_endpoint_that_left() {
    let (failing, left) = (Origin::listen().await, Recorder::start().await);
    let gateway = Setup::of_replicas().start();
    gateway.admit(failing.address()).await;
    gateway.admit(left.address()).await;
    let mut client = gateway.connect().await;
    client.send(GET).await;
    let (upstream, _) = failing.accept_request().await;
    gateway.withdraw(left.address()).await;
    gateway.drained(left.address()).await;
    drop(upstream);
    assert_eq!(client.response().await.status(), 502);
    assert_eq!(left.connections(), 0);
}

#[tokio::test]
async fn a_request_is_not_repeated_at_an_endpoint_that_left_meanwhile() {
    let (leaving, staying) = (Origin::listen().await, Recorder::start().await);
    let gateway = Setup::of_replicas().start();
    gateway.admit(leaving.address()).await;
    gateway.admit(staying.address()).await;
    let mut client = gateway.connect().await;
    client.send(GET).await;
    let (mut idle, _) = leaving.accept_request().await;
    idle.send(ok("first")).await;
    assert_eq!(client.response().await.text(), "first");
    assert_eq!(client.exchange(GET).await.text(), "hello");

    client.send(GET).await;
    idle.request().await;
    gateway.withdraw(leaving.address()).await;
    // The end of an idle connection, which is otherwise answered with a fresh one.
    drop(idle);
    assert_eq!(client.response().await.text(), "hello");
    assert_eq!(staying.request_count(), 2);
}

#[tokio::test]
async fn an_endpoint_is_there_once_and_can_be_withdrawn_at_any_time() {
    let origin = Recorder::start().await;
    let gateway = Setup::of_replicas().start();
    gateway.withdraw(origin.address()).await;
    gateway.drained(origin.address()).await;
    for _ in 0..2 {
        gateway.admit(origin.address()).await;
        gateway.admit(origin.address()).await;
        assert_eq!(gateway.state().endpoints.len(), 1);
        assert_eq!(gateway.exchange(GET).await.status(), 200);
        gateway.withdraw(origin.address()).await;
        assert_eq!(gateway.exchange(GET).await.status(), 503);
        gateway.drained(origin.address()).await;
        assert_eq!(gateway.state().endpoints.len(), 0);
    }
}

#[tokio::test]
async fn an_endpoint_that_has_gone_has_no_series_after_the_next_change() {
    let (gone, other) = (Recorder::start().await, Recorder::start().await);
    let gateway = Setup::of_replicas().start();
    gateway.admit(gone.address()).await;
    assert_eq!(gateway.exchange(GET).await.status(), 200);
    let is_counted = || gateway.exposition().contains(&gone.address().to_string());
    assert!(is_counted());
    // As a crash does it: nobody waits for requests that cannot end.
    gateway.withdraw(gone.address()).await;
    gateway.settled().await;
    gateway.admit(other.address()).await;
    assert!(!is_counted(), "{}", gateway.exposition());
    assert_eq!(gateway.exchange(GET).await.status(), 200);
}

#[tokio::test]
async fn an_endpoint_that_was_told_to_drain_ends_what_it_has_and_gets_nothing_until_it_is_told() {
    let (leaving, staying) = (Origin::listen().await, Recorder::start().await);
    let gateway = Setup::fronting(&[leaving.address(), staying.address()]).start();
    let mut client = gateway.connect().await;
    client.send(GET).await;
    let (mut endpoint, _) = leaving.accept_request().await;
    within("the drain", gateway.gateway.drain(leaving.address())).await.unwrap();
    for _ in 0..4 {
        assert_eq!(gateway.exchange(GET).await.status(), 200);
    }
    assert_eq!(staying.request_count(), 4);
    endpoint.send(ok("hello")).await;
    assert_eq!(client.response().await.text(), "hello");

    within("the return", gateway.gateway.resume(leaving.address())).await.unwrap();
    let (_, ()) = tokio::join!(leaving.accept_request(), async {
        let mut clients = [gateway.connect().await, gateway.connect().await];
        for client in &mut clients {
            client.send(GET).await;
        }
        gateway.settled().await;
    });
    let nobody = ClosedPort::reserve().address();
    gateway.gateway.drain(nobody).await.expect_err("nobody is there");
}
