//! Failed attempts take an endpoint out for a while.

use super::request;
use crate::support::{ClosedPort, Recorder, Reply, Setup, eventually};

#[tokio::test]
async fn an_endpoint_that_fails_too_often_gets_no_more_requests() {
    let dying = Recorder::answering(|_| Reply::Reset).await;
    let healthy = Recorder::start().await;
    let setup = Setup::fronting(&[dying.address(), healthy.address()]);
    let gateway = setup.service("passive_health = { max_fails = 3, fail_timeout = \"10m\" }").start();
    for attempts in 1..=3 {
        // In turn: the first of two requests fails at it, and succeeds elsewhere.
        for _ in 0..2 {
            assert_eq!(gateway.exchange(request("GET", "")).await.status(), 200);
        }
        assert_eq!(dying.requests().len(), attempts);
    }
    eventually("its ejection", || gateway.totals(dying.address()).ejections == 1).await;
    gateway.settled().await;
    for _ in 0..8 {
        assert_eq!(gateway.exchange(request("POST", "hello")).await.status(), 200);
    }
    assert_eq!(dying.requests().len(), 3);
}

#[tokio::test]
async fn an_ejected_endpoint_returns_when_its_time_is_over() {
    let port = ClosedPort::reserve();
    let address = port.address();
    let other = Recorder::start().await;
    let setup = Setup::fronting(&[address, other.address()]);
    let gateway = setup.service("passive_health = { max_fails = 1, fail_timeout = \"300ms\" }").start();
    assert_eq!(gateway.exchange(request("GET", "")).await.status(), 200);
    eventually("its ejection", || gateway.totals(address).ejections == 1).await;

    let origin = port.open(16);
    let mut clients = Vec::new();
    let requests = async {
        // A client each, since the returned endpoint does not answer.
        loop {
            let mut client = gateway.connect().await;
            client.send(request("GET", "")).await;
            gateway.settled().await;
            clients.push(client);
        }
    };
    tokio::select! {
        () = requests => {}
        (_, request) = origin.accept_request() => assert_eq!(request.start_line(), "GET / HTTP/1.1"),
    }
}

#[tokio::test]
async fn the_last_endpoint_is_not_ejected() {
    let refusing = [ClosedPort::reserve(), ClosedPort::reserve()];
    let addresses = refusing.each_ref().map(ClosedPort::address);
    let setup =
        Setup::fronting(&addresses).service("passive_health = { max_fails = 1, fail_timeout = \"10m\" }");
    let gateway = setup.start();
    for _ in 0..8 {
        assert_eq!(gateway.exchange(request("GET", "")).await.status(), 502);
    }
    let ejections = || addresses.map(|address| gateway.totals(address).ejections).iter().sum::<u64>();
    eventually("an ejection", || ejections() > 0).await;
    for _ in 0..8 {
        assert_eq!(gateway.exchange(request("GET", "")).await.status(), 502);
    }
    assert_eq!(ejections(), 1);
}
