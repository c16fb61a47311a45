//! `limits`: what one endpoint may have at a time, over all workers.

use tokio::{net::TcpStream, task::JoinSet};

use super::{GET, is_turned_away, waiting};
use crate::support::{ClosedPort, Origin, Recorder, Setup, eventually, ok};

#[tokio::test]
async fn an_endpoint_gets_no_more_requests_at_a_time_than_it_may_have() {
    let origin = Origin::listen().await;
    let gateway = Setup::fronting(&[origin.address()]).service("limits = { connections = 2 }").start();
    let mut clients = [waiting(&gateway).await, waiting(&gateway).await];
    let answer = gateway.exchange(GET).await;
    assert!(is_turned_away(&answer, "1"), "{answer:?}");
    let (mut one, _) = origin.accept_request().await;
    one.send(ok("hello")).await;
    assert_eq!(clients[0].response().await.status(), 200);
    // The room that this made is taken again.
    clients[0].send(GET).await;
    assert_eq!(one.request().await.start_line(), "GET / HTTP/1.1");
    assert_eq!(gateway.exchange(GET).await.status(), 503);
    assert_eq!(gateway.shed("full"), 2);
}

#[tokio::test]
async fn a_full_endpoint_leaves_requests_to_the_others() {
    let full = Origin::listen().await;
    let other = Recorder::start().await;
    let setup = Setup::fronting(&[full.address(), other.address()]);
    let gateway = setup.service("limits = { connections = 1 }").start();
    let _held = waiting(&gateway).await;
    for _ in 0..6 {
        assert_eq!(gateway.exchange(GET).await.status(), 200);
    }
    assert_eq!(other.request_count(), 6);
}

#[tokio::test]
async fn the_limit_holds_over_all_workers() {
    const LIMIT: usize = 3;
    let origin = Origin::listen().await;
    let setup =
        Setup::fronting(&[origin.address()]).service(&format!("limits = {{ connections = {LIMIT} }}"));
    let gateway = setup.workers(4).start();
    let mut clients = Vec::new();
    for _ in 0..20 {
        let mut client = gateway.connect().await;
        client.send(GET).await;
        clients.push(client);
    }
    let mut held = Vec::new();
    for _ in 0..LIMIT {
        held.push(origin.accept_request().await);
    }
    // Everybody else has been answered already: without a queue nobody waits.
    eventually("the refusals", || gateway.shed("full") == 17).await;
    assert_eq!(gateway.totals(origin.address()).in_flight, 3);
}

#[tokio::test]
async fn requests_do_not_gather_at_an_endpoint_that_takes_no_connections() {
    // Its backlog is full: connections to it neither stand nor fail.
    let busy = ClosedPort::reserve().open(0);
    let mut filling = JoinSet::new();
    for _ in 0..4 {
        filling.spawn(TcpStream::connect(busy.address()));
    }
    let other = Recorder::start().await;
    let setup = Setup::fronting(&[busy.address(), other.address()]).route("timeouts = { connect = \"10m\" }");
    let gateway = setup.service("limits = { pending = 1 }").start();
    let _held = waiting(&gateway).await;
    for _ in 0..6 {
        assert_eq!(gateway.exchange(GET).await.status(), 200);
    }
    assert_eq!(other.request_count(), 6);
}
