//! Header fields: what is refused, what an origin gets of them, and what the gateway itself says.

use super::{check, passed, refused, request};
use crate::support::{IDS, Message, Recorder, Setup, forwarded};

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
        refused("H07", request("GET /", &many(98), ""), 431),
        passed(
            "H07",
            request("GET /", &many(97), ""),
            Message::new(forwarded("GET /", "a", &many(97), ""), ""),
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
    let sent = format!("GET / HTTP/1.0\r\n{IDS}\r\n");
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
        ("H11", "x-auth-subject: 1\r\nX-AUTH-ROLES: admin\r\nX-Auth-Subject: 2\r\nx-Auth-sEssion:\r\n"),
        ("H13", "X_Auth_Subject: 1\r\nX-Auth_Roles: admin\r\nx_auth-session: 2\r\nX_AUTH_ROLES: a\r\n"),
        ("H14", "Connection: X-Auth-Subject, x-auth-roles\r\nX-Auth-Subject: 1\r\nX-Auth-Roles: admin\r\n"),
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

/// H17
#[tokio::test]
async fn a_trace_goes_on_where_it_is_one_and_begins_otherwise() {
    let origin = Recorder::start().await;
    let gateway = Setup::fronting(&[origin.address()]).start();
    let mut client = gateway.connect().await;
    let known = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    for trace in
        [known, "", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-0", "<script>", &known.repeat(100)]
    {
        let sent = format!("GET / HTTP/1.1\r\nHost: a\r\ntraceparent: {trace}\r\ntracestate: a=b\r\n\r\n");
        assert_eq!(client.exchange(sent).await.status(), 200);
    }
    let requests = origin.requests();
    let traces: Vec<_> = requests.iter().map(|request| request.field("traceparent").unwrap()).collect();
    let states: Vec<_> = requests.iter().map(|request| request.field("tracestate")).collect();
    assert_eq!((traces[0], &states[..]), (known, &[Some("a=b"), None, None, None, None][..]));
    for (index, trace) in traces.iter().enumerate().skip(1) {
        let parts: Vec<_> = trace.split('-').collect();
        assert_eq!(parts.iter().map(|part| part.len()).collect::<Vec<_>>(), [2, 32, 16, 2], "{trace}");
        assert!(trace.bytes().all(|byte| b"0123456789abcdef-".contains(&byte)), "{trace}");
        assert_eq!((parts[0], parts[3]), ("00", "00"), "{trace}");
        let is_new = |part: &str| traces[..index].iter().all(|earlier| !earlier.contains(part));
        assert!(is_new(parts[1]) && is_new(parts[2]), "{traces:?}");
    }
}

/// H17: bytes that a terminal would obey, though a field may hold them.
#[tokio::test]
async fn a_request_id_that_could_steer_a_terminal_is_replaced() {
    let origin = Recorder::start().await;
    let gateway = Setup::fronting(&[origin.address()]).start();
    for id in ["\u{9b}31m", "a\tb", "\u{202e}txt.exe", "a\u{85}b"] {
        let answer =
            gateway.exchange(format!("GET / HTTP/1.1\r\nHost: a\r\nX-Request-Id: {id}\r\n\r\n")).await;
        assert_eq!(answer.status(), 200, "{id:?}");
    }
    for request in origin.requests() {
        let id = request.field("x-request-id").unwrap();
        assert!(id.len() == 32 && id.bytes().all(|byte| byte.is_ascii_hexdigit()), "{id:?}");
    }
}

/// H14: what the gateway says stands behind all that was stripped, and credentials are not the client's to strip.
#[tokio::test]
async fn connection_takes_nothing_away_that_an_origin_relies_on() {
    let sent = request(
        "GET /",
        "Connection: close, X-Forwarded-For, Authorization, X-Real-IP, X-Request-Id, traceparent\r\n\
         Authorization: Bearer t\r\nX-Forwarded-For: 10.0.0.1\r\n",
        "",
    );
    let expected = Message::new(forwarded("GET /", "a", "Authorization: Bearer t\r\n", ""), "");
    check([passed("H14", sent, expected).then_closed()]).await;
}

/// H20: what an origin makes of them is its own affair; they are fields like all.
#[tokio::test]
async fn absurd_preferences_are_passed_on() {
    let encodings = "gzip;q=0.001, ".repeat(200);
    let ranges = (0..250).map(|start| format!("{}-{}", 2 * start, 2 * start)).collect::<Vec<_>>().join(",");
    for fields in [
        format!("Accept-Encoding: {encodings}*;q=9,,;;=\r\n"),
        format!("Accept-Language: {}\r\n", "x-".repeat(2000)),
        format!("Range: bytes={ranges}\r\n"),
        "Range: bytes=9-1,-,18446744073709551616-\r\n".to_owned(),
        "Range: lines=1-2\r\nIf-Range: \"a\"\r\n".to_owned(),
    ] {
        let expected = Message::new(forwarded("GET /", "a", &fields, ""), "");
        check([passed("H20", request("GET /", &fields, ""), expected)]).await;
    }
}
