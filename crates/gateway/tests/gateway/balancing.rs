//! Which endpoint gets a request, by each way to balance.

use std::net::SocketAddr;

use crate::support::{ClosedPort, Origin, Recorder, Setup, TestGateway, ok};

const GET: &str = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";

async fn recorders(count: usize) -> Vec<Recorder> {
    let mut origins = Vec::new();
    for _ in 0..count {
        origins.push(Recorder::start().await);
    }
    origins
}

fn addresses(origins: &[Recorder]) -> Vec<SocketAddr> {
    origins.iter().map(Recorder::address).collect()
}

fn counts(origins: &[Recorder]) -> Vec<usize> {
    origins.iter().map(Recorder::request_count).collect()
}

/// Sends a request with these fields, and tells which of the origins got it.
async fn receiver(gateway: &TestGateway, origins: &[Recorder], fields: &str) -> usize {
    let before = counts(origins);
    let answer = gateway.exchange(format!("GET / HTTP/1.1\r\nHost: a\r\n{fields}\r\n")).await;
    assert_eq!(answer.status(), 200);
    counts(origins).iter().zip(before).position(|(after, before)| *after == before + 1).unwrap()
}

#[tokio::test]
async fn every_way_gives_each_endpoint_its_share() {
    for balance in ["round_robin", "least_connections", "least_response_time", "power_of_two", "random"] {
        let origins = recorders(2).await;
        let weights: Vec<_> = addresses(&origins).into_iter().zip([3, 1]).collect();
        let gateway = Setup::fronting_weighted(&weights).service(&format!("balance = \"{balance}\"")).start();
        let mut client = gateway.connect().await;
        for _ in 0..200 {
            assert_eq!(client.exchange(GET).await.status(), 200);
        }
        let [heavy, light] = counts(&origins)[..] else { panic!("two origins") };
        match balance {
            "round_robin" | "least_connections" => assert_eq!([heavy, light], [150, 50], "{balance}"),
            // One slow answer on a busy machine is enough to shift the shares; nobody gets nothing.
            "least_response_time" => assert!(heavy > 0 && light > 0, "{balance}: {heavy} and {light}"),
            // A quarter, give or take five standard deviations.
            _ => assert!((20..=80).contains(&light), "{balance}: {heavy} and {light}"),
        }
    }
}

#[tokio::test]
async fn least_connections_passes_by_the_busy_endpoint() {
    let (busy, idle) = (Origin::listen().await, Recorder::start().await);
    let gateway =
        Setup::fronting(&[busy.address(), idle.address()]).service("balance = \"least_connections\"").start();
    let mut waiting = gateway.connect().await;
    waiting.send(GET).await;
    let (mut at_work, _) = busy.accept_request().await;
    for _ in 0..5 {
        assert_eq!(gateway.exchange(GET).await.status(), 200);
    }
    assert_eq!(idle.request_count(), 5);
    at_work.send(ok("done")).await;
    assert_eq!(waiting.response().await.text(), "done");
}

#[tokio::test]
async fn the_same_client_meets_the_same_endpoint() {
    let origins = recorders(3).await;
    let gateway = Setup::fronting(&addresses(&origins)).service("balance = \"ip_hash\"").workers(2).start();
    for _ in 0..12 {
        assert_eq!(gateway.exchange(GET).await.status(), 200);
    }
    let mut counts = counts(&origins);
    counts.sort_unstable();
    assert_eq!(counts, [0, 0, 12]);
}

#[tokio::test]
async fn the_same_key_meets_the_same_endpoint_behind_every_gateway() {
    let origins = recorders(3).await;
    for (key, field) in [("header:X-Tenant", "x-tenant: "), ("cookie:tenant", "Cookie: a=b; tenant=")] {
        let start = || {
            let keys = format!("balance = \"consistent_hash\"\nhash_key = \"{key}\"");
            Setup::fronting(&addresses(&origins)).service(&keys).start()
        };
        let (one, other) = (start(), start());
        let mut met = [0; 3];
        for tenant in 0..40 {
            let field = format!("{field}{tenant}\r\n");
            let origin = receiver(&one, &origins, &field).await;
            assert_eq!(receiver(&other, &origins, &field).await, origin, "{field}");
            met[origin] += 1;
        }
        assert!(met.iter().all(|keys| *keys > 0), "{key}: {met:?}");
    }
}

#[tokio::test]
async fn a_key_whose_endpoint_refuses_goes_to_another() {
    let (closed, origin) = (ClosedPort::reserve(), Recorder::start().await);
    let keys = "balance = \"consistent_hash\"\nhash_key = \"path\"\npassive_health = { max_fails = 0 }";
    let gateway = Setup::fronting(&[closed.address(), origin.address()]).service(keys).start();
    for path in 0..10 {
        let request = format!("GET /{path} HTTP/1.1\r\nHost: a\r\n\r\n");
        assert_eq!(gateway.exchange(request).await.status(), 200);
    }
    assert_eq!(origin.request_count(), 10);
}
