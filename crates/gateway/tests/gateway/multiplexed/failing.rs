//! Streams and connections that fail: what the client is told, and who gets the request instead.

use bytes::Bytes;
use h2::Reason;

use super::{Exchange, GET, H2C, NOT_EJECTED, setup};
use crate::support::{
    ClosedPort, Ending, Origin, Peer, Recorder, Setup, StreamOrigin, StreamRecorder, TestGateway, eventually,
};

const POST: &str = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello";

/// A gateway in front of an origin that fails and one that answers, the first of which gets the first request.
async fn with_another(origin: &StreamOrigin) -> (TestGateway, StreamRecorder) {
    let other = StreamRecorder::start().await;
    let setup = Setup::fronting(&[origin.address(), other.address()]).service(H2C);
    (setup.service(NOT_EJECTED).start(), other)
}

#[tokio::test]
async fn a_refused_stream_goes_to_another_endpoint_whatever_its_method() {
    for sent in [GET, POST] {
        let origin = StreamOrigin::listen().await;
        let (gateway, other) = with_another(&origin).await;
        let mut client = gateway.connect().await;
        client.send(sent).await;
        let (_connection, mut request) = origin.accept_request().await;
        request.response.send_reset(Reason::REFUSED_STREAM);
        assert_eq!(client.response().await.text(), "hello");
        assert_eq!(other.request_count(), 1);
        let totals = gateway.totals(origin.address());
        assert_eq!((totals.failures, totals.retries, totals.in_flight), (0, 1, 0));
    }
}

#[tokio::test]
async fn a_refused_stream_without_another_endpoint_is_unavailable() {
    let Exchange { gateway: _gateway, mut client, mut request, connection: _connection, .. } =
        Exchange::begin(POST).await;
    request.response.send_reset(Reason::REFUSED_STREAM);
    assert_eq!(client.response().await.status(), 503);
}

#[tokio::test]
async fn a_refused_stream_whose_body_is_half_sent_is_not_repeated() {
    let origin = StreamOrigin::listen().await;
    let (gateway, other) = with_another(&origin).await;
    let mut client = gateway.connect().await;
    client.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhe").await;
    let (_connection, mut request) = origin.accept_request().await;
    assert_eq!(request.body.data().await.unwrap().unwrap(), "he");
    request.response.send_reset(Reason::REFUSED_STREAM);
    let answer = client.response().await;
    assert_eq!((answer.status(), answer.closes()), (503, true));
    assert_eq!(other.request_count(), 0);
}

#[tokio::test]
async fn a_refused_stream_whose_body_is_still_to_come_goes_to_another_endpoint() {
    let origin = StreamOrigin::listen().await;
    let (gateway, other) = with_another(&origin).await;
    let mut client = gateway.connect().await;
    client.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n").await;
    let (_connection, mut request) = origin.accept_request().await;
    request.response.send_reset(Reason::REFUSED_STREAM);
    eventually("another endpoint", || other.request_count() == 1).await;
    client.send("hello").await;
    let answer = client.response().await;
    assert_eq!((answer.status(), answer.text()), (200, "hello"));
}

#[tokio::test]
async fn a_reset_stream_is_repeated_only_if_its_method_allows() {
    for reason in [Reason::INTERNAL_ERROR, Reason::CANCEL, Reason::NO_ERROR, Reason::HTTP_1_1_REQUIRED] {
        for (sent, status, repeated) in [(GET, 200, 1), (POST, 502, 0)] {
            let origin = StreamOrigin::listen().await;
            let (gateway, other) = with_another(&origin).await;
            let mut client = gateway.connect().await;
            client.send(sent).await;
            let (_connection, mut request) = origin.accept_request().await;
            request.response.send_reset(reason);
            assert_eq!(client.response().await.status(), status, "{reason:?} {sent}");
            assert_eq!((other.request_count(), gateway.totals(origin.address()).failures), (repeated, 1));
        }
    }
}

#[tokio::test]
async fn a_response_that_is_cut_does_not_look_whole_and_fails_alone() {
    let Exchange { gateway, origin, mut client, mut request, mut connection } = Exchange::begin(GET).await;
    let mut stream = request.begin(200, &[]);
    stream.send_data(Bytes::from_static(b"hel"), false).unwrap();
    assert_eq!(client.head().await.status(), 200);
    client.bytes("3\r\nhel\r\n".len()).await;
    stream.send_reset(Reason::INTERNAL_ERROR);
    assert_eq!(client.ending_after_all().await, Ending::Reset);
    eventually("a failure", || gateway.totals(origin.address()).failures == 1).await;
    let mut client = gateway.connect().await;
    client.send(GET).await;
    connection.request().await.answer("hello");
    assert_eq!(client.response().await.text(), "hello");
}

