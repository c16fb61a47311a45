//! What request and response heads share: where a head ends, its bounds, its fields.

use std::mem::MaybeUninit;

use crate::field::{self, FieldKind};

/// The HTTP version of a message; any other is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Version {
    /// HTTP/1.0
    Http10,
    /// HTTP/1.1
    Http11,
}

/// The bounds of a head.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HeadLimits {
    /// The whole head, in bytes.
    pub head_bytes_max: usize,
    /// The request target, in bytes.
    pub target_bytes_max: usize,
    /// The number of fields; more than 100 count as 100.
    pub fields_max: usize,
}

impl HeadLimits {
    /// What a client may send.
    pub const REQUEST: Self = Self { head_bytes_max: 16 * 1024, target_bytes_max: 8 * 1024, fields_max: 100 };
    /// What an upstream may send: more, since cookies and policies are its own.
    pub const RESPONSE: Self = Self { head_bytes_max: 32 * 1024, target_bytes_max: 0, fields_max: 100 };
}

/// How many fields a head may have at most, whatever its [`HeadLimits`] say.
const FIELDS_CAPACITY: usize = 100;

/// Room for the fields of one head, on the caller's stack.
pub struct FieldSlots<'b> {
    pub(crate) headers: [MaybeUninit<httparse::Header<'b>>; FIELDS_CAPACITY],
    pub(crate) kinds: [FieldKind; FIELDS_CAPACITY],
}

impl FieldSlots<'_> {
    /// Empty slots.
    #[must_use]
    #[inline]
    pub fn new() -> Self {
        Self { headers: [MaybeUninit::uninit(); FIELDS_CAPACITY], kinds: [FieldKind::Plain; FIELDS_CAPACITY] }
    }
}

impl Default for FieldSlots<'_> {
    fn default() -> Self {
        Self::new()
    }
}

/// A line end that no strict parser accepts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LineEndFault {
    LineFeedAlone,
    CarriageReturnAlone,
}

/// Looks for the end of a head, remembering how far it has looked: a peer that sends byte by byte costs one look at each
/// byte, not one at the whole head for each.
#[derive(Clone, Copy, Debug, Default)]
pub struct HeadScan {
    scanned: usize,
}

impl HeadScan {
    /// A scan of a head of which nothing has been seen.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Whether a part of the head has been looked at that was not all of it.
    pub(crate) fn has_begun(&self) -> bool {
        self.scanned > 0
    }

    /// The length of the head with its empty line, once that has arrived. `bytes` begins with the head and only grows.
    pub(crate) fn end(&mut self, bytes: &[u8]) -> Result<Option<usize>, LineEndFault> {
        // One byte back: a CR at the end of what was seen before is judged with the byte after it.
        let from = self.scanned.saturating_sub(1);
        for line_feed in memchr::memchr_iter(b'\n', &bytes[from..]).map(|offset| from + offset) {
            match bytes[..line_feed] {
                [.., b'\r', b'\n', b'\r'] => {
                    // Whoever keeps the scan for the next head must not have its beginning skipped.
                    self.scanned = 0;
                    return Ok(Some(line_feed + 1));
                }
                [.., b'\r'] => {}
                _ => return Err(LineEndFault::LineFeedAlone),
            }
        }
        // A CR alone can hide where the head ends, so the peer is told now and not when its time is up.
        let lone = |offset| bytes.get(from + offset + 1).is_some_and(|next| *next != b'\n');
        if memchr::memchr_iter(b'\r', &bytes[from..]).any(lone) {
            return Err(LineEndFault::CarriageReturnAlone);
        }
        self.scanned = bytes.len();
        Ok(None)
    }
}

