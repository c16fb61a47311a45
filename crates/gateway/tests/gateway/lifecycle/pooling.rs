//! Connections to origins: kept, shared by all clients, and no more of them than configured.

use super::GET;
use crate::support::{Ending, Origin, Recorder, Setup, eventually, ok};

#[tokio::test]
async fn requests_of_all_clients_share_a_connection() {
    let origin = Recorder::start().await;
    let gateway = Setup::fronting(&[origin.address()]).start();
    let mut clients = [gateway.connect().await, gateway.connect().await];
    for client in [0, 1, 0, 1, 1] {
        assert_eq!(clients[client].exchange(GET).await.status(), 200);
    }
    assert_eq!((origin.request_count(), origin.connections()), (5, 1));
    assert_eq!(gateway.totals(origin.address()).connections, 1);
}

#[tokio::test]
async fn requests_take_turns_among_endpoints() {
    let origins = [Recorder::start().await, Recorder::start().await, Recorder::start().await];
    let addresses = origins.each_ref().map(Recorder::address);
    let gateway = Setup::fronting(&addresses).start();
    let mut client = gateway.connect().await;
    for round in 1..=3 {
        for _ in &origins {
            assert_eq!(client.exchange(GET).await.status(), 200);
        }
        assert_eq!(origins.each_ref().map(Recorder::request_count), [round; 3]);
    }
    assert_eq!(origins.each_ref().map(Recorder::connections), [1; 3]);
}

#[tokio::test]
async fn no_more_idle_connections_are_kept_than_configured() {
    let origin = Origin::listen().await;
    let gateway = Setup::fronting(&[origin.address()]).service("keepalive = 1").start();
    let mut clients = [gateway.connect().await, gateway.connect().await];
    for client in &mut clients {
        client.send(GET).await;
    }
    let (mut kept, _) = origin.accept_request().await;
    let (mut surplus, _) = origin.accept_request().await;
    kept.send(ok("done")).await;
    gateway.settled().await;
    surplus.send(ok("done")).await;
    assert_eq!(surplus.ending().await, Ending::Closed);
    for client in &mut clients {
        assert_eq!(client.response().await.text(), "done");
    }
    clients[1].send(GET).await;
    kept.request().await;
    eventually("one connection", || gateway.totals(origin.address()).connections == 1).await;
}

#[tokio::test]
async fn without_keepalive_each_request_has_its_connection() {
    let origin = Recorder::start().await;
    let gateway = Setup::fronting(&[origin.address()]).service("keepalive = 0").start();
    let mut client = gateway.connect().await;
    for count in 1..=3 {
        assert_eq!(client.exchange(GET).await.status(), 200);
        assert_eq!(origin.connections(), count);
    }
    eventually("no connection", || origin.connections_open() == 0).await;
}
