//! The JSON Schema of the file, and the same knowledge in the form that `fit` walks.
//!
//! Invariant: both are made of the raw structs, so a key that serde takes is a key that the schema knows.
//! Panics on a raw struct of a kind it does not know; every test that parses a file would meet it.

use std::{
    collections::BTreeMap,
    fmt,
    ops::{Bound, RangeBounds as _, RangeInclusive},
    sync::LazyLock,
};

use schemars::{Schema, generate::SchemaSettings, transform::RecursiveTransform};
use serde_json::{Value, json};

use crate::raw;

/// The JSON Schema of `phalanx.toml`, for editors and other tools.
#[must_use]
pub fn schema() -> Value {
    SchemaSettings::draft2020_12()
        .for_deserialize()
        .with(|settings| settings.inline_subschemas = true)
        .with_transform(RecursiveTransform(without_null))
        .into_generator()
        .into_root_schema_for::<raw::File>()
        .to_value()
}

/// TOML has no null: what may be left out is left out.
fn without_null(schema: &mut Schema) {
    if let Some(Value::Array(kinds)) = schema.get_mut("type") {
        kinds.retain(|kind| kind != "null");
        if let [kind] = kinds.as_slice() {
            let kind = kind.clone();
            schema.insert("type".to_owned(), kind);
        }
    }
    if let Some(Value::Array(choices)) = schema.get_mut("enum") {
        choices.retain(|choice| !choice.is_null());
    }
}

/// What may stand at a place of the file.
#[derive(Debug)]
pub(crate) enum Shape {
    /// A table with these keys.
    Table(BTreeMap<String, Key>),
    /// A table with any keys.
    Map(Box<Key>),
    List(Box<Key>),
    Text(TextKind),
    Choice(Vec<String>),
    Integer(RangeInclusive<i64>),
    /// A whole number of this range, or a text.
    IntegerOrText(RangeInclusive<i64>),
    Number(NumberRange),
    Boolean,
}

/// Which numbers may stand at a place; a NaN is in no range.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct NumberRange {
    lowest: Bound<f64>,
    highest: f64,
}

impl NumberRange {
    fn of(schema: &Value) -> Self {
        let bound = |key: &str| schema.get(key).and_then(Value::as_f64);
        let lowest = bound("exclusiveMinimum")
            .map(Bound::Excluded)
            .or_else(|| bound("minimum").map(Bound::Included))
            .unwrap_or(Bound::Unbounded);
        Self { lowest, highest: bound("maximum").unwrap_or(f64::MAX) }
    }

    pub(crate) fn contains(&self, number: f64) -> bool {
        (self.lowest, Bound::Included(self.highest)).contains(&number)
    }
}

impl fmt::Display for NumberRange {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.lowest {
            Bound::Included(lowest) => write!(formatter, "from {lowest} to {}", self.highest),
            Bound::Excluded(lowest) => write!(formatter, "above {lowest}, at most {}", self.highest),
            Bound::Unbounded => write!(formatter, "up to {}", self.highest),
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TextKind {
    Duration,
    Size,
    ByteRate,
    /// Also written as a number.
    Cores,
    Other,
}

/// A place of the file: what may stand there, and an example of it.
#[derive(Debug)]
pub(crate) struct Key {
    pub(crate) shape: Shape,
    /// As TOML; for an item of a list, the list.
    pub(crate) example: Option<String>,
}

/// The whole file.
pub(crate) static FILE: LazyLock<Key> = LazyLock::new(|| Key::of(&schema()));

/// A file that has the keys of an autoscaler and nothing else.
pub(crate) static AUTOSCALE: LazyLock<Key> = LazyLock::new(|| {
    let place = "/properties/service/additionalProperties/properties/autoscale";
    Key::of(schema().pointer(place).expect("a service has an autoscaler"))
});

impl Key {
    fn of(schema: &Value) -> Self {
        let example = schema.get("examples").and_then(|examples| examples.get(0)).or(schema.get("default"));
        let example = example
            .and_then(|example| toml::Value::try_from(example).ok())
            .map(|example| example.to_string());
        let mut shape = Shape::of(schema);
        if let Shape::List(item) = &mut shape {
            item.example.clone_from(&example);
        }
        Self { shape, example }
    }
}

impl Shape {
    fn of(schema: &Value) -> Self {
        let inside = |key: &str| Box::new(Key::of(&schema[key]));
        let bound = |key: &str, otherwise| schema.get(key).and_then(Value::as_i64).unwrap_or(otherwise);
        if schema["title"] == "cores" {
            return Self::Text(TextKind::Cores);
        }
        let range = || bound("minimum", i64::MIN)..=bound("maximum", i64::MAX);
        match (schema["type"].as_str(), schema.get("properties"), schema.get("enum")) {
            (Some("object"), Some(Value::Object(keys)), _) => {
                Self::Table(keys.iter().map(|(name, schema)| (name.clone(), Key::of(schema))).collect())
            }
            (Some("object"), ..) => Self::Map(inside("additionalProperties")),
            (Some("array"), ..) => Self::List(inside("items")),
            (Some("integer"), ..) => Self::Integer(range()),
            (None, ..) if schema["type"] == json!(["integer", "string"]) => Self::IntegerOrText(range()),
            (Some("string"), _, Some(Value::Array(choices))) => {
                Self::Choice(choices.iter().filter_map(Value::as_str).map(str::to_owned).collect())
            }
            (Some("number"), ..) => Self::Number(NumberRange::of(schema)),
            (Some("boolean"), ..) => Self::Boolean,
            (Some("string"), ..) => Self::Text(match schema["title"].as_str() {
                Some("duration") => TextKind::Duration,
                Some("size") => TextKind::Size,
                Some("byte rate") => TextKind::ByteRate,
                _ => TextKind::Other,
            }),
            _ => panic!("no shape for {schema}"),
        }
    }

    /// What may stand here, in words.
    pub(crate) fn expected(&self) -> &'static str {
        match self {
            Self::Table(_) | Self::Map(_) => "a table",
            Self::List(_) => "a list",
            Self::Text(TextKind::Duration) => "a duration",
            Self::Text(TextKind::Size) => "a size",
            Self::Text(TextKind::ByteRate) => "a rate",
            Self::Text(TextKind::Cores) => "an amount of CPU",
            Self::Text(TextKind::Other) | Self::Choice(_) => "text",
            Self::Integer(_) => "a whole number",
            Self::IntegerOrText(_) => "a whole number or text",
            Self::Number(_) => "a number",
            Self::Boolean => "true or false",
        }
    }
}
