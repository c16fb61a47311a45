//! Clients that leave before their answer has ended: the endpoint hears of it within a second (U06). And clients that only end
//! their sending: they are answered.

use super::{Clock, GET};
use crate::support::{
    ClosedPort, Ending, Origin, Peer, Recorder, Setup, TestGateway, eventually, large_body, ok,
};

/// How a client leaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Leaving {
    Reset,
    Close,
}

use Leaving::{Close, Reset};

impl Leaving {
    fn leave(self, client: Peer) {
        match self {
            Reset => client.reset(),
            Close => drop(client),
        }
    }

    /// In how many milliseconds the endpoint must hear of it. A client that has closed could still be reading.
    fn heard_within(self) -> u32 {
        match self {
            Reset => 250,
            // The clock passes up to two ticks late.
            Close => 800,
        }
    }
}

const HEAD: &str = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
const CHUNK: &str = "5\r\nhello\r\n";
const END: &str = "0\r\n\r\n";

impl TestGateway {
    /// Returns when the request of a client that has left is over, and counted as one.
    async fn counts_as_gone(&self, origin: &Origin) {
        let gone = "http_requests_total{service=\"api\",route=\"/\",method=\"GET\",status=\"499\"} 1";
        eventually("a request counted as given up", || self.exposition().contains(gone)).await;
        let totals = self.totals(origin.address());
        assert_eq!((totals.in_flight, totals.failures, totals.retries), (0, 0, 0));
    }
}

#[tokio::test]
async fn an_endpoint_that_has_not_answered_yet_hears_of_a_client_that_leaves() {
    for leaving in [Reset, Close] {
        let (origin, other) = (Origin::listen().await, Recorder::start().await);
        let clock = Clock::of(leaving.heard_within()).await;
        let gateway = clock.with(Setup::fronting(&[origin.address(), other.address()])).start();
        let mut client = gateway.connect().await;
        client.send(GET).await;
        let (mut upstream, _) = origin.accept_request().await;
        let running = clock.start(&gateway).await;
        leaving.leave(client);
        running.before("the end of the request", upstream.ending()).await;
        gateway.counts_as_gone(&origin).await;
        assert_eq!(other.request_count(), 0, "nobody waits for another answer");
    }
}

#[tokio::test]
async fn an_endpoint_that_falls_silent_in_a_response_hears_of_a_client_that_leaves() {
    for (leaving, head, part) in [
        (Reset, HEAD, CHUNK),
        (Close, HEAD, CHUNK),
        (Close, "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n", "hello"),
        // Told in chunks, since it ends with the connection.
        (Close, "HTTP/1.1 200 OK\r\n\r\n", ""),
        (Close, "HTTP/1.1 103 Early Hints\r\n\r\n", ""),
    ] {
        let (origin, clock) = (Origin::listen().await, Clock::of(leaving.heard_within()).await);
        let gateway = clock.with(Setup::fronting(&[origin.address()])).start();
        let mut client = gateway.connect().await;
        client.send(GET).await;
        let (mut upstream, _) = origin.accept_request().await;
        upstream.send([head, part].concat()).await;
        // All of it: to leave with something unread would be a reset.
        client.head().await;
        client.bytes(part.len()).await;
        let running = clock.start(&gateway).await;
        leaving.leave(client);
        running.before("the end of the request", upstream.ending()).await;
        gateway.counts_as_gone(&origin).await;
    }
}

#[tokio::test]
async fn an_endpoint_that_streams_hears_of_a_client_that_leaves() {
    for leaving in [Reset, Close] {
        let (origin, clock) = (Origin::listen().await, Clock::of(800).await);
        let gateway = clock.with(Setup::fronting(&[origin.address()])).start();
        let mut client = gateway.connect().await;
        client.send(GET).await;
        let (mut upstream, _) = origin.accept_request().await;
        upstream.send([HEAD, CHUNK].concat()).await;
        client.head().await;
        client.bytes(CHUNK.len()).await;
        let running = clock.start(&gateway).await;
        leaving.leave(client);
        // What a client that has gone is sent comes back as a reset, so the stream cannot keep itself alive.
        let streaming = async { while upstream.try_send(CHUNK).await.is_ok() {} };
        running.before("the end of the stream", streaming).await;
        gateway.counts_as_gone(&origin).await;
    }
}

#[tokio::test]
async fn a_connection_that_nobody_waits_for_is_not_waited_for() {
    let busy = ClosedPort::reserve().open(0);
    let _in_the_way = Peer::connect(busy.address()).await;
    let clock = Clock::of(800).await;
    let gateway =
        clock.with(Setup::fronting(&[busy.address()]).route("timeouts = { connect = \"20s\" }")).start();
    let mut client = gateway.connect().await;
    client.send(GET).await;
    eventually("the request", || gateway.totals(busy.address()).in_flight == 1).await;
    let running = clock.start(&gateway).await;
    drop(client);
    running.before("the end of the request", gateway.counts_as_gone(&busy)).await;
}

