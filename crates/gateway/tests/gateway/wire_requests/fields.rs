//! Header fields: what is refused, what an origin gets of them, and what the gateway itself says.

use super::{check, passed, refused, request};
use crate::support::{Message, Recorder, Setup, forwarded};

#[tokio::test]
async fn a_field_is_a_token_a_colon_and_a_value_or_the_request_is_refused() {
    let lines: [(&str, &[u8]); 14] = [
        ("H01", b"X: a\0b"),
        ("H01", b"X: a\x7fb"),
        ("H01", b"X: a\rb"),
        ("H01", b"X: a\nb"),
        ("H02", b"Content-Length : 5"),
        ("H02", b"Content-Length\t: 5"),
        ("H04", b"no colon"),
        ("H04", b": no name"),
        ("H04", b"Host\x85: b"),
        ("H04", b"\xa0Host: b"),
        ("H04", b"\xefX: b"),
        ("H04", b"X(y): b"),
        ("H05", b"X: a\r\n b"),
        ("H05", b" X: a"),
    ];
    check(
        lines.map(|(id, line)| {
            refused(id, [b"GET / HTTP/1.1\r\nHost: a\r\n", line, b"\r\n\r\n"].concat(), 400)
        }),
    )
    .await;
}

#[tokio::test]
async fn a_head_beyond_its_bounds_is_refused() {
    let many = |count: usize| "X: y\r\n".repeat(count);
    check([
        refused("H06", request("GET /", &format!("X: {}\r\n", "x".repeat(64 * 1024)), ""), 431),
        refused("H06", request("GET /", &format!("X: {}\r\n", "x".repeat(250)).repeat(70), ""), 431),
        refused("H06", request(&format!("GET /{}", "x".repeat(9000)), "", ""), 414),
        refused("H07", request("GET /", &many(99), ""), 431),
        passed(
            "H07",
            request("GET /", &many(98), ""),
            Message::new(forwarded("GET /", "a", &many(98), ""), ""),
        ),
    ])
    .await;
}

#[tokio::test]
async fn http_1_1_names_one_host() {
    let hosts = [
        "",
        "Host: a\r\nHost: a\r\n",
        "Host: a\r\nhost: b\r\n",
        "Host: a, b\r\n",
        "Host: a@b\r\n",
        "Host: x:99999\r\n",
        "Host: \r\n",
        "Host: a/b\r\n",
    ];
    check(hosts.map(|host| refused("H08", format!("GET / HTTP/1.1\r\n{host}\r\n"), 400))).await;
}

#[tokio::test]
async fn the_authority_of_an_absolute_target_is_the_host() {
    check([passed(
        "H10",
        request("GET http://b.example:81/x?y", "", ""),
        Message::new(forwarded("GET /x?y", "b.example:81", "", ""), ""),
    )])
    .await;
}

#[tokio::test]
async fn an_http_1_0_request_without_a_host_is_for_the_service() {
    let sent = "GET / HTTP/1.0\r\nX-Request-Id: t\r\n\r\n";
    let expected = Message::new(forwarded("GET /", "api", "", ""), "");
    check([passed("H08", sent, expected).then_closed()]).await;
}

#[tokio::test]
async fn an_origin_is_told_only_what_may_be_told() {
    let kept = "Accept: a, b\r\nCookie: c\r\nAuthorization: d\r\n";
    for (id, dropped) in [
        ("H11", "X-Forwarded-For: 10.0.0.1, 10.0.0.2\r\nX-Forwarded-Proto: https\r\nX-Forwarded-Host: b\r\n"),
        ("H11", "X-Real-IP: 10.0.0.1\r\nForwarded: for=10.0.0.1;proto=https\r\n"),
        ("H11", "X-Auth-Subject: 1\r\nX-Auth-Roles: admin\r\nX-Auth-Session: 2\r\n"),
        ("H13", "X_Forwarded_For: 10.0.0.1\r\nX_Auth_User: 1\r\nContent_Length: 7\r\nHo_st: b\r\n"),
        (
            "H14",
            "Connection: X-Hop, authorization, cookie, x-forwarded-for, host\r\nX-Hop: 1\r\nx-hop: 2\r\n",
        ),
        ("H15", "TE: trailers, x\r\nKeep-Alive: timeout=5\r\nProxy-Connection: keep-alive\r\n"),
        ("H15", "Proxy-Authorization: 1\r\nUpgrade: websocket\r\nHTTP2-Settings: AAMAAABk\r\n"),
        ("U03", "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\n"),
    ] {
        let expected = || Message::new(forwarded("GET /", "a", kept, ""), "");
        check([
            passed(id, request("GET /", &format!("{dropped}{kept}"), ""), expected()),
            passed(id, request("GET /", &format!("{kept}{dropped}"), ""), expected()),
        ])
        .await;
    }
}

#[tokio::test]
async fn connection_close_ends_the_connection_of_the_client_alone() {
    let sent = request("GET /", "Connection: close, X-Hop\r\nX-Hop: 1\r\n", "");
    check([passed("H14", sent, Message::new(forwarded("GET /", "a", "", ""), "")).then_closed()]).await;
}

#[tokio::test]
async fn a_request_id_is_kept_if_it_is_fit_to_be_logged_and_replaced_otherwise() {
    let origin = Recorder::start().await;
    let gateway = Setup::fronting(&[origin.address()]).start();
    let long = "x".repeat(10 * 1024);
    for sent in ["", "X-Request-Id: a b\r\n", "X-Request-Id: a\x1b[31m\r\n"] {
        let request = format!("GET / HTTP/1.1\r\nHost: a\r\n{sent}\r\n");
        let status = gateway.exchange(request).await.status();
        assert_eq!(status, if sent.contains('\x1b') { 400 } else { 200 }, "{sent:?}");
    }
    gateway.exchange(format!("GET / HTTP/1.1\r\nHost: a\r\nX-Request-Id: {long}\r\n\r\n")).await;
    gateway.exchange("GET / HTTP/1.1\r\nHost: a\r\nX-Request-Id: 7-f/G_:.+=\r\n\r\n").await;
    let requests = origin.requests();
    let ids: Vec<_> = requests.iter().map(|request| request.field("x-request-id").unwrap()).collect();
    let [fresh @ .., kept] = &ids[..] else { panic!("requests came") };
    assert_eq!(*kept, "7-f/G_:.+=");
    assert_eq!(fresh.len(), 3);
    for (index, id) in fresh.iter().enumerate() {
        assert!(id.len() == 32 && id.bytes().all(|byte| byte.is_ascii_hexdigit()), "{id}");
        assert!(!fresh[..index].contains(id), "{id} twice");
    }
}
