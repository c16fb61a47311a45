//! An endpoint that begins to serve among others gets its share little by little (B14).

use super::request;
use crate::support::{Recorder, Setup};

#[tokio::test]
async fn an_endpoint_that_joins_others_gets_little_at_first() {
    let (old, new) = (Recorder::start().await, Recorder::start().await);
    let gateway = Setup::of_replicas().service("slow_start = \"10m\"").start();
    let mut client = gateway.connect().await;
    gateway.admit(old.address()).await;
    // Whoever comes first is needed whole.
    for _ in 0..22 {
        assert_eq!(client.exchange(request("GET", "")).await.status(), 200);
    }
    gateway.admit(new.address()).await;
    for _ in 0..220 {
        assert_eq!(client.exchange(request("GET", "")).await.status(), 200);
    }
    // A tenth of the other's share, give or take what rounding costs.
    assert!((10..=30).contains(&new.request_count()), "{}", new.request_count());
}
