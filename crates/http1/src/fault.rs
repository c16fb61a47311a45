//! Why a head or a body is refused.

/// Why a request is refused. Whatever the reason, the connection is closed after the answer: where the next request begins
/// is no longer certain.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RequestFault {
    /// A TLS record where HTTP was expected.
    #[error("this port speaks plain HTTP, and a TLS handshake arrived")]
    TlsOnPlainPort,
    /// More than a few empty lines before the request line.
    #[error("too many empty lines before the request line")]
    LeadingEmptyLines,
    /// A line that ends in LF alone (RFC 9112, section 2.2).
    #[error("a line ends in LF without CR")]
    BareLineFeed,
    /// A CR that no LF follows.
    #[error("a CR stands without LF")]
    BareCarriageReturn,
    /// The request line is no `method SP target SP version`.
    #[error("the request line is malformed")]
    RequestLine,
    /// A version other than HTTP/1.0 and HTTP/1.1.
    #[error("the HTTP version is not 1.0 or 1.1")]
    Version,
    /// The target is no form that its method allows.
    #[error("the request target is malformed")]
    Target,
    /// A byte that a target cannot hold: control, space, beyond ASCII, `#`, or a broken percent-encoding.
    #[error("the request target holds a byte that cannot stand there")]
    TargetByte,
    /// The request line is longer than the bound.
    #[error("the request target is longer than {target_bytes_max} bytes")]
    TargetTooLong {
        /// The bound.
        target_bytes_max: usize,
    },
    /// The head is larger than the bound.
    #[error("the head is larger than {head_bytes_max} bytes")]
    HeadTooLarge {
        /// The bound.
        head_bytes_max: usize,
    },
    /// More fields than the bound.
    #[error("the head has more than {fields_max} fields")]
    TooManyFields {
        /// The bound.
        fields_max: usize,
    },
    /// `Connection` lines that together are longer than the bound.
    #[error("Connection is longer than {connection_bytes_max} bytes")]
    ConnectionTooLong {
        /// The bound.
        connection_bytes_max: usize,
    },
    /// A field name with a byte that is no token character, no colon, or space before it; or a folded line.
    #[error("a field name is malformed")]
    FieldName,
    /// A field value with a control character.
    #[error("a field value holds a control character")]
    FieldValue,
    /// HTTP/1.1 without `Host`.
    #[error("Host is missing")]
    HostMissing,
    /// More than one `Host`.
    #[error("Host stands more than once")]
    HostRepeated,
    /// `Host`, or the authority of the target, is no `host[:port]`.
    #[error("Host is not a host with an optional port")]
    HostMalformed,
    /// `Content-Length` is no decimal number of 64 bits.
    #[error("Content-Length is not a number")]
    ContentLength,
    /// More than one `Content-Length`, even when they agree.
    #[error("Content-Length stands more than once")]
    ContentLengthRepeated,
    /// Both framings at once (RFC 9112, section 6.1).
    #[error("Content-Length and Transfer-Encoding stand together")]
    LengthAndEncoding,
    /// More than one `Transfer-Encoding`, or `chunked` more than once.
    #[error("Transfer-Encoding stands more than once")]
    TransferEncodingRepeated,
    /// `Transfer-Encoding` in HTTP/1.0.
    #[error("Transfer-Encoding in an HTTP/1.0 message")]
    TransferEncodingVersion,
    /// `Transfer-Encoding` is empty or not a list of tokens.
    #[error("Transfer-Encoding is malformed")]
    TransferEncoding,
    /// A transfer coding other than `chunked`.
    #[error("a transfer coding other than chunked")]
    TransferCodingUnsupported,
    /// An expectation other than `100-continue`.
    #[error("an expectation other than 100-continue")]
    Expectation,
    /// A tunnel was asked for; there are none.
    #[error("this method is not allowed here")]
    MethodForbidden,
}

impl RequestFault {
    /// The status of the answer.
    #[must_use]
    pub fn status(self) -> u16 {
        match self {
            Self::TlsOnPlainPort
            | Self::LeadingEmptyLines
            | Self::BareLineFeed
            | Self::BareCarriageReturn
            | Self::RequestLine
            | Self::Target
            | Self::TargetByte
            | Self::FieldName
            | Self::FieldValue
            | Self::HostMissing
            | Self::HostRepeated
            | Self::HostMalformed
            | Self::ContentLength
            | Self::ContentLengthRepeated
            | Self::LengthAndEncoding
            | Self::TransferEncodingRepeated
            | Self::TransferEncodingVersion
            | Self::TransferEncoding => 400,
            Self::MethodForbidden => 405,
            Self::TargetTooLong { .. } => 414,
            Self::Expectation => 417,
            Self::HeadTooLarge { .. } | Self::TooManyFields { .. } | Self::ConnectionTooLong { .. } => 431,
            Self::TransferCodingUnsupported => 501,
            Self::Version => 505,
        }
    }
}

/// Why a response is not relayed. The client is answered 502, and the upstream connection is never used again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ResponseFault {
    /// A line that ends in LF alone, or a CR without LF.
    #[error("a line does not end in CRLF")]
    LineEnd,
    /// The status line is malformed, or not HTTP/1.x at all.
    #[error("the status line is malformed")]
    StatusLine,
    /// A status outside 100 to 599.
    #[error("status {status} is outside 100 to 599")]
    Status {
        /// What stood there.
        status: u16,
    },
    /// A field is malformed.
    #[error("a field is malformed")]
    Field,
    /// The head is larger than the bound.
    #[error("the head is larger than {head_bytes_max} bytes")]
    HeadTooLarge {
        /// The bound.
        head_bytes_max: usize,
    },
    /// More fields than the bound.
    #[error("the head has more than {fields_max} fields")]
    TooManyFields {
        /// The bound.
        fields_max: usize,
    },
    /// `Connection` lines that together are longer than the bound.
    #[error("Connection is longer than {connection_bytes_max} bytes")]
    ConnectionTooLong {
        /// The bound.
        connection_bytes_max: usize,
    },
    /// `Content-Length` is malformed or repeated.
    #[error("Content-Length is malformed or repeated")]
    ContentLength,
    /// `Transfer-Encoding` is anything but one `chunked`, or stands in HTTP/1.0.
    #[error("Transfer-Encoding is not chunked alone")]
    TransferEncoding,
    /// Both framings at once.
    #[error("Content-Length and Transfer-Encoding stand together")]
    LengthAndEncoding,
    /// The chunked body is malformed.
    #[error("the chunked body is malformed")]
    Chunk,
}
