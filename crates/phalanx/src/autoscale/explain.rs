//! `phalanx autoscale explain`: one decision and its reasons.

use std::path::Path;

use anyhow::{Context as _, anyhow, ensure};
use phalanx_scale::scenario;
use serde::{
    Deserialize,
    de::{DeserializeOwned, IgnoredAny},
};

use super::{file, report::Report};
use crate::{cli::ExplainArguments, exit::Failure, terminal};

/// The kind of test case that is a whole decision.
const KIND: &str = "reconcile";
/// Of keys that nobody knows so many are told.
const UNKNOWN_KEYS_TOLD_MAX: usize = 10;

pub(crate) fn run(arguments: &ExplainArguments) -> Result<(), Failure> {
    let decision = read(&arguments.scenario)
        .and_then(|case| case.decide().with_context(|| arguments.scenario.display().to_string()))
        .map_err(Failure::Setting)?;
    let report = Report::of(&decision);
    if arguments.json {
        return terminal::say_json(&report);
    }
    terminal::say(report.text().trim_end());
    Ok(())
}

/// What tells a case from inputs alone.
#[derive(Deserialize)]
struct Outline {
    kind: Option<String>,
    inputs: Option<IgnoredAny>,
}

/// A test case. Whatever stands beside the inputs, as what it expects, is somebody else's affair.
#[derive(Deserialize)]
struct Case {
    inputs: scenario::Case,
}

fn read(path: &Path) -> anyhow::Result<scenario::Case> {
    let text = file::read(path)?;
    parse(&text).with_context(|| path.display().to_string())
}

fn parse(text: &str) -> anyhow::Result<scenario::Case> {
    let outline: Outline = serde_json::from_str(text)?;
    if let Some(kind) = outline.kind {
        ensure!(kind == KIND, "this is a case of kind `{kind}`, and only `{KIND}` is a whole decision");
    }
    if outline.inputs.is_some() { Ok(strict::<Case>(text, "inputs.")?.inputs) } else { strict(text, "") }
}

/// Reads a value and refuses keys below `root` that nobody knows: one that is misspelt would be decided without.
fn strict<T: DeserializeOwned>(text: &str, root: &str) -> anyhow::Result<T> {
    let mut unknown = Vec::new();
    let mut json = serde_json::Deserializer::from_str(text);
    let value = serde_ignored::deserialize(&mut json, |path| unknown.push(path.to_string()))?;
    json.end()?;
    unknown.retain(|path| path.starts_with(root));
    if unknown.is_empty() {
        return Ok(value);
    }
    let rest = unknown.len().saturating_sub(UNKNOWN_KEYS_TOLD_MAX);
    unknown.truncate(UNKNOWN_KEYS_TOLD_MAX);
    let more = if rest == 0 { String::new() } else { format!(" and {rest} more") };
    Err(anyhow!("unknown keys: {}{more}", unknown.join(", ")))
}

#[cfg(test)]
mod tests {
    use super::*;

    const INPUTS: &str = r#"{ "max": 4, "spec_replicas": 1, "metrics": [ { "type": "broken" } ] }"#;

    fn fault(text: &str) -> String {
        format!("{:#}", parse(text).map(|_| ()).unwrap_err())
    }

    #[test]
    fn inputs_may_stand_alone_or_in_a_case() {
        parse(INPUTS).unwrap();
        parse(&format!(r#"{{ "id": 1, "kind": "reconcile", "expected": {{}}, "inputs": {INPUTS} }}"#))
            .unwrap();
    }

    #[test]
    fn faults_tell_their_place() {
        assert_eq!(fault("{"), "EOF while parsing an object at line 1 column 1");
        assert_eq!(
            fault("{\n  \"max\": \"4\" }"),
            "invalid type: string \"4\", expected u32 at line 2 column 12"
        );
        assert_eq!(fault(&format!("{INPUTS} 1")), "trailing characters at line 1 column 71");
        assert_eq!(fault(r#"{ "max": 4 }"#), "missing field `spec_replicas` at line 1 column 12");
        let misspelt = INPUTS.replace("\"type\"", "\"taget\": 1, \"type\"");
        assert_eq!(fault(&misspelt), "unknown keys: metrics.0.taget");
        assert_eq!(
            fault(r#"{ "kind": "pod_request", "inputs": {} }"#),
            "this is a case of kind `pod_request`, and only `reconcile` is a whole decision"
        );
    }
}
