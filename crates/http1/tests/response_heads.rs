//! Response heads, row by row: what is not relayed, and where the body of the rest ends, at every split of the bytes.
//!
//! An expectation is either the fault, or `status, body`, and behind it whether the connection is of no more use.

use phalanx_http1::{
    FieldSlots, HeadLimits, HeadScan, ResponseFault,
    response::{self, RequestKind, ResponseBody},
};

#[test]
fn a_status_line_is_a_version_and_three_digits() {
    for (id, line, expected) in [
        ("B09", "HTTP/1.1 200 OK", "200, length 0"),
        ("B09", "HTTP/1.1 200", "200, length 0"),
        ("B09", "HTTP/1.1 599 \t caf\u{e9}", "599, length 0"),
        ("B09", "HTTP/1.0 200 OK", "200, length 0, closes"),
        ("B09", "HTTP/1.1 099 X", "Status { status: 99 }"),
        ("B09", "HTTP/1.1 600 X", "Status { status: 600 }"),
        ("B09", "HTTP/1.1 2000 X", "StatusLine"),
        ("B09", "HTTP/1.1 20 X", "StatusLine"),
        ("B09", "HTTP/1.1 +20 X", "StatusLine"),
        ("B09", "HTTP/1.1  200 X", "StatusLine"),
        ("B09", "HTTP/1.1 200\tX", "StatusLine"),
        ("B09", "HTTP/1.1 200 X\0", "StatusLine"),
        ("B09", "HTTP/1.1 200 X\x1b[0m", "StatusLine"),
        ("B09", "HTTP/2.0 200 OK", "StatusLine"),
        ("B09", "http/1.1 200 OK", "StatusLine"),
        ("B09", "\r\nHTTP/1.1 200 OK", "StatusLine"),
        ("B09", "<html>an HTTP/0.9 answer", "StatusLine"),
        ("B10", "0\r\n\r\nHTTP/1.1 200 OK", "StatusLine"),
    ] {
        let head = format!("{line}\r\nContent-Length: 0\r\n\r\n");
        check(id, RequestKind::Other, head.as_bytes(), expected);
    }
}

#[test]
fn a_body_has_one_end_or_the_response_is_refused() {
    for (id, fields, expected) in [
        ("B09", "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n", "LengthAndEncoding"),
        ("B09", "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n", "LengthAndEncoding"),
        ("B09", "Content-Length: 5\r\nContent-Length: 6\r\n", "ContentLength"),
        ("B09", "Content-Length: 5\r\nContent-Length: 5\r\n", "ContentLength"),
        ("B09", "Content-Length: 5, 5\r\n", "ContentLength"),
        ("B09", "Content-Length: +5\r\n", "ContentLength"),
        ("B09", "Content-Length:\r\n", "ContentLength"),
        ("B09", "Content-Length: 18446744073709551616\r\n", "ContentLength"),
        ("B09", "Content-Length: 010\r\n", "200, length 10"),
        ("B09", "Content_Length: 5\r\nContent-Length: 6\r\n", "200, length 6"),
        ("B09", "Transfer-Encoding: chunked\r\n", "200, chunked"),
        ("B09", "transfer-encoding:\tChunked \r\n", "200, chunked"),
        ("B09", "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n", "TransferEncoding"),
        ("B09", "Transfer-Encoding: gzip, chunked\r\n", "TransferEncoding"),
        ("B09", "Transfer-Encoding: chunked, chunked\r\n", "TransferEncoding"),
        ("B09", "Transfer-Encoding: chunked,\r\n", "TransferEncoding"),
        ("B09", "Transfer-Encoding: identity\r\n", "TransferEncoding"),
        ("B09", "Transfer-Encoding:\r\n", "TransferEncoding"),
        ("B09", "", "200, until close, closes"),
        ("B09", "Connection: keep-alive\r\n", "200, until close, closes"),
        ("B12", "Content-Length: 5\r\nConnection: Close\r\n", "200, length 5, closes"),
        ("B12", "Content-Length: 5\r\nConnection: x, close\r\n", "200, length 5, closes"),
    ] {
        let head = format!("HTTP/1.1 200 OK\r\n{fields}\r\n");
        check(id, RequestKind::Other, head.as_bytes(), expected);
    }
}

#[test]
fn http_1_0_has_no_chunks_and_closes_unless_told_otherwise() {
    for (fields, expected) in [
        ("Transfer-Encoding: chunked\r\n", "TransferEncoding"),
        ("Content-Length: 5\r\n", "200, length 5, closes"),
        ("Content-Length: 5\r\nConnection: keep-alive\r\n", "200, length 5"),
        ("Connection: keep-alive\r\n", "200, until close, closes"),
    ] {
        let head = format!("HTTP/1.0 200 OK\r\n{fields}\r\n");
        check("B09", RequestKind::Other, head.as_bytes(), expected);
    }
}

