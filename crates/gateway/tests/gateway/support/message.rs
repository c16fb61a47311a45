//! A message as it came, and the bytes that are expected.

use std::fmt;

/// A request or a response, whole. The head is kept byte by byte; of a chunked body the data alone, since who cuts it where
/// depends on how the bytes arrived.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Message {
    /// From the first line to the empty one.
    pub(crate) head: String,
    pub(crate) body: Vec<u8>,
    /// What stands between the last chunk and the empty line.
    pub(crate) trailers: String,
}

/// Where the body of a message ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Framing {
    Length(usize),
    Chunked,
    UntilClose,
}

impl Message {
    pub(crate) fn new(head: impl Into<String>, body: impl Into<Vec<u8>>) -> Self {
        Self { head: head.into(), body: body.into(), trailers: String::new() }
    }

    /// The message with these lines behind its last chunk.
    pub(crate) fn with_trailers(self, trailers: &str) -> Self {
        Self { trailers: trailers.to_owned(), ..self }
    }

    /// The value of a field; panics when it stands twice, which no gateway should let pass unseen.
    pub(crate) fn field(&self, name: &str) -> Option<&str> {
        let fields = self.head.lines().skip(1).filter_map(|line| line.split_once(':'));
        let mut values =
            fields.filter(|(field, _)| field.eq_ignore_ascii_case(name)).map(|(_, value)| value.trim());
        let value = values.next();
        assert_eq!(values.next(), None, "{name} stands twice in {self:?}");
        value
    }

    pub(crate) fn start_line(&self) -> &str {
        self.head.lines().next().unwrap_or_default()
    }

    /// The status of a response.
    pub(crate) fn status(&self) -> u16 {
        self.start_line().split(' ').nth(1).and_then(|status| status.parse().ok()).expect("a status line")
    }

    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(&self.body).expect("the body is text")
    }

    /// Whether the sender closes the connection behind it.
    pub(crate) fn closes(&self) -> bool {
        self.field("connection").is_some_and(|options| options.eq_ignore_ascii_case("close"))
    }

    pub(super) fn framing(&self, otherwise: Framing) -> Framing {
        if self.field("transfer-encoding").is_some() {
            return Framing::Chunked;
        }
        let length = self.field("content-length").map(|length| length.parse().expect("a length"));
        length.map_or(otherwise, Framing::Length)
    }
}

impl fmt::Debug for Message {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        const SHOWN_BYTES_MAX: usize = 400;
        let shown = &self.body[..self.body.len().min(SHOWN_BYTES_MAX)];
        write!(formatter, "\n{}{} ({} bytes)", self.head, shown.escape_ascii(), self.body.len())?;
        write!(formatter, "\n{}", self.trailers)
    }
}

/// Ids that are passed on as they are.
pub(crate) const IDS: &str =
    "X-Request-Id: t\r\ntraceparent: 00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01\r\n";

/// The head that an origin gets of a request to `host`: `fields` are those that were let pass, `framing` is what the gateway
/// says of the body. Such a request brings [`IDS`], or every one would be different.
pub(crate) fn forwarded(request: &str, host: &str, fields: &str, framing: &str) -> String {
    format!(
        "{request} HTTP/1.1\r\nHost: {host}\r\n{fields}X-Forwarded-For: 127.0.0.1\r\nX-Real-IP: 127.0.0.1\r\n\
         X-Forwarded-Proto: http\r\nX-Forwarded-Host: {host}\r\n{IDS}{framing}\r\n"
    )
}

/// Several times what the sockets and the gateway together can hold.
pub(crate) const LARGE_BYTES: usize = 24 * 1024 * 1024;

/// So many bytes, different everywhere, so that none can be lost, doubled or moved unseen.
pub(crate) fn large_body() -> Vec<u8> {
    let mut body = vec![0; LARGE_BYTES];
    fastrand::Rng::with_seed(7).fill(&mut body);
    body
}

/// A response with this body.
pub(crate) fn ok(body: &str) -> Vec<u8> {
    format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}", body.len()).into_bytes()
}
