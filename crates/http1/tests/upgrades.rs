//! Upgrades: what a client may ask for through the gateway, and which 101 is an answer to that.

use phalanx_http1::{
    FieldSlots, HeadLimits, HeadScan, Upgrade, Version, request,
    response::{self, RequestKind},
    rewrite::{self, Delivery, Forwarded, Persistence},
};

/// What is asked for by the `Upgrade` line that an upstream gets; `None` where it gets none.
fn forwarded(line: &str, fields: &str) -> Option<String> {
    let (upgrade, head) = rewritten(line, fields);
    let asked = head.lines().find_map(|line| line.strip_prefix("Upgrade: "));
    let connection = head.lines().filter(|line| line.starts_with("Connection: ")).collect::<Vec<_>>();
    match asked {
        Some(_) => assert_eq!(connection, ["Connection: Upgrade"], "{head}"),
        None => assert_eq!(connection, [""; 0], "{head}"),
    }
    assert_eq!(upgrade.is_some(), asked.is_some(), "{head}");
    assert!(!head.to_ascii_lowercase().contains("http2-settings"), "{head}");
    asked.map(str::to_owned)
}

fn rewritten(line: &str, fields: &str) -> (Option<Upgrade>, String) {
    let bytes = format!("{line}\r\nHost: a\r\n{fields}\r\n");
    let mut slots = FieldSlots::new();
    let parsed = request::parse(bytes.as_bytes(), &mut HeadScan::new(), &mut slots, &HeadLimits::REQUEST);
    let (head, _) = parsed.expect("the request is fine").expect("the request is whole");
    let forwarded = Forwarded {
        client_ip: b"192.0.2.1",
        hops: b"192.0.2.1",
        scheme: "http",
        client_host: None,
        request_id: b"id-1",
        traceparent: b"00-1-2-00",
        default_host: "default.example",
    };
    let mut out = Vec::new();
    rewrite::request(&head, &forwarded, &mut out);
    (Upgrade::of(&head), String::from_utf8(out).expect("it is text"))
}

const GET: &str = "GET / HTTP/1.1";

#[test]
fn an_upgrade_is_asked_for_where_connection_names_it() {
    for (fields, expected) in [
        ("Connection: Upgrade\r\nUpgrade: websocket\r\n", Some("websocket")),
        ("upgrade: WebSocket\r\nconnection: keep-alive, upgrade\r\n", Some("WebSocket")),
        (
            "Connection: keep-alive\r\nConnection: UPGRADE\r\nUpgrade: a/1, b/2\r\nUpgrade: c\r\n",
            Some("a/1, b/2, c"),
        ),
        ("Connection: Upgrade\r\nUpgrade: websocket\r\nContent-Length: 0\r\n", Some("websocket")),
        ("Upgrade: websocket\r\n", None),
        ("Connection: upgrades\r\nUpgrade: websocket\r\n", None),
        ("Connection: Upgrade\r\n", None),
        ("Connection: Upgrade\r\nUpgrade:\r\n", None),
        ("Connection: Upgrade\r\nUpgrade: , ,\r\n", None),
        ("Connection: Upgrade\r\nUp_grade: websocket\r\n", None),
    ] {
        assert_eq!(forwarded(GET, fields).as_deref(), expected, "{fields:?}");
    }
}

#[test]
fn what_is_no_protocol_or_carries_http_is_not_asked_for() {
    for (protocols, expected) in [
        ("h2c", None),
        ("H2C", None),
        ("h2c, websocket", Some("websocket")),
        ("websocket,h2c,,foo", Some("websocket, foo")),
        ("HTTP/2.0, TLS/1.0, h2", None),
        ("foo/1/2", None),
        ("foo/", None),
        ("/1", None),
        ("a b", None),
        ("\"websocket\"", None),
        ("h2cx", Some("h2cx")),
    ] {
        let fields = format!(
            "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: {protocols}\r\nHTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA\r\n"
        );
        assert_eq!(forwarded(GET, &fields).as_deref(), expected, "{protocols:?}");
    }
}

