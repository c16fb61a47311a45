//! The chunked transfer coding (RFC 9112, section 7.1): decoded and judged, and written anew.
//!
//! A body is never passed on in the chunks it came in: sizes are written again in their plainest form, extensions are
//! dropped, and of the trailers only those stay that cannot change what a message means.

use crate::{
    field::{self, FieldKind},
    rewrite::put,
    target::hex_digit,
};

/// Extension bytes in one body; beyond a few they are an attack.
const EXTENSION_BYTES_MAX: u32 = 4 * 1024;
/// The trailer section of one body.
const TRAILER_BYTES_MAX: usize = 8 * 1024;
/// Fields in a trailer section.
const TRAILER_FIELDS_MAX: usize = 32;
/// Zeroes may pad a size, but not without end.
const SIZE_DIGITS_MAX: u8 = 16;

/// The chunked body is malformed, or holds more around its data than the bounds allow.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the chunked body is malformed")]
pub struct ChunkFault;

/// What the next bytes of a chunked body are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// Framing that is done with; nothing to pass on.
    Framing {
        /// How many bytes.
        consumed: usize,
    },
    /// Data, as many bytes as are here of the current chunk; at least one.
    Data {
        /// How many bytes.
        consumed: usize,
    },
    /// The body is complete; the bytes behind belong to the next message.
    End {
        /// How many bytes.
        consumed: usize,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Size {
        size: u64,
        digits: u8,
    },
    /// Optional space before `;`, which nothing but a `;` may follow.
    SpaceAfterSize {
        size: u64,
    },
    Extension {
        size: u64,
    },
    SizeLineFeed {
        size: u64,
    },
    Data {
        left: u64,
    },
    DataCarriageReturn,
    DataLineFeed,
    Trailers,
    Ended,
}

/// Decodes one chunked body.
#[derive(Debug)]
pub struct Decoder {
    state: State,
    extension_bytes: u32,
    data_bytes: u64,
    /// The trailer section as received, its empty line included; no allocation without trailers.
    trailers: Vec<u8>,
}

impl Default for Decoder {
    fn default() -> Self {
        Self::new()
    }
}

impl Decoder {
    /// At the beginning of a body.
    #[must_use]
    pub fn new() -> Self {
        let state = State::Size { size: 0, digits: 0 };
        Self { state, extension_bytes: 0, data_bytes: 0, trailers: Vec::new() }
    }

    /// How much data it has told of so far.
    #[must_use]
    pub fn data_bytes(&self) -> u64 {
        self.data_bytes
    }

    /// Looks at the bytes that follow those consumed so far; with none left the event is `Framing { consumed: 0 }`.
    ///
    /// # Errors
    /// [`ChunkFault`]; where the body ends is then unknown.
    pub fn next(&mut self, input: &[u8]) -> Result<Event, ChunkFault> {
        for (index, byte) in input.iter().enumerate() {
            self.state = match (self.state, *byte) {
                (State::Data { left }, _) => {
                    if index > 0 {
                        return Ok(Event::Framing { consumed: index });
                    }
                    let consumed = usize::try_from(left).map_or(input.len(), |left| left.min(input.len()));
                    let left = left - consumed as u64;
                    self.data_bytes = self.data_bytes.saturating_add(consumed as u64);
                    self.state = if left == 0 { State::DataCarriageReturn } else { State::Data { left } };
                    return Ok(Event::Data { consumed });
                }
                (State::Trailers, byte) => {
                    if self.trailers.len() == TRAILER_BYTES_MAX {
                        return Err(ChunkFault);
                    }
                    // Any other line end is refused here, not when somebody reads the section.
                    if (byte == b'\n') != (self.trailers.last() == Some(&b'\r')) {
                        return Err(ChunkFault);
                    }
                    self.trailers.push(byte);
                    if self.trailers == b"\r\n" || self.trailers.ends_with(b"\r\n\r\n") {
                        self.state = State::Ended;
                        return Ok(Event::End { consumed: index + 1 });
                    }
                    State::Trailers
                }
                (State::Ended, _) => return Ok(Event::End { consumed: 0 }),
                (state, byte) => self.framing(state, byte)?,
            };
        }
        Ok(Event::Framing { consumed: input.len() })
    }

