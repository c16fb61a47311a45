//! The text with which a client asks for the next page. It is opaque to him, and not secret: it holds the key of the last row
//! that he was given.
//!
//! Before base64url without padding it is: version 1, then each part of the key as its kind and its value. A number is kind 1
//! with 8 bytes; a text is kind 2 with its length in 2 bytes and its bytes. Numbers are big-endian.
//!
//! Invariant: there is one text for each key. Nothing is signed: a cursor that is made up only begins somewhere else, in rows that
//! its owner may see anyway, so a statement takes it as a value and checks rights by itself.

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};

/// How many parts a key has at most.
pub const KEY_PARTS_MAX: usize = 4;
/// How long a text in a key is at most.
pub const KEY_TEXT_BYTES_MAX: usize = 1024;

const VERSION: u8 = 1;
const INT: u8 = 1;
const TEXT: u8 = 2;
const BYTES_MAX: usize = 1 + KEY_PARTS_MAX * (1 + 2 + KEY_TEXT_BYTES_MAX);

/// One column of a key.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum KeyPart {
    /// A number, or an id.
    Int(i64),
    /// A text.
    Text(String),
}

/// The key of the last row of a page; never without a part.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cursor(Vec<KeyPart>);

/// No cursor is made of such a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a key has 1 to {KEY_PARTS_MAX} parts, and texts of at most {KEY_TEXT_BYTES_MAX} bytes")]
pub struct KeyTooLarge;

/// Why a text is no cursor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CursorError {
    /// It is not base64url, or longer than any cursor.
    #[error("the cursor is not base64url of a few bytes")]
    Encoding,
    /// It was made by another version of this program.
    #[error("the cursor has version {0}, and {VERSION} is what is read here")]
    Version(u8),
    /// Its content is cut off, too long, or none of what a key consists of.
    #[error("the cursor is malformed")]
    Malformed,
}

impl Cursor {
    /// The cursor behind the row of this key.
    pub fn new(key: Vec<KeyPart>) -> Result<Self, KeyTooLarge> {
        let is_small = |part: &KeyPart| match part {
            KeyPart::Int(_) => true,
            KeyPart::Text(text) => text.len() <= KEY_TEXT_BYTES_MAX,
        };
        let has_room = (1..=KEY_PARTS_MAX).contains(&key.len()) && key.iter().all(is_small);
        if has_room { Ok(Self(key)) } else { Err(KeyTooLarge) }
    }

    /// The key, to compare rows with.
    #[must_use]
    pub fn key(&self) -> &[KeyPart] {
        &self.0
    }

    /// The text for the client.
    #[must_use]
    pub fn encode(&self) -> String {
        let mut bytes = vec![VERSION];
        for part in &self.0 {
            match part {
                KeyPart::Int(number) => {
                    bytes.push(INT);
                    bytes.extend(number.to_be_bytes());
                }
                KeyPart::Text(text) => {
                    bytes.push(TEXT);
                    bytes.extend(u16::try_from(text.len()).expect("texts in keys are short").to_be_bytes());
                    bytes.extend(text.as_bytes());
                }
            }
        }
        BASE64_URL_SAFE_NO_PAD.encode(bytes)
    }

    /// Reads what a client sent.
    pub fn decode(text: &str) -> Result<Self, CursorError> {
        if text.len() > BYTES_MAX.div_ceil(3) * 4 {
            return Err(CursorError::Encoding);
        }
        let bytes = BASE64_URL_SAFE_NO_PAD.decode(text).map_err(|_| CursorError::Encoding)?;
        match bytes.split_first().ok_or(CursorError::Malformed)? {
            (&VERSION, content) => {
                key(content).and_then(|key| Self::new(key).ok()).ok_or(CursorError::Malformed)
            }
            (&version, _) => Err(CursorError::Version(version)),
        }
    }
}

fn key(mut content: &[u8]) -> Option<Vec<KeyPart>> {
    let mut parts = Vec::new();
    while let Some((kind, behind)) = content.split_first() {
        let (part, rest) = match *kind {
            INT => int(behind)?,
            TEXT => text(behind)?,
            _ => return None,
        };
        parts.push(part);
        content = rest;
    }
    Some(parts)
}

fn int(content: &[u8]) -> Option<(KeyPart, &[u8])> {
    let (number, rest) = content.split_first_chunk()?;
    Some((KeyPart::Int(i64::from_be_bytes(*number)), rest))
}

fn text(content: &[u8]) -> Option<(KeyPart, &[u8])> {
    let (length, behind) = content.split_first_chunk()?;
    let (text, rest) = behind.split_at_checked(usize::from(u16::from_be_bytes(*length)))?;
    Some((KeyPart::Text(str::from_utf8(text).ok()?.to_owned()), rest))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn faults_are_named() {
        let encoded = |bytes: &[u8]| BASE64_URL_SAFE_NO_PAD.encode(bytes);
        for (text, expected) in [
            (String::new(), CursorError::Malformed),
            ("a b".to_owned(), CursorError::Encoding),
            ("AQ==".to_owned(), CursorError::Encoding),
            ("A".repeat(1 << 20), CursorError::Encoding),
            (encoded(&[2, 1]), CursorError::Version(2)),
            (encoded(&[1]), CursorError::Malformed),
            (encoded(&[1, 3]), CursorError::Malformed),
            (encoded(&[1, 1, 0]), CursorError::Malformed),
            (encoded(&[1, 2, 0, 2, b'a']), CursorError::Malformed),
            (encoded(&[1, 2, 0, 1, 0xff]), CursorError::Malformed),
            (encoded(&[&[1][..], &[2, 0, 0].repeat(5)].concat()), CursorError::Malformed),
        ] {
            assert_eq!(Cursor::decode(&text), Err(expected), "{text:.40}");
        }
        assert_eq!(Cursor::new(vec![]), Err(KeyTooLarge));
        assert_eq!(Cursor::new(vec![KeyPart::Int(1); 5]), Err(KeyTooLarge));
        assert_eq!(Cursor::new(vec![KeyPart::Text("a".repeat(1025))]), Err(KeyTooLarge));
    }

    #[test]
    fn the_greatest_key_passes() {
        let cursor = Cursor::new(vec![KeyPart::Text("a".repeat(1024)); 4]).unwrap();
        assert_eq!(Cursor::decode(&cursor.encode()), Ok(cursor));
    }

    fn part() -> impl Strategy<Value = KeyPart> {
        prop_oneof![any::<i64>().prop_map(KeyPart::Int), ".{0,40}".prop_map(KeyPart::Text)]
    }

    proptest! {
        #[test]
        fn a_key_comes_back(key in prop::collection::vec(part(), 1..=KEY_PARTS_MAX)) {
            let cursor = Cursor::new(key.clone()).unwrap();
            let decoded = Cursor::decode(&cursor.encode()).unwrap();
            prop_assert_eq!(decoded.key(), key);
        }

        #[test]
        fn no_bytes_panic(bytes in prop::collection::vec(any::<u8>(), 0..80), text in ".*") {
            let _never_panics = Cursor::decode(&text);
            let versioned = [&[1][..], &bytes].concat();
            for bytes in [bytes, versioned] {
                let text = BASE64_URL_SAFE_NO_PAD.encode(bytes);
                if let Ok(cursor) = Cursor::decode(&text) {
                    prop_assert_eq!(cursor.encode(), text);
                }
            }
        }
    }
}
