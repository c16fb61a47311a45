//! Request heads, row by row: what is refused and with which status, and how the rest is read, at every split of the bytes.
//!
//! An expectation is either `status fault`, or the request as it is read: `method target at authority, body`, and behind it
//! whatever is not usual. Body bytes and timeouts are the gateway's to test.

use phalanx_http1::{
    EncodedSet, FieldSlots, HeadLimits, HeadScan, RequestFault, Target, Version,
    request::{self, Repeated, RequestBody, RequestHead},
};

#[test]
fn a_body_has_one_length_or_the_request_is_refused() {
    for (id, fields, expected) in [
        ("F01", "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n", "400 LengthAndEncoding"),
        ("F01", "Transfer-Encoding: chunked\r\nContent-Length: 0\r\n", "400 LengthAndEncoding"),
        ("F02", "Content-Length: 5\r\nContent-Length: 6\r\n", "400 ContentLengthRepeated"),
        ("F03", "Content-Length: 5\r\nContent-Length: 5\r\n", "400 ContentLengthRepeated"),
        ("F03", "Content-Length: 5, 5\r\n", "400 ContentLengthRepeated"),
        ("F03", "Content-Length: 5,\r\n", "400 ContentLengthRepeated"),
        ("F04", "Content-Length: +5\r\n", "400 ContentLength"),
        ("F04", "Content-Length: -48\r\n", "400 ContentLength"),
        ("F04", "Content-Length: 0x10\r\n", "400 ContentLength"),
        ("F04", "Content-Length: 1_0\r\n", "400 ContentLength"),
        ("F04", "Content-Length: 1Z\r\n", "400 ContentLength"),
        ("F04", "Content-Length: 1 0\r\n", "400 ContentLength"),
        ("F04", "Content-Length: 5;q=1\r\n", "400 ContentLength"),
        ("F04", "Content-Length: \u{b2}\r\n", "400 ContentLength"),
        ("F04", "Content-Length:\r\n", "400 ContentLength"),
        ("F04", "Content-Length: \t \r\n", "400 ContentLength"),
        ("F04", "Content-Length: 010\r\n", "POST / at a, length 10"),
        ("F04", "Content-Length:\t5 \t\r\n", "POST / at a, length 5"),
        ("F04", "content-length:5\r\n", "POST / at a, length 5"),
        ("F06", "Content-Length: 18446744073709551615\r\n", "POST / at a, length 18446744073709551615"),
        ("F06", "Content-Length: 18446744073709551616\r\n", "400 ContentLength"),
        ("F06", "Content-Length: 99999999999999999999999999\r\n", "400 ContentLength"),
        (
            "F07",
            "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n",
            "400 TransferEncodingRepeated",
        ),
        ("F07", "Transfer-Encoding: chunked, chunked\r\n", "400 TransferEncodingRepeated"),
        ("F09", "Transfer-Encoding: gzip, chunked\r\n", "501 TransferCodingUnsupported"),
        ("F09", "Transfer-Encoding: chunked, gzip\r\n", "501 TransferCodingUnsupported"),
        ("F09", "Transfer-Encoding: identity\r\n", "501 TransferCodingUnsupported"),
        ("F09", "Transfer-Encoding: xchunked\r\n", "501 TransferCodingUnsupported"),
        ("F09", "Transfer-Encoding: chunked;q=1\r\n", "501 TransferCodingUnsupported"),
        ("F09", "Transfer-Encoding: \"chunked\"\r\n", "400 TransferEncoding"),
        ("F09", "Transfer-Encoding: chunked chunked\r\n", "400 TransferEncoding"),
        ("F09", "Transfer-Encoding: chunked,\r\n", "400 TransferEncoding"),
        ("F09", "Transfer-Encoding: , chunked\r\n", "400 TransferEncoding"),
        ("F09", "Transfer-Encoding:\r\n", "400 TransferEncoding"),
        ("F09", "Transfer-Encoding: \u{a0}chunked\r\n", "400 TransferEncoding"),
        ("F09", "Transfer-Encoding: \x0bchunked\r\n", "400 FieldValue"),
        ("F09", "Transfer-Encoding:\tCHUNKED\r\n", "POST / at a, chunked"),
        ("F11", "", "POST / at a, no length"),
    ] {
        check(id, format!("POST / HTTP/1.1\r\nHost: a\r\n{fields}\r\n").as_bytes(), expected);
    }
}

