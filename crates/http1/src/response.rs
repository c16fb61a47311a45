//! Response heads: parsed, judged, and with the end of their body (RFC 9112, section 6.3).

use crate::{
    fault::ResponseFault,
    field::{self, ConnectionOptions, FieldKind},
    head::{self, FieldSlots, HeadLimits, HeadScan, Lines, Version},
};

/// Where the body of a response ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ResponseBody {
    /// There is none, whatever the fields say.
    None,
    /// After this many bytes.
    Length(u64),
    /// After the last chunk and its trailers.
    Chunked,
    /// Where the connection ends.
    UntilClose,
}

/// Whether the method of the request allows its response a body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RequestKind {
    /// `HEAD`: the fields of the response describe a body that does not come.
    Head,
    /// Any other method.
    Other,
}

/// A response head, borrowed from the bytes received.
pub struct ResponseHead<'s, 'b> {
    pub(crate) lines: Lines<'s, 'b>,
    pub(crate) connection: ConnectionOptions,
    pub(crate) reason: &'b str,
    /// As announced, where the status allows it to be: also of a body that does not come.
    pub(crate) content_length: Option<u64>,
    /// 100 to 599.
    pub status: u16,
    /// Where the body ends.
    pub body: ResponseBody,
    /// Whether the upstream leaves the connection open after this response.
    pub keep_alive: bool,
}

impl ResponseHead<'_, '_> {
    /// Whether the final response is yet to come (RFC 9110, section 15.2). 101 is final: the connection changes hands.
    #[must_use]
    pub fn is_interim(&self) -> bool {
        (100..200).contains(&self.status) && self.status != 101
    }
}

/// Parses the head that `bytes` begins with, and its length; `None` until all of it has arrived.
///
/// # Errors
/// A [`ResponseFault`]; the upstream connection is then of no more use.
pub fn parse<'s, 'b>(
    bytes: &'b [u8],
    scan: &mut HeadScan,
    slots: &'s mut FieldSlots<'b>,
    limits: &HeadLimits,
    request: RequestKind,
) -> Result<Option<(ResponseHead<'s, 'b>, usize)>, ResponseFault> {
    if bytes.len() >= 5 && !bytes.starts_with(b"HTTP/") {
        return Err(ResponseFault::StatusLine);
    }
    // What comes in parts is parsed once it has all come: a head that grows by the byte would be parsed for each.
    if scan.has_begun() && end_of(bytes, scan, limits)?.is_none() {
        return Ok(None);
    }
    let FieldSlots { headers, kinds } = slots;
    let fields_max = limits.fields_max.min(headers.len());
    let mut parsed = httparse::Response::new(&mut []);
    let outcome = httparse::ParserConfig::default().parse_response_with_uninit_headers(
        &mut parsed,
        bytes,
        &mut headers[..fields_max],
    );
    match outcome {
        Ok(httparse::Status::Complete(head_bytes))
            if head::is_strict(&bytes[..head_bytes], parsed.headers) =>
        {
            if head_bytes > limits.head_bytes_max {
                return Err(ResponseFault::HeadTooLarge { head_bytes_max: limits.head_bytes_max });
            }
            let head = judge(&bytes[..head_bytes], parsed, kinds, request)?;
            Ok(Some((head, head_bytes)))
        }
        outcome => {
            // How it ends decides first what is wrong with it, and whether anything is.
            if end_of(bytes, scan, limits)?.is_none() {
                return Ok(None);
            }
            Err(match outcome {
                Err(error) => fault_of(error, fields_max),
                Ok(_) => ResponseFault::StatusLine,
            })
        }
    }
}

/// The length of the head, once all of it has arrived.
fn end_of(bytes: &[u8], scan: &mut HeadScan, limits: &HeadLimits) -> Result<Option<usize>, ResponseFault> {
    match scan.end(bytes).map_err(|_| ResponseFault::LineEnd)? {
        None if bytes.len() < limits.head_bytes_max => Ok(None),
        Some(head_bytes) if head_bytes <= limits.head_bytes_max => Ok(Some(head_bytes)),
        _ => Err(ResponseFault::HeadTooLarge { head_bytes_max: limits.head_bytes_max }),
    }
}

