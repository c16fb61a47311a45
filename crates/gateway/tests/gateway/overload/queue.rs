//! `queue`: requests wait for room in their order, within bounds, and never beyond their time.

use std::time::Duration;

use super::{GET, is_turned_away, waiting};
use crate::support::{Origin, Setup, TestGateway, eventually, ok};

fn queued(gateway: &TestGateway) -> u64 {
    gateway.sample("phalanx_upstream_queued{service=\"api\"}")
}

#[tokio::test]
async fn requests_wait_for_room_in_their_order() {
    let origin = Origin::listen().await;
    let setup = Setup::fronting(&[origin.address()]).service("limits = { connections = 1 }");
    let gateway = setup.service("queue = { max = 10, timeout = \"10m\" }").start();
    let mut clients = vec![waiting(&gateway).await];
    for path in ["/1", "/2", "/3"] {
        let mut client = gateway.connect().await;
        client.send(format!("GET {path} HTTP/1.1\r\nHost: a\r\n\r\n")).await;
        gateway.settled().await;
        clients.push(client);
    }
    eventually("the queue", || queued(&gateway) == 3).await;
    let (mut endpoint, first) = origin.accept_request().await;
    assert_eq!(first.start_line(), "GET / HTTP/1.1");
    for (number, client) in clients.iter_mut().enumerate() {
        endpoint.send(ok("hello")).await;
        assert_eq!(client.response().await.status(), 200);
        if number < 3 {
            let next = endpoint.request().await;
            assert_eq!(next.start_line(), format!("GET /{} HTTP/1.1", number + 1));
        }
    }
    assert_eq!(queued(&gateway), 0);
}

#[tokio::test]
async fn whoever_finds_the_queue_full_is_turned_away() {
    let origin = Origin::listen().await;
    let setup = Setup::fronting(&[origin.address()]).service("limits = { connections = 1 }");
    let gateway = setup.service("queue = { max = 1, timeout = \"10m\" }").start();
    let _clients = [waiting(&gateway).await, waiting(&gateway).await];
    let answer = gateway.exchange(GET).await;
    assert!(is_turned_away(&answer, "1"), "{answer:?}");
}

#[tokio::test]
async fn nobody_is_served_late() {
    let origin = Origin::listen().await;
    let setup = Setup::fronting(&[origin.address()]).service("limits = { connections = 1 }");
    let gateway = setup.service("queue = { max = 10, timeout = \"300ms\" }").start();
    let mut first = waiting(&gateway).await;
    let mut second = waiting(&gateway).await;
    let answer = second.response().await;
    assert!(is_turned_away(&answer, "1"), "{answer:?}");
    // Room that comes now is for nobody: the endpoint never hears of the request that waited.
    let (mut endpoint, _) = origin.accept_request().await;
    endpoint.send(ok("hello")).await;
    assert_eq!(first.response().await.status(), 200);
    second.send("GET /next HTTP/1.1\r\nHost: a\r\n\r\n").await;
    assert_eq!(endpoint.request().await.start_line(), "GET /next HTTP/1.1");
    assert_eq!(gateway.shed("queue_timeout"), 1);
}

#[tokio::test]
async fn room_at_a_worker_goes_to_whoever_waits_at_another() {
    let origin = Origin::listen().await;
    let setup = Setup::fronting(&[origin.address()]).service("limits = { connections = 1 }");
    let gateway = setup.service("queue = { max = 100, timeout = \"10m\" }").workers(4).start();
    let mut clients = Vec::new();
    for _ in 0..24 {
        let mut client = gateway.connect().await;
        client.send(GET).await;
        clients.push(client);
    }
    eventually("the queue", || queued(&gateway) == 23).await;
    // Each worker has connections of its own to the endpoint, which therefore may not keep the first.
    for _ in 0..24 {
        let (mut endpoint, _) = origin.accept_request().await;
        endpoint.send("HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n").await;
    }
    for client in &mut clients {
        assert_eq!(client.response().await.status(), 200);
    }
}

#[tokio::test]
async fn whoever_leaves_the_queue_leaves_no_gap() {
    let origin = Origin::listen().await;
    let setup = Setup::fronting(&[origin.address()]).service("limits = { connections = 1 }");
    let gateway = setup.service("queue = { max = 10, timeout = \"10m\" }").start();
    let mut first = waiting(&gateway).await;
    let leaving = waiting(&gateway).await;
    let mut last = gateway.connect().await;
    last.send("GET /last HTTP/1.1\r\nHost: a\r\n\r\n").await;
    eventually("the queue", || queued(&gateway) == 2).await;
    leaving.reset();
    eventually("a shorter queue", || queued(&gateway) == 1).await;
    let (mut endpoint, _) = origin.accept_request().await;
    endpoint.send(ok("hello")).await;
    assert_eq!(first.response().await.status(), 200);
    assert_eq!(endpoint.request().await.start_line(), "GET /last HTTP/1.1");
    endpoint.send(ok("hello")).await;
    assert_eq!(last.response().await.status(), 200);
}

#[tokio::test]
async fn waiting_is_not_the_time_of_the_endpoint() {
    const WAIT: Duration = Duration::from_millis(600);
    let origin = Origin::listen().await;
    let setup = Setup::fronting(&[origin.address()]).service("limits = { connections = 1 }");
    let gateway = setup.service("queue = { max = 10, timeout = \"10m\" }").start();
    let mut first = waiting(&gateway).await;
    let mut second = waiting(&gateway).await;
    eventually("the queue", || queued(&gateway) == 1).await;
    let (mut endpoint, _) = origin.accept_request().await;
    // What an endpoint is measured by has to pass for real.
    tokio::time::sleep(WAIT).await;
    endpoint.send(ok("hello")).await;
    assert_eq!(first.response().await.status(), 200);
    endpoint.request().await;
    let before = gateway.totals(origin.address()).answers.sum();
    endpoint.send(ok("hello")).await;
    assert_eq!(second.response().await.status(), 200);
    let own = gateway.totals(origin.address()).answers.sum() - before;
    assert!(before >= WAIT && own < before, "{own:?} of {before:?}");
}
