//! Where a request ends: whatever could be read in two ways is refused before an origin sees it.

use super::{check, passed, refused, request};
use crate::support::{Ending, IDS, Message, Recorder, Setup, eventually, forwarded};

#[tokio::test]
async fn a_body_has_one_length_or_the_request_is_refused() {
    let post = |fields: &str| request("POST /", fields, "hello");
    check([
        refused("F01", post("Content-Length: 5\r\nTransfer-Encoding: chunked\r\n"), 400),
        refused("F01", post("Transfer-Encoding: chunked\r\nContent-Length: 5\r\n"), 400),
        refused("F02", post("Content-Length: 5\r\nContent-Length: 6\r\n"), 400),
        refused("F03", post("Content-Length: 5\r\nContent-Length: 5\r\n"), 400),
        refused("F03", post("Content-Length: 5, 5\r\n"), 400),
        refused("F04", post("Content-Length: +5\r\n"), 400),
        refused("F04", post("Content-Length: -48\r\n"), 400),
        refused("F04", post("Content-Length: 0x10\r\n"), 400),
        refused("F04", post("Content-Length: 1_0\r\n"), 400),
        refused("F04", post("Content-Length: 1Z\r\n"), 400),
        refused("F04", post("Content-Length:\r\n"), 400),
        refused("F06", post("Content-Length: 18446744073709551616\r\n"), 400),
        refused("F07", post("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n"), 400),
        refused("F07", post("Transfer-Encoding: chunked, chunked\r\n"), 400),
        refused("F09", post("Transfer-Encoding: gzip, chunked\r\n"), 501),
        refused("F09", post("Transfer-Encoding: chunked, identity\r\n"), 501),
        refused("F10", "POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400),
    ])
    .await;
}

#[tokio::test]
async fn a_length_is_decimal_and_told_in_its_plainest_form() {
    let head = forwarded("POST /", "a", "", "Content-Length: 10\r\n");
    check([passed(
        "F04",
        request("POST /", "Content-Length: 010\r\n", "0123456789"),
        Message::new(head, "0123456789"),
    )])
    .await;
}

#[tokio::test]
async fn an_http_1_0_request_without_a_length_has_no_body() {
    let sent = |fields: &str| format!("POST / HTTP/1.0\r\nHost: a\r\n{IDS}{fields}\r\n");
    let head = || Message::new(forwarded("POST /", "a", "", ""), "");
    check([
        passed("F11", sent("") + "GET /smuggled HTTP/1.0\r\n\r\n", head()).then_closed(),
        passed("F11", sent("Connection: keep-alive\r\n"), head()),
    ])
    .await;
}

#[tokio::test]
async fn a_chunked_body_is_framed_anew() {
    let sent = |body: &str| request("POST /", "Transfer-Encoding: chunked\r\n", body);
    let whole =
        |body: &str| Message::new(forwarded("POST /", "a", "", "Transfer-Encoding: chunked\r\n"), body);
    check([
        passed("F14", sent("5;name=value\r\nhello\r\n0\r\n\r\n"), whole("hello")),
        passed("F14", sent("005\r\nhello\r\nB\r\n, and again\r\n000\r\n\r\n"), whole("hello, and again")),
        passed("F14", sent("0\r\n\r\n"), whole("")),
        passed(
            "F22",
            sent(
                "5\r\nhello\r\n0\r\nX-Checksum: 1\r\nContent-Length: 9\r\nTransfer-Encoding: gzip\r\nHost: b\r\n\
                 Authorization: c\r\nX-Forwarded-For: 10.0.0.1\r\nX_Checksum: 2\r\nX-Auth-Subject: 1\r\n\
                 x-auth-roles: admin\r\nX_Auth_Session: 2\r\n\r\n",
            ),
            whole("hello").with_trailers("X-Checksum: 1\r\n"),
        ),
    ])
    .await;
}

#[tokio::test]
async fn a_malformed_chunk_is_refused_and_no_origin_gets_a_whole_request() {
    let sent = |body: &str| request("POST /", "Transfer-Encoding: chunked\r\n", body);
    check([
        refused("F13", sent("ffffffffffffffff1\r\nhello\r\n0\r\n\r\n"), 400),
        refused("F13", sent("-5\r\nhello\r\n0\r\n\r\n"), 400),
        refused("F13", sent("0x5\r\nhello\r\n0\r\n\r\n"), 400),
        refused("F13", sent("5 5\r\nhello\r\n0\r\n\r\n"), 400),
        refused("F13", sent("\r\nhello\r\n0\r\n\r\n"), 400),
        refused("F14", sent("5;a\rb\r\nhello\r\n0\r\n\r\n"), 400),
        refused("F14", sent("5;a\nhello\r\n0\r\n\r\n"), 400),
        refused("F14", sent(&format!("5;{}\r\nhello\r\n0\r\n\r\n", "x".repeat(64 * 1024))), 400),
        refused("F15", sent("5\r\nhello\rX0\r\n\r\n"), 400),
        refused("F15", sent("5\r\nhello\n0\r\n\r\n"), 400),
        refused("F15", sent("5\r\nhello0\r\n\r\n"), 400),
        refused("F22", sent("5\r\nhello\r\n0\r\nno colon\r\n\r\n"), 400),
        refused("F22", sent(&format!("0\r\nX: {}\r\n\r\n", "x".repeat(16 * 1024))), 400),
    ])
    .await;
}

#[tokio::test]
async fn a_body_that_ends_early_reaches_no_origin_whole_and_gets_no_answer() {
    let origin = Recorder::start().await;
    let gateway = Setup::fronting(&[origin.address()]).start();
    for (count, sent) in [
        (1, request("POST /", "Content-Length: 10\r\n", "hello")),
        (2, request("POST /", "Transfer-Encoding: chunked\r\n", "a\r\nhello")),
        (3, request("POST /", "Transfer-Encoding: chunked\r\n", "5\r\nhello\r\n")),
        (4, request("POST /", "Transfer-Encoding: chunked\r\n", "5\r\nhello\r\n0\r\n")),
    ] {
        let mut client = gateway.connect().await;
        client.send(&sent).await;
        client.send_end().await;
        client.ending().await;
        // Aborted, and not left to wait for the rest.
        eventually("the end of the upstream request", || origin.fragments() == count).await;
    }
    assert_eq!(origin.start_lines(), [""; 0]);
    assert_eq!(gateway.exchange(request("GET /", "", "")).await.status(), 200);
    assert_eq!(origin.connections(), 5, "no connection is used again after half a request");
}

#[tokio::test]
async fn a_line_ends_in_cr_lf_and_in_nothing_else() {
    let after = format!("Host: a\r\n{IDS}\r\n");
    let whole = || Message::new(forwarded("GET /", "a", "", ""), "");
    check([
        refused("F23", format!("GET / HTTP/1.1\n{after}"), 400),
        refused("F23", "GET / HTTP/1.1\r\nHost: a\n\r\n", 400),
        refused("F23", "GET / HTTP/1.1\r\nHost: a\r\n\n", 400),
        refused("F24", format!("GET / HTTP/1.1\r\nX: b\rc\r\n{after}"), 400),
        refused("F24", format!("GET / HTTP/1.1\r{after}"), 400),
        refused("F24", "GET / HTTP/1.1\r\nHost: a\r\n\rX\r\n\r\n", 400),
        passed("F25", format!("\r\nGET / HTTP/1.1\r\n{after}"), whole()),
        passed("F25", format!("\r\n\r\nGET / HTTP/1.1\r\n{after}"), whole()),
        refused("F25", format!("{}GET / HTTP/1.1\r\n{after}", "\r\n".repeat(16)), 400),
    ])
    .await;
}

#[tokio::test]
async fn an_aborted_client_leaves_no_whole_request_behind() {
    let origin = Recorder::start().await;
    let gateway = Setup::fronting(&[origin.address()]).start();
    let mut client = gateway.connect().await;
    client.send(request("POST /", "Content-Length: 10\r\n", "hello")).await;
    gateway.settled().await;
    client.reset();
    eventually("the end of the upstream request", || origin.fragments() == 1).await;
    assert_eq!(origin.connections_open(), 0);
    assert!(matches!(gateway.connect().await.exchange(request("GET /", "", "")).await.status(), 200));
    let mut silent = gateway.connect().await;
    silent.send_end().await;
    assert_eq!(silent.ending().await, Ending::Closed);
}
