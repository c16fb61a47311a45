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

#[tokio::test]
async fn a_replica_that_was_started_again_gets_little_again() {
    let replicas = [Recorder::start().await, Recorder::start().await, Recorder::start().await];
    let gateway = Setup::of_replicas().service("slow_start = \"10m\"").start();
    let mut client = gateway.connect().await;
    for replica in &replicas {
        gateway.admit(replica.address()).await;
        // The one before it serves by then.
        assert_eq!(client.exchange(request("GET", "")).await.status(), 200);
    }
    for restarts in [false, true] {
        if restarts {
            gateway.withdraw(replicas[0].address()).await;
            gateway.drained(replicas[0].address()).await;
            gateway.admit(replicas[0].address()).await;
        }
        replicas.iter().for_each(|replica| drop(replica.take_requests()));
        for _ in 0..120 {
            assert_eq!(client.exchange(request("GET", "")).await.status(), 200);
        }
        // Ten times as much as each of the others as long as it is warm, and as much as they once it is cold like them.
        let share = replicas[0].request_count();
        assert!(if restarts { (30..=50).contains(&share) } else { share >= 90 }, "{restarts} {share}");
    }
}
