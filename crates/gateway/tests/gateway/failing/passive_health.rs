//! Failed attempts take an endpoint out for a while.

use phalanx_balance::health::Standing;

use super::request;
use crate::support::{ClosedPort, Origin, Peer, Recorder, Reply, Setup, TestGateway, eventually, ok};

const EJECTS_BRIEFLY: &str = "passive_health = { max_fails = 1, fail_timeout = \"400ms\" }";

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
        assert_eq!(gateway.exchange(request("GET", "")).await.status(), 503);
    }
    let ejections = || addresses.map(|address| gateway.totals(address).ejections).iter().sum::<u64>();
    eventually("an ejection", || ejections() > 0).await;
    for _ in 0..8 {
        assert_eq!(gateway.exchange(request("GET", "")).await.status(), 503);
    }
    assert_eq!(ejections(), 1);
}

#[tokio::test]
async fn one_request_on_trial_decides_about_an_ejected_endpoint() {
    let origin = Origin::listen().await;
    let other = Recorder::start().await;
    let setup = Setup::fronting(&[origin.address(), other.address()]);
    let gateway = setup.service(EJECTS_BRIEFLY).start();
    for round in 0..2 {
        let (mut client, endpoint) = request_that_reaches(&origin, &gateway).await;
        // While it is undecided nobody else gets there.
        if round > 0 {
            for _ in 0..6 {
                assert_eq!(gateway.exchange(request("GET", "")).await.status(), 200);
            }
            assert_eq!(gateway.totals(origin.address()).in_flight, 1);
        }
        endpoint.reset();
        assert_eq!(client.response().await.status(), 200);
        eventually("its ejection", || matches!(gateway.standing(origin.address()), Standing::Ejected { .. }))
            .await;
        gateway.settled().await;
        for _ in 0..4 {
            assert_eq!(gateway.exchange(request("GET", "")).await.status(), 200);
        }
        eventually("its trial", || gateway.standing(origin.address()) == Standing::Trial).await;
        gateway.settled().await;
    }
    let (mut client, mut endpoint) = request_that_reaches(&origin, &gateway).await;
    endpoint.send(ok("hello")).await;
    assert_eq!(client.response().await.status(), 200);
    eventually("its return", || gateway.standing(origin.address()) == Standing::Serving).await;
}

/// An endpoint on trial, one that serves, and the gateway before them.
async fn on_trial() -> (Origin, Recorder, TestGateway) {
    let origin = Origin::listen().await;
    let other = Recorder::start().await;
    let setup = Setup::fronting(&[origin.address(), other.address()]);
    let gateway = setup.service(EJECTS_BRIEFLY).start();
    let (mut client, endpoint) = request_that_reaches(&origin, &gateway).await;
    endpoint.reset();
    assert_eq!(client.response().await.status(), 200);
    eventually("its trial", || gateway.standing(origin.address()) == Standing::Trial).await;
    gateway.settled().await;
    (origin, other, gateway)
}

/// Sends requests until one comes to `origin`, of several endpoints; its client, and the connection on which it came.
async fn request_that_reaches(origin: &Origin, gateway: &TestGateway) -> (Peer, Peer) {
    loop {
        let mut client = gateway.connect().await;
        client.send(request("GET", "")).await;
        tokio::select! {
            (endpoint, _) = origin.accept_request() => return (client, endpoint),
            response = client.response() => assert_eq!(response.status(), 200),
        }
    }
}

#[tokio::test]
async fn a_trial_that_its_client_left_decides_nothing() {
    let (origin, _other, gateway) = on_trial().await;
    let (leaving, _abandoned) = request_that_reaches(&origin, &gateway).await;
    leaving.reset();
    eventually("the end of the request", || gateway.totals(origin.address()).in_flight == 0).await;
    assert_eq!(gateway.standing(origin.address()), Standing::Trial);
    let (mut client, mut endpoint) = request_that_reaches(&origin, &gateway).await;
    endpoint.send(ok("hello")).await;
    assert_eq!(client.response().await.status(), 200);
    eventually("its return", || gateway.standing(origin.address()) == Standing::Serving).await;
}

#[tokio::test]
async fn a_response_that_goes_on_has_decided_a_trial_with_its_head() {
    let (origin, _other, gateway) = on_trial().await;
    let (_client, mut endpoint) = request_that_reaches(&origin, &gateway).await;
    endpoint.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n").await;
    eventually("its return", || gateway.standing(origin.address()) == Standing::Serving).await;
}
