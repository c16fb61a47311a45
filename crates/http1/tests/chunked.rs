//! Chunked bodies, row by row: their data, where they end, and what is refused, at every split of the bytes.
//!
//! An expectation is either a fault or `data, bytes behind the end`, with the body as it is written again behind it.

use phalanx_http1::chunked::{self, ChunkFault, Decoder, Event};

#[test]
fn a_body_is_its_data_and_ends_where_it_says() {
    for (id, body, expected) in [
        ("F13", b"0\r\n\r\n".as_slice(), r"'', 0 behind, written 0\r\n\r\n"),
        ("F13", b"5\r\nhello\r\n0\r\n\r\n", r"'hello', 0 behind, written 5\r\nhello\r\n0\r\n\r\n"),
        (
            "F13",
            b"5\r\nhello\r\nA\r\n0123456789\r\n0\r\n\r\nGET",
            r"'hello0123456789', 3 behind, written f\r\nhello0123456789\r\n0\r\n\r\n",
        ),
        (
            "F13",
            b"0000000000000005\r\n\r\n0\r\n\r\n000\r\n\r\n",
            r"'\r\n0\r\n', 0 behind, written 5\r\n\r\n0\r\n\r\n0\r\n\r\n",
        ),
        ("F14", b"1;a=b;c=\"d\xff\"\r\nx\r\n0 ;e\r\n\r\n", r"'x', 0 behind, written 1\r\nx\r\n0\r\n\r\n"),
        ("F14", b"1\t ;a\r\nx\r\n0\r\n\r\n", r"'x', 0 behind, written 1\r\nx\r\n0\r\n\r\n"),
        (
            "F22",
            b"0\r\nGrpc-Status: 0\r\nX-Sum:\tabc \r\n\r\n0",
            r"'', 1 behind, written 0\r\nGrpc-Status: 0\r\nX-Sum: abc\r\n\r\n",
        ),
    ] {
        check(id, body, expected);
    }
}

#[test]
fn a_size_is_hexadecimal_digits_and_nothing_else() {
    for (id, body) in [
        ("F13", "ffffffffffffffff1\r\n"),
        ("F13", "00000000000000005\r\n"),
        ("F13", "\r\n"),
        ("F13", ";a\r\n"),
        ("F13", "-1\r\n"),
        ("F13", "+1\r\n"),
        ("F13", " 1\r\n"),
        ("F13", "0x1\r\n"),
        ("F13", "1_0\r\n"),
        ("F13", "1 \r\n"),
        ("F13", "1 0\r\n"),
        ("F13", "g\r\n"),
        ("F13", "1\0\r\n"),
        ("F13", "\u{661}\r\n"),
    ] {
        check(id, body.as_bytes(), "ChunkFault");
    }
}

#[test]
fn a_line_ends_in_cr_lf_and_in_nothing_else() {
    for (id, body) in [
        ("F14", "1;a\nx\r\n0\r\n\r\n"),
        ("F14", "1;a\rx\r\n0\r\n\r\n"),
        ("F14", "1\nx\r\n0\r\n\r\n"),
        ("F14", "1;a\0\r\nx\r\n0\r\n\r\n"),
        ("F14", "1;a\x7f\r\nx\r\n0\r\n\r\n"),
        ("F15", "1\r\nx\rX"),
        ("F15", "1\r\nx\n0\r\n\r\n"),
        ("F15", "1\r\nx0\r\n\r\n"),
        ("F15", "1\r\nxy\r\n0\r\n\r\n"),
        ("F15", "0\n\n"),
        ("F15", "0\r\n\n"),
        ("F22", "0\r\nA: b\n\r\n"),
        ("F22", "0\r\nA: b\rc\r\n\r\n"),
        ("F22", "0\r\n\rA: b\r\n\r\n"),
    ] {
        check(id, body.as_bytes(), "ChunkFault");
    }
}

#[test]
fn trailers_are_fields() {
    for body in [
        "0\r\nno colon\r\n\r\n",
        "0\r\n: a\r\n\r\n",
        "0\r\nA : b\r\n\r\n",
        "0\r\n A: b\r\n\r\n",
        "0\r\nA: \0\r\n\r\n",
    ] {
        check("F22", body.as_bytes(), "ChunkFault");
    }
}

#[test]
fn a_cr_alone_in_the_trailers_is_refused_where_it_stands() {
    // Whoever drops the trailers never writes an end, and must still not take for a body what another parser would not.
    assert_eq!(Decoder::new().next(b"0\r\nA: b\rc"), Err(ChunkFault), "F22");
    assert_eq!(Decoder::new().next(b"0\r\n\rA"), Err(ChunkFault), "F22");
}

