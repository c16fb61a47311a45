//! Bodies that are too large, or that come too slowly (S02, S07).

use std::time::Duration;

use super::Clock;
use crate::support::{
    Ending, LARGE_BYTES, Message, Origin, Peer, Recorder, Setup, TestGateway, large_body, ok,
};

const LIMIT: &str = "max_body = \"10B\"";
const CHUNKED: &str = "Transfer-Encoding: chunked\r\n";

fn put(path: &str, fields: &str, body: &str) -> String {
    format!("PUT {path} HTTP/1.1\r\nHost: a\r\n{fields}\r\n{body}")
}

fn length(bytes: usize) -> String {
    format!("Content-Length: {bytes}\r\n")
}

/// Checks that this is the last thing that a client is told.
async fn is_refused(client: &mut Peer, status: u16) {
    let answer = client.response().await;
    assert_eq!((answer.status(), answer.closes()), (status, true), "{answer:?}");
    assert_eq!(answer.field("content-type"), Some("application/problem+json"), "{answer:?}");
    assert_eq!(client.ending().await, Ending::Closed);
}

#[tokio::test]
async fn a_length_above_the_limit_is_refused_before_anybody_hears_of_it() {
    let origin = Recorder::start().await;
    let gateway = Setup::fronting(&[origin.address()]).route(LIMIT).start();
    for sent in [
        put("/", &length(11), "hello world"),
        put("/", &length(11), "hello"),
        put("/", &length(11), ""),
        put("/", "Content-Length: 18446744073709551615\r\n", ""),
        // The first that it hears of is no 100.
        put("/", "Content-Length: 11\r\nExpect: 100-continue\r\n", ""),
    ] {
        let mut client = gateway.connect().await;
        client.send(sent).await;
        is_refused(&mut client, 413).await;
    }
    assert_eq!(origin.connections(), 0);
    assert_eq!(gateway.exchange(put("/", &length(10), "0123456789")).await.status(), 200);
    assert_eq!(origin.requests()[0].text(), "0123456789");
}

#[tokio::test]
async fn the_default_limit_is_a_gibibyte() {
    let origin = Recorder::start().await;
    let gateway = Setup::fronting(&[origin.address()]).start();
    let mut client = gateway.connect().await;
    client.send(put("/", "Content-Length: 1073741825\r\n", "")).await;
    is_refused(&mut client, 413).await;
    assert_eq!(origin.connections(), 0);
}

#[tokio::test]
async fn chunks_that_exceed_the_limit_are_refused_and_never_look_whole() {
    let origin = Recorder::start().await;
    let gateway = Setup::fronting(&[origin.address()]).route(LIMIT).start();
    for (index, parts) in [
        &["b\r\nhello world\r\n0\r\n\r\n"][..],
        &["5\r\nhello\r\n6\r\n world\r\n0\r\n\r\n"],
        &["5\r\nhello\r\n", "6\r\n world\r\n0\r\n\r\n"],
        &["a\r\n0123456789\r\n", "1\r\n", "x"],
        &["1\r\n0\r\n", "ffffffffffffffff\r\n", "123456789a"],
    ]
    .into_iter()
    .enumerate()
    {
        let mut client = gateway.connect().await;
        client.send(put("/", CHUNKED, "")).await;
        for part in parts {
            gateway.settled().await;
            client.send(part).await;
        }
        is_refused(&mut client, 413).await;
        crate::support::eventually("the end of what was sent of it", || {
            origin.connections_open() == 0 && origin.fragments() == index + 1
        })
        .await;
    }
    assert_eq!((origin.requests().len(), gateway.totals(origin.address()).failures), (0, 0));
    let at_the_limit = put("/", CHUNKED, "9\r\n012345678\r\n1;a=b\r\n9\r\n0\r\nX-Checksum: 1\r\n\r\n");
    assert_eq!(gateway.exchange(at_the_limit).await.status(), 200);
    assert_eq!(origin.requests()[0].text(), "0123456789");
}

#[tokio::test]
async fn a_client_that_goes_on_sending_hears_that_it_is_too_much() {
    let origin = Recorder::start().await;
    let gateway = Setup::fronting(&[origin.address()]).route(LIMIT).start();
    for fields in [CHUNKED.to_owned(), length(100_000)] {
        let mut client = gateway.connect().await;
        let chunk = format!("186a0\r\n{}\r\n", "x".repeat(100_000));
        client.send(put("/", &fields, &chunk)).await;
        // More than a head, and less than what is read for politeness' sake.
        client.send(&chunk).await;
        is_refused(&mut client, 413).await;
    }
    assert_eq!(origin.requests().len(), 0);
}

