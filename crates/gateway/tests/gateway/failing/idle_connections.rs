//! An origin that closes an idle connection, which is its right, just when a request comes (B13).

use super::request;
use crate::support::{Origin, Peer, Setup, TestGateway, ok};

/// A gateway with an idle connection to its one origin.
async fn with_idle_connection() -> (TestGateway, Origin, Peer, Peer) {
    let origin = Origin::listen().await;
    let gateway = Setup::fronting(&[origin.address()]).start();
    let mut client = gateway.connect().await;
    client.send(request("GET", "")).await;
    let (mut idle, _) = origin.accept_request().await;
    idle.send(ok("first")).await;
    assert_eq!(client.response().await.text(), "first");
    (gateway, origin, client, idle)
}

#[tokio::test]
async fn a_connection_that_was_closed_while_idle_is_not_used() {
    for method in ["GET", "POST"] {
        let (gateway, origin, mut client, idle) = with_idle_connection().await;
        drop(idle);
        client.send(request(method, "hello")).await;
        let (mut fresh, request) = origin.accept_request().await;
        assert_eq!(request.text(), "hello");
        fresh.send(ok("second")).await;
        assert_eq!(client.response().await.text(), "second");
        let totals = gateway.totals(origin.address());
        assert_eq!((totals.requests, totals.failures), (2, 0));
    }
}

#[tokio::test]
async fn a_repeatable_request_survives_the_end_of_an_idle_connection() {
    let breaks: [fn(Peer); 2] = [|idle| drop(idle), Peer::reset];
    for break_off in breaks {
        for method in ["GET", "PUT", "DELETE"] {
            let (gateway, origin, mut client, mut idle) = with_idle_connection().await;
            client.send(request(method, "hello")).await;
            idle.request().await;
            break_off(idle);
            let (mut fresh, again) = origin.accept_request().await;
            assert_eq!(again.text(), "hello", "{method}");
            fresh.send(ok("second")).await;
            assert_eq!(client.response().await.text(), "second", "{method}");
            // To close an idle connection speaks against nobody.
            assert_eq!(gateway.totals(origin.address()).failures, 0);
        }
    }
}

#[tokio::test]
async fn a_post_that_met_the_end_of_an_idle_connection_is_a_502_and_seen_once() {
    for bytes_later in [0, 5] {
        let (gateway, origin, mut client, mut idle) = with_idle_connection().await;
        let whole = request("POST", "hello");
        let (head, body) = whole.split_at(whole.len() - bytes_later);
        client.send(head).await;
        gateway.settled().await;
        client.send(body).await;
        idle.request().await;
        drop(idle);
        let answer = client.response().await;
        assert_eq!(answer.status(), 502);
        // Whoever came after it is the first on a new connection.
        let mut next = gateway.connect().await;
        next.send(request("GET", "")).await;
        let (_fresh, seen) = origin.accept_request().await;
        assert_eq!(seen.start_line(), "GET / HTTP/1.1");
    }
}
