//! Responses whose fields came one by one, as HTTP/2 brings them, written as HTTP/1.1.
//!
//! Invariant: as in [`crate::rewrite`], the framing is the gateway's own and written last. Names and values are fit for a head,
//! which whoever decoded them has seen to: no value holds a line end.

use crate::{
    chunked::is_trailer,
    field::{self, FieldKind},
    head::Version,
    rewrite::{self, Delivery, Persistence, put},
};

/// A response head that is a list.
#[derive(Clone, Debug)]
pub struct ListedResponse<'a, I> {
    /// 100 to 599.
    pub status: u16,
    /// What HTTP/1.1 says beside the status.
    pub reason: &'a str,
    /// As announced, where the status allows it to be: also of a body that does not come.
    pub content_length: Option<u64>,
    /// Names and values.
    pub fields: I,
}

/// Appends the head of a final response for a client of version `client` to `out`.
pub fn response<'a>(
    head: ListedResponse<'a, impl Iterator<Item = (&'a [u8], &'a [u8])>>,
    client: Version,
    delivery: Delivery,
    persistence: Persistence,
    out: &mut Vec<u8>,
) {
    let content_length = head.content_length;
    lines(head, out);
    rewrite::framing_lines(content_length, client, delivery, persistence, out);
    out.extend_from_slice(b"\r\n");
}

/// Appends the head of an interim response to `out`.
pub fn interim<'a>(head: ListedResponse<'a, impl Iterator<Item = (&'a [u8], &'a [u8])>>, out: &mut Vec<u8>) {
    lines(head, out);
    out.extend_from_slice(b"\r\n");
}

/// Appends the last chunk of a body to `out`, and those of its trailers that may be passed on.
pub fn end_of_chunks<'a>(trailers: impl Iterator<Item = (&'a str, &'a [u8])>, out: &mut Vec<u8>) {
    out.extend_from_slice(b"0\r\n");
    for (name, value) in trailers.filter(|(name, _)| is_trailer(name)) {
        put(out, &[name.as_bytes(), b": ", value, b"\r\n"]);
    }
    out.extend_from_slice(b"\r\n");
}

fn lines<'a>(head: ListedResponse<'a, impl Iterator<Item = (&'a [u8], &'a [u8])>>, out: &mut Vec<u8>) {
    rewrite::status_line(head.status, head.reason, out);
    let passed_on = head.fields.filter(|(name, _)| {
        let kind = field::kind_of(name);
        // For one connection only, and of HTTP/2 none at all (RFC 9113, section 8.2.2).
        !matches!(
            kind,
            FieldKind::Connection
                | FieldKind::Upgrade
                | FieldKind::HopByHop
                | FieldKind::TransferEncoding
                | FieldKind::ContentLength
        )
    });
    for (name, value) in passed_on {
        put(out, &[name, b": ", value, b"\r\n"]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FIELDS: [(&[u8], &[u8]); 5] = [
        (b"etag", b"a"),
        (b"content-length", b"5"),
        (b"keep-alive", b"timeout=5"),
        (b"set-cookie", b"b"),
        (b"set-cookie", b"c"),
    ];

    fn listed() -> ListedResponse<'static, impl Iterator<Item = (&'static [u8], &'static [u8])>> {
        ListedResponse { status: 200, reason: "OK", content_length: Some(5), fields: FIELDS.into_iter() }
    }

    #[test]
    fn the_framing_is_the_gateways_own() {
        for (client, delivery, persistence, end) in [
            (Version::Http11, Delivery::Length(5), Persistence::KeepAlive, "Content-Length: 5\r\n"),
            (Version::Http11, Delivery::None, Persistence::KeepAlive, "Content-Length: 5\r\n"),
            (Version::Http11, Delivery::Chunked, Persistence::KeepAlive, "Transfer-Encoding: chunked\r\n"),
            (Version::Http10, Delivery::UntilClose, Persistence::Close, "Connection: close\r\n"),
        ] {
            let mut out = Vec::new();
            response(listed(), client, delivery, persistence, &mut out);
            let expected =
                format!("HTTP/1.1 200 OK\r\netag: a\r\nset-cookie: b\r\nset-cookie: c\r\n{end}\r\n");
            assert_eq!(String::from_utf8(out).unwrap(), expected);
        }
    }

    #[test]
    fn an_interim_response_has_no_framing() {
        let mut out = Vec::new();
        interim(ListedResponse { status: 103, reason: "Early Hints", ..listed() }, &mut out);
        let expected = "HTTP/1.1 103 Early Hints\r\netag: a\r\nset-cookie: b\r\nset-cookie: c\r\n\r\n";
        assert_eq!(String::from_utf8(out).unwrap(), expected);
    }

    #[test]
    fn trailers_that_would_change_the_message_are_dropped() {
        let trailers: [(&str, &[u8]); 3] = [("x-sum", b"1"), ("content-length", b"5"), ("location", b"/")];
        let mut out = Vec::new();
        end_of_chunks(trailers.into_iter(), &mut out);
        assert_eq!(out, b"0\r\nx-sum: 1\r\n\r\n");
    }
}
