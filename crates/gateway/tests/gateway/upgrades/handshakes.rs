//! Before the 101: what is asked for, what is answered, and that everything else stays HTTP.

use super::{HANDSHAKE, SWITCH, Tunnel, forwarded_handshake};
use crate::support::{Ending, IDS, Message, Origin, Recorder, Reply, Setup, eventually, forwarded, ok};

const NEXT: &str = "GET /next HTTP/1.1\r\nHost: a\r\n\r\n";

/// U01: what a client sends behind an upgrade is held back until there is a 101.
#[tokio::test]
async fn without_a_101_what_follows_is_the_next_request() {
    let origin = Origin::listen().await;
    let gateway = Setup::fronting(&[origin.address()]).start();
    let mut client = gateway.connect().await;
    client.send(format!("{HANDSHAKE}{NEXT}")).await;
    let (mut upstream, request) = origin.accept_request().await;
    assert_eq!(request.head, forwarded_handshake());
    gateway.settled().await;
    upstream.send(ok("no tunnel")).await;
    assert_eq!(client.response().await.text(), "no tunnel");
    // Whole, rewritten, and on its own: nothing of it came behind the first.
    assert_eq!(upstream.request().await.start_line(), "GET /next HTTP/1.1");
    upstream.send(ok("next")).await;
    assert_eq!(client.response().await.text(), "next");
}

/// U02
#[tokio::test]
async fn a_refused_handshake_is_an_answer_like_any_other() {
    for (sent, expected) in [
        (
            "HTTP/1.1 426 Upgrade Required\r\nSec-WebSocket-Version: 13\r\nUpgrade: websocket\r\n\
             Connection: Upgrade\r\nContent-Length: 3\r\n\r\nold",
            "HTTP/1.1 426 Upgrade Required\r\nSec-WebSocket-Version: 13\r\nContent-Length: 3\r\n\
             Connection: Upgrade\r\nUpgrade: websocket\r\n\r\n",
        ),
        (
            "HTTP/1.1 400 Bad Request\r\nUpgrade: websocket\r\nContent-Length: 3\r\n\r\nkey",
            "HTTP/1.1 400 Bad Request\r\nContent-Length: 3\r\n\r\n",
        ),
    ] {
        let origin = Origin::listen().await;
        let gateway = Setup::fronting(&[origin.address()]).start();
        let mut client = gateway.connect().await;
        client.send(HANDSHAKE.replace("Version: 13", "Version: 7")).await;
        let (mut upstream, _) = origin.accept_request().await;
        upstream.send(sent).await;
        let answer = client.response().await;
        assert_eq!((answer.head.as_str(), answer.closes()), (expected, false));
        // Raw bytes are no request, and reach nobody.
        client.send(b"\x81\x05hello\r\n\r\n").await;
        assert_eq!(client.response().await.status(), 400);
        assert_eq!(client.ending().await, Ending::Closed);
        // The connection to the origin has carried HTTP alone, and goes on.
        gateway.connect().await.send(NEXT).await;
        assert_eq!(upstream.request().await.start_line(), "GET /next HTTP/1.1");
    }
}

/// U03, and whatever else is no upgrade: an origin that answers 101 all the same was not asked.
#[tokio::test]
async fn a_101_is_an_answer_only_to_who_asked_for_it() {
    let upgrade = |protocol: &str| format!("Connection: Upgrade\r\nUpgrade: {protocol}\r\n");
    for (request, answer) in [
        (format!("GET / HTTP/1.1\r\nHost: a\r\n{}\r\n", upgrade("websocket")), String::new()),
        (format!("GET / HTTP/1.1\r\nHost: a\r\n{}\r\n", upgrade("websocket")), upgrade("foo")),
        (format!("GET / HTTP/1.1\r\nHost: a\r\n{}\r\n", upgrade("websocket")), upgrade("websocket, foo")),
        (format!("GET / HTTP/1.1\r\nHost: a\r\n{}\r\n", upgrade("h2c, websocket")), upgrade("h2c")),
        (format!("GET / HTTP/1.1\r\nHost: a\r\n{}\r\n", upgrade("h2c")), upgrade("h2c")),
        ("GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\n\r\n".to_owned(), upgrade("websocket")),
        (format!("GET / HTTP/1.0\r\nHost: a\r\n{}\r\n", upgrade("websocket")), upgrade("websocket")),
        (
            format!("POST / HTTP/1.1\r\nHost: a\r\n{}Content-Length: 2\r\n\r\nhi", upgrade("websocket")),
            upgrade("websocket"),
        ),
    ] {
        println!("{}: {answer:?}", request.escape_debug());
        let origin = Origin::listen().await;
        let gateway = Setup::fronting(&[origin.address()]).start();
        let mut client = gateway.connect().await;
        client.send(&request).await;
        let (mut upstream, _) = origin.accept_request().await;
        upstream.send(format!("HTTP/1.1 101 Switching Protocols\r\n{answer}\r\nraw")).await;
        assert_eq!(client.response().await.status(), 502);
        upstream.ending_after_all().await;
        assert_eq!(gateway.totals(origin.address()).failures, 1);
    }
}

