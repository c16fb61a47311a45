//! Request heads: parsed and judged.

use crate::{
    fault::RequestFault,
    field::{self, ConnectionOptions, FieldKind},
    head::{self, FieldSlots, HeadLimits, HeadScan, LineEndFault, Lines, Version},
    target::{self, Target},
    upgrade,
};

/// Empty lines that are let pass before a request line: old clients send one after a body (RFC 9112, section 2.2).
const LEADING_EMPTY_LINES_MAX: usize = 4;

/// The longest `traceparent` that is passed on; what its later versions may hold is not known yet.
const TRACEPARENT_BYTES_MAX: usize = 128;

/// Where the body of a request ends. Never at the end of the connection: a request cannot be delimited so.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RequestBody {
    /// After this many bytes; zero where there is no body.
    Length(u64),
    /// After the last chunk and its trailers.
    Chunked,
}

/// A request head, borrowed from the bytes received.
pub struct RequestHead<'s, 'b> {
    pub(crate) lines: Lines<'s, 'b>,
    pub(crate) connection: ConnectionOptions,
    /// The method, a token in the case it was sent in.
    pub method: &'b [u8],
    /// What is asked for.
    pub target: Target<'b>,
    /// The client's version.
    pub version: Version,
    /// `host[:port]` as the request means it: of an absolute target, else of `Host`; `None` only in HTTP/1.0.
    pub authority: Option<&'b [u8]>,
    /// Where the body ends.
    pub body: RequestBody,
    /// Whether the client waits for `100 Continue` before it sends its body.
    pub expects_continue: bool,
    /// `X-Request-Id`, when it is fit to be passed on.
    pub request_id: Option<&'b [u8]>,
    /// `traceparent`, when it is one: what it says is passed on, and `tracestate` with it.
    pub traceparent: Option<&'b [u8]>,
    /// Whether it asks to switch to another protocol, and may: of HTTP/1.0 and of a request with a body that is ignored.
    pub asks_upgrade: bool,
    /// Whether the client will send another request on this connection.
    pub keep_alive: bool,
}

impl<'b> RequestHead<'_, 'b> {
    /// The value of the first field of this name, which is compared without regard to case.
    #[must_use]
    pub fn field(&self, name: &str) -> Option<&'b [u8]> {
        let header = self.lines.headers.iter().find(|header| header.name.eq_ignore_ascii_case(name))?;
        Some(header.value)
    }

    /// The value of the only field of this name, which is compared without regard to case; `None` without one.
    ///
    /// # Errors
    /// [`Repeated`] when there are several: which of them counts is anybody's guess.
    pub fn only_field(&self, name: &str) -> Result<Option<&'b [u8]>, Repeated> {
        let mut values = self.fields_reversed(name);
        let value = values.next();
        if values.next().is_some() { Err(Repeated) } else { Ok(value) }
    }

    /// The values of all fields of this name, the last first.
    pub(crate) fn fields_reversed(&self, name: &str) -> impl Iterator<Item = &'b [u8]> {
        let headers = self.lines.headers.iter().rev();
        headers.filter(move |header| header.name.eq_ignore_ascii_case(name)).map(|header| header.value)
    }

    /// The value of the last field of this name.
    pub(crate) fn last_field(&self, name: &str) -> Option<&'b [u8]> {
        self.fields_reversed(name).next()
    }

    /// Whether the client says that it takes trailers (RFC 9110, section 10.1.4).
    #[must_use]
    pub fn takes_trailers(&self) -> bool {
        let mut codings = self.lines.headers.iter().filter(|header| header.name.eq_ignore_ascii_case("te"));
        codings.any(|header| {
            field::elements(header.value).any(|coding| coding.eq_ignore_ascii_case(b"trailers"))
        })
    }
}

/// A field that stands more than once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Repeated;