#[test]
fn http_1_0_knows_neither_chunks_nor_a_body_without_a_length() {
    for (id, fields, expected) in [
        ("F10", "Transfer-Encoding: chunked\r\n", "400 TransferEncodingVersion"),
        ("F10", "Transfer-Encoding: gzip\r\n", "400 TransferEncodingVersion"),
        ("F10", "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n", "400 TransferEncodingVersion"),
        ("F11", "", "POST / at nobody, no length, 1.0, closes"),
        ("F11", "Connection: keep-alive\r\n", "POST / at nobody, no length, 1.0"),
        ("F11", "Connection: keep-alive, close\r\n", "POST / at nobody, no length, 1.0, closes"),
        ("F11", "Content-Length: 5\r\nHost: a\r\n", "POST / at a, length 5, 1.0, closes"),
        ("F20", "Expect: 100-continue\r\n", "POST / at nobody, no length, 1.0, closes"),
    ] {
        check(id, format!("POST / HTTP/1.0\r\n{fields}\r\n").as_bytes(), expected);
    }
}

#[test]
fn any_method_may_bring_a_body() {
    for method in ["GET", "HEAD", "DELETE", "OPTIONS", "BREW"] {
        let head = format!("{method} / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\n");
        check("F17", head.as_bytes(), &format!("{method} / at a, length 3"));
    }
}

#[test]
fn an_expectation_is_100_continue_or_refused() {
    for (id, fields, expected) in [
        ("F20", "Expect: 100-continue\r\n", "GET / at a, no length, expects continue"),
        ("F20", "Expect: 100-Continue\r\n", "GET / at a, no length, expects continue"),
        (
            "F20",
            "Expect: 100-continue\r\nExpect: 100-continue\r\n",
            "GET / at a, no length, expects continue",
        ),
        ("F20", "Expect: y 100-continue\r\n", "417 Expectation"),
        ("F20", "Expect: 100-continue, x\r\n", "417 Expectation"),
        ("F20", "Expect: 100-continue\r\nExpect: x\r\n", "417 Expectation"),
        ("F20", "Expect:\r\n", "417 Expectation"),
    ] {
        check(id, format!("GET / HTTP/1.1\r\nHost: a\r\n{fields}\r\n").as_bytes(), expected);
    }
}

#[test]
fn a_line_ends_in_cr_lf_and_in_nothing_else() {
    for (id, head, expected) in [
        ("F23", "GET / HTTP/1.1\nHost: a\n\n", "400 BareLineFeed"),
        ("F23", "GET / HTTP/1.1\r\nHost: a\r\n\n", "400 BareLineFeed"),
        ("F23", "GET / HTTP/1.1\r\nHost: a\nX: b\r\n\r\n", "400 BareLineFeed"),
        ("F24", "GET / HTTP/1.1\r\nHost: a\r\n\rX\r\n\r\n", "400 BareCarriageReturn"),
        ("F24", "GET / HTTP/1.1\r\r\nHost: a\r\n\r\n", "400 BareCarriageReturn"),
        ("F24", "GET / HTTP/1.1\rHost: a\r\n\r\n", "400 BareCarriageReturn"),
        ("F24", "GET / HTTP/1.1\r\nHost: a\r\nX: b\rc\r\n\r\n", "400 FieldValue"),
        ("F24", "GET / HTTP/1.1\r\nHost: a\r\nX: b\r\r\n\r\n", "400 FieldValue"),
        ("F25", "\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", "GET / at a, no length"),
        ("F25", "\r\n\r\n\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", "GET / at a, no length"),
        ("F25", "\r\n\r\n\r\n\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", "400 LeadingEmptyLines"),
        ("F25", "\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", "400 BareLineFeed"),
        ("F25", "\rGET / HTTP/1.1\r\nHost: a\r\n\r\n", "400 RequestLine"),
    ] {
        check(id, head.as_bytes(), expected);
    }
}

