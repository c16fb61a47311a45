//! `circuit_breaker`: a service that fails gets nothing for a while, then a few requests, then all.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use super::{GET, is_turned_away};
use crate::support::{Recorder, Reply, Setup, TestGateway, eventually, ok};

const BREAKER: &str = "circuit_breaker = { error_rate = 0.5, volume = 10, window = \"10m\", open = \"1s\" }";

/// A service of one endpoint that fails as long as it is told to.
async fn failing() -> (Recorder, Arc<AtomicBool>) {
    let fails = Arc::new(AtomicBool::new(true));
    let told = fails.clone();
    let origin = Recorder::answering(move |_| match told.load(Ordering::Relaxed) {
        true => Reply::Send(b"HTTP/1.1 500 Internal Server Error\r\nContent-Length: 0\r\n\r\n".to_vec()),
        false => Reply::Send(ok("hello")),
    });
    (origin.await, fails)
}

fn is_open(gateway: &TestGateway) -> bool {
    gateway.sample("phalanx_upstream_breaker_open{service=\"api\"}") == 1
}

#[tokio::test]
async fn a_service_that_fails_gets_nothing_until_it_has_been_tried() {
    let (origin, fails) = failing().await;
    let gateway = Setup::fronting(&[origin.address()]).service(BREAKER).start();
    let mut client = gateway.connect().await;
    for _ in 0..10 {
        assert_eq!(client.exchange(GET).await.status(), 500);
    }
    eventually("the breaker's opening", || is_open(&gateway)).await;
    let before = origin.request_count();
    let answer = client.exchange(GET).await;
    assert!(is_turned_away(&answer, "1"), "{answer:?}");
    assert_eq!(origin.request_count(), before);

    fails.store(false, Ordering::Relaxed);
    let mut refused = 0;
    // Each round is one request, so the trials are few and the refusals many.
    while is_open(&gateway) {
        match client.exchange(GET).await.status() {
            200 => {}
            503 => refused += 1,
            status => panic!("{status}"),
        }
        tokio::task::yield_now().await;
    }
    assert!(refused > 0);
    // Three trials, and one request that may have come just after the breaker was closed.
    assert!(origin.request_count() - before <= 4, "{} trials", origin.request_count() - before);
    assert_eq!(client.exchange(GET).await.status(), 200);
    assert!(gateway.shed("breaker_open") > 0);
}

#[tokio::test]
async fn a_few_failures_open_nothing() {
    let (origin, fails) = failing().await;
    let gateway = Setup::fronting(&[origin.address()]).service(BREAKER).start();
    let mut client = gateway.connect().await;
    // Fewer than half of the volume, whenever somebody looks.
    for _ in 0..4 {
        assert_eq!(client.exchange(GET).await.status(), 500);
    }
    fails.store(false, Ordering::Relaxed);
    for _ in 0..40 {
        assert_eq!(client.exchange(GET).await.status(), 200);
    }
    assert!(!is_open(&gateway));
}