    /// One byte of a size line or behind the data of a chunk.
    fn framing(&mut self, state: State, byte: u8) -> Result<State, ChunkFault> {
        Ok(match (state, byte) {
            (State::Size { size, digits }, byte) if hex_digit(byte).is_some() => {
                let digit = u64::from(hex_digit(byte).unwrap_or_default());
                let grown = size.checked_mul(16).ok_or(ChunkFault)? | digit;
                if digits == SIZE_DIGITS_MAX {
                    return Err(ChunkFault);
                }
                State::Size { size: grown, digits: digits + 1 }
            }
            (State::Size { size, digits: 1.. } | State::Extension { size }, b'\r') => {
                State::SizeLineFeed { size }
            }
            (State::Size { size, digits: 1.. } | State::SpaceAfterSize { size }, b';') => {
                State::Extension { size }
            }
            (State::Size { size, digits: 1.. } | State::SpaceAfterSize { size }, b' ' | b'\t') => {
                self.count_extension_byte()?;
                State::SpaceAfterSize { size }
            }
            (State::Extension { size }, b'\t' | b' '..=b'~' | 0x80..) => {
                self.count_extension_byte()?;
                State::Extension { size }
            }
            (State::SizeLineFeed { size: 0 }, b'\n') => State::Trailers,
            (State::SizeLineFeed { size }, b'\n') => State::Data { left: size },
            (State::DataCarriageReturn, b'\r') => State::DataLineFeed,
            (State::DataLineFeed, b'\n') => State::Size { size: 0, digits: 0 },
            _ => return Err(ChunkFault),
        })
    }

    fn count_extension_byte(&mut self) -> Result<(), ChunkFault> {
        self.extension_bytes += 1;
        if self.extension_bytes > EXTENSION_BYTES_MAX { Err(ChunkFault) } else { Ok(()) }
    }

    /// Appends the last chunk and the trailers that may be passed on to `out`. To be called after [`Event::End`].
    ///
    /// # Errors
    /// [`ChunkFault`] when the trailer section is no list of fields.
    pub fn write_end(&self, out: &mut Vec<u8>) -> Result<(), ChunkFault> {
        let start = out.len();
        out.extend_from_slice(b"0\r\n");
        let written = self.trailers(|name, value| put(out, &[name.as_bytes(), b": ", value, b"\r\n"]));
        match written {
            Ok(()) => out.extend_from_slice(b"\r\n"),
            Err(ChunkFault) => out.truncate(start),
        }
        written
    }

    /// Gives `take` the trailers that may be passed on, as names and values. To be called after [`Event::End`].
    ///
    /// # Errors
    /// [`ChunkFault`] when the trailer section is no list of fields; `take` has then seen none.
    pub fn trailers(&self, mut take: impl FnMut(&str, &[u8])) -> Result<(), ChunkFault> {
        debug_assert_eq!(self.state, State::Ended, "a body ends before its trailers are known");
        let mut headers = [httparse::EMPTY_HEADER; TRAILER_FIELDS_MAX];
        let Ok(httparse::Status::Complete((_, fields))) =
            httparse::parse_headers(&self.trailers, &mut headers)
        else {
            return Err(ChunkFault);
        };
        for header in fields.iter().filter(|header| is_trailer(header.name)) {
            take(header.name, header.value);
        }
        Ok(())
    }
}

/// Fields that control a request, condition it, or say how to take a response; those that mean something to the gateway are
/// known by their kind.
const NEVER_TRAILERS: [&str; 18] = [
    "age",
    "content-range",
    "date",
    "expires",
    "if-match",
    "if-modified-since",
    "if-none-match",
    "if-range",
    "if-unmodified-since",
    "location",
    "max-forwards",
    "pragma",
    "range",
    "retry-after",
    "trailer",
    "vary",
    "warning",
    "www-authenticate",
];

/// Whether a field may stand in trailers: nothing that frames, routes, authenticates or describes (RFC 9110, section 6.5.1).
pub(crate) fn is_trailer(name: &str) -> bool {
    field::kind_of(name.as_bytes()) == FieldKind::Plain
        && !field::has_underscore(name.as_bytes())
        && !NEVER_TRAILERS.iter().any(|never| name.eq_ignore_ascii_case(never))
}

/// Appends the line that begins a chunk of `data_bytes`, which is not zero, to `out`.
pub fn write_size(data_bytes: usize, out: &mut Vec<u8>) {
    use std::io::Write as _;
    debug_assert_ne!(data_bytes, 0, "an empty chunk would end the body");
    write!(out, "{data_bytes:x}\r\n").expect("a Vec takes every write");
}

/// What ends a body without trailers.
pub const END: &[u8] = b"0\r\n\r\n";