#[test]
fn a_field_is_a_token_a_colon_and_a_value_without_control_characters() {
    for (id, line, expected) in [
        ("H01", b"X: a\0b".as_slice(), "400 FieldValue"),
        ("H01", b"X: a\x1bb", "400 FieldValue"),
        ("H01", b"X: a\x7fb", "400 FieldValue"),
        ("H01", b"X: 0123456789abcdef0123456789abcdef0123456789\x7f", "400 FieldValue"),
        ("H01", b"X: caf\xe9 \xff\tb", "GET / at a, no length"),
        ("H01", b"X:", "GET / at a, no length"),
        ("H02", b"Content-Length : 5", "400 FieldName"),
        ("H02", b"Content-Length\t: 5", "400 FieldName"),
        ("H04", b"no colon", "400 FieldName"),
        ("H04", b"nocolon", "400 FieldName"),
        ("H04", b": empty name", "400 FieldName"),
        ("H04", b"Content-Length\x85: 5", "400 FieldName"),
        ("H04", b"\xa0Content-Length: 5", "400 FieldName"),
        ("H04", b"\xefHost: b", "400 FieldName"),
        ("H04", b"X(y): 5", "400 FieldName"),
        ("H04", b"X\0: 5", "400 FieldName"),
        ("H05", b" Content-Length: 5", "400 FieldName"),
        ("H05", b"X: a\r\n b", "400 FieldName"),
        ("H05", b"X: a\r\n\tb", "400 FieldName"),
        ("H05", b"X:\r\n chunked", "400 FieldName"),
    ] {
        let head = [b"GET / HTTP/1.1\r\nHost: a\r\n", line, b"\r\n\r\n"].concat();
        check(id, &head, expected);
        if id == "H05" {
            // The first line behind the request line must not fold into it either.
            check(id, &[b"GET / HTTP/1.1\r\n", line, b"\r\nHost: a\r\n\r\n"].concat(), expected);
        }
    }
}

#[test]
fn http_1_1_names_one_host() {
    for (id, fields, expected) in [
        ("H08", "", "400 HostMissing"),
        ("H08", "Host: a\r\nHost: a\r\n", "400 HostRepeated"),
        ("H08", "Host: a\r\nhost: b\r\n", "400 HostRepeated"),
        ("H08", "Host: a, b\r\n", "400 HostMalformed"),
        ("H08", "Host: a@b\r\n", "400 HostMalformed"),
        ("H08", "Host: x:99999\r\n", "400 HostMalformed"),
        ("H08", "Host: x:80:80\r\n", "400 HostMalformed"),
        ("H08", "Host: x:-1\r\n", "400 HostMalformed"),
        ("H08", "Host: \r\n", "400 HostMalformed"),
        ("H08", "Host: http://a/\r\n", "400 HostMalformed"),
        ("H08", "Host: a/b\r\n", "400 HostMalformed"),
        ("H08", "Host: a%2eb\r\n", "400 HostMalformed"),
        ("H08", "Host: [::1]]\r\n", "400 HostMalformed"),
        ("H08", "Host: b\u{fc}cher\r\n", "400 HostMalformed"),
        ("H08", "Host: A.Example.:8080\r\n", "GET / at A.Example.:8080, no length"),
        ("H08", "Host: [::1]:80\r\n", "GET / at [::1]:80, no length"),
        ("H13", "Host: a\r\nHo_st: b\r\n", "GET / at a, no length"),
        ("H13", "Host: a\r\nContent_Length: 5\r\nTransfer_Encoding: gzip\r\n", "GET / at a, no length"),
        ("H13", "Host: a\r\nExpect_: x\r\n", "GET / at a, no length"),
    ] {
        check(id, format!("GET / HTTP/1.1\r\n{fields}\r\n").as_bytes(), expected);
    }
}

