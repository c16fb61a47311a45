//! Every figure of a file against the arithmetic: that of the variable `HPA_CASES`, else the one beside this test.
//!
//! A case passes if everything that it expects is what was got; what it does not mention does not matter. All that fail are
//! shown, each with what is needed to look into it. A kind that nobody knows is a failure, too.

#![expect(clippy::unwrap_used, reason = "this crate is a test, its helpers included")]

use std::{collections::BTreeMap, env, fmt::Write as _, fs, path::Path};

use serde::Deserialize;
use serde_json::{Map, Value};

#[path = "hpa_cases/kinds.rs"]
mod kinds;

const OWN_FIGURES: &str = include_str!("hpa_cases.json");

#[derive(Deserialize)]
struct File {
    cases: Vec<Case>,
}

#[derive(Deserialize)]
struct Case {
    id: Value,
    #[serde(default)]
    name: String,
    kind: String,
    inputs: Value,
    expected: Map<String, Value>,
}

#[test]
fn every_case_of_every_kind_passes() {
    let text = match env::var("HPA_CASES") {
        Ok(file) => read(Path::new(&file)),
        Err(_) => OWN_FIGURES.to_owned(),
    };
    let file: File = serde_json::from_str(&text).unwrap();
    assert!(!file.cases.is_empty(), "a file without cases proves nothing");
    let mut passed = BTreeMap::<&str, usize>::new();
    let mut failures = String::new();
    for case in &file.cases {
        match case.failure() {
            None => *passed.entry(&case.kind).or_default() += 1,
            Some(failure) => failures.push_str(&failure),
        }
    }
    println!("passed: {passed:?}");
    assert!(failures.is_empty(), "{failures}\npassed: {passed:?}");
}

/// A path that is not absolute may be meant from the root of the workspace: Cargo runs this elsewhere.
fn read(file: &Path) -> String {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let path = if file.exists() { file.to_owned() } else { root.join(file) };
    fs::read_to_string(path).unwrap_or_else(|error| panic!("read {}: {error}", file.display()))
}

#[test]
fn a_case_that_fails_tells_what_is_needed_to_look_into_it() {
    let case = |kind: &str| Case {
        id: 7.into(),
        name: "a name".to_owned(),
        kind: kind.to_owned(),
        inputs: serde_json::json!({ "current_replicas": 3, "desired_replicas": 9, "min": 1, "max": 10 }),
        expected: Map::from_iter([("replicas".to_owned(), 9.into())]),
    };
    let failure = case("limit_without_behavior").failure().unwrap();
    for told in ["case 7", "a name", "limit_without_behavior", "\"desired_replicas\":9", "\"replicas\":6"] {
        assert!(failure.contains(told), "{told} is not in {failure}");
    }
    assert!(case("weather").failure().unwrap().contains("unknown kind `weather`"));
}

impl Case {
    /// Nothing if the case passes.
    fn failure(&self) -> Option<String> {
        let got = kinds::answer(&self.kind, &self.inputs);
        let differs: Vec<_> = match &got {
            Ok(got) => self.expected.iter().filter(|(key, value)| !agrees(key, value, got)).collect(),
            Err(_) => self.expected.iter().collect(),
        };
        if got.is_ok() && differs.is_empty() {
            return None;
        }
        let mut text = String::new();
        writeln!(text, "case {} ({}): {}", self.id, self.kind, self.name).unwrap();
        writeln!(text, "  inputs: {}", self.inputs).unwrap();
        for (key, value) in differs {
            writeln!(text, "  expected {key}: {value}").unwrap();
        }
        match got {
            Ok(got) => writeln!(text, "  got: {got}").unwrap(),
            Err(error) => writeln!(text, "  got no answer: {error}").unwrap(),
        }
        Some(text)
    }
}

fn agrees(key: &str, expected: &Value, got: &Value) -> bool {
    match (key, expected, &got[key]) {
        ("error", Value::String(expected), Value::String(got)) => {
            subject(expected).is_none_or(|expected| subject(got) == Some(expected))
        }
        (_, expected, got) => expected == got,
    }
}

/// What an error is about. Texts of errors are prose, which others may word differently.
fn subject(error: &str) -> Option<&'static str> {
    ["not found", "request", "known pods", "targeted pods"]
        .into_iter()
        .find(|subject| error.contains(subject))
}
