//! Ids for requests that bring none: random bits. They tell requests apart in logs and traces, and are no secret.

use std::cell::RefCell;

/// The length of an id as text.
const REQUEST_ID_BYTES: usize = 32;
/// The length of a `traceparent` (W3C Trace Context, section 3.2).
const TRACEPARENT_BYTES: usize = 55;

/// A worker's source of ids.
pub(crate) struct RequestIds {
    random: RefCell<fastrand::Rng>,
}

impl RequestIds {
    /// A source that no other worker or process repeats.
    pub(crate) fn new() -> Self {
        Self { random: RefCell::new(fastrand::Rng::new()) }
    }

    /// The next id, in lower-case hexadecimal.
    pub(crate) fn next(&self) -> [u8; REQUEST_ID_BYTES] {
        let mut text = [0; REQUEST_ID_BYTES];
        write_hex(self.random.borrow_mut().u128(..), &mut text);
        text
    }

    /// The next `traceparent`: a trace that begins here, and that nobody has decided to record.
    pub(crate) fn next_traceparent(&self) -> [u8; TRACEPARENT_BYTES] {
        let mut random = self.random.borrow_mut();
        let mut text = *b"00-00000000000000000000000000000000-0000000000000000-00";
        // Of zeroes alone it would be none.
        write_hex(random.u128(1..), &mut text[3..35]);
        write_hex(random.u64(1..).into(), &mut text[36..52]);
        text
    }
}

/// Fills `text` with the lower digits of a number, in lower-case hexadecimal.
fn write_hex(mut bits: u128, text: &mut [u8]) {
    for digit in text.iter_mut().rev() {
        *digit = b"0123456789abcdef"[(bits & 0xF) as usize];
        bits >>= 4;
    }
}