#[test]
fn connection_says_whether_another_request_comes() {
    for (id, fields, expected) in [
        ("H14", "Connection: close\r\n", "GET / at a, no length, closes"),
        ("H14", "Connection: Host, CLOSE ,\r\n", "GET / at a, no length, closes"),
        ("H14", "Connection: keep-alive\r\nConnection: close\r\n", "GET / at a, no length, closes"),
        ("H14", "Connection: closed\r\n", "GET / at a, no length"),
        ("H13", "Connection_: close\r\n", "GET / at a, no length"),
        ("H14", "Connection: host, content-length\r\nContent-Length: 5\r\n", "GET / at a, length 5"),
    ] {
        check(id, format!("GET / HTTP/1.1\r\nHost: a\r\n{fields}\r\n").as_bytes(), expected);
    }
}

#[test]
fn a_target_has_one_form_for_everybody() {
    for (id, line, expected) in [
        ("T02", "GET /a/../admin", "GET /admin at a, no length"),
        ("T02", "GET /a/%2e%2e/admin", "GET /admin at a, no length"),
        ("T02", "GET /a//admin", "GET /a/admin at a, no length"),
        ("T02", "GET /a/.;/admin", "GET /a/admin at a, no length"),
        ("T02", "GET /;/admin", "GET /admin at a, no length"),
        ("T02", "GET //evil.example/..;x/b?/../c", "GET /b?/../c at a, no length"),
        ("T03", "GET /a%2fb", "GET /a%2Fb at a, no length, hides %2F"),
        ("T03", "GET /a%5cb", "GET /a%5Cb at a, no length, hides %5C"),
        ("T03", "GET /a\\b", "GET /a\\b at a, no length, hides %5C"),
        ("T03", "GET /a%3b%25%23%3f", "GET /a%3B%25%23%3F at a, no length, hides %3B %25 %23 %3F"),
        ("T04", "GET /%00", "400 TargetByte"),
        ("T04", "GET /%zz", "400 TargetByte"),
        ("T04", "GET /%", "400 TargetByte"),
        ("T04", "GET /%u002f", "400 TargetByte"),
        ("T04", "GET /%c0%af", "400 TargetByte"),
        ("T04", "GET /%E0%80%AF", "400 TargetByte"),
        ("T04", "GET /%F8%80%80%80%AF", "400 TargetByte"),
        ("T04", "GET /%FC%80%80%80%80%AF", "400 TargetByte"),
        ("T04", "GET /\u{e9}", "400 TargetByte"),
        ("T04", "GET /?\u{e9}", "400 TargetByte"),
        ("T04", "GET /\u{1}", "400 RequestLine"),
        ("T04", "GET /\u{7f}", "400 RequestLine"),
        ("T05", "GET /a#b", "400 TargetByte"),
        ("T05", "GET /?a#b", "400 TargetByte"),
        ("T05", "GET http://a/#b", "400 TargetByte"),
        ("T06", "GET admin", "400 Target"),
        ("T06", "GET *", "400 Target"),
        ("T06", "OPTIONS *", "OPTIONS * at a, no length"),
        ("T06", "OPTIONS */x", "400 Target"),
        ("T06", "CONNECT /", "400 Target"),
        ("T06", "CONNECT host", "400 Target"),
        ("T06", "CONNECT http://a:80/", "400 Target"),
        ("T06", "GET a:80", "400 Target"),
        ("T06", "GET ?q", "400 Target"),
        ("T06", "GET http:/x", "400 Target"),
        ("T06", "GET ftp://a/", "400 Target"),
        ("T06", "GET javascript://a/", "400 Target"),
        ("T06", "GET http://", "400 HostMalformed"),
        ("T06", "GET http://u@b/", "400 HostMalformed"),
        ("T06", "GET http://b\\@c/", "400 HostMalformed"),
        ("T06", "GET http://b:99999/", "400 HostMalformed"),
        ("T06", "GET HTTPS://B.example:8443?q", "GET /?q at B.example:8443, no length"),
        ("T07", "CONNECT host:443", "405 MethodForbidden"),
        ("T07", "TRACE /", "405 MethodForbidden"),
        ("T07", "TRACE http://a/", "405 MethodForbidden"),
        ("T07", "TRACE *", "405 MethodForbidden"),
        ("T08", "BREW /pot", "BREW /pot at a, no length"),
        ("T09", "get /", "get / at a, no length"),
        ("T09", "G=\":<>(e) /", "400 RequestLine"),
        ("T09", "G\u{e9}T /", "400 RequestLine"),
    ] {
        check(id, format!("{line} HTTP/1.1\r\nHost: a\r\n\r\n").as_bytes(), expected);
    }
}

