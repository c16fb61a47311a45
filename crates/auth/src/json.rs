//! JSON as a signed text must be read: with one meaning, or not at all.
//!
//! RFC 8259 leaves open which of two members of one name counts, so that two readers of one token may see two tokens. Here an
//! object that repeats a name is refused, at any depth (RFC 7515, section 4; RFC 7519, section 4).
//! Fails with [`NotStrict`]; depth is bounded by `serde_json`.

use std::fmt;

use serde::de::{Deserialize, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};

/// The bytes are no JSON object in which every name stands once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("is no JSON object, or one that repeats a name")]
pub(crate) struct NotStrict;

/// Reads an object, and nothing behind it.
pub(crate) fn object(bytes: &[u8]) -> Result<Map<String, Value>, NotStrict> {
    match serde_json::from_slice(bytes) {
        Ok(Strict(Value::Object(object))) => Ok(object),
        _ => Err(NotStrict),
    }
}

struct Strict(Value);

impl<'de> Deserialize<'de> for Strict {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(StrictVisitor).map(Self)
    }
}

struct StrictVisitor;

impl<'de> Visitor<'de> for StrictVisitor {
    type Value = Value;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("JSON without repeated names")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(Value::Number(value.into()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(Value::Number(value.into()))
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Value, E> {
        Number::from_f64(value).map(Value::Number).ok_or_else(|| E::custom("a number that is not finite"))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(Value::String(value.to_owned()))
    }

    fn visit_string<E>(self, value: String) -> Result<Value, E> {
        Ok(Value::String(value))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut sequence: A) -> Result<Value, A::Error> {
        let mut array = Vec::new();
        while let Some(Strict(value)) = sequence.next_element()? {
            array.push(value);
        }
        Ok(Value::Array(array))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Value, A::Error> {
        let mut object = Map::new();
        while let Some((name, Strict(value))) = members.next_entry::<String, Strict>()? {
            if object.insert(name, value).is_some() {
                return Err(A::Error::custom("a repeated name"));
            }
        }
        Ok(Value::Object(object))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn an_object_has_one_meaning_or_none() {
        for (text, strict) in [
            ("{}", true),
            (" {\r\n\"a\" : [1, {\"b\": null}], \"c\": -1.5e3, \"d\": \"\\u00e9\"} ", true),
            ("", false),
            ("null", false),
            ("[]", false),
            ("{} {}", false),
            ("{\"a\":1,}", false),
            ("{\"a\":1,\"a\":1}", false),
            ("{\"a\":1,\"\\u0061\":2}", false),
            ("{\"x\":{\"a\":1,\"a\":2}}", false),
            ("{\"x\":[[{\"a\":1,\"a\":2}]]}", false),
            ("{\"a\":1e999}", false),
            ("{\"a\":NaN}", false),
            ("\u{feff}{}", false),
        ] {
            let outcome = object(text.as_bytes());
            assert_eq!(outcome.is_ok(), strict, "{text}");
            if let Ok(object) = outcome {
                assert_eq!(Value::Object(object), serde_json::from_str::<Value>(text).unwrap());
            }
        }
        assert_eq!(object(b"{\"a\":\"\xff\"}"), Err(NotStrict));
        assert_eq!(object(format!("{{\"a\":{}", "[".repeat(100_000)).as_bytes()), Err(NotStrict));
    }

    proptest! {
        #[test]
        fn what_is_read_is_what_serde_json_reads(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
            if let Ok(object) = object(&bytes) {
                prop_assert_eq!(Value::Object(object), serde_json::from_slice::<Value>(&bytes).unwrap());
            }
        }
    }
}