/// HTTP/2 by hand: what a library would not say.
struct RawStreams {
    peer: Peer,
}

const HEADERS: u8 = 1;
const SETTINGS: u8 = 4;
const PING: u8 = 6;
const GO_AWAY: u8 = 7;
const ACK: u8 = 1;
const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;
/// As the static table has it (RFC 7541, appendix A).
const STATUS_200: u8 = 0x88;

impl RawStreams {
    /// Takes the next connection and answers its PING.
    async fn accept(origin: &Origin) -> Self {
        let mut peer = origin.accept().await;
        assert_eq!(peer.bytes(24).await, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
        let mut streams = Self { peer };
        streams.send(SETTINGS, 0, &[]).await;
        let payload = streams.receive(PING).await;
        streams.send(PING, ACK, &payload).await;
        streams
    }

    async fn send(&mut self, kind: u8, flags: u8, payload: &[u8]) {
        self.send_on(0, kind, flags, payload).await;
    }

    async fn send_on(&mut self, stream: u8, kind: u8, flags: u8, payload: &[u8]) {
        let length = u8::try_from(payload.len()).unwrap();
        let head = [0, 0, length, kind, flags, 0, 0, 0, stream];
        self.peer.send([&head, payload].concat()).await;
    }

    /// A response without fields and without a body.
    async fn answer(&mut self, stream: u8) {
        self.send_on(stream, HEADERS, END_STREAM | END_HEADERS, &[STATUS_200]).await;
    }

    /// The payload of the next frame of this kind.
    async fn receive(&mut self, kind: u8) -> Vec<u8> {
        loop {
            let head = self.peer.bytes(9).await;
            let length = u32::from_be_bytes([0, head[0], head[1], head[2]]);
            let payload = self.peer.bytes(length.try_into().unwrap()).await;
            if head[3] == kind {
                return payload;
            }
        }
    }

    /// GOAWAY: nothing behind this stream was processed.
    async fn go_away(&mut self, last_stream: u32) {
        self.send(GO_AWAY, 0, &[last_stream.to_be_bytes(), [0; 4]].concat()).await;
    }
}

#[tokio::test]
async fn what_is_under_way_when_a_connection_goes_away_is_answered_and_the_next_takes_another() {
    let origin = Origin::listen().await;
    let gateway = Setup::fronting(&[origin.address()]).service(H2C).start();
    let mut client = gateway.connect().await;
    client.send(GET).await;
    let mut first = RawStreams::accept(&origin).await;
    first.receive(HEADERS).await;
    first.go_away(1).await;
    gateway.settled().await;

    let mut next = gateway.connect().await;
    next.send(POST).await;
    let mut second = RawStreams::accept(&origin).await;
    second.receive(HEADERS).await;
    second.answer(1).await;
    assert_eq!(next.response().await.status(), 200);

    first.answer(1).await;
    assert_eq!(client.response().await.status(), 200);
    first.peer.ending_after_all().await;
    client.send(GET).await;
    second.receive(HEADERS).await;
    second.answer(3).await;
    assert_eq!(client.response().await.status(), 200);
    let totals = gateway.totals(origin.address());
    assert_eq!((totals.failures, totals.connections), (0, 1));
}

#[tokio::test]
async fn what_a_closing_connection_has_not_processed_is_sent_again_whatever_its_method() {
    for sent in [GET, POST] {
        let origin = Origin::listen().await;
        let gateway = Setup::fronting(&[origin.address()]).service(H2C).start();
        let mut client = gateway.connect().await;
        client.send(sent).await;
        let mut closing = RawStreams::accept(&origin).await;
        closing.receive(HEADERS).await;
        closing.go_away(0).await;
        // The same endpoint, another connection; and then it has had its chance.
        let mut closing = RawStreams::accept(&origin).await;
        closing.receive(HEADERS).await;
        closing.go_away(0).await;
        assert_eq!(client.response().await.status(), 503);
        let totals = gateway.totals(origin.address());
        assert_eq!((totals.failures, totals.requests, totals.in_flight), (0, 1, 0));
    }
}

#[tokio::test]
async fn what_a_closing_connection_may_have_processed_is_not_sent_again() {
    let origin = Origin::listen().await;
    let gateway = Setup::fronting(&[origin.address()]).service(H2C).start();
    let mut client = gateway.connect().await;
    client.send(POST).await;
    let mut closing = RawStreams::accept(&origin).await;
    closing.receive(HEADERS).await;
    closing.go_away(1).await;
    drop(closing);
    assert_eq!(client.response().await.status(), 502);
    assert_eq!(gateway.totals(origin.address()).requests, 1);
}

#[tokio::test]
async fn an_endpoint_that_dies_fails_every_request_on_its_connection() {
    let origin = StreamOrigin::listen().await;
    let (gateway, other) = with_another(&origin).await;
    let (mut waiting, mut posting, mut receiving) =
        (gateway.connect().await, gateway.connect().await, gateway.connect().await);
    receiving.send(GET).await;
    let (mut connection, mut first) = origin.accept_request().await;
    let _stream = first.begin(200, &[("content-length", "5")]);
    receiving.head().await;
    // Every second goes to the other endpoint.
    assert_eq!(gateway.exchange(GET).await.text(), "hello");
    waiting.send(GET).await;
    let _second = connection.request().await;
    assert_eq!(gateway.exchange(GET).await.text(), "hello");
    posting.send(POST).await;
    let _third = connection.request().await;
    drop(origin);
    connection.close().await;

    assert_eq!(receiving.ending_after_all().await, Ending::Reset);
    assert_eq!(waiting.response().await.text(), "hello");
    assert_eq!(posting.response().await.status(), 502);
    assert_eq!(other.request_count(), 3);
}

#[tokio::test]
async fn an_endpoint_that_refuses_connections_costs_no_request() {
    let refusing = ClosedPort::reserve();
    let other = StreamRecorder::start().await;
    let setup = Setup::fronting(&[refusing.address(), other.address()]).service(H2C);
    let gateway = setup.service(NOT_EJECTED).start();
    for sent in [GET, POST] {
        for _ in 0..2 {
            assert_eq!(gateway.exchange(sent).await.text(), "hello");
        }
    }
    let totals = gateway.totals(refusing.address());
    assert_eq!((totals.failures, totals.retries, totals.in_flight), (2, 2, 0));
}

#[tokio::test]
async fn an_endpoint_that_speaks_http1_gets_no_request() {
    let old = Recorder::start().await;
    let gateway = Setup::fronting(&[old.address()]).service(H2C).start();
    assert_eq!(gateway.exchange(POST).await.status(), 502);
    assert_eq!(gateway.totals(old.address()).failures, 1);
    // The preface looks like requests, and has been made to look like none that means anything (RFC 9113, section 3.4).
    assert_eq!(old.start_lines(), ["PRI * HTTP/2.0", "SM"]);
}

#[tokio::test]
async fn an_endpoint_that_says_nothing_is_given_up() {
    let silent = Origin::listen().await;
    let setup = Setup::fronting(&[silent.address()]).service(H2C);
    let gateway = setup.route("timeouts = { connect = \"200ms\" }").start();
    assert_eq!(gateway.exchange(POST).await.status(), 504);
    eventually("the end of the connection", || gateway.totals(silent.address()).connections == 0).await;
}

#[tokio::test]
async fn a_response_that_does_not_come_in_time_cancels_the_request() {
    let origin = StreamOrigin::listen().await;
    let gateway = setup(&origin).route("timeouts = { read = \"200ms\" }").start();
    let mut client = gateway.connect().await;
    client.send(GET).await;
    let (_connection, mut request) = origin.accept_request().await;
    assert_eq!(client.response().await.status(), 504);
    assert_eq!(request.cancelled().await, Reason::CANCEL);
}

#[tokio::test]
async fn an_endpoint_that_does_not_take_a_body_is_given_up() {
    let origin = StreamOrigin::listen().await;
    let gateway = setup(&origin).route("timeouts = { send = \"200ms\" }").start();
    let mut client = gateway.connect().await;
    client.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\n").await;
    let (_connection, mut request) = origin.accept_request().await;
    // More than the window, less than the sockets hold.
    client.send(vec![0; 100_000]).await;
    let answer = client.response().await;
    assert_eq!((answer.status(), answer.closes()), (504, true));
    assert_eq!(request.cancelled().await, Reason::CANCEL);
}

#[tokio::test]
async fn an_endpoint_that_vanished_without_a_word_is_found_out() {
    let origin = StreamOrigin::listen().await;
    let (gateway, other) = with_another(&origin).await;
    let mut client = gateway.connect().await;
    client.send(GET).await;
    let (connection, _request) = origin.accept_request().await;
    connection.freeze();
    assert_eq!(client.response().await.text(), "hello");
    assert_eq!(other.request_count(), 1);
    assert_eq!(gateway.totals(origin.address()).connections, 0);
}
