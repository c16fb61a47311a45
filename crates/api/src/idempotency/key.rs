//! The header `Idempotency-Key`, as clients write it.

use axum::{
    extract::OptionalFromRequestParts,
    http::{HeaderMap, HeaderName, request},
};

use crate::problem::Problem;

const HEADER: HeaderName = HeaderName::from_static("idempotency-key");
const KEY_BYTES_MAX: usize = 255;

/// What a client calls one request, however often it sends it: 1 to 255 visible characters of ASCII. Whoever has it may fetch the
/// answer, so it is not printed.
#[derive(PartialEq, Eq)]
pub(crate) struct IdempotencyKey(Vec<u8>);

impl IdempotencyKey {
    /// Reads the draft's form, a quoted string (RFC 9651), and the bare one that many clients send.
    pub(crate) fn parse(value: &[u8]) -> Option<Self> {
        let key = match value {
            [b'"', quoted @ .., b'"'] => unescaped(quoted)?,
            bare if !bare.contains(&b'"') => bare.to_owned(),
            _ => return None,
        };
        let fits = (1..=KEY_BYTES_MAX).contains(&key.len()) && key.iter().all(u8::is_ascii_graphic);
        fits.then_some(Self(key))
    }

    pub(super) fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    fn of(headers: &HeaderMap) -> Result<Option<Self>, Problem> {
        let mut values = headers.get_all(HEADER).iter();
        match (values.next(), values.next()) {
            (None, _) => Ok(None),
            (Some(value), None) => Self::parse(value.as_bytes()).map(Some).ok_or(Problem::MalformedKey),
            (Some(_), Some(_)) => Err(Problem::MalformedKey),
        }
    }
}

impl<S: Sync> OptionalFromRequestParts<S> for IdempotencyKey {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut request::Parts, _state: &S) -> Result<Option<Self>, Problem> {
        Self::of(&parts.headers)
    }
}

/// What a quoted string stands for; only quotes and backslashes are escaped.
fn unescaped(quoted: &[u8]) -> Option<Vec<u8>> {
    let (mut text, mut bytes) = (Vec::with_capacity(quoted.len()), quoted.iter().copied());
    while let Some(byte) = bytes.next() {
        match byte {
            b'\\' => text.push(bytes.next().filter(|escaped| matches!(escaped, b'"' | b'\\'))?),
            b'"' => return None,
            _ => text.push(byte),
        }
    }
    Some(text)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_key_is_bare_or_quoted() {
        let longest = "k".repeat(KEY_BYTES_MAX);
        for (value, key) in [
            ("8e03978e-40d5-43dd-bc93-6894a57f9324", "8e03978e-40d5-43dd-bc93-6894a57f9324"),
            (r#""8e03978e-40d5""#, "8e03978e-40d5"),
            (r#""a\"b\\c""#, r#"a"b\c"#),
            (r"a\b", r"a\b"),
            ("k", "k"),
            (&longest, &longest),
        ] {
            assert_eq!(IdempotencyKey::parse(value.as_bytes()).unwrap().0, key.as_bytes(), "{value}");
        }
    }

    #[test]
    fn what_is_no_key_is_refused() {
        let too_long = "k".repeat(KEY_BYTES_MAX + 1);
        for value in [
            "",
            r#""""#,
            r#"""#,
            r#""a"#,
            r#"a""#,
            r#"a"b"#,
            r#""a"b""#,
            r#""a\b""#,
            r#""a\""#,
            r#""a";p=1"#,
            "a b",
            r#""a b""#,
            "a\tb",
            "é",
            &too_long,
            &format!("\"{too_long}\""),
        ] {
            assert!(IdempotencyKey::parse(value.as_bytes()).is_none(), "{value}");
        }
        assert!(IdempotencyKey::parse(b"a\xffb").is_none());
    }

    proptest! {
        #[test]
        fn a_key_that_is_quoted_is_the_same_key(key in "[!-~]{1,255}") {
            let quoted = format!("\"{}\"", key.replace('\\', "\\\\").replace('"', "\\\""));
            prop_assert_eq!(IdempotencyKey::parse(quoted.as_bytes()).unwrap().0, key.as_bytes());
        }

        #[test]
        fn whatever_is_read_as_a_key_is_within_its_bounds(value in any::<Vec<u8>>()) {
            if let Some(IdempotencyKey(key)) = IdempotencyKey::parse(&value) {
                prop_assert!((1..=KEY_BYTES_MAX).contains(&key.len()) && key.iter().all(u8::is_ascii_graphic));
            }
        }
    }

    #[test]
    fn two_keys_are_no_key() {
        let mut headers = HeaderMap::new();
        assert!(IdempotencyKey::of(&headers).unwrap().is_none());
        headers.append(HEADER, "a".parse().unwrap());
        assert!(IdempotencyKey::of(&headers).unwrap().is_some());
        headers.append(HEADER, "a".parse().unwrap());
        assert!(matches!(IdempotencyKey::of(&headers), Err(Problem::MalformedKey)));
    }
}
