//! Active checks take an endpoint out, and bring it back.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use phalanx_balance::health::Standing;

use super::request;
use crate::support::{ClosedPort, Recorder, Reply, Setup, TestGateway, eventually, ok};

const CHECKS: &str = "active_health = { path = \"/ready\", interval = \"500ms\", timeout = \"500ms\", healthy = 2, unhealthy = 2 }";

/// An endpoint that says whether it is ready, and how to tell it.
struct Endpoint {
    origin: Recorder,
    is_ready: Arc<AtomicBool>,
}

impl Endpoint {
    async fn start() -> Self {
        let is_ready = Arc::new(AtomicBool::new(true));
        let told = is_ready.clone();
        let origin = Recorder::answering(move |request| {
            if request.start_line() != "GET /ready HTTP/1.1" {
                return Reply::Send(ok("hello"));
            }
            let status = if told.load(Ordering::Relaxed) { "200 OK" } else { "500 Internal Server Error" };
            Reply::SendAndClose(format!("HTTP/1.1 {status}\r\nContent-Length: 0\r\n\r\n").into())
        });
        Self { origin: origin.await, is_ready }
    }

    /// The requests of clients.
    fn requests(&self) -> usize {
        self.origin.start_lines().iter().filter(|line| *line == "GET / HTTP/1.1").count()
    }

    /// Answers its checks so that it comes to stand so, and returns when it does.
    async fn becomes(&self, standing: Standing, gateway: &TestGateway) {
        self.is_ready.store(standing == Standing::Serving, Ordering::Relaxed);
        eventually("its standing", || gateway.standing(self.origin.address()) == standing).await;
        gateway.settled().await;
    }
}

#[tokio::test]
async fn checks_take_an_endpoint_out_and_bring_it_back() {
    let (one, other) = (Endpoint::start().await, Endpoint::start().await);
    let gateway = Setup::fronting(&[one.origin.address(), other.origin.address()]).service(CHECKS).start();
    one.becomes(Standing::Failing, &gateway).await;
    let before = one.requests();
    for _ in 0..4 {
        assert_eq!(gateway.exchange(request("GET", "")).await.status(), 200);
    }
    assert_eq!(one.requests(), before);
    one.becomes(Standing::Serving, &gateway).await;
    for _ in 0..4 {
        assert_eq!(gateway.exchange(request("GET", "")).await.status(), 200);
    }
    assert_eq!(one.requests(), before + 2);
}

#[tokio::test]
async fn without_a_healthy_endpoint_requests_are_refused_until_one_returns() {
    let endpoint = Endpoint::start().await;
    let setup = Setup::fronting(&[endpoint.origin.address()]).service(CHECKS);
    let gateway = setup.service("panic_threshold = 1").start();
    endpoint.becomes(Standing::Failing, &gateway).await;
    let mut client = gateway.connect().await;
    let answer = client.exchange(request("GET", "")).await;
    assert_eq!((answer.status(), answer.field("retry-after")), (503, Some("1")));
    endpoint.becomes(Standing::Serving, &gateway).await;
    assert_eq!(client.exchange(request("GET", "")).await.status(), 200);
}

#[tokio::test]
async fn an_endpoint_that_does_not_answer_its_checks_is_taken_out() {
    let silent = Recorder::answering(|_| Reply::Silence).await;
    let refusing = ClosedPort::reserve();
    let setup = Setup::fronting(&[silent.address(), refusing.address()]).service(CHECKS);
    let gateway = setup.service("panic_threshold = 1").start();
    let ejections =
        || [silent.address(), refusing.address()].map(|address| gateway.totals(address).ejections);
    eventually("both ejections", || ejections() == [1, 1]).await;
    gateway.settled().await;
    assert_eq!(gateway.exchange(request("GET", "")).await.status(), 503);
}

/// B06
#[tokio::test]
async fn checks_that_fail_at_most_endpoints_at_once_are_disbelieved() {
    let endpoints = [Endpoint::start().await, Endpoint::start().await, Endpoint::start().await];
    let addresses: Vec<_> = endpoints.iter().map(|endpoint| endpoint.origin.address()).collect();
    let gateway = Setup::fronting(&addresses).service(CHECKS).start();
    let panics = |gateway: &TestGateway| gateway.sample("phalanx_upstream_panic{service=\"api\"}") == 1;
    endpoints[0].becomes(Standing::Failing, &gateway).await;
    assert!(!panics(&gateway));
    for endpoint in &endpoints[1..] {
        endpoint.becomes(Standing::Failing, &gateway).await;
        assert!(panics(&gateway));
        let before = endpoints.each_ref().map(Endpoint::requests);
        for _ in 0..6 {
            assert_eq!(gateway.exchange(request("GET", "")).await.status(), 200);
        }
        let after = endpoints.each_ref().map(Endpoint::requests);
        for (before, after) in before.into_iter().zip(after) {
            assert_eq!(after, before + 2);
        }
    }
    endpoints[1].becomes(Standing::Serving, &gateway).await;
    endpoints[2].becomes(Standing::Serving, &gateway).await;
    assert!(!panics(&gateway));
    let before = endpoints[0].requests();
    for _ in 0..6 {
        assert_eq!(gateway.exchange(request("GET", "")).await.status(), 200);
    }
    assert_eq!(endpoints[0].requests(), before);
}

#[tokio::test]
async fn backups_get_requests_only_while_no_primary_serves() {
    let (primary, backup) = (Endpoint::start().await, Endpoint::start().await);
    let endpoint =
        |endpoint: &Endpoint, more: &str| format!("{{ address = \"{}\"{more} }}", endpoint.origin.address());
    let endpoints =
        format!("endpoints = [{}, {}]", endpoint(&primary, ""), endpoint(&backup, ", backup = true"));
    let gateway = Setup::with_service(endpoints).service(CHECKS).service("panic_threshold = 1").start();
    for _ in 0..4 {
        assert_eq!(gateway.exchange(request("GET", "")).await.status(), 200);
    }
    assert_eq!((primary.requests(), backup.requests()), (4, 0));
    primary.becomes(Standing::Failing, &gateway).await;
    for _ in 0..4 {
        assert_eq!(gateway.exchange(request("GET", "")).await.status(), 200);
    }
    assert_eq!((primary.requests(), backup.requests()), (4, 4));
    primary.becomes(Standing::Serving, &gateway).await;
    for _ in 0..4 {
        assert_eq!(gateway.exchange(request("GET", "")).await.status(), 200);
    }
    assert_eq!((primary.requests(), backup.requests()), (8, 4));
}

#[tokio::test]
async fn a_check_without_a_path_wants_a_connection() {
    let port = ClosedPort::reserve();
    let address = port.address();
    let other = Recorder::start().await;
    let checks = "active_health = { interval = \"200ms\", timeout = \"200ms\", unhealthy = 2 }";
    let gateway = Setup::fronting(&[address, other.address()]).service(checks).start();
    eventually("its failing", || gateway.standing(address) == Standing::Failing).await;
    let _origin = port.open(16);
    eventually("its return", || gateway.standing(address) == Standing::Serving).await;
    // A check says nothing on its connection.
    assert_eq!(other.request_count(), 0);
}