/// Drops the empty lines that may precede a request; the length of what was dropped.
///
/// # Errors
/// [`RequestFault::LeadingEmptyLines`] past a few of them.
pub fn leading_empty_lines(bytes: &[u8]) -> Result<usize, RequestFault> {
    let count = bytes.chunks_exact(2).take_while(|pair| pair == b"\r\n").count();
    if count > LEADING_EMPTY_LINES_MAX { Err(RequestFault::LeadingEmptyLines) } else { Ok(2 * count) }
}

/// Parses the head that `bytes` begins with, and its length; `None` until all of it has arrived.
///
/// # Errors
/// A [`RequestFault`]; the connection then ends after the answer.
pub fn parse<'s, 'b>(
    bytes: &'b [u8],
    scan: &mut HeadScan,
    slots: &'s mut FieldSlots<'b>,
    limits: &HeadLimits,
) -> Result<Option<(RequestHead<'s, 'b>, usize)>, RequestFault> {
    if bytes.first() == Some(&0x16) {
        return Err(RequestFault::TlsOnPlainPort);
    }
    // What comes in parts is parsed once it has all come: a head that grows by the byte would be parsed for each.
    if scan.has_begun() && end_of(bytes, scan, limits)?.is_none() {
        return Ok(None);
    }
    let FieldSlots { headers, kinds } = slots;
    let fields_max = limits.fields_max.min(headers.len());
    let mut parsed = httparse::Request::new(&mut []);
    let outcome = parsed.parse_with_uninit_headers(bytes, &mut headers[..fields_max]);
    match outcome {
        Ok(httparse::Status::Complete(head_bytes))
            if head::is_strict(&bytes[..head_bytes], parsed.headers) =>
        {
            if head_bytes > limits.head_bytes_max {
                return Err(too_large(bytes, limits));
            }
            let head = judge(&bytes[..head_bytes], parsed, kinds, limits)?;
            Ok(Some((head, head_bytes)))
        }
        outcome => {
            // How it ends decides first what is wrong with it, and whether anything is.
            let Some(head_bytes) = end_of(bytes, scan, limits)? else { return Ok(None) };
            Err(match outcome {
                Err(error) => fault_of(error, &bytes[..head_bytes], fields_max),
                Ok(_) => RequestFault::RequestLine,
            })
        }
    }
}

/// The length of the head, once all of it has arrived.
fn end_of(bytes: &[u8], scan: &mut HeadScan, limits: &HeadLimits) -> Result<Option<usize>, RequestFault> {
    let end = scan.end(bytes).map_err(|fault| match fault {
        LineEndFault::LineFeedAlone => RequestFault::BareLineFeed,
        LineEndFault::CarriageReturnAlone => RequestFault::BareCarriageReturn,
    })?;
    match end {
        None if bytes.len() < limits.head_bytes_max => Ok(None),
        Some(head_bytes) if head_bytes <= limits.head_bytes_max => Ok(Some(head_bytes)),
        _ => Err(too_large(bytes, limits)),
    }
}

fn too_large(bytes: &[u8], limits: &HeadLimits) -> RequestFault {
    match memchr::memchr(b'\n', bytes) {
        Some(line_end) if line_end <= limits.target_bytes_max => {
            RequestFault::HeadTooLarge { head_bytes_max: limits.head_bytes_max }
        }
        _ => RequestFault::TargetTooLong { target_bytes_max: limits.target_bytes_max },
    }
}

