//! Heads for the other side, made from the bytes received: the lines that stay are copied in runs, the gateway's own are
//! added behind them.
//!
//! Invariant: the framing that a rewritten head announces is the one that was judged, in its plainest form. What the
//! gateway vouches for is written after everything a peer sent has been dropped.

use crate::{
    field::FieldKind,
    head::{Lines, Version},
    request::{RequestBody, RequestHead},
    response::{ResponseBody, ResponseHead},
    target::Target,
    upgrade,
};

/// The decimal digits of [`u64::MAX`].
const DIGITS_MAX: usize = 20;

/// What the gateway tells the upstream about a request.
#[derive(Clone, Copy, Debug)]
pub struct Forwarded<'a> {
    /// The client's address, as text.
    pub client_ip: &'a [u8],
    /// Whom the request came through, as text: the client first, the peer last.
    pub hops: &'a [u8],
    /// `http` or `https`: how the client came.
    pub scheme: &'static str,
    /// Which host the client asked for, where that is not the one the request names.
    pub client_host: Option<&'a [u8]>,
    /// The request's id.
    pub request_id: &'a [u8],
    /// Its `traceparent`.
    pub traceparent: &'a [u8],
    /// The `Host` for a request that has none, which only HTTP/1.0 allows.
    pub default_host: &'a str,
}

/// Appends the head for an HTTP/1.1 upstream to `out`.
pub fn request(head: &RequestHead<'_, '_>, forwarded: &Forwarded<'_>, out: &mut Vec<u8>) {
    out.extend_from_slice(head.method);
    match &head.target {
        Target::Resource { path, query, .. } => {
            put(out, &[b" ", path.as_bytes(), query]);
        }
        Target::Server => out.extend_from_slice(b" *"),
    }
    let host = head.authority.unwrap_or(forwarded.default_host.as_bytes());
    put(out, &[b" HTTP/1.1\r\nHost: ", host, b"\r\n"]);
    head.lines.copy(out, |kind, name| match kind {
        FieldKind::Plain => !head.connection.names_fields || !head.lines.connection_names(name),
        FieldKind::Protected => true,
        // It says more of the trace that the client's `traceparent` names, and of no other.
        FieldKind::TraceState => head.traceparent.is_some() && !head.lines.connection_names(name),
        _ => false,
    });
    put(
        out,
        &[
            b"X-Forwarded-For: ",
            forwarded.hops,
            b"\r\nX-Real-IP: ",
            forwarded.client_ip,
            b"\r\nX-Forwarded-Proto: ",
            forwarded.scheme.as_bytes(),
            b"\r\nX-Forwarded-Host: ",
            forwarded.client_host.unwrap_or(host),
            b"\r\nX-Request-Id: ",
            forwarded.request_id,
            b"\r\ntraceparent: ",
            forwarded.traceparent,
            b"\r\n",
        ],
    );
    match head.body {
        RequestBody::Chunked => out.extend_from_slice(b"Transfer-Encoding: chunked\r\n"),
        // A length of zero is told only where it was told: a GET without one stays so.
        RequestBody::Length(length) if head.lines.has(FieldKind::ContentLength) => {
            content_length(out, length);
        }
        RequestBody::Length(_) => {}
    }
    if head.expects_continue {
        out.extend_from_slice(b"Expect: 100-continue\r\n");
    }
    if head.asks_upgrade {
        upgrade_lines(&head.lines, out);
    }
    out.extend_from_slice(b"\r\n");
}

/// Adds to a complete request head that whoever sends it takes trailers (RFC 9110, section 10.1.4).
pub fn ask_for_trailers(head: &mut Vec<u8>) {
    head.truncate(head.len() - b"\r\n".len());
    head.extend_from_slice(b"Connection: TE\r\nTE: trailers\r\n\r\n");
}

/// Whether the client's connection goes on after a response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Persistence {
    /// Another request may come.
    KeepAlive,
    /// It is closed.
    Close,
}

/// How the body of a response reaches the client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Delivery {
    /// No body.
    None,
    /// As many bytes as the upstream announced.
    Length(u64),
    /// In chunks.
    Chunked,
    /// As bytes that end with the connection, for HTTP/1.0.
    UntilClose,
}

impl Delivery {
    /// The delivery of `body` to a client of this version.
    #[must_use]
    pub fn of(body: ResponseBody, client: Version) -> Self {
        match (body, client) {
            (ResponseBody::None, _) => Self::None,
            (ResponseBody::Length(length), _) => Self::Length(length),
            (ResponseBody::Chunked | ResponseBody::UntilClose, Version::Http11) => Self::Chunked,
            (ResponseBody::Chunked | ResponseBody::UntilClose, Version::Http10) => Self::UntilClose,
        }
    }
}

