//! JSON values in which every member of every object comes once.
//!
//! A name that comes twice means different things to different readers, and `serde_json` keeps the last without a word. Here the
//! value is read all the same, together with where the first such name stands; what becomes of it is the caller's to say.

use std::fmt;

use serde::{
    Deserialize, Deserializer,
    de::{MapAccess, SeqAccess, Visitor},
};
use serde_json::{Map, Number, Value};

use super::pointer;

/// A value, and the pointer to a member in it that comes twice.
pub(super) struct Unique {
    pub(super) value: Value,
    pub(super) repeated: Option<String>,
}

impl Unique {
    fn plain(value: impl Into<Value>) -> Self {
        Self { value: value.into(), repeated: None }
    }
}

impl<'de> Deserialize<'de> for Unique {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(UniqueVisitor)
    }
}

struct UniqueVisitor;

impl<'de> Visitor<'de> for UniqueVisitor {
    type Value = Unique;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a value")
    }

    fn visit_unit<E>(self) -> Result<Unique, E> {
        Ok(Unique::plain(Value::Null))
    }

    fn visit_bool<E>(self, value: bool) -> Result<Unique, E> {
        Ok(Unique::plain(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Unique, E> {
        Ok(Unique::plain(value))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Unique, E> {
        Ok(Unique::plain(value))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Unique, E> {
        Ok(Unique::plain(Number::from_f64(value).map_or(Value::Null, Value::Number)))
    }

    fn visit_str<E>(self, value: &str) -> Result<Unique, E> {
        Ok(Unique::plain(value))
    }

    fn visit_string<E>(self, value: String) -> Result<Unique, E> {
        Ok(Unique::plain(value))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut sequence: A) -> Result<Unique, A::Error> {
        let (mut values, mut repeated) = (Vec::new(), None);
        while let Some(inner) = sequence.next_element::<Unique>()? {
            repeated = repeated.or_else(|| within(&values.len().to_string(), inner.repeated));
            values.push(inner.value);
        }
        Ok(Unique { value: Value::Array(values), repeated })
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Unique, A::Error> {
        let (mut members, mut repeated) = (Map::new(), None);
        while let Some((name, inner)) = map.next_entry::<String, Unique>()? {
            let twice = members.contains_key(&name).then(|| pointer(&[&name]));
            repeated = repeated.or(twice).or_else(|| within(&name, inner.repeated));
            members.insert(name, inner.value);
        }
        Ok(Unique { value: Value::Object(members), repeated })
    }
}

/// The pointer from one level further out.
pub(super) fn within(name: &str, inner: Option<String>) -> Option<String> {
    inner.map(|inner| pointer(&[name]) + &inner)
}
