//! Reads an OpenMetrics exposition back, as strictly as the tests of this crate need.

use std::collections::{BTreeMap, BTreeSet};

use prometheus_client::collector::Collector;

use crate::registry::Registry;

/// The labels of a sample.
pub(crate) type Labels = BTreeMap<String, String>;

/// Every sample of an exposition, by name and labels.
#[derive(Debug)]
pub(crate) struct Exposition {
    samples: BTreeMap<(String, Labels), f64>,
}

impl Exposition {
    /// What a registry with one collector exposes.
    pub(crate) fn of(collector: Box<dyn Collector>) -> Self {
        let mut registry = Registry::new();
        registry.add(collector);
        Self::parse(&registry.encode())
    }

    /// Panics where the text breaks a rule of the format.
    pub(crate) fn parse(text: &str) -> Self {
        let body = text.strip_suffix("# EOF\n").expect("the text ends with the end mark");
        let mut samples = BTreeMap::new();
        let mut families = BTreeSet::new();
        let mut family = (String::new(), String::new());
        for line in body.lines() {
            if let Some(metadata) = line.strip_prefix("# TYPE ") {
                let (name, kind) = metadata.split_once(' ').expect("a type");
                assert!(families.insert(name.to_owned()), "{name} is described twice");
                family = (name.to_owned(), kind.to_owned());
            } else if !line.starts_with("# HELP ") {
                let (name, labels, value) = sample(line);
                let suffix = name.strip_prefix(&family.0).expect("samples follow their own description");
                assert!(suffixes(&family.1).contains(&suffix), "{name} in a {}", family.1);
                assert!(samples.insert((name, labels), value).is_none(), "twice: {line}");
            }
        }
        Self { samples }
    }

    /// The value of one sample.
    pub(crate) fn value(&self, name: &str, labels: &[(&str, &str)]) -> Option<f64> {
        let labels = labels.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        self.samples.get(&(name.to_owned(), labels)).copied()
    }

    /// All samples of one name.
    pub(crate) fn named(&self, name: &str) -> impl Iterator<Item = (&Labels, f64)> {
        self.samples
            .iter()
            .filter(move |((of, _), _)| of == name)
            .map(|((_, labels), value)| (labels, *value))
    }
}

fn suffixes(kind: &str) -> &'static [&'static str] {
    match kind {
        "counter" => &["_total"],
        "gauge" => &[""],
        "histogram" => &["_sum", "_count", "_bucket"],
        other => panic!("no metric of ours is a {other}"),
    }
}

fn sample(line: &str) -> (String, Labels, f64) {
    let (series, value) = line.rsplit_once(' ').expect("a value");
    let value = value.parse().expect("a number");
    let Some((name, labels)) = series.split_once('{') else {
        return (series.to_owned(), Labels::new(), value);
    };
    let mut rest = labels.strip_suffix('}').expect("a closing brace");
    let mut labels = Labels::new();
    while !rest.is_empty() {
        let (label, quoted) = rest.split_once("=\"").expect("a label");
        let (text, after) = unquote(quoted);
        assert!(labels.insert(label.to_owned(), text).is_none(), "{label} twice in {line}");
        rest = after.strip_prefix(',').unwrap_or(after);
    }
    (name.to_owned(), labels, value)
}

/// The text up to the closing quote, and what follows.
fn unquote(quoted: &str) -> (String, &str) {
    let mut text = String::new();
    let mut characters = quoted.chars();
    loop {
        match characters.next().expect("a closing quote") {
            '"' => return (text, characters.as_str()),
            '\\' => text.push(match characters.next() {
                Some('n') => '\n',
                Some(escaped @ ('"' | '\\')) => escaped,
                other => panic!("unknown escape {other:?}"),
            }),
            character => text.push(character),
        }
    }
}
