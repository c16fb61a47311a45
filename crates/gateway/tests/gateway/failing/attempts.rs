//! Whether a request that failed at one endpoint goes to another (B01, B02).

use super::request;
use crate::support::{ClosedPort, Message, Recorder, Reply, Setup, eventually};

const NOT_EJECTED: &str = "passive_health = { max_fails = 0 }";

#[tokio::test]
async fn a_refused_connection_costs_no_request_whatever_its_method() {
    let refusing = ClosedPort::reserve();
    let origin = Recorder::start().await;
    let setup = Setup::fronting(&[refusing.address(), origin.address()]).service(NOT_EJECTED);
    let gateway = setup.start();
    for (count, method) in (1..).zip(["GET", "POST", "PATCH", "PUT", "DELETE"]) {
        // Of two endpoints in turn, each second request comes to the one that refuses.
        for _ in 0..2 {
            assert_eq!(gateway.exchange(request(method, "hello")).await.status(), 200, "{method}");
        }
        let refused = gateway.totals(refusing.address());
        assert_eq!((refused.failures, refused.retries, refused.in_flight), (count, count, 0));
    }
    assert_eq!(origin.requests().len(), 10);
    assert!(origin.requests().iter().all(|request| request.text() == "hello"));
}

#[tokio::test]
async fn a_body_that_is_still_to_come_goes_to_the_endpoint_that_takes_the_connection() {
    let refusing = ClosedPort::reserve();
    let origin = Recorder::start().await;
    let gateway = Setup::fronting(&[refusing.address(), origin.address()]).start();
    let mut client = gateway.connect().await;
    client.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n").await;
    eventually("another endpoint", || gateway.totals(refusing.address()).retries == 1).await;
    client.send("hello").await;
    assert_eq!(client.response().await.status(), 200);
    assert_eq!(origin.requests()[0].text(), "hello");
}

#[tokio::test]
async fn refused_connections_are_a_503_when_the_attempts_are_used_up() {
    let refusing = [(); 4].map(|()| ClosedPort::reserve());
    let addresses = refusing.each_ref().map(ClosedPort::address);
    let gateway = Setup::fronting(&addresses).service(NOT_EJECTED).start();
    let mut client = gateway.connect().await;
    let answer = client.exchange(request("POST", "hello")).await;
    assert_eq!((answer.status(), answer.closes()), (503, false));
    assert_eq!(answer.field("retry-after"), Some("1"));
    let failures = addresses.map(|address| gateway.totals(address).failures);
    assert_eq!(failures.iter().sum::<u64>(), 3, "{failures:?}");
    assert_eq!(failures.iter().max(), Some(&1), "{failures:?}");
    // The connection is still good, and its next request begins behind the body.
    assert_eq!(client.exchange(request("GET", "")).await.status(), 503);
}

/// How an endpoint dies after it got a request.
const DEATHS: [fn(&Message) -> Reply; 2] = [|_| Reply::Reset, |_| Reply::SendAndClose(Vec::new())];

#[tokio::test]
async fn a_repeatable_request_goes_elsewhere_when_its_endpoint_dies() {
    for death in DEATHS {
        for method in ["GET", "OPTIONS", "PUT", "DELETE"] {
            let (dying, healthy) = (Recorder::answering(death).await, Recorder::start().await);
            let gateway = Setup::fronting(&[dying.address(), healthy.address()]).start();
            let answer = gateway.exchange(request(method, "hello")).await;
            assert_eq!(answer.status(), 200, "{method}");
            assert_eq!((dying.requests().len(), healthy.requests().len()), (1, 1));
            assert_eq!(dying.requests()[0].text(), healthy.requests()[0].text());
            assert_eq!(gateway.totals(dying.address()).retries, 1);
        }
    }
}

#[tokio::test]
async fn a_request_that_may_have_been_processed_is_sent_once() {
    for death in DEATHS {
        for method in ["POST", "PATCH"] {
            let (dying, healthy) = (Recorder::answering(death).await, Recorder::start().await);
            let gateway = Setup::fronting(&[dying.address(), healthy.address()]).start();
            let answer = gateway.exchange(request(method, "hello")).await;
            assert_eq!(answer.status(), 502, "{method}");
            assert_eq!((dying.requests().len(), healthy.requests().len()), (1, 0));
            assert_eq!(gateway.totals(dying.address()).retries, 0);
        }
    }
}

#[tokio::test]
async fn a_route_says_how_many_endpoints_a_request_is_tried_at() {
    for attempts in 1..=3 {
        let dying = [(); 3].map(|()| Recorder::answering(DEATHS[1]));
        let [one, two, three] = dying;
        let dying = [one.await, two.await, three.await];
        let healthy = Recorder::start().await;
        let mut addresses: Vec<_> = dying.iter().map(Recorder::address).collect();
        addresses.push(healthy.address());
        let setup = Setup::fronting(&addresses).service(NOT_EJECTED);
        let gateway = setup.route(&format!("retry = {{ attempts = {attempts} }}")).start();
        assert_eq!(gateway.exchange(request("GET", "")).await.status(), 502);
        let counts: Vec<_> = dying.iter().map(Recorder::request_count).collect();
        assert_eq!(counts.iter().sum::<usize>(), attempts, "{counts:?}");
        assert!(counts.iter().all(|count| *count <= 1), "{counts:?}");
        assert_eq!(healthy.request_count(), 0);
    }
}

#[tokio::test]
async fn a_body_that_is_gone_is_not_repeated() {
    let (dying, healthy) = (Recorder::answering(DEATHS[1]).await, Recorder::start().await);
    let gateway = Setup::fronting(&[dying.address(), healthy.address()]).start();
    let mut client = gateway.connect().await;
    client.send("PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n").await;
    gateway.settled().await;
    assert_eq!(client.exchange("hello").await.status(), 502);
    assert_eq!((dying.requests().len(), healthy.requests().len()), (1, 0));
}

#[tokio::test]
async fn a_service_without_an_endpoint_is_unavailable_for_now() {
    let gateway = Setup::of_replicas().start();
    let mut client = gateway.connect().await;
    for _ in 0..2 {
        let answer = client.exchange(request("POST", "hello")).await;
        assert_eq!((answer.status(), answer.closes()), (503, false));
        assert_eq!(answer.field("retry-after"), Some("1"));
        assert_eq!(answer.field("content-type"), Some("application/problem+json"));
    }
}