#[test]
fn a_request_line_is_three_words_with_one_space_between_them() {
    for (id, line, expected) in [
        ("T06", "GET  / HTTP/1.1", "400 RequestLine"),
        ("T06", "GET /  HTTP/1.1", "400 RequestLine"),
        ("T06", "GET / HTTP/1.1 ", "400 RequestLine"),
        ("T06", "GET / HTTP/1.1\t", "400 RequestLine"),
        ("T06", " GET / HTTP/1.1", "400 RequestLine"),
        ("T06", "GET\t/ HTTP/1.1", "400 RequestLine"),
        ("T06", "GET /\tHTTP/1.1", "400 RequestLine"),
        ("T06", "GET / a HTTP/1.1", "400 RequestLine"),
        ("T06", "GET /", "400 RequestLine"),
        ("T06", "GET", "400 RequestLine"),
        ("T06", "GET / http/1.1", "400 RequestLine"),
        ("T06", "GET / HTTP/1.10", "400 RequestLine"),
        ("T06", "GET / HTTP/1", "400 RequestLine"),
        ("T06", "GET / HTTP/0.9", "505 Version"),
        ("T06", "GET / HTTP/1.2", "505 Version"),
        ("T12", "PRI * HTTP/2.0", "505 Version"),
        ("T11", "\x16\x03\x01\x02", "400 TlsOnPlainPort"),
    ] {
        check(id, format!("{line}\r\nHost: a\r\n\r\n").as_bytes(), expected);
    }
}