#[tokio::test]
async fn an_endpoint_that_takes_nothing_hears_of_a_client_that_leaves() {
    let (origin, clock) = (Origin::listen().await, Clock::of(Reset.heard_within()).await);
    let gateway = clock.with(Setup::fronting(&[origin.address()])).start();
    let mut client = gateway.connect().await;
    let body = large_body();
    client.send(format!("PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: {}\r\n\r\n", body.len())).await;
    let mut upstream = origin.accept().await;
    upstream.head().await;
    tokio::select! {
        biased;
        _ = client.try_send(&body) => panic!("nobody takes it"),
        () = clock.pass(&gateway) => {}
    }
    let running = clock.start(&gateway).await;
    client.reset();
    let ended = eventually("the end", || gateway.totals(origin.address()).in_flight == 0);
    running.before("the end of the request", ended).await;
    upstream.ending_after_all().await;
}

#[tokio::test]
async fn a_client_that_ends_within_a_request_is_gone() {
    let origin = Recorder::start().await;
    let gateway = Setup::fronting(&[origin.address()]).start();
    for sent in [
        "GET / HTTP/1.1\r\nHost:",
        "PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhell",
        "PUT / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n",
    ] {
        let mut client = gateway.connect().await;
        client.send(sent).await;
        gateway.settled().await;
        client.send_end().await;
        assert_eq!(client.ending().await, Ending::Closed, "{sent:?}");
    }
    eventually("the end of both requests", || origin.fragments() == 2).await;
    assert_eq!((origin.request_count(), gateway.totals(origin.address()).failures), (0, 0));
}

#[tokio::test]
async fn a_client_that_has_only_ended_its_sending_is_answered() {
    let (origin, clock) = (Origin::listen().await, Clock::of(100).await);
    let gateway = clock.with(Setup::fronting(&[origin.address()])).start();
    for request in [
        GET,
        "PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello",
        "PUT / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
    ] {
        let mut client = gateway.connect().await;
        client.send(request).await;
        client.send_end().await;
        let (mut upstream, _) = origin.accept_request().await;
        clock.pass(&gateway).await;
        upstream.send("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 6\r\n\r\nthanks").await;
        assert_eq!(client.response().await.text(), "thanks");
        assert_eq!(client.ending().await, Ending::Closed);
    }
}

#[tokio::test]
async fn a_stream_goes_on_as_long_as_a_client_that_has_ended_its_sending_is_sent_something() {
    let (origin, clock) = (Origin::listen().await, Clock::of(100).await);
    let gateway = clock.with(Setup::fronting(&[origin.address()])).start();
    let mut client = gateway.connect().await;
    client.send(GET).await;
    client.send_end().await;
    let (mut upstream, _) = origin.accept_request().await;
    upstream.send(HEAD).await;
    client.head().await;
    // Several times as long as such a client is believed to read without being sent anything.
    for _ in 0..10 {
        clock.pass(&gateway).await;
        upstream.send(CHUNK).await;
        client.bytes(CHUNK.len()).await;
    }
    upstream.send(END).await;
    client.bytes(END.len()).await;
    assert_eq!(client.ending().await, Ending::Closed);
}

#[tokio::test]
async fn a_client_that_ends_its_sending_behind_several_requests_gets_all_answers() {
    const REQUESTS: usize = 6;
    let (origin, clock) = (Origin::listen().await, Clock::of(100).await);
    let gateway = clock.with(Setup::fronting(&[origin.address()])).start();
    let mut client = gateway.connect().await;
    client.send(GET.repeat(REQUESTS)).await;
    client.send_end().await;
    let mut upstream = origin.accept().await;
    for _ in 0..REQUESTS {
        upstream.request().await;
        clock.pass(&gateway).await;
        upstream.send(ok("hello")).await;
        assert_eq!(client.response().await.text(), "hello");
    }
    assert_eq!(client.ending().await, Ending::Closed);
}

#[tokio::test]
async fn a_client_that_sends_ahead_and_waits_is_there() {
    let (origin, clock) = (Origin::listen().await, Clock::of(1500).await);
    let gateway = clock.with(Setup::fronting(&[origin.address()])).start();
    let mut client = gateway.connect().await;
    client.send(GET).await;
    let (mut upstream, _) = origin.accept_request().await;
    client.send(GET).await;
    clock.pass(&gateway).await;
    upstream.send(ok("hello")).await;
    assert_eq!(client.response().await.text(), "hello");
    upstream.request().await;
    upstream.send(ok("hello")).await;
    assert_eq!(client.response().await.text(), "hello");
}