/// U03
#[tokio::test]
async fn an_upgrade_to_http_2_is_served_as_http_1_1() {
    let origin = Recorder::start().await;
    let gateway = Setup::fronting(&[origin.address()]).start();
    let mut client = gateway.connect().await;
    for connection in ["Upgrade, HTTP2-Settings", "HTTP2-Settings, Upgrade, keep-alive"] {
        let answer = client
            .exchange(format!(
                "GET / HTTP/1.1\r\nHost: a\r\n{IDS}Connection: {connection}\r\nUpgrade: h2c\r\n\
                 HTTP2-Settings: AAMAAABkAAQCAAAAAAIAAAAA\r\nAccept: */*\r\n\r\n"
            ))
            .await;
        assert_eq!((answer.status(), answer.closes()), (200, false));
    }
    let expected = || Message::new(forwarded("GET /", "a", "Accept: */*\r\n", ""), "");
    assert_eq!(origin.requests(), [expected(), expected()]);
}

#[tokio::test]
async fn an_upgrade_with_a_body_is_an_ordinary_request() {
    let origin = Recorder::start().await;
    let gateway = Setup::fronting(&[origin.address()]).start();
    let mut client = gateway.connect().await;
    let fields = format!("{IDS}Connection: Upgrade\r\nUpgrade: websocket\r\n");
    for (framing, body) in
        [("Content-Length: 5\r\n", "hello"), ("Transfer-Encoding: chunked\r\n", "5\r\nhello\r\n0\r\n\r\n")]
    {
        let sent = format!("POST / HTTP/1.1\r\nHost: a\r\n{fields}{framing}\r\n{body}");
        assert_eq!(client.exchange(sent).await.status(), 200);
        assert_eq!(origin.take_requests(), [Message::new(forwarded("POST /", "a", "", framing), "hello")]);
    }
}

#[tokio::test]
async fn interim_responses_come_before_the_switch() {
    let origin = Origin::listen().await;
    let gateway = Setup::fronting(&[origin.address()]).start();
    let mut client = gateway.connect().await;
    client.send(HANDSHAKE).await;
    let (mut upstream, _) = origin.accept_request().await;
    upstream.send(format!("HTTP/1.1 102 Processing\r\n\r\n{SWITCH}first")).await;
    assert_eq!(client.head().await.head, "HTTP/1.1 102 Processing\r\n\r\n");
    assert_eq!(client.head().await.head, SWITCH);
    assert_eq!(client.bytes(5).await, b"first");
}

/// An endpoint may have switched before it died, whatever the method.
#[tokio::test]
async fn an_upgrade_is_asked_for_once() {
    for reply in [|_: &Message| Reply::SendAndClose(Vec::new()), |_: &Message| Reply::Reset] {
        let (dying, healthy) = (Recorder::answering(reply).await, Recorder::start().await);
        let gateway = Setup::fronting(&[dying.address(), healthy.address()]).start();
        let mut client = gateway.connect().await;
        assert_eq!(client.exchange(HANDSHAKE).await.status(), 502);
        assert_eq!((dying.request_count(), healthy.request_count()), (1, 0));
        assert_eq!(gateway.totals(dying.address()).retries, 0);
    }
}

#[tokio::test]
async fn a_tunnel_is_one_request_in_flight_and_one_connection_of_its_own() {
    let Tunnel { gateway, origin, mut client, mut upstream } = Tunnel::open().await;
    assert_eq!(gateway.state().requests_in_flight, 1);
    let totals = gateway.totals(origin.address());
    assert_eq!((totals.in_flight, totals.connections), (1, 1));
    // Nobody else gets its connection, neither while it stands nor after.
    let mut other = gateway.connect().await;
    other.send(NEXT).await;
    let (mut second, _) = origin.accept_request().await;
    second.send(ok("other")).await;
    assert_eq!(other.response().await.text(), "other");
    client.send_end().await;
    upstream.send_end().await;
    assert_eq!((client.ending().await, upstream.ending().await), (Ending::Closed, Ending::Closed));
    eventually("the end of the request", || {
        gateway.state().requests_in_flight == 0 && gateway.totals(origin.address()).in_flight == 0
    })
    .await;
    other.send(NEXT).await;
    assert_eq!(second.request().await.start_line(), "GET /next HTTP/1.1");
    let counted = r#"http_requests_total{service="api",route="/",method="GET",status="101"} 1"#;
    assert!(gateway.exposition().contains(counted), "{}", gateway.exposition());
    assert_eq!(gateway.totals(origin.address()).failures, 0);
}