#[tokio::test]
async fn a_response_that_has_begun_before_the_body_exceeds_the_limit_is_broken_off() {
    let origin = Origin::listen().await;
    let gateway = Setup::fronting(&[origin.address()]).route(LIMIT).start();
    let mut client = gateway.connect().await;
    client.send(put("/", CHUNKED, "5\r\nhello\r\n")).await;
    let mut upstream = origin.accept().await;
    upstream.head().await;
    upstream.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n").await;
    assert_eq!(client.head().await.status(), 200);
    client.send("6\r\n world\r\n").await;
    assert_eq!(client.ending_after_all().await, Ending::Reset);
    assert_eq!(upstream.bytes("5\r\nhello\r\n".len()).await, b"5\r\nhello\r\n");
    upstream.ending().await;
}

/// Sends `piece` ten times a second, for as long as it is taken.
async fn drip(client: &mut Peer, piece: &[u8]) -> Message {
    let mut drops = tokio::time::interval(Duration::from_millis(100));
    loop {
        tokio::select! {
            biased;
            more = client.more() => {
                more.expect("an answer before the end");
                return client.response().await;
            }
            _ = drops.tick() => drop(client.try_send(piece).await),
        }
    }
}

/// A client that has sent `head`, and the endpoint that has got it.
async fn uploading(gateway: &TestGateway, origin: &Origin, head: String) -> (Peer, Peer) {
    let mut client = gateway.connect().await;
    client.send(head).await;
    let mut upstream = origin.accept().await;
    upstream.head().await;
    (client, upstream)
}

#[tokio::test]
async fn a_body_that_comes_too_slowly_is_a_408() {
    let origin = Origin::listen().await;
    let setup = Setup::fronting(&[origin.address()]).tables(
        "[[route]]\npath = \"/unhurried\"\nservice = \"api\"\nmin_body_rate = \"0B/s\"\n\
         [[route]]\npath = \"/hurried\"\nservice = \"api\"\nmin_body_rate = \"100B/s\"",
    );
    // Longer than any of the slow ones is let be.
    let clock = Clock::of(12_000).await;
    let gateway = clock.with(setup).start();
    let (mut silent, mut to_silent) = uploading(&gateway, &origin, put("/", &length(1000), "hello")).await;
    let (mut slow, mut to_slow) = uploading(&gateway, &origin, put("/", &length(1000), "")).await;
    let (mut slow_chunks, mut to_slow_chunks) =
        uploading(&gateway, &origin, put("/", CHUNKED, "64\r\n")).await;
    let (mut hurried, mut to_hurried) =
        uploading(&gateway, &origin, put("/hurried", &length(10_000), "")).await;
    let (mut fast, mut to_fast) = uploading(&gateway, &origin, put("/", &length(10_000), "")).await;
    let (mut unhurried, mut to_unhurried) =
        uploading(&gateway, &origin, put("/unhurried", &length(5), "")).await;
    let expecting = "Content-Length: 5\r\nExpect: 100-continue\r\n";
    let (mut asking, mut to_asking) = uploading(&gateway, &origin, put("/", expecting, "")).await;
    let (mut taken_late, mut to_taken_late) =
        uploading(&gateway, &origin, put("/", &length(LARGE_BYTES), "")).await;
    let body = large_body();

    let passing = clock.start(&gateway).await;
    let slow_ones = async {
        let hurried = async {
            assert_eq!(drip(&mut hurried, b"123").await.status(), 408);
        };
        let slow = async {
            assert_eq!(drip(&mut slow, b"1").await.status(), 408);
        };
        let slow_chunks = async {
            assert_eq!(drip(&mut slow_chunks, b"1").await.status(), 408);
        };
        tokio::join!(is_refused(&mut silent, 408), hurried, slow, slow_chunks);
        for upstream in [&mut to_silent, &mut to_hurried, &mut to_slow, &mut to_slow_chunks] {
            upstream.ending_after_all().await;
        }
    };
    let good_ones = async {
        tokio::select! {
            biased;
            answer = drip(&mut fast, b"123") => panic!("{answer:?}"),
            _ = taken_late.try_send(&body) => panic!("nobody takes it"),
            _ = unhurried.more() => panic!("it has the time of the world"),
            _ = asking.more() => panic!("it is the endpoint's turn"),
            () = passing.passed() => {}
        }
    };
    tokio::join!(slow_ones, good_ones);

    to_asking.send("HTTP/1.1 100 Continue\r\n\r\n").await;
    assert_eq!(asking.response().await.status(), 100);
    for (client, upstream) in [(&mut asking, &mut to_asking), (&mut unhurried, &mut to_unhurried)] {
        client.send("hello").await;
        upstream.bytes(5).await;
        upstream.send(ok("thanks")).await;
        assert_eq!(client.response().await.text(), "thanks");
    }
    // What of a body was sent when the time had passed is for the kernel to know: an early answer ends these two.
    for (client, upstream) in [(&mut fast, &mut to_fast), (&mut taken_late, &mut to_taken_late)] {
        upstream.send(ok("enough")).await;
        assert_eq!(client.response().await.text(), "enough");
    }
    assert_eq!(gateway.totals(origin.address()).failures, 0);
}
