//! Reads metrics in the OpenMetrics text format, and panics where they break one of its rules.

use std::collections::{BTreeMap, BTreeSet};

/// The media type that Prometheus asks for.
pub(crate) const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

type Labels = BTreeMap<String, String>;

/// Every sample, by name and labels.
pub(crate) struct Exposition {
    samples: BTreeMap<(String, Labels), f64>,
}

impl Exposition {
    pub(crate) fn parse(text: &str) -> Self {
        let body = text.strip_suffix("# EOF\n").unwrap_or_else(|| panic!("no end mark in {text}"));
        let (mut samples, mut described) = (BTreeMap::new(), BTreeSet::new());
        let mut family = ("", "");
        for line in body.lines() {
            if let Some(metadata) = line.strip_prefix("# ") {
                let (keyword, rest) = metadata.split_once(' ').unwrap();
                let (name, value) = rest.split_once(' ').unwrap();
                assert!(matches!(keyword, "HELP" | "TYPE" | "UNIT"), "{line}");
                assert!(is_name(name) && described.insert((keyword, name)), "twice, or no name: {line}");
                if keyword == "TYPE" {
                    family = (name, value);
                }
            } else {
                let (series, value) = line.rsplit_once(' ').unwrap_or_else(|| panic!("no value: {line}"));
                let (name, labels) = parse_series(series);
                let suffix = name.strip_prefix(family.0).unwrap_or_else(|| panic!("{name} in {}", family.0));
                assert!(suffixes(family.1).contains(&suffix), "{name} in a {}", family.1);
                let value: f64 = value.parse().unwrap_or_else(|error| panic!("{error}: {line}"));
                assert!(value >= 0.0 || family.1 == "gauge", "{line}");
                assert!(samples.insert((name, labels), value).is_none(), "twice: {line}");
            }
        }
        let exposition = Self { samples };
        exposition.assert_histograms_add_up();
        exposition
    }

    /// The sum of the samples of this name that have all of these labels; `None` if there are none.
    pub(crate) fn sum(&self, name: &str, labels: &[(&str, &str)]) -> Option<f64> {
        let has = |of: &Labels| {
            labels.iter().all(|(name, value)| of.get(*name).is_some_and(|found| found == value))
        };
        let found = self.samples.iter().filter(|((of, with), _)| of == name && has(with));
        found.map(|(_, value)| *value).reduce(|sum, value| sum + value)
    }

    /// The labels of every sample of this name.
    pub(crate) fn labels(&self, name: &str) -> Vec<&Labels> {
        self.samples.keys().filter(|(of, _)| of == name).map(|(_, labels)| labels).collect()
    }

    fn assert_histograms_add_up(&self) {
        for ((name, labels), count) in &self.samples {
            let Some(family) = name.strip_suffix("_count") else { continue };
            let mut buckets: Vec<(f64, f64)> = self
                .samples
                .iter()
                .filter(|((of, with), _)| {
                    *of == format!("{family}_bucket")
                        && labels.iter().all(|label| with.iter().any(|has| has == label))
                })
                .map(|((_, with), value)| (with["le"].parse().unwrap(), *value))
                .collect();
            buckets.sort_by(|(one, _), (other, _)| one.total_cmp(other));
            assert!(buckets.is_sorted_by_key(|(_, value)| value), "{name} {labels:?}: {buckets:?}");
            assert_eq!(buckets.last(), Some(&(f64::INFINITY, *count)), "{name} {labels:?}");
        }
    }
}

fn suffixes(kind: &str) -> &'static [&'static str] {
    match kind {
        "counter" => &["_total"],
        "gauge" => &[""],
        "histogram" => &["_sum", "_count", "_bucket"],
        other => panic!("no metric of Phalanx is a {other}"),
    }
}

fn parse_series(series: &str) -> (String, Labels) {
    let (name, labels) = series.split_once('{').unwrap_or((series, "}"));
    assert!(is_name(name), "{series}");
    let mut rest = labels.strip_suffix('}').unwrap_or_else(|| panic!("no end: {series}"));
    let mut parsed = Labels::new();
    while !rest.is_empty() {
        let (label, quoted) = rest.split_once("=\"").unwrap_or_else(|| panic!("no label: {series}"));
        let (value, after) = quoted.split_once('"').unwrap_or_else(|| panic!("no end of a value: {series}"));
        assert!(!value.contains('\\'), "no label of these tests needs an escape: {series}");
        assert!(is_name(label) && parsed.insert(label.to_owned(), value.to_owned()).is_none(), "{series}");
        rest = after.strip_prefix(',').unwrap_or(after);
    }
    (name.to_owned(), parsed)
}

fn is_name(text: &str) -> bool {
    text.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_')
        && text.chars().all(|character| character.is_ascii_alphanumeric() || matches!(character, '_' | ':'))
}
