//! `phalanx autoscale`: what it decides, what it tells, and that its page in the documentation is true.

mod live;

use std::{fs, sync::Arc};

use serde_json::Value;

use crate::support::{home::Home, phalanx::run};

const PAGE: &str = include_str!("../../docs/autoscaling.md");
const CHART: &str = include_str!("autoscale/chart.svg");
const FIGURES: &str = include_str!("../../crates/scale/tests/hpa_cases.json");

/// The fenced blocks of the page in this language.
fn blocks(language: &str) -> Vec<&'static str> {
    let fence = format!("```{language}\n");
    PAGE.split(&fence).skip(1).map(|rest| rest.split("```").next().unwrap()).collect()
}

#[test]
fn every_figure_of_a_whole_decision_is_explained() {
    let home = Arc::new(Home::new());
    let figures: Value = serde_json::from_str(FIGURES).unwrap();
    let cases = figures["cases"].as_array().unwrap().iter().filter(|case| case["kind"] == "reconcile");
    // All ways through a decision; the others differ in their numbers, which the crate's own test compares.
    let shown = [192, 208, 211, 232, 238, 243, 245, 248];
    for case in cases.filter(|case| shown.iter().any(|id| case["id"] == *id)) {
        home.write("case.json", &case.to_string());
        home.write("inputs.json", &case["inputs"].to_string());
        for file in ["case.json", "inputs.json"] {
            let ended = run(&home, &["autoscale", "explain", "--json", "--scenario", file]).with_code(0);
            let report: Value = serde_json::from_str(&ended.stdout).unwrap();
            assert_eq!(report["replicas"], case["expected"]["replicas"], "{case}\n{report:#}");
            let ended = run(&home, &["autoscale", "explain", "--scenario", file]).with_code(0);
            let first = format!("replicas: {}\n{}\n", report["replicas"], report["reason"].as_str().unwrap());
            assert!(ended.stdout.starts_with(&first), "{}", ended.stdout);
        }
    }
}

#[test]
fn a_scenario_that_cannot_be_decided_is_told_with_its_place() {
    let home = Arc::new(Home::new());
    let good = r#"{ "max": 4, "spec_replicas": 1, "metrics": [ { "type": "broken" } ] }"#;
    for (text, told) in [
        ("", "EOF while parsing a value at line 1 column 0"),
        ("{\n \"max\": -1 }", "invalid value: integer `-1`, expected u32 at line 2 column 10"),
        ("{ \"max\": 4 }", "missing field `spec_replicas` at line 1 column 12"),
        ("[]", "at line 1 column"),
        (&good.replace("broken", "brokn"), "unknown variant `brokn`, expected one of `resource_utilization`"),
        (&good.replace("\"max\"", "\"maxx\": 1, \"max\""), "unknown keys: maxx"),
        (
            &good.replace("\"max\": 4", "\"max\": 0"),
            "max must be from 1 to 2147483647; max must not be below min",
        ),
        (&good.replace("broken", "object_value"), "metrics[0]: target_value_milli is missing"),
        ("{ \"kind\": \"weather\", \"inputs\": {} }", "kind `weather`"),
    ] {
        home.write("bad.json", text);
        let ended = run(&home, &["autoscale", "explain", "--scenario", "bad.json"]).with_code(3);
        assert_eq!(ended.stdout, "");
        ended.complains(&["bad.json", told]);
    }
    run(&home, &["autoscale", "explain", "--scenario", "missing.json"])
        .with_code(3)
        .complains(&["missing.json"]);
    run(&home, &["autoscale", "explain", "--scenario", "/dev/zero"])
        .with_code(3)
        .complains(&["67108864 bytes"]);
    run(&home, &["autoscale", "explain"]).with_code(2).complains(&["--scenario"]);
}

#[test]
fn the_example_of_the_page_is_explained_as_it_says() {
    let home = Arc::new(Home::new());
    let [example] = blocks("json")[..] else { panic!("one example") };
    home.write("example.json", example);
    let (command, answer) = blocks("console")[0].split_once('\n').unwrap();
    let arguments: Vec<_> = command.strip_prefix("$ phalanx ").unwrap().split(' ').collect();
    let ended = run(&home, &arguments).with_code(0);
    assert_eq!(ended.stdout, answer);
    // The line that the page shows again further down.
    let line = answer.lines().nth(1).unwrap();
    assert_eq!(PAGE.matches(line).count(), 2, "{line}");
}