#[test]
fn a_status_or_a_method_without_a_body_has_none_whatever_the_fields_say() {
    use RequestKind::{Head, Other};
    for (request, status, fields, expected) in [
        (Other, 204, "", "204, none"),
        (Other, 204, "Content-Length: 0\r\n", "204, none"),
        (Other, 304, "Content-Length: 5\r\n", "304, none"),
        (Other, 304, "Transfer-Encoding: chunked\r\n", "304, none"),
        (Other, 103, "", "103, none"),
        (Head, 200, "Content-Length: 5\r\n", "200, none"),
        (Head, 200, "Transfer-Encoding: chunked\r\n", "200, none"),
        (Head, 200, "", "200, none"),
        (Head, 404, "Connection: close\r\n", "404, none, closes"),
        // What follows would be taken for the next response, so nothing may follow.
        (Other, 204, "Content-Length: 5\r\n", "204, none, closes"),
        (Other, 204, "Transfer-Encoding: chunked\r\n", "204, none, closes"),
        (Head, 204, "Content-Length: 5\r\n", "204, none, closes"),
        // Nobody was asked to change protocols, and what comes behind is no HTTP.
        (Other, 101, "Upgrade: h2c\r\nConnection: upgrade\r\n", "101, none, closes"),
        // The judgement of the fields does not depend on whether they count.
        (Head, 200, "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n", "LengthAndEncoding"),
        (Other, 304, "Content-Length: x\r\n", "ContentLength"),
    ] {
        let head = format!("HTTP/1.1 {status} X\r\n{fields}\r\n");
        check("B11", request, head.as_bytes(), expected);
    }
}

#[test]
fn only_a_response_before_the_final_one_is_interim() {
    for (status, expected) in
        [(100, true), (101, false), (103, true), (199, true), (200, false), (204, false)]
    {
        let head = format!("HTTP/1.1 {status} X\r\n\r\n");
        let mut slots = FieldSlots::new();
        let parsed = response::parse(
            head.as_bytes(),
            &mut HeadScan::new(),
            &mut slots,
            &HeadLimits::RESPONSE,
            RequestKind::Other,
        );
        assert_eq!(parsed.unwrap().unwrap().0.is_interim(), expected, "B11: {status}");
    }
}

#[test]
fn a_field_is_held_to_the_rules_of_a_request() {
    for (line, expected) in [
        (b"X: a\0b".as_slice(), "Field"),
        (b"X: a\x7f", "Field"),
        (b"X: a\xff", "200, until close, closes"),
        (b"X : a", "Field"),
        (b": a", "Field"),
        (b"no colon", "Field"),
        (b" X: a", "Field"),
        (b"X: a\r\n b", "Field"),
        (b"X: a\rb", "Field"),
        (b"\rX: a", "LineEnd"),
        (b"X: a\nY: b", "LineEnd"),
    ] {
        let head = [b"HTTP/1.1 200 OK\r\n", line, b"\r\n\r\n"].concat();
        check("B09", RequestKind::Other, &head, expected);
    }
}

#[test]
fn a_head_is_bounded_in_bytes_and_in_fields() {
    let HeadLimits { head_bytes_max, fields_max, .. } = HeadLimits::RESPONSE;
    let of_head_bytes = |bytes: usize| {
        let around = "HTTP/1.1 204 X\r\nX: \r\n\r\n".len();
        format!("HTTP/1.1 204 X\r\nX: {}\r\n\r\n", "x".repeat(bytes - around))
    };
    let of_fields = |fields: usize| format!("HTTP/1.1 204 X\r\n{}\r\n", "X: y\r\n".repeat(fields));
    let of_connection_bytes =
        |bytes: usize| format!("HTTP/1.1 204 X\r\nConnection: {}\r\n\r\n", "x".repeat(bytes));
    let too_large = "HeadTooLarge { head_bytes_max: 32768 }";
    for (head, expected) in [
        (of_head_bytes(head_bytes_max), "204, none"),
        (of_head_bytes(head_bytes_max + 1), too_large),
        (of_head_bytes(1024 * 1024), too_large),
        (of_fields(fields_max), "204, none"),
        (of_fields(fields_max + 1), "TooManyFields { fields_max: 100 }"),
        (of_connection_bytes(256), "204, none"),
        (of_connection_bytes(257), "ConnectionTooLong { connection_bytes_max: 256 }"),
    ] {
        check("B09", RequestKind::Other, head.as_bytes(), expected);
    }
}

const INCOMPLETE: &str = "incomplete";

/// Reads `bytes` at once and at each split. A part may be refused for another reason, but never when the whole is accepted.
fn check(id: &str, request: RequestKind, bytes: &[u8], expected: &str) {
    let shown = bytes.escape_ascii();
    let whole = read(bytes, &mut HeadScan::new(), request);
    assert_eq!(whole.as_deref().unwrap_or_else(|fault| fault), expected, "{id}: {shown}");
    let step = bytes.len() / 512 + 1;
    for split in (0..bytes.len()).step_by(step) {
        let mut scan = HeadScan::new();
        match read(&bytes[..split], &mut scan, request).as_deref() {
            Ok(INCOMPLETE) => {
                let read = read(bytes, &mut scan, request);
                assert_eq!(read, whole, "{id}: {shown}: split at {split}");
            }
            Ok(early) => panic!("{id}: {shown}: read as {early} from the first {split} bytes"),
            Err(fault) => assert!(whole.is_err(), "{id}: {shown}: {fault} from the first {split} bytes"),
        }
    }
}

fn read(bytes: &[u8], scan: &mut HeadScan, request: RequestKind) -> Result<String, String> {
    let mut slots = FieldSlots::new();
    let parsed = response::parse(bytes, scan, &mut slots, &HeadLimits::RESPONSE, request)
        .map_err(|fault: ResponseFault| format!("{fault:?}"))?;
    let Some((head, _)) = parsed else { return Ok(INCOMPLETE.to_owned()) };
    let body = match head.body {
        ResponseBody::None => "none".to_owned(),
        ResponseBody::Length(length) => format!("length {length}"),
        ResponseBody::Chunked => "chunked".to_owned(),
        ResponseBody::UntilClose => "until close".to_owned(),
    };
    Ok(format!("{}, {body}{}", head.status, if head.keep_alive { "" } else { ", closes" }))
}
