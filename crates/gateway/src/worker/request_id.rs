//! Ids for requests that bring none: 128 random bits. They tell requests apart in logs and are no secret.

use std::cell::RefCell;

/// The length of an id as text.
const REQUEST_ID_BYTES: usize = 32;

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
        let mut bits = self.random.borrow_mut().u128(..);
        let mut text = [0; REQUEST_ID_BYTES];
        for digit in text.iter_mut().rev() {
            *digit = b"0123456789abcdef"[(bits & 0xF) as usize];
            bits >>= 4;
        }
        text
    }
}