#[test]
fn the_simulation_of_the_page_goes_as_it_says() {
    let home = Arc::new(Home::new());
    home.write("trace.csv", blocks("csv")[0]);
    let [_, brisk, careful, ..] = blocks("toml")[..] else { panic!("two policies behind the file") };
    home.write("brisk.toml", brisk);
    home.write("careful.toml", careful);
    let (command, answer) = blocks("console")[1].split_once('\n').unwrap();
    let arguments: Vec<_> = command.strip_prefix("$ phalanx ").unwrap().split(' ').collect();
    let ended = run(&home, &arguments).with_code(0);
    assert_eq!(ended.stdout, answer);
    assert_eq!(fs::read_to_string(home.path().join("chart.svg")).unwrap(), CHART);
    let ended = run(&home, &[&arguments[..], &["--json"]].concat()).with_code(0);
    let report: Value = serde_json::from_str(&ended.stdout).unwrap();
    let row = |trial: &Value| {
        let (unserved, changes) = (&trial["requests_unserved"], trial["changes"].as_array().unwrap().len());
        format!("{} {unserved} {changes}", trial["policy"].as_str().unwrap())
    };
    let rows: Vec<_> = report.as_array().unwrap().iter().map(row).collect();
    assert_eq!(rows, ["brisk 29500 6", "careful 54000 16"]);
}

#[test]
fn the_fast_policy_of_the_page_goes_as_it_says() {
    let home = Arc::new(Home::new());
    home.write("trace.csv", blocks("csv")[0]);
    home.write("fast.toml", blocks("toml")[3]);
    let (command, answer) = blocks("console")[2].split_once('\n').unwrap();
    let arguments: Vec<_> = command.strip_prefix("$ phalanx ").unwrap().split(' ').collect();
    assert_eq!(run(&home, &arguments).with_code(0).stdout, answer);
}

#[test]
fn the_files_of_the_page_are_sound() {
    let home = Arc::new(Home::new());
    for (index, told) in
        [(0, "api: 2 to 12 replicas of phalanx api"), (4, "report: 0 to 4 replicas of phalanx api")]
    {
        home.write("phalanx.toml", blocks("toml")[index]);
        let ended = run(&home, &["check"]).with_code(0);
        assert!(ended.stdout.contains(told), "{}", ended.stdout);
    }
}

#[test]
fn flags_describe_a_policy_too() {
    let home = Arc::new(Home::new());
    home.write("trace.csv", blocks("csv")[0]);
    let simulate = ["autoscale", "simulate", "--trace", "trace.csv", "--capacity", "100"];
    let ended =
        run(&home, &[&simulate[..], &["--requests-per-second", "80", "--max", "20"]].concat()).with_code(0);
    assert!(
        ended
            .stdout
            .contains("  00:02:15  3 → 6: requests 200 > 80 asks 8; limited by doubling (ScaleUpLimit)\n"),
        "{}",
        ended.stdout
    );
    assert!(!ended.stdout.contains("cpu"), "{}", ended.stdout);
    let ended = run(&home, &[&simulate[..], &["--replicas", "10"]].concat()).with_code(0);
    assert!(ended.stdout.contains("  00:05:15  10 → 8: cpu 60% < 80% asks 8\n"), "{}", ended.stdout);
}

#[test]
fn what_cannot_be_simulated_is_told_with_its_place() {
    let home = Arc::new(Home::new());
    home.write("trace.csv", "seconds,load\n0,1\n60,x\n");
    home.write("good.csv", "0,1\n");
    home.write("policy.toml", "max = 4\nmaxx = 5\n");
    let simulate = |rest: &[&str]| run(&home, &[&["autoscale", "simulate"], rest].concat());
    simulate(&["--trace", "trace.csv", "--capacity", "1"]).with_code(3).complains(&["trace.csv:3", "`x`"]);
    simulate(&["--trace", "missing.csv", "--capacity", "1"]).with_code(3).complains(&["missing.csv"]);
    simulate(&["--trace", "good.csv", "--capacity", "1", "--policy", "policy.toml"])
        .with_code(3)
        .complains(&["policy.toml:2:1", "maxx"]);
    simulate(&["--trace", "good.csv", "--capacity", "0"]).with_code(2).complains(&["--capacity"]);
    simulate(&["--trace", "good.csv", "--capacity", "1", "--max", "10001"])
        .with_code(3)
        .complains(&["10000"]);
    simulate(&["--trace", "good.csv", "--capacity", "1", "--chart", "no/such/folder.svg"])
        .with_code(1)
        .complains(&["no/such/folder.svg"]);
}