#[test]
fn a_head_is_bounded_in_bytes_and_in_fields() {
    let HeadLimits { head_bytes_max, target_bytes_max, fields_max } = HeadLimits::REQUEST;
    let of_head_bytes = |bytes: usize| {
        let around = "GET / HTTP/1.1\r\nHost: a\r\nX: \r\n\r\n".len();
        format!("GET / HTTP/1.1\r\nHost: a\r\nX: {}\r\n\r\n", "x".repeat(bytes - around))
    };
    let of_target_bytes =
        |bytes: usize| format!("GET /{} HTTP/1.1\r\nHost: a\r\n\r\n", "x".repeat(bytes - 1));
    let of_fields =
        |fields: usize| format!("GET / HTTP/1.1\r\nHost: a\r\n{}\r\n", "X: y\r\n".repeat(fields - 1));
    let of_connection_bytes = |bytes: usize| {
        format!("GET / HTTP/1.1\r\nHost: a\r\nConnection: a\r\nConnection: {}\r\n\r\n", "x".repeat(bytes - 1))
    };
    let accepted = "GET / at a, no length";
    let too_large = "431 HeadTooLarge { head_bytes_max: 16384 }";
    for (id, head, expected) in [
        ("H06", of_head_bytes(head_bytes_max), accepted),
        ("H06", of_head_bytes(head_bytes_max + 1), too_large),
        ("H06", of_head_bytes(64 * 1024), too_large),
        ("H06", of_head_bytes(64 * 1024)[..head_bytes_max].to_owned(), too_large),
        ("H06", of_target_bytes(target_bytes_max + 1), "414 TargetTooLong { target_bytes_max: 8192 }"),
        ("H06", of_target_bytes(2 * head_bytes_max), "414 TargetTooLong { target_bytes_max: 8192 }"),
        ("H07", of_fields(fields_max), accepted),
        ("H07", of_fields(fields_max + 1), "431 TooManyFields { fields_max: 100 }"),
        ("H14", of_connection_bytes(256), accepted),
        ("H14", of_connection_bytes(257), "431 ConnectionTooLong { connection_bytes_max: 256 }"),
    ] {
        check(id, head.as_bytes(), expected);
    }
    let longest_target = of_target_bytes(target_bytes_max);
    assert!(read_whole(longest_target.as_bytes()).starts_with("GET /xxx"));
}

#[test]
fn a_request_id_is_taken_when_it_is_fit_to_be_logged() {
    for (fields, expected) in [
        ("X-Request-Id: 0af7651916cd43dd\r\n", Some("0af7651916cd43dd")),
        ("x-request-id: a/b:c.d_e-f+g=\r\n", Some("a/b:c.d_e-f+g=")),
        ("X-Request-Id:\r\n", None),
        ("X-Request-Id: a b\r\n", None),
        ("X-Request-Id: \"a\"\r\n", None),
        ("X-Request-Id: \u{202e}\r\n", None),
        ("X_Request_Id: a\r\n", None),
        (&format!("X-Request-Id: {}\r\n", "x".repeat(129)), None),
    ] {
        let head = format!("GET / HTTP/1.1\r\nHost: a\r\n{fields}\r\n");
        let mut slots = FieldSlots::new();
        let parsed = request::parse(head.as_bytes(), &mut HeadScan::new(), &mut slots, &HeadLimits::REQUEST);
        let id = parsed.unwrap().unwrap().0.request_id;
        assert_eq!(id, expected.map(str::as_bytes), "{fields:?}");
    }
}

#[test]
fn a_field_that_must_be_the_only_one_is_not_chosen_among_several() {
    for (fields, expected) in [
        ("", Ok(None)),
        ("Authorization: a\r\n", Ok(Some(&b"a"[..]))),
        ("authorization:\r\n", Ok(Some(b""))),
        ("Authorization: a\r\nAUTHORIZATION: a\r\n", Err(Repeated)),
        ("Authorization: a\r\nX: y\r\nauthorization: b\r\n", Err(Repeated)),
        ("X-Authorization: b\r\nAuthorization: a\r\n", Ok(Some(b"a"))),
    ] {
        let bytes = format!("GET / HTTP/1.1\r\nHost: a\r\n{fields}\r\n");
        let mut slots = FieldSlots::new();
        let parsed = request::parse(bytes.as_bytes(), &mut HeadScan::new(), &mut slots, &HeadLimits::REQUEST);
        let Ok(Some((head, _))) = parsed else { panic!("{fields:?} is refused") };
        assert_eq!(head.only_field("authorization"), expected, "{fields:?}");
    }
}

