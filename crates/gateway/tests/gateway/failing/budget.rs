//! Retries do not make an overload worse (S13).

use super::request;
use crate::support::{Recorder, Reply, Setup};

#[tokio::test]
async fn retries_stay_within_the_budget() {
    const REQUESTS: usize = 1000;
    let dying = [Recorder::answering(|_| Reply::Reset).await, Recorder::answering(|_| Reply::Reset).await];
    let setup = Setup::fronting(&dying.each_ref().map(Recorder::address));
    let gateway =
        setup.service("passive_health = { max_fails = 0 }").route("retry = { budget = 0.1 }").start();
    let mut client = gateway.connect().await;
    for _ in 0..REQUESTS {
        assert_eq!(client.exchange(request("GET", "")).await.status(), 502);
    }
    let sent: usize = dying.iter().map(Recorder::request_count).sum();
    // A tenth, and ten seconds of the ten that are free each second.
    assert!(sent <= REQUESTS + REQUESTS / 10 + 100 + 10, "{sent}");
    assert!(sent >= REQUESTS + REQUESTS / 10, "{sent}");
    assert!(gateway.shed("retry_budget") > 0);
}
