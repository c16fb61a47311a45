//! Responses that end before their end: the client sees a reset, never something that looks whole (B03, B12).

use super::{Exchange, GET, GET_OLD};
use crate::support::{Ending, Origin, Peer, Recorder, Setup};

/// How an origin breaks off.
type Break = fn(Peer);

const CLOSED: Break = |upstream| drop(upstream);
const RESET: Break = Peer::reset;

const LENGTH: &str = "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello";
const CHUNK_OPEN: &str = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\na\r\nhello";
const CHUNK_WHOLE: &str = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n";
const TRAILERS_OPEN: &str = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n";
const UNTIL_CLOSE: &str = "HTTP/1.1 200 OK\r\n\r\nhello";

#[tokio::test]
async fn a_response_that_breaks_off_is_broken_off() {
    for (request, sent, break_off) in [
        (GET, LENGTH, CLOSED),
        (GET, LENGTH, RESET),
        (GET_OLD, LENGTH, CLOSED),
        (GET, CHUNK_OPEN, CLOSED),
        (GET, CHUNK_WHOLE, CLOSED),
        (GET, CHUNK_WHOLE, RESET),
        (GET, TRAILERS_OPEN, CLOSED),
        (GET_OLD, CHUNK_OPEN, CLOSED),
        (GET_OLD, CHUNK_WHOLE, RESET),
        (GET_OLD, TRAILERS_OPEN, CLOSED),
        (GET, UNTIL_CLOSE, RESET),
        (GET_OLD, UNTIL_CLOSE, RESET),
    ] {
        println!("{}: {}", request.escape_debug(), sent.escape_debug());
        let Exchange { gateway, origin, mut client, mut upstream } = Exchange::begin(request).await;
        upstream.send(sent).await;
        assert_eq!(client.head().await.status(), 200);
        break_off(upstream);
        assert_eq!(client.ending_after_all().await, Ending::Reset);
        let totals = gateway.totals(origin.address());
        assert_eq!((totals.failures, totals.in_flight), (1, 0));
    }
}

#[tokio::test]
async fn a_chunk_that_is_malformed_further_on_breaks_the_response_off() {
    for request in [GET, GET_OLD] {
        let Exchange { gateway: _gateway, origin: _origin, mut client, mut upstream } =
            Exchange::begin(request).await;
        upstream.send(CHUNK_WHOLE).await;
        assert_eq!(client.head().await.status(), 200);
        upstream.send("zz\r\n").await;
        assert_eq!(client.ending_after_all().await, Ending::Reset);
        upstream.ending().await;
    }
}

#[tokio::test]
async fn an_origin_that_falls_silent_within_a_response_breaks_it_off() {
    for (request, sent) in [(GET, LENGTH), (GET, CHUNK_WHOLE), (GET_OLD, UNTIL_CLOSE)] {
        let setup =
            |origin: &Origin| Setup::fronting(&[origin.address()]).route("timeouts = { read = \"500ms\" }");
        let Exchange { gateway: _gateway, origin: _origin, mut client, mut upstream } =
            Exchange::begin_at(setup, request).await;
        upstream.send(sent).await;
        assert_eq!(client.head().await.status(), 200);
        assert_eq!(client.ending_after_all().await, Ending::Reset);
        upstream.ending().await;
    }
}

/// It has begun to answer, so it may have done what was asked.
#[tokio::test]
async fn a_response_that_breaks_off_before_its_end_of_head_is_a_502_and_not_asked_for_again() {
    for (sent, break_off) in [
        ("HTTP/1.1 200 OK\r\nContent-", CLOSED),
        ("HTTP/1.1 200 OK\r\nContent-", RESET),
        ("HTTP/1.1 103 Early Hints\r\n\r\n", CLOSED),
        ("HTTP/1.1 103 Early Hints\r\n\r\n", RESET),
    ] {
        let other = Recorder::start().await;
        let other_address = other.address();
        let setup = |origin: &Origin| Setup::fronting(&[origin.address(), other_address]);
        let Exchange { gateway, origin: _origin, mut client, mut upstream } =
            Exchange::begin_at(setup, GET_OLD).await;
        upstream.send(sent).await;
        gateway.settled().await;
        break_off(upstream);
        assert_eq!(client.response().await.status(), 502, "{sent:?}");
        assert_eq!(other.start_lines(), [""; 0]);
    }
}