/// Whether every line of a head that a lenient parser has taken ends in CRLF.
///
/// No name and no value holds a line feed. So those of a head stand before a name and at its end, and before its first line:
/// to look there costs less than to look at every byte.
pub(crate) fn is_strict(head: &[u8], headers: &[httparse::Header<'_>]) -> bool {
    let mut starts = headers.iter().map(|header| header.name.as_ptr() as usize - head.as_ptr() as usize);
    let empty_lines = head.chunks_exact(2).take_while(|pair| pair == b"\r\n").count();
    !matches!(head.get(2 * empty_lines), Some(b'\r' | b'\n'))
        && head.ends_with(b"\r\n\r\n")
        && starts.all(|start| head[..start].ends_with(b"\r\n"))
}

/// The lines of a parsed head, as ranges of the bytes it was parsed from.
///
/// A line begins where its name begins and ends where the next one begins, so a run of lines that stay is one copy.
#[derive(Clone, Copy)]
pub(crate) struct Lines<'s, 'b> {
    pub(crate) bytes: &'b [u8],
    pub(crate) headers: &'s [httparse::Header<'b>],
    /// What each header is; as many as there are headers.
    pub(crate) kinds: &'s [FieldKind],
}

impl<'b> Lines<'_, 'b> {
    fn start(&self, index: usize) -> usize {
        self.headers.get(index).map_or(self.bytes.len() - 2, |header| {
            header.name.as_ptr() as usize - self.bytes.as_ptr() as usize
        })
    }

    /// Whether a field is of this kind.
    pub(crate) fn has(&self, kind: FieldKind) -> bool {
        self.kinds.contains(&kind)
    }

    /// The values of all fields of this kind.
    pub(crate) fn values(&self, kind: FieldKind) -> impl Iterator<Item = &'b [u8]> {
        let fields = self.headers.iter().zip(self.kinds);
        fields.filter(move |(_, known)| **known == kind).map(|(header, _)| header.value)
    }

    /// Whether `Connection` names the field (RFC 9110, section 7.6.1).
    pub(crate) fn connection_names(&self, name: &str) -> bool {
        let mut options = self.values(FieldKind::Connection).flat_map(field::elements);
        options.any(|option| option.eq_ignore_ascii_case(name.as_bytes()))
    }

    /// Copies every line for which `stays` says so.
    pub(crate) fn copy(&self, out: &mut Vec<u8>, mut stays: impl FnMut(FieldKind, &str) -> bool) {
        let mut run = self.start(0);
        for (index, (header, kind)) in self.headers.iter().zip(self.kinds).enumerate() {
            if !stays(*kind, header.name) {
                out.extend_from_slice(&self.bytes[run..self.start(index)]);
                run = self.start(index + 1);
            }
        }
        out.extend_from_slice(&self.bytes[run..self.bytes.len() - 2]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_is_found_however_the_bytes_arrive() {
        let head = b"GET / HTTP/1.1\r\nHost: a\r\n\r\nrest";
        for split in 0..head.len() {
            let mut scan = HeadScan::new();
            let first = scan.end(&head[..split]).unwrap();
            assert_eq!(first, (split >= 27).then_some(27), "split at {split}");
            if first.is_none() {
                assert_eq!(scan.end(head).unwrap(), Some(27), "split at {split}");
            }
        }
    }

    #[test]
    fn a_line_end_that_is_not_crlf_is_found_at_once() {
        for (bytes, expected) in [
            ("GET / HTTP/1.1\nHost", LineEndFault::LineFeedAlone),
            ("GET / HTTP/1.1\r\nA: b\n\n", LineEndFault::LineFeedAlone),
            ("GET / HTTP/1.1\r\nA: b\r\n\rX", LineEndFault::CarriageReturnAlone),
            ("GET / HTTP/1.1\r\nA: b\rc", LineEndFault::CarriageReturnAlone),
        ] {
            assert_eq!(HeadScan::new().end(bytes.as_bytes()), Err(expected), "{bytes:?}");
        }
    }

    #[test]
    fn a_cr_that_ends_one_read_is_judged_with_the_next() {
        let mut scan = HeadScan::new();
        assert_eq!(scan.end(b"GET / HTTP/1.1\r"), Ok(None));
        assert_eq!(scan.end(b"GET / HTTP/1.1\rX"), Err(LineEndFault::CarriageReturnAlone));
    }
}