/// Appends the head of a final response for a client of version `client` to `out`.
pub fn response(
    head: &ResponseHead<'_, '_>,
    client: Version,
    delivery: Delivery,
    persistence: Persistence,
    out: &mut Vec<u8>,
) {
    response_lines(head, out);
    framing_lines(head.content_length, client, delivery, persistence, out);
    // A 426 has to name what it requires (RFC 9110, section 15.5.22).
    if head.status == 426 && client == Version::Http11 && upgrade::protocols(&head.lines).next().is_some() {
        upgrade_lines(&head.lines, out);
    }
    out.extend_from_slice(b"\r\n");
}

/// Appends the head of a 101 that [`Upgrade::is_answered_by`](crate::Upgrade::is_answered_by) to `out`.
pub fn switch(head: &ResponseHead<'_, '_>, out: &mut Vec<u8>) {
    response_lines(head, out);
    upgrade_lines(&head.lines, out);
    out.extend_from_slice(b"\r\n");
}

/// Appends the head of an interim response to `out`.
pub fn interim(head: &ResponseHead<'_, '_>, out: &mut Vec<u8>) {
    response_lines(head, out);
    out.extend_from_slice(b"\r\n");
}

/// How the body of a final response is framed, and what becomes of the connection.
pub(crate) fn framing_lines(
    announced: Option<u64>,
    client: Version,
    delivery: Delivery,
    persistence: Persistence,
    out: &mut Vec<u8>,
) {
    match (delivery, announced) {
        (Delivery::Length(length), _) | (Delivery::None, Some(length)) => content_length(out, length),
        (Delivery::Chunked, _) => out.extend_from_slice(b"Transfer-Encoding: chunked\r\n"),
        (Delivery::None, None) | (Delivery::UntilClose, _) => {}
    }
    out.extend_from_slice(connection_line(client, persistence));
}

pub(crate) fn status_line(status: u16, reason: &str, out: &mut Vec<u8>) {
    let status = [
        b'0' + u8::try_from(status / 100).unwrap_or(5),
        b'0' + u8::try_from(status / 10 % 10).unwrap_or(0),
        b'0' + u8::try_from(status % 10).unwrap_or(0),
    ];
    put(out, &[b"HTTP/1.1 ", &status, b" ", reason.as_bytes(), b"\r\n"]);
}

fn response_lines(head: &ResponseHead<'_, '_>, out: &mut Vec<u8>) {
    status_line(head.status, head.reason, out);
    head.lines.copy(out, |kind, name| match kind {
        FieldKind::Connection
        | FieldKind::HopByHop
        | FieldKind::Upgrade
        | FieldKind::TransferEncoding
        | FieldKind::ContentLength => false,
        FieldKind::Plain if head.connection.names_fields => !head.lines.connection_names(name),
        _ => true,
    });
}

/// The `Connection` line that a client of this version needs to hear; empty where its default already says so.
#[must_use]
pub fn connection_line(client: Version, persistence: Persistence) -> &'static [u8] {
    match (client, persistence) {
        (Version::Http11, Persistence::KeepAlive) => b"",
        (Version::Http10, Persistence::KeepAlive) => b"Connection: keep-alive\r\n",
        (_, Persistence::Close) => b"Connection: close\r\n",
    }
}

/// Appends `Connection` and `Upgrade` with the protocols that may pass, of which there is one.
fn upgrade_lines(lines: &Lines<'_, '_>, out: &mut Vec<u8>) {
    out.extend_from_slice(b"Connection: Upgrade\r\nUpgrade: ");
    for (index, protocol) in upgrade::protocols(lines).enumerate() {
        put(out, &[if index == 0 { b"" } else { b", " }, protocol]);
    }
    out.extend_from_slice(b"\r\n");
}

fn content_length(out: &mut Vec<u8>, length: u64) {
    // Digit by digit from the end: formatting would cost as much as the rest of the head.
    let mut digits = [0; DIGITS_MAX];
    let mut start = DIGITS_MAX;
    let mut left = length;
    while left > 0 || start == DIGITS_MAX {
        start -= 1;
        digits[start] = b'0' + u8::try_from(left % 10).unwrap_or(0);
        left /= 10;
    }
    put(out, &[b"Content-Length: ", &digits[start..], b"\r\n"]);
}

pub(crate) fn put(out: &mut Vec<u8>, parts: &[&[u8]]) {
    for part in parts {
        out.extend_from_slice(part);
    }
}