fn judge<'s, 'b>(
    bytes: &'b [u8],
    parsed: httparse::Request<'s, 'b>,
    kinds: &'s mut [FieldKind],
    limits: &HeadLimits,
) -> Result<RequestHead<'s, 'b>, RequestFault> {
    let httparse::Request { method, path, version, headers } = parsed;
    let (Some(method), Some(target), Some(version)) = (method, path, version) else {
        return Err(RequestFault::RequestLine);
    };
    if target.len() > limits.target_bytes_max {
        return Err(RequestFault::TargetTooLong { target_bytes_max: limits.target_bytes_max });
    }
    let version = if version == 1 { Version::Http11 } else { Version::Http10 };
    let method = method.as_bytes();
    let target = target::parse(method, target.as_bytes())?;

    let headers: &'s [_] = headers;
    let mut fields = Fields::default();
    for (header, kind) in headers.iter().zip(kinds.iter_mut()) {
        *kind = fields.read(header, version)?;
    }
    let host = fields.host(version)?;
    let body = fields.body()?;
    let connection = fields.connection;
    Ok(RequestHead {
        lines: Lines { bytes, headers, kinds: &kinds[..headers.len()] },
        connection,
        method,
        authority: match target {
            Target::Resource { authority: Some(authority), .. } => Some(authority),
            _ => host,
        },
        target,
        version,
        body,
        // HTTP/1.0 has no 100 (RFC 9110, section 10.1.1).
        expects_continue: fields.expects_continue && version == Version::Http11,
        request_id: fields.request_id,
        traceparent: fields.traceparent.filter(|traceparent| is_traceparent(traceparent)),
        asks_upgrade: fields.names_protocol
            && connection.upgrade
            && version == Version::Http11
            && body == RequestBody::Length(0),
        keep_alive: match version {
            Version::Http11 => !connection.close,
            Version::Http10 => connection.keep_alive && !connection.close,
        },
    })
}

/// What the fields say, gathered in one pass.
#[derive(Default)]
struct Fields<'b> {
    host: Option<&'b [u8]>,
    content_length: Option<u64>,
    is_chunked: bool,
    connection: ConnectionOptions,
    expects_continue: bool,
    request_id: Option<&'b [u8]>,
    /// Empty, which is none, when it stands twice.
    traceparent: Option<&'b [u8]>,
    /// Whether `Upgrade` names a protocol that may pass.
    names_protocol: bool,
}

impl<'b> Fields<'b> {
    fn read(&mut self, header: &httparse::Header<'b>, version: Version) -> Result<FieldKind, RequestFault> {
        if field::has_underscore(header.name.as_bytes()) {
            return Ok(FieldKind::HopByHop);
        }
        let kind = field::kind_of(header.name.as_bytes());
        match kind {
            FieldKind::Host if self.host.replace(header.value).is_some() => {
                return Err(RequestFault::HostRepeated);
            }
            FieldKind::ContentLength => {
                let length = match field::content_length(header.value) {
                    Some(length) => length,
                    // `5, 5` is a repetition in one line.
                    None if header.value.contains(&b',') => return Err(RequestFault::ContentLengthRepeated),
                    None => return Err(RequestFault::ContentLength),
                };
                if self.content_length.replace(length).is_some() {
                    return Err(RequestFault::ContentLengthRepeated);
                }
            }
            FieldKind::TransferEncoding if version == Version::Http10 => {
                return Err(RequestFault::TransferEncodingVersion);
            }
            FieldKind::TransferEncoding => self.read_transfer_encoding(header.value)?,
            FieldKind::Connection => {
                self.connection.read(header.value).map_err(|field::ConnectionTooLong| {
                    RequestFault::ConnectionTooLong { connection_bytes_max: field::CONNECTION_BYTES_MAX }
                })?;
            }
            FieldKind::Expect => {
                if !header.value.eq_ignore_ascii_case(b"100-continue") {
                    return Err(RequestFault::Expectation);
                }
                self.expects_continue = true;
            }
            FieldKind::Upgrade => self.names_protocol |= upgrade::names_one(header.value),
            FieldKind::TraceParent => {
                self.traceparent = Some(if self.traceparent.is_none() { header.value } else { b"" });
            }
            FieldKind::RequestId if is_request_id(header.value) => self.request_id = Some(header.value),
            _ => {}
        }
        Ok(kind)
    }

    fn read_transfer_encoding(&mut self, value: &[u8]) -> Result<(), RequestFault> {
        // An empty element is no coding here, though lists may hold some: `chunked,` is unknown to many a parser.
        for coding in value.split(|byte| *byte == b',').map(<[u8]>::trim_ascii) {
            if !coding.eq_ignore_ascii_case(b"chunked") {
                let is_token = !coding.is_empty()
                    && coding
                        .iter()
                        .all(|byte| byte.is_ascii_graphic() && !b"()<>@:\\\"/[]?{}".contains(byte));
                return Err(match is_token {
                    true => RequestFault::TransferCodingUnsupported,
                    false => RequestFault::TransferEncoding,
                });
            }
            if std::mem::replace(&mut self.is_chunked, true) {
                return Err(RequestFault::TransferEncodingRepeated);
            }
        }
        Ok(())
    }

