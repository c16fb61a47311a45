//! Heads as they leave the gateway, whole.

use expect_test::{Expect, expect};
use phalanx_http1::{
    FieldSlots, HeadLimits, HeadScan, Version, request,
    response::{self, RequestKind},
    rewrite::{self, Delivery, Forwarded, Persistence},
};

#[test]
fn a_request_keeps_its_lines_and_gains_those_of_the_gateway() {
    check_request(
        "GET /a/./b?q=1 HTTP/1.1\r\nUser-Agent: curl/8\r\nHost: a.example\r\nAccept:\t*/* \r\nX-Empty:\r\n\r\n",
        &expect![[r#"
            GET /a/b?q=1 HTTP/1.1↵
            Host: a.example↵
            User-Agent: curl/8↵
            Accept:\t*/* ↵
            X-Empty:↵
            X-Forwarded-For: 192.0.2.1↵
            X-Real-IP: 192.0.2.1↵
            X-Forwarded-Proto: http↵
            X-Forwarded-Host: a.example↵
            X-Request-Id: id-1↵
            traceparent: 00-1-2-00↵
            ↵
        "#]],
    );
}

#[test]
fn fields_for_one_connection_stay_on_it() {
    check_request(
        "GET / HTTP/1.1\r\nHost: a\r\nConnection: keep-alive, X-Hop\r\nX-Hop: 1\r\nKeep-Alive: timeout=5\r\nTE: trailers, x\r\n\
         X-End: 2\r\nProxy-Connection: close\r\nProxy-Authorization: Basic eDp5\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMA\r\n\
         connection: x-hop-too\r\nX-Hop-Too: 3\r\n\r\n",
        &expect![[r#"
            GET / HTTP/1.1↵
            Host: a↵
            X-End: 2↵
            X-Forwarded-For: 192.0.2.1↵
            X-Real-IP: 192.0.2.1↵
            X-Forwarded-Proto: http↵
            X-Forwarded-Host: a↵
            X-Request-Id: id-1↵
            traceparent: 00-1-2-00↵
            ↵
        "#]],
    );
}

#[test]
fn connection_cannot_take_away_what_an_upstream_relies_on() {
    check_request(
        "POST / HTTP/1.1\r\nHost: a\r\nConnection: close, Host, X-Forwarded-For, X-Request-Id, Authorization, Cookie, \
         Content-Type, Content-Length\r\nAuthorization: Bearer t\r\nCookie: c=1\r\nContent-Type: text/plain\r\n\
         Content-Length: 5\r\n\r\n",
        &expect![[r#"
            POST / HTTP/1.1↵
            Host: a↵
            Authorization: Bearer t↵
            Cookie: c=1↵
            Content-Type: text/plain↵
            X-Forwarded-For: 192.0.2.1↵
            X-Real-IP: 192.0.2.1↵
            X-Forwarded-Proto: http↵
            X-Forwarded-Host: a↵
            X-Request-Id: id-1↵
            traceparent: 00-1-2-00↵
            Content-Length: 5↵
            ↵
        "#]],
    );
}

#[test]
fn what_a_client_says_in_the_name_of_the_gateway_is_dropped() {
    check_request(
        "GET / HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: 6.6.6.6\r\nx-forwarded-proto: https\r\nX-Forwarded-Host: evil\r\n\
         Forwarded: for=6.6.6.6\r\nX-Real-IP: 6.6.6.6\r\nX-Request-Id: mine\r\nX-Auth-Subject: root\r\nX-Auth-Roles: admin\r\n\
         X-Auth-Session: s\r\nX_Forwarded_For: 6.6.6.6\r\nX_Auth_User: root\r\nX-Forwarded_Proto: https\r\n\
         X-Forwarded-Port: 443\r\nX-Forwarded-Prefix: /x\r\nX-Forwarded-Server: evil\r\nX-Forwarded-Ssl: on\r\n\r\n",
        &expect![[r#"
            GET / HTTP/1.1↵
            Host: a↵
            X-Forwarded-For: 192.0.2.1↵
            X-Real-IP: 192.0.2.1↵
            X-Forwarded-Proto: http↵
            X-Forwarded-Host: a↵
            X-Request-Id: id-1↵
            traceparent: 00-1-2-00↵
            ↵
        "#]],
    );
}

#[test]
fn the_authority_of_an_absolute_target_wins_over_host() {
    check_request(
        "GET http://b.example:8080?q HTTP/1.1\r\nHost: a.example\r\n\r\n",
        &expect![[r#"
        GET /?q HTTP/1.1↵
        Host: b.example:8080↵
        X-Forwarded-For: 192.0.2.1↵
        X-Real-IP: 192.0.2.1↵
        X-Forwarded-Proto: http↵
        X-Forwarded-Host: b.example:8080↵
        X-Request-Id: id-1↵
        traceparent: 00-1-2-00↵
        ↵
    "#]],
    );
}

#[test]
fn an_http_1_0_request_leaves_as_http_1_1() {
    check_request(
        "POST /x HTTP/1.0\r\nConnection: keep-alive\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n",
        &expect![[r#"
            POST /x HTTP/1.1↵
            Host: default.example↵
            X-Forwarded-For: 192.0.2.1↵
            X-Real-IP: 192.0.2.1↵
            X-Forwarded-Proto: http↵
            X-Forwarded-Host: default.example↵
            X-Request-Id: id-1↵
            traceparent: 00-1-2-00↵
            Content-Length: 5↵
            ↵
        "#]],
    );
}

#[test]
fn the_framing_of_a_request_is_written_in_its_plainest_form() {
    check_request(
        "POST / HTTP/1.1\r\nHost: a\r\ncontent-length: 010\r\n\r\n",
        &expect![[r#"
        POST / HTTP/1.1↵
        Host: a↵
        X-Forwarded-For: 192.0.2.1↵
        X-Real-IP: 192.0.2.1↵
        X-Forwarded-Proto: http↵
        X-Forwarded-Host: a↵
        X-Request-Id: id-1↵
        traceparent: 00-1-2-00↵
        Content-Length: 10↵
        ↵
    "#]],
    );
    check_request(
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n",
        &expect![[r#"
        POST / HTTP/1.1↵
        Host: a↵
        X-Forwarded-For: 192.0.2.1↵
        X-Real-IP: 192.0.2.1↵
        X-Forwarded-Proto: http↵
        X-Forwarded-Host: a↵
        X-Request-Id: id-1↵
        traceparent: 00-1-2-00↵
        Content-Length: 0↵
        ↵
    "#]],
    );
    check_request(
        "POST / HTTP/1.1\r\nHost: a\r\ntransfer-encoding: CHUNKED\r\nX: y\r\n\r\n",
        &expect![[r#"
        POST / HTTP/1.1↵
        Host: a↵
        X: y↵
        X-Forwarded-For: 192.0.2.1↵
        X-Real-IP: 192.0.2.1↵
        X-Forwarded-Proto: http↵
        X-Forwarded-Host: a↵
        X-Request-Id: id-1↵
        traceparent: 00-1-2-00↵
        Transfer-Encoding: chunked↵
        ↵
    "#]],
    );
}

#[test]
fn an_expectation_is_passed_on_once() {
    check_request(
        "PUT / HTTP/1.1\r\nHost: a\r\nexpect: 100-Continue\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n",
        &expect![[r#"
            PUT / HTTP/1.1↵
            Host: a↵
            X-Forwarded-For: 192.0.2.1↵
            X-Real-IP: 192.0.2.1↵
            X-Forwarded-Proto: http↵
            X-Forwarded-Host: a↵
            X-Request-Id: id-1↵
            traceparent: 00-1-2-00↵
            Content-Length: 5↵
            Expect: 100-continue↵
            ↵
        "#]],
    );
}

#[test]
fn options_for_the_server_stays_so() {
    check_request(
        "OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n",
        &expect![[r#"
        OPTIONS * HTTP/1.1↵
        Host: a↵
        X-Forwarded-For: 192.0.2.1↵
        X-Real-IP: 192.0.2.1↵
        X-Forwarded-Proto: http↵
        X-Forwarded-Host: a↵
        X-Request-Id: id-1↵
        traceparent: 00-1-2-00↵
        ↵
    "#]],
    );
}

#[test]
fn a_response_keeps_its_lines_but_those_for_one_connection() {
    check_response(
        "HTTP/1.1 200 Fine\r\nServer: up\r\nConnection: keep-alive, X-Hop, Set-Cookie\r\nX-Hop: 1\r\nKeep-Alive: timeout=5\r\n\
         Upgrade: h2c\r\nSet-Cookie: a=b\r\nset-cookie: c=d\r\nX-Request-Id: r\r\nX_Odd: kept\r\nContent-Length: 5\r\n\r\n",
        Version::Http11,
        Persistence::KeepAlive,
        &expect![[r#"
            HTTP/1.1 200 Fine↵
            Server: up↵
            Set-Cookie: a=b↵
            set-cookie: c=d↵
            X-Request-Id: r↵
            X_Odd: kept↵
            Content-Length: 5↵
            ↵
        "#]],
    );
}

#[test]
fn the_framing_of_a_response_is_written_in_its_plainest_form() {
    let old = Version::Http10;
    let young = Version::Http11;
    for (head, client, expected) in [
        (
            "HTTP/1.1 200\r\ncontent-length: 010\r\n\r\n",
            young,
            &expect![[r#"
            HTTP/1.1 200 ↵
            Content-Length: 10↵
            Connection: close↵
            ↵
        "#]],
        ),
        (
            "HTTP/1.1 200 OK\r\ntransfer-encoding: Chunked\r\n\r\n",
            young,
            &expect![[r#"
            HTTP/1.1 200 OK↵
            Transfer-Encoding: chunked↵
            Connection: close↵
            ↵
        "#]],
        ),
        (
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
            old,
            &expect![[r#"
            HTTP/1.1 200 OK↵
            Connection: close↵
            ↵
        "#]],
        ),
        (
            "HTTP/1.0 200 OK\r\n\r\n",
            young,
            &expect![[r#"
            HTTP/1.1 200 OK↵
            Transfer-Encoding: chunked↵
            Connection: close↵
            ↵
        "#]],
        ),
        (
            "HTTP/1.0 200 caf\u{e9}\r\n\r\n",
            old,
            &expect![[r#"
            HTTP/1.1 200 ↵
            Connection: close↵
            ↵
        "#]],
        ),
    ] {
        check_response(head, client, Persistence::Close, expected);
    }
}

#[test]
fn an_http_1_0_client_hears_that_its_connection_goes_on() {
    check_response(
        "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n",
        Version::Http10,
        Persistence::KeepAlive,
        &expect![[r#"
            HTTP/1.1 200 OK↵
            Content-Length: 5↵
            Connection: keep-alive↵
            ↵
        "#]],
    );
}

#[test]
fn a_length_that_describes_no_body_reaches_only_those_who_know() {
    check_response_to(
        RequestKind::Head,
        "HTTP/1.1 200 OK\r\nContent-Length: 05\r\n\r\n",
        &expect![[r#"
        HTTP/1.1 200 OK↵
        Content-Length: 5↵
        ↵
    "#]],
    );
    check_response_to(
        RequestKind::Head,
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
        &expect![[r#"
            HTTP/1.1 200 OK↵
            ↵
        "#]],
    );
    check_response_to(
        RequestKind::Other,
        "HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n",
        &expect![[r#"
            HTTP/1.1 304 Not Modified↵
            Content-Length: 5↵
            ↵
        "#]],
    );
    check_response_to(
        RequestKind::Other,
        "HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\n",
        &expect![[r#"
            HTTP/1.1 204 No Content↵
            ↵
        "#]],
    );
    check_response_to(
        RequestKind::Other,
        "HTTP/1.1 204 No Content\r\nTransfer-Encoding: chunked\r\n\r\n",
        &expect![[r#"
            HTTP/1.1 204 No Content↵
            ↵
        "#]],
    );
}

#[test]
fn an_interim_response_carries_fields_but_no_framing() {
    let bytes =
        b"HTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\nConnection: close\r\nContent-Length: 5\r\n\r\n";
    let mut slots = FieldSlots::new();
    let limits = HeadLimits::RESPONSE;
    let parsed = response::parse(bytes, &mut HeadScan::new(), &mut slots, &limits, RequestKind::Other);
    let mut out = Vec::new();
    rewrite::interim(&parsed.unwrap().unwrap().0, &mut out);
    expect![[r#"
        HTTP/1.1 103 Early Hints↵
        Link: </a.css>↵
        ↵
    "#]]
    .assert_eq(&shown(&out));
}

fn check_request(bytes: &str, expected: &Expect) {
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
    expected.assert_eq(&shown(&out));
}

fn check_response(bytes: &str, client: Version, persistence: Persistence, expected: &Expect) {
    expected.assert_eq(&rewritten(bytes, RequestKind::Other, client, persistence));
}

fn check_response_to(request: RequestKind, bytes: &str, expected: &Expect) {
    expected.assert_eq(&rewritten(bytes, request, Version::Http11, Persistence::KeepAlive));
}

fn rewritten(bytes: &str, request: RequestKind, client: Version, persistence: Persistence) -> String {
    let mut slots = FieldSlots::new();
    let parsed =
        response::parse(bytes.as_bytes(), &mut HeadScan::new(), &mut slots, &HeadLimits::RESPONSE, request);
    let (head, _) = parsed.expect("the response is fine").expect("the response is whole");
    let mut out = Vec::new();
    rewrite::response(&head, client, Delivery::of(head.body, client), persistence, &mut out);
    shown(&out)
}

/// A head as text: a line ends where it says so, and what a reader cannot see is escaped.
fn shown(head: &[u8]) -> String {
    head.escape_ascii().to_string().replace("\\r\\n", "↵\n")
}
