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
        write_hex(random.u128(..).max(1), &mut text[3..35]);
        write_hex(random.u64(..).max(1).into(), &mut text[36..52]);
        text
    }
}

/// Fills `text` with the lower digits of a number, in lower-case hexadecimal: eight at a time, since there are eighty in the head
/// of most requests.
fn write_hex(bits: u128, text: &mut [u8]) {
    let mut bits = bits;
    for digits in text.rchunks_exact_mut(8) {
        digits.copy_from_slice(&hex((bits & 0xFFFF_FFFF) as u32));
        bits >>= 32;
    }
}

/// A number as eight digits.
fn hex(bits: u32) -> [u8; 8] {
    // Each step moves the upper half of every group up, until each byte holds one digit.
    let mut digits = u64::from(bits);
    digits = (digits | digits << 16) & 0x0000_FFFF_0000_FFFF;
    digits = (digits | digits << 8) & 0x00FF_00FF_00FF_00FF;
    digits = (digits | digits << 4) & 0x0F0F_0F0F_0F0F_0F0F;
    // Six more carry those from ten on into the fifth bit: they are letters.
    let letters = ((digits + 0x0606_0606_0606_0606) >> 4) & 0x0101_0101_0101_0101;
    let text = digits + 0x3030_3030_3030_3030 + letters * u64::from(b'a' - b'0' - 10);
    text.to_be_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_is_written_in_lower_case_hexadecimal() {
        for bits in [0, 1, 0x0123_4567_89AB_CDEF_FEDC_BA98_7654_3210, u128::MAX, u128::MAX / 7, 1 << 127] {
            let mut text = [0; 32];
            write_hex(bits, &mut text);
            assert_eq!(std::str::from_utf8(&text), Ok(&*format!("{bits:032x}")));
            write_hex(bits, &mut text[8..24]);
            let lower = bits & u128::from(u64::MAX);
            assert_eq!(std::str::from_utf8(&text[8..24]), Ok(&*format!("{lower:016x}")));
        }
    }
}
