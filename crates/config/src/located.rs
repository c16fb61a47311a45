//! Values of the file that know where they stand, and the kinds of text that have a form of their own.

use std::{borrow::Cow, fmt};

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, de};
use toml::Spanned;

use crate::model::Span;

/// A value and its place in the file. To the schema it is the value.
#[derive(Debug)]
pub(crate) struct At<T> {
    pub(crate) value: T,
    pub(crate) span: Span,
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for At<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let spanned = Spanned::<T>::deserialize(deserializer)?;
        Ok(Self { span: spanned.span().into(), value: spanned.into_inner() })
    }
}

impl<T: JsonSchema> JsonSchema for At<T> {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        T::schema_name()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        T::json_schema(generator)
    }
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(transparent)]
#[schemars(title = "duration", extend("pattern" = r"^(.*\$\{.*|([0-9]+(ms|s|m|h))+)$"))]
pub(crate) struct DurationText(pub(crate) String);

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(transparent)]
#[schemars(title = "duration or `never`", extend("pattern" = r"^(.*\$\{.*|never|([0-9]+(ms|s|m|h))+)$"))]
pub(crate) struct DeadlineText(pub(crate) String);

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(transparent)]
#[schemars(title = "address")]
pub(crate) struct AddressText(pub(crate) String);

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(transparent)]
#[schemars(title = "path", extend("pattern" = r"^(.*\$\{.*|/.*)$"))]
pub(crate) struct PathText(pub(crate) String);

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(transparent)]
#[schemars(title = "size", extend("pattern" = r"^(.*\$\{.*|[0-9]+(B|KB|KiB|MB|MiB|GB|GiB))$"))]
pub(crate) struct SizeText(pub(crate) String);

/// A TOML number is taken by its spelling, see `fit`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(transparent)]
#[schemars(
    title = "cores",
    extend("type" = ["string", "number"], "pattern" = r"^(.*\$\{.*|[0-9]+(\.[0-9]+)?|[0-9]+m)$")
)]
pub(crate) struct CoresText(pub(crate) String);

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(transparent)]
#[schemars(title = "byte rate", extend("pattern" = r"^(.*\$\{.*|[0-9]+(B|KB|KiB|MB|MiB|GB|GiB)/s)$"))]
pub(crate) struct ByteRateText(pub(crate) String);

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(transparent)]
#[schemars(title = "network")]
pub(crate) struct NetworkText(pub(crate) String);

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(transparent)]
#[schemars(title = "DNS name")]
pub(crate) struct DnsNameText(pub(crate) String);

/// An amount of replicas: a number, or a text that says one.
#[derive(Debug)]
pub(crate) enum Amount {
    Number(u32),
    Text(String),
}

impl<'de> Deserialize<'de> for Amount {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(AmountVisitor)
    }
}

struct AmountVisitor;

impl de::Visitor<'_> for AmountVisitor {
    type Value = Amount;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a number or a text")
    }

    fn visit_i64<E: de::Error>(self, number: i64) -> Result<Amount, E> {
        u32::try_from(number).map(Amount::Number).map_err(E::custom)
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Amount, E> {
        Ok(Amount::Text(text.to_owned()))
    }
}

impl JsonSchema for Amount {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "amount".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": ["integer", "string"],
            "title": "amount",
            "minimum": 0,
            "maximum": 1000,
            "pattern": r"^(.*\$\{.*|[0-9]+%?)$",
        })
    }
}
