//! Clients that read slowly, or not at all: what the gateway takes for them from an endpoint is bounded (S03). That one which
//! takes nothing for a minute is cut is tested where it is written to (`worker/write.rs`).

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use tokio::task::JoinSet;

use super::{Clock, GET};
use crate::support::{LARGE_BYTES, Origin, Peer, Setup, within};

const PART_BYTES: usize = 64 * 1024;
const PARTS: usize = 1600;

/// The part of the response with this index; no two are alike.
fn part(index: usize) -> Vec<u8> {
    let mut part = vec![0; PART_BYTES];
    fastrand::Rng::with_seed(index as u64).fill(&mut part);
    part
}

/// Sends a response of many megabytes, and counts what has been taken of it.
async fn send_all(mut upstream: Peer, bytes_taken: Arc<AtomicUsize>) {
    upstream.send(format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", PARTS * PART_BYTES)).await;
    for index in 0..PARTS {
        upstream.send(part(index)).await;
        bytes_taken.fetch_add(PART_BYTES, Ordering::Relaxed);
    }
}

#[tokio::test]
async fn a_client_that_reads_nothing_stops_the_endpoint_and_loses_nothing() {
    let (origin, clock) = (Origin::listen().await, Clock::of(500).await);
    let gateway = clock.with(Setup::fronting(&[origin.address()])).start();
    let mut client = gateway.connect().await;
    client.send(GET).await;
    let (upstream, _) = origin.accept_request().await;
    let bytes_taken = Arc::new(AtomicUsize::new(0));
    let mut sending = JoinSet::new();
    sending.spawn(send_all(upstream, bytes_taken.clone()));
    assert_eq!(client.head().await.status(), 200);

    // The sockets take much at once, and then nothing.
    let mut before = 0;
    loop {
        clock.pass(&gateway).await;
        let taken = bytes_taken.load(Ordering::Relaxed);
        assert!(taken < LARGE_BYTES, "{taken} bytes were taken for a client that reads nothing");
        if taken > 0 && taken == before {
            break;
        }
        before = taken;
    }
    assert_eq!(gateway.totals(origin.address()).in_flight, 1);

    for index in 0..PARTS {
        assert!(client.bytes(PART_BYTES).await == part(index), "part {index} is another");
    }
    within("the end of the response", sending.join_next()).await.unwrap().unwrap();
}