fn fault_of(error: httparse::Error, fields_max: usize) -> ResponseFault {
    match error {
        httparse::Error::TooManyHeaders => ResponseFault::TooManyFields { fields_max },
        httparse::Error::HeaderName | httparse::Error::HeaderValue => ResponseFault::Field,
        httparse::Error::NewLine => ResponseFault::LineEnd,
        httparse::Error::Status | httparse::Error::Token | httparse::Error::Version => {
            ResponseFault::StatusLine
        }
    }
}

fn judge<'s, 'b>(
    bytes: &'b [u8],
    parsed: httparse::Response<'s, 'b>,
    kinds: &'s mut [FieldKind],
    request: RequestKind,
) -> Result<ResponseHead<'s, 'b>, ResponseFault> {
    let httparse::Response { version, code, reason, headers } = parsed;
    let (Some(version), Some(status)) = (version, code) else {
        return Err(ResponseFault::StatusLine);
    };
    if !(100..600).contains(&status) {
        return Err(ResponseFault::Status { status });
    }
    let version = if version == 1 { Version::Http11 } else { Version::Http10 };
    let headers: &'s [_] = headers;
    let mut fields = Fields::default();
    for (header, kind) in headers.iter().zip(kinds.iter_mut()) {
        *kind = fields.read(header, version)?;
    }
    if fields.is_chunked && fields.content_length.is_some() {
        return Err(ResponseFault::LengthAndEncoding);
    }
    let body = fields.body(status, request);
    let has_no_content = matches!(status, 100..200 | 204);
    let connection = fields.connection;
    let persists = match version {
        Version::Http11 => !connection.close,
        Version::Http10 => connection.keep_alive && !connection.close,
    };
    Ok(ResponseHead {
        lines: Lines { bytes, headers, kinds: &kinds[..headers.len()] },
        connection,
        reason: reason.unwrap_or_default(),
        // RFC 9110, section 8.6.
        content_length: fields.content_length.filter(|_| !has_no_content),
        status,
        body,
        keep_alive: persists
            && match (status, body) {
                // What follows is no HTTP.
                (101, _) | (_, ResponseBody::UntilClose) => false,
                // A body that is announced and cannot be there would be taken for the next response.
                _ if has_no_content => !fields.is_chunked && fields.content_length.unwrap_or(0) == 0,
                _ => true,
            },
    })
}

#[derive(Default)]
struct Fields {
    content_length: Option<u64>,
    is_chunked: bool,
    connection: ConnectionOptions,
}

impl Fields {
    fn read(&mut self, header: &httparse::Header<'_>, version: Version) -> Result<FieldKind, ResponseFault> {
        let kind = field::kind_of(header.name.as_bytes());
        match kind {
            FieldKind::ContentLength => {
                let length = field::content_length(header.value).ok_or(ResponseFault::ContentLength)?;
                if self.content_length.replace(length).is_some() {
                    return Err(ResponseFault::ContentLength);
                }
            }
            FieldKind::TransferEncoding => {
                let is_first = !std::mem::replace(&mut self.is_chunked, true);
                if !is_first || version == Version::Http10 || !header.value.eq_ignore_ascii_case(b"chunked") {
                    return Err(ResponseFault::TransferEncoding);
                }
            }
            FieldKind::Connection => {
                self.connection.read(header.value).map_err(|field::ConnectionTooLong| {
                    ResponseFault::ConnectionTooLong { connection_bytes_max: field::CONNECTION_BYTES_MAX }
                })?;
            }
            _ => {}
        }
        Ok(kind)
    }

    fn body(&self, status: u16, request: RequestKind) -> ResponseBody {
        match (status, request) {
            (100..200 | 204 | 304, _) | (_, RequestKind::Head) => ResponseBody::None,
            _ if self.is_chunked => ResponseBody::Chunked,
            _ => self.content_length.map_or(ResponseBody::UntilClose, ResponseBody::Length),
        }
    }
}
