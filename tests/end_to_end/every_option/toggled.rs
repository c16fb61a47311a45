//! Tables with one key of a full table taken away, and with that key alone added to a sparse one.
//!
//! Invariant: which keys there are is what the schema says, so a key that is added to it is toggled, or missed by the test that
//! counts.

use std::collections::BTreeSet;

use serde_json::Value;
use toml::{Table, Value as Toml};

/// A table twice: with every key that goes together, and with none that may be left out.
pub(crate) struct Pair {
    pub(crate) name: &'static str,
    pub(crate) full: Table,
    pub(crate) sparse: Table,
}

/// A table, and what was done to it.
pub(crate) struct Toggled {
    pub(crate) name: String,
    pub(crate) table: Table,
}

impl Pair {
    pub(crate) fn new(name: &'static str, full: &str, sparse: &str) -> Self {
        let parse = |text: &str| text.parse().unwrap_or_else(|error| panic!("{name}: {error}\n{text}"));
        Self { name, full: parse(full), sparse: parse(sparse) }
    }

    /// Both, and for each key both with that key toggled.
    pub(crate) fn toggled(&self, schema: &Value) -> Vec<Toggled> {
        let named = |what: String, table| Toggled { name: format!("{} {what}", self.name), table };
        let mut toggled = vec![
            named("full".to_owned(), self.full.clone()),
            named("sparse".to_owned(), self.sparse.clone()),
        ];
        for key in written(&self.full, schema) {
            toggled.push(named(format!("without {key}"), without(&self.full, &key)));
            if !written(&self.sparse, schema).contains(&key) {
                toggled.push(named(format!("with {key}"), with(&self.sparse, &self.full, &key, schema)));
            }
        }
        toggled
    }
}

/// Every key of a table, those of tables within it with dots, as the schema has them.
pub(crate) fn known(schema: &Value) -> BTreeSet<String> {
    below(schema, |_| true, known)
}

/// Those of them that stand in this table.
pub(crate) fn written(table: &Table, schema: &Value) -> BTreeSet<String> {
    let keys = below(schema, |name| table.contains_key(name), |_| BTreeSet::new());
    let nested = table.iter().flat_map(|(name, value)| {
        let inside = inside(&schema["properties"][name]);
        let keys = tables(value).into_iter().flat_map(move |table| written(table, inside));
        keys.map(move |key| format!("{name}.{key}")).collect::<Vec<_>>()
    });
    keys.into_iter().chain(nested).collect()
}

fn below(
    schema: &Value,
    is_wanted: impl Fn(&str) -> bool,
    nested: impl Fn(&Value) -> BTreeSet<String>,
) -> BTreeSet<String> {
    let mut keys = BTreeSet::new();
    for (name, schema) in schema["properties"].as_object().into_iter().flatten() {
        if is_wanted(name) {
            keys.insert(name.clone());
            keys.extend(nested(inside(schema)).into_iter().map(|key| format!("{name}.{key}")));
        }
    }
    keys
}

/// What is said of the tables in a list; of a table itself.
fn inside(schema: &Value) -> &Value {
    schema.get("items").unwrap_or(schema)
}

/// The tables that a value is, or is a list of.
fn tables(value: &Toml) -> Vec<&Table> {
    match value {
        Toml::Table(table) => vec![table],
        Toml::Array(items) => items.iter().filter_map(Toml::as_table).collect(),
        _ => Vec::new(),
    }
}

fn without(table: &Table, key: &str) -> Table {
    let mut table = table.clone();
    let Some((name, rest)) = key.split_once('.') else {
        table.remove(key);
        return table;
    };
    match table.get_mut(name) {
        Some(Toml::Table(nested)) => *nested = without(nested, rest),
        Some(Toml::Array(items)) => {
            for item in items.iter_mut().filter_map(Toml::as_table_mut) {
                *item = without(item, rest);
            }
        }
        _ => {}
    }
    table
}

/// `sparse` with a key as it stands in `full`; a table that is not in it comes without keys of its own.
fn with(sparse: &Table, full: &Table, key: &str, schema: &Value) -> Table {
    let mut table = sparse.clone();
    let (name, rest) = key.split_once('.').map_or((key, None), |(name, rest)| (name, Some(rest)));
    let schema = &schema["properties"][name];
    let value = match (rest, &full[name]) {
        (None, Toml::Table(_)) if schema["properties"].is_object() => Toml::Table(Table::new()),
        (None, value) => value.clone(),
        (Some(rest), Toml::Array(items)) => {
            let given = sparse.get(name).map(tables).unwrap_or_default();
            let items = tables(&full[name]).into_iter().zip(0..items.len()).filter_map(|(item, index)| {
                let given = given.get(index).copied();
                match written(item, &schema["items"]).contains(rest) {
                    true => Some(with(given.unwrap_or(&Table::new()), item, rest, &schema["items"])),
                    false => given.cloned(),
                }
            });
            Toml::Array(items.map(Toml::Table).collect())
        }
        (Some(rest), value) => {
            let given = sparse.get(name).and_then(Toml::as_table).cloned().unwrap_or_default();
            let nested = value.as_table().expect("a key with a dot stands in a table");
            Toml::Table(with(&given, nested, rest, schema))
        }
    };
    table.insert(name.to_owned(), value);
    table
}
