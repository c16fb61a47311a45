//! What came back for a request, and whether it is what was expected.

use std::io;

/// Header fields of an answer; one with more is refused.
const HEADERS_MAX: usize = 64;

/// What went wrong with one request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, thiserror::Error)]
pub(crate) enum Fault {
    #[error("the connection broke ({0})")]
    Broken(io::ErrorKind),
    #[error("the connection was closed")]
    Closed,
    #[error("no HTTP/1.1 response with a Content-Length")]
    Framing,
    #[error("bytes after the end of the response")]
    Excess,
    #[error("status {0}")]
    Status(u16),
    #[error("a body of {found} bytes instead of {expected}")]
    Length { expected: u64, found: u64 },
    #[error("no answer")]
    Unanswered,
}

impl Fault {
    /// Nobody can tell any more where the next response on this connection would begin.
    pub(super) fn ends_connection(self) -> bool {
        match self {
            Self::Broken(_) | Self::Closed | Self::Framing | Self::Excess | Self::Unanswered => true,
            Self::Status(_) | Self::Length { .. } => false,
        }
    }
}

impl From<io::Error> for Fault {
    fn from(error: io::Error) -> Self {
        Self::Broken(error.kind())
    }
}

/// The head of a response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Head {
    pub(super) status: u16,
    pub(super) head_bytes: usize,
    /// As announced.
    pub(super) body_bytes: u64,
}

impl Head {
    /// `None` while the head is incomplete.
    pub(super) fn parse(received: &[u8]) -> Result<Option<Self>, Fault> {
        let mut headers = [httparse::EMPTY_HEADER; HEADERS_MAX];
        let mut response = httparse::Response::new(&mut headers);
        let head_bytes = match response.parse(received) {
            Ok(httparse::Status::Complete(head_bytes)) => head_bytes,
            Ok(httparse::Status::Partial) => return Ok(None),
            Err(_) => return Err(Fault::Framing),
        };
        let named = |name: &'static str| {
            response.headers.iter().filter(move |header| header.name.eq_ignore_ascii_case(name))
        };
        let mut lengths = named("content-length");
        let (Some(status), Some(length), None, None) =
            (response.code, lengths.next(), lengths.next(), named("transfer-encoding").next())
        else {
            return Err(Fault::Framing);
        };
        let length = str::from_utf8(length.value).ok().and_then(|length| length.trim().parse().ok());
        Ok(Some(Self { status, head_bytes, body_bytes: length.ok_or(Fault::Framing)? }))
    }

    /// Whether this is the answer that the target was to give.
    pub(super) fn check(self, body_bytes: u64) -> Result<(), Fault> {
        if self.status != 200 {
            return Err(Fault::Status(self.status));
        }
        if self.body_bytes != body_bytes {
            return Err(Fault::Length { expected: body_bytes, found: self.body_bytes });
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::{Fault, Head};

    #[test]
    fn a_head_is_read_once_it_is_complete() {
        let response = b"HTTP/1.1 200 OK\r\ncontent-LENGTH: 100 \r\n\r\n{\"id\"";
        let head_bytes = response.len() - 5;
        for cut in 0..head_bytes {
            assert_eq!(Head::parse(&response[..cut]), Ok(None), "the first {cut} bytes");
        }
        assert_eq!(Head::parse(response), Ok(Some(Head { status: 200, head_bytes, body_bytes: 100 })));
    }

    #[test]
    fn a_response_of_unknown_length_is_refused() {
        for fields in [
            "",
            "Content-Length: many\r\n",
            "Content-Length: -1\r\n",
            "Content-Length: 1\r\nContent-Length: 1\r\n",
            "Content-Length: 1\r\nTransfer-Encoding: chunked\r\n",
            "no field\r\n",
        ] {
            let response = format!("HTTP/1.1 200 OK\r\n{fields}\r\n");
            assert_eq!(Head::parse(response.as_bytes()), Err(Fault::Framing), "{fields:?}");
        }
    }

    #[test]
    fn another_status_or_length_is_a_fault() {
        let head = |status, body_bytes| Head { status, head_bytes: 40, body_bytes };
        assert_eq!(head(200, 100).check(100), Ok(()));
        assert_eq!(head(502, 100).check(100), Err(Fault::Status(502)));
        assert_eq!(head(200, 99).check(100), Err(Fault::Length { expected: 100, found: 99 }));
    }
}