    fn host(&self, version: Version) -> Result<Option<&'b [u8]>, RequestFault> {
        match self.host {
            None if version == Version::Http11 => Err(RequestFault::HostMissing),
            None => Ok(None),
            Some(host) => target::host_of(host).map(|_| Some(host)).ok_or(RequestFault::HostMalformed),
        }
    }

    fn body(&self) -> Result<RequestBody, RequestFault> {
        match (self.is_chunked, self.content_length) {
            (true, Some(_)) => Err(RequestFault::LengthAndEncoding),
            (true, None) => Ok(RequestBody::Chunked),
            (false, length) => Ok(RequestBody::Length(length.unwrap_or(0))),
        }
    }
}

/// Whether an id from outside can stand in logs and headers: short, and nothing that could end a line or a field.
fn is_request_id(value: &[u8]) -> bool {
    (1..=128).contains(&value.len())
        && value.iter().all(|byte| byte.is_ascii_alphanumeric() || b"-_.:+/=".contains(byte))
}

/// Whether this is a `traceparent` (W3C Trace Context, section 3.2): `version-trace-parent-flags`, in lower-case hexadecimal, and
/// neither id all zero. A version later than 00 may say more behind that.
fn is_traceparent(value: &[u8]) -> bool {
    let Some((known, more)) = value.split_at_checked(55) else { return false };
    let mut parts = known.split(|byte| *byte == b'-');
    let mut is_hex = |length: usize| {
        let part = parts.next().unwrap_or_default();
        let is_digit = |byte: &u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
        (part.len() == length && part.iter().all(is_digit)).then_some(part)
    };
    let (Some(version), Some(trace), Some(parent), Some(_flags)) =
        (is_hex(2), is_hex(32), is_hex(16), is_hex(2))
    else {
        return false;
    };
    let may_go_on = match (version, more) {
        (b"ff", _) => false,
        (_, []) => true,
        (version, [b'-', ..]) => version != b"00" && value.len() <= TRACEPARENT_BYTES_MAX,
        _ => false,
    };
    let is_id = |id: &[u8]| id.iter().any(|digit| *digit != b'0');
    may_go_on && is_id(trace) && is_id(parent)
}

fn fault_of(error: httparse::Error, bytes: &[u8], fields_max: usize) -> RequestFault {
    match error {
        httparse::Error::HeaderName => RequestFault::FieldName,
        httparse::Error::HeaderValue => RequestFault::FieldValue,
        httparse::Error::TooManyHeaders => RequestFault::TooManyFields { fields_max },
        // Behind a version that stands at the end of its line, only a CR without LF is left to be wrong.
        httparse::Error::NewLine if version_named(bytes).is_some() => RequestFault::BareCarriageReturn,
        httparse::Error::Version
            if version_named(bytes).is_some_and(|version| !matches!(version, b"1.0" | b"1.1")) =>
        {
            RequestFault::Version
        }
        httparse::Error::Status
        | httparse::Error::Token
        | httparse::Error::Version
        | httparse::Error::NewLine => RequestFault::RequestLine,
    }
}

/// The version that the request line ends in, of whatever protocol generation, as that of the HTTP/2 preface.
fn version_named(bytes: &[u8]) -> Option<&[u8]> {
    let line = bytes.split(|byte| *byte == b'\r').next()?;
    let (rest, version) = line.split_at_checked(line.len().checked_sub(3)?)?;
    let is_version =
        matches!(version, [major, b'.', minor] if major.is_ascii_digit() && minor.is_ascii_digit());
    (rest.ends_with(b" HTTP/") && is_version).then_some(version)
}