#[test]
fn a_pipelined_request_begins_where_the_one_before_it_ends() {
    let first = b"GET /1 HTTP/1.1\r\nHost: a\r\n\r\n";
    let second = b"GET /2 HTTP/1.1\r\nHost: b\r\n\r\n";
    let both = [first.as_slice(), second].concat();
    let mut slots = FieldSlots::new();
    let parsed = request::parse(&both, &mut HeadScan::new(), &mut slots, &HeadLimits::REQUEST);
    let (head, head_bytes) = parsed.unwrap().unwrap();
    assert_eq!((describe(&head).as_str(), head_bytes), ("GET /1 at a, no length", first.len()), "F21");
    assert_eq!(read_whole(&both[head_bytes..]), "GET /2 at b, no length", "F21");
}

#[test]
fn a_scan_that_found_an_end_serves_the_next_head() {
    let head = b"GET /long/enough/to/be/scanned HTTP/1.1\r\nHost: a\r\n\r\n";
    let mut scan = HeadScan::new();
    assert_eq!(read(&head[..40], &mut scan), INCOMPLETE);
    assert_eq!(read(head, &mut scan), "GET /long/enough/to/be/scanned at a, no length");
    assert_eq!(read(b"GET / HTTP/1.0\r\n\r\n", &mut scan), "GET / at nobody, no length, 1.0, closes");
}

const INCOMPLETE: &str = "incomplete";

/// Reads `bytes` at once and at each split. A part may be refused for another reason, but never with another status and never
/// when the whole is accepted.
fn check(id: &str, bytes: &[u8], expected: &str) {
    assert_eq!(read_whole(bytes), expected, "{id}: {}", bytes.escape_ascii());
    let step = bytes.len() / 512 + 1;
    for split in (0..bytes.len()).step_by(step) {
        let mut scan = HeadScan::new();
        match read(&bytes[..split], &mut scan).as_str() {
            INCOMPLETE => assert_eq!(read(bytes, &mut scan), expected, "{id}: split at {split}"),
            refused => assert_eq!(refused[..3], expected[..3], "{id}: split at {split}"),
        }
    }
}

fn read_whole(bytes: &[u8]) -> String {
    read(bytes, &mut HeadScan::new())
}

fn read(bytes: &[u8], scan: &mut HeadScan) -> String {
    let refused = |fault: RequestFault| format!("{} {fault:?}", fault.status());
    let skipped = match request::leading_empty_lines(bytes) {
        Ok(skipped) => skipped,
        Err(fault) => return refused(fault),
    };
    let mut slots = FieldSlots::new();
    match request::parse(&bytes[skipped..], scan, &mut slots, &HeadLimits::REQUEST) {
        Ok(None) => INCOMPLETE.to_owned(),
        Ok(Some((head, _))) => describe(&head),
        Err(fault) => refused(fault),
    }
}

fn describe(head: &RequestHead<'_, '_>) -> String {
    let text = |bytes: &[u8]| bytes.escape_ascii().to_string().replace("\\\\", "\\");
    let mut out = text(head.method);
    let mut hidden = EncodedSet::EMPTY;
    match &head.target {
        Target::Server => out += " *",
        Target::Resource { path, query, .. } => {
            out += &format!(" {}{}", text(path.as_bytes()), text(query));
            hidden = path.hidden();
        }
    }
    out += &format!(" at {}", head.authority.map_or("nobody".to_owned(), text));
    out += &match head.body {
        RequestBody::Length(0) => ", no length".to_owned(),
        RequestBody::Length(length) => format!(", length {length}"),
        RequestBody::Chunked => ", chunked".to_owned(),
    };
    let is_old = head.version == Version::Http10;
    for (applies, remark) in [
        (is_old, ", 1.0"),
        (!head.keep_alive, ", closes"),
        (head.expects_continue, ", expects continue"),
        (hidden != EncodedSet::EMPTY, ", hides"),
    ] {
        out += if applies { remark } else { "" };
    }
    for encoded in ["%2F", "%5C", "%3B", "%25", "%23", "%3F"] {
        let member = EncodedSet::from_encoded(encoded).expect("each is a member");
        if member.is_within(hidden) {
            out += &format!(" {encoded}");
        }
    }
    out
}