#[test]
fn http_1_0_and_a_request_with_a_body_do_not_switch() {
    let upgrade = "Connection: Upgrade\r\nUpgrade: websocket\r\n";
    assert_eq!(forwarded("GET / HTTP/1.0", upgrade), None);
    assert_eq!(forwarded("POST / HTTP/1.1", &format!("{upgrade}Content-Length: 5\r\n")), None);
    assert_eq!(forwarded("POST / HTTP/1.1", &format!("{upgrade}Transfer-Encoding: chunked\r\n")), None);
    assert_eq!(forwarded("POST / HTTP/1.1", upgrade).as_deref(), Some("websocket"));
}

#[test]
fn a_handshake_keeps_its_fields() {
    let (_, head) = rewritten(
        GET,
        "Connection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Version: 13\r\nX-Request-Id: mine\r\n",
    );
    assert_eq!(
        head,
        "GET / HTTP/1.1\r\nHost: a\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\
         X-Forwarded-For: 192.0.2.1\r\nX-Real-IP: 192.0.2.1\r\nX-Forwarded-Proto: http\r\nX-Forwarded-Host: a\r\n\
         X-Request-Id: id-1\r\ntraceparent: 00-1-2-00\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"
    );
}

#[test]
fn a_switch_is_to_what_was_asked_for() {
    for (asked, status, fields, expected) in [
        ("websocket", 101, "Connection: Upgrade\r\nUpgrade: websocket\r\n", true),
        ("WebSocket", 101, "Upgrade: websocket\r\n", true),
        ("a, b/1", 101, "Upgrade: b/1\r\n", true),
        ("a, b/1", 101, "Upgrade: b/1\r\nUpgrade: a\r\n", true),
        ("a, b/1", 101, "Upgrade: b\r\n", false),
        ("a", 101, "Upgrade: a, b\r\n", false),
        ("a", 101, "", false),
        ("a", 101, "Connection: Upgrade\r\n", false),
        ("a", 101, "Upgrade: ,\r\n", false),
        ("a", 200, "Upgrade: a\r\n", false),
        ("a, h2c", 101, "Upgrade: h2c\r\n", false),
    ] {
        let (upgrade, _) = rewritten(GET, &format!("Connection: Upgrade\r\nUpgrade: {asked}\r\n"));
        let answer = format!("HTTP/1.1 {status} X\r\n{fields}\r\n");
        let answered = with_response(&answer, |head| upgrade.expect("it is asked for").is_answered_by(head));
        assert_eq!(answered, expected, "{asked:?}: {answer:?}");
    }
}

#[test]
fn the_client_is_told_of_a_switch_and_of_one_that_is_required() {
    let switched = "HTTP/1.1 101 Switching\r\nSec-WebSocket-Accept: x\r\nConnection: keep-alive, X-Hop, Upgrade\r\nX-Hop: 1\r\n\
                    Upgrade: websocket\r\nContent-Length: 5\r\n\r\n";
    let mut out = Vec::new();
    with_response(switched, |head| rewrite::switch(head, &mut out));
    assert_eq!(
        out.escape_ascii().to_string(),
        b"HTTP/1.1 101 Switching\r\nSec-WebSocket-Accept: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"
            .escape_ascii()
            .to_string()
    );
    let required = "HTTP/1.1 426 Upgrade Required\r\nUpgrade: h2c, foo/3\r\nConnection: Upgrade\r\nContent-Length: 0\r\n\r\n";
    for (client, line) in
        [(Version::Http11, "Connection: Upgrade\r\nUpgrade: foo/3\r\n"), (Version::Http10, "")]
    {
        out.clear();
        with_response(required, |head| {
            // What an HTTP/1.0 client hears of its connection is not the matter here.
            let persistence =
                if client == Version::Http11 { Persistence::KeepAlive } else { Persistence::Close };
            rewrite::response(head, client, Delivery::Length(0), persistence, &mut out);
        });
        let text = String::from_utf8_lossy(&out).replace("Connection: close\r\n", "");
        assert_eq!(text, format!("HTTP/1.1 426 Upgrade Required\r\nContent-Length: 0\r\n{line}\r\n"));
    }
}

fn with_response<T>(bytes: &str, check: impl FnOnce(&response::ResponseHead<'_, '_>) -> T) -> T {
    let mut slots = FieldSlots::new();
    let limits = HeadLimits::RESPONSE;
    let parsed =
        response::parse(bytes.as_bytes(), &mut HeadScan::new(), &mut slots, &limits, RequestKind::Other);
    let (head, _) = parsed.expect("the response is fine").expect("the response is whole");
    check(&head)
}