#[test]
fn a_trailer_cannot_change_what_the_message_means() {
    for name in [
        "Content-Length",
        "Transfer-Encoding",
        "Host",
        "Authorization",
        "X-Forwarded-For",
        "X-Auth-Subject",
        "x-auth-roles",
        "X-AUTH-Session",
        "X_Auth_Subject",
        "X_Auth_User",
        "Cookie",
        "Set-Cookie",
        "Connection",
        "TE",
        "Trailer",
        "Expect",
        "Content-Type",
        "Content-Encoding",
        "Content-Range",
        "Cache-Control",
        "Pragma",
        "Range",
        "If-Match",
        "If-None-Match",
        "If-Modified-Since",
        "If-Unmodified-Since",
        "If-Range",
        "Max-Forwards",
        "Location",
        "Retry-After",
        "Vary",
        "Warning",
        "WWW-Authenticate",
        "Proxy-Authorization",
        "X-Request-Id",
    ] {
        for name in [name.to_owned(), name.to_ascii_uppercase()] {
            let body = format!("0\r\nX-Kept: 1\r\n{name}: 2\r\n\r\n");
            check("F22", body.as_bytes(), r"'', 0 behind, written 0\r\nX-Kept: 1\r\n\r\n");
        }
    }
}

#[test]
fn what_stands_around_the_data_is_bounded() {
    let extension = |bytes: usize| format!("1;{}\r\nx\r\n0\r\n\r\n", "e".repeat(bytes));
    let spaces = |bytes: usize| format!("1{};\r\nx\r\n0\r\n\r\n", " ".repeat(bytes));
    let many_extensions = |chunks: usize| format!("{}0\r\n\r\n", "1;123456789012345\r\nx\r\n".repeat(chunks));
    let trailer = |bytes: usize| format!("0\r\nHost:{}\r\n\r\n", "t".repeat(bytes - "Host:\r\n\r\n".len()));
    let trailers = |fields: usize| format!("0\r\n{}\r\n", "Host: t\r\n".repeat(fields));
    let one_byte = r"'x', 0 behind, written 1\r\nx\r\n0\r\n\r\n";
    let no_byte = r"'', 0 behind, written 0\r\n\r\n";
    for (id, body, expected) in [
        ("F14", extension(4 * 1024), one_byte),
        ("F14", extension(4 * 1024 + 1), "ChunkFault"),
        ("F14", extension(64 * 1024), "ChunkFault"),
        ("F14", spaces(4 * 1024 + 1), "ChunkFault"),
        ("F14", many_extensions(4 * 1024 / 15 + 1), "ChunkFault"),
        ("F22", trailer(8 * 1024), no_byte),
        ("F22", trailer(8 * 1024 + 1), "ChunkFault"),
        ("F22", trailers(32), no_byte),
        ("F22", trailers(33), "ChunkFault"),
    ] {
        check(id, body.as_bytes(), expected);
    }
}

#[test]
fn a_body_that_ends_early_has_no_end() {
    let body = b"5;a\r\nhello\r\n0\r\nX: y\r\n\r\n";
    for length in 0..body.len() {
        assert_eq!(read(&body[..length], length), Ok("incomplete".to_owned()), "F16: {length} bytes");
    }
}

#[test]
fn the_largest_chunk_there_can_be_is_data_to_the_last_byte() {
    let mut decoder = Decoder::new();
    assert_eq!(decoder.next(b"ffffffffffffffff\r\nabc"), Ok(Event::Framing { consumed: 18 }), "F13");
    assert_eq!(decoder.next(b"abc"), Ok(Event::Data { consumed: 3 }), "F13");
    assert_eq!(decoder.next(b"\r\n0\r\n\r\n"), Ok(Event::Data { consumed: 7 }), "F13");
}

#[test]
fn nothing_is_consumed_behind_the_end() {
    let mut decoder = Decoder::new();
    assert_eq!(decoder.next(b"0\r\n\r\nGET"), Ok(Event::End { consumed: 5 }), "F21");
    assert_eq!(decoder.next(b"GET"), Ok(Event::End { consumed: 0 }), "F21");
}

/// Reads `body` at once and in two parts at each split.
fn check(id: &str, body: &[u8], expected: &str) {
    let shown = body.escape_ascii();
    let outcome = |split| read(body, split).unwrap_or_else(|fault| format!("{fault:?}"));
    assert_eq!(outcome(body.len()), expected, "{id}: {shown}");
    for split in (0..body.len()).step_by(body.len() / 512 + 1) {
        assert_eq!(outcome(split), expected, "{id}: {shown}: split at {split}");
    }
}

/// Decodes `body`, of which the first `split` bytes arrive before the rest, and writes it again as one chunk.
fn read(body: &[u8], split: usize) -> Result<String, ChunkFault> {
    let mut decoder = Decoder::new();
    let mut data = Vec::new();
    let mut position = 0;
    for arrived in [split, body.len()] {
        while position < arrived {
            let rest = &body[position..arrived];
            position += match decoder.next(rest)? {
                Event::Framing { consumed } => consumed,
                Event::Data { consumed } => {
                    data.extend_from_slice(&rest[..consumed]);
                    consumed
                }
                Event::End { consumed } => return written(&decoder, &data, body.len() - position - consumed),
            };
        }
    }
    Ok("incomplete".to_owned())
}

fn written(decoder: &Decoder, data: &[u8], behind: usize) -> Result<String, ChunkFault> {
    let mut out = Vec::new();
    if !data.is_empty() {
        chunked::write_size(data.len(), &mut out);
        out.extend_from_slice(data);
        out.extend_from_slice(b"\r\n");
    }
    decoder.write_end(&mut out)?;
    Ok(format!("'{}', {behind} behind, written {}", data.escape_ascii(), out.escape_ascii()))
}
