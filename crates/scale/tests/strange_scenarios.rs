//! Scenarios of the numbers at which arithmetic goes wrong: whatever is written, a decision or an error comes of it.

#![expect(clippy::unwrap_used, reason = "this crate is a test, its helpers included")]

use phalanx_scale::{REPLICAS_MAX, scenario};
use proptest::{collection::vec, option, prelude::*};
use serde_json::{Map, Value, json};

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    /// The strangest numbers give a decision or an error.
    #[test]
    fn no_scenario_is_too_strange(case in strange_case()) {
        let _ = serde_json::from_value::<scenario::Case>(case.clone()).map(|case| case.decide());
        if let Some(Ok(decision)) = readable(case).map(|case| case.decide()) {
            prop_assert!(decision.replicas <= REPLICAS_MAX);
            prop_assert!(!decision.reasons.to_string().is_empty());
        }
    }
}

/// Numbers at which arithmetic goes wrong.
fn number() -> impl Strategy<Value = Value> {
    prop_oneof![
        Just(json!(0)),
        Just(json!(1)),
        Just(json!(-1)),
        Just(json!(100)),
        Just(json!(i32::MAX)),
        Just(json!(u32::MAX)),
        Just(json!(i64::MAX)),
        Just(json!(i64::MIN)),
        Just(json!(u64::MAX)),
        Just(json!(1e300)),
        Just(json!(-0.5)),
        Just(Value::Null),
    ]
}

/// An object of these keys, each with such a number.
fn numbers(keys: &'static [&'static str]) -> impl Strategy<Value = Map<String, Value>> {
    vec(number(), keys.len())
        .prop_map(|values| keys.iter().map(|key| (*key).to_owned()).zip(values).collect())
}

/// A number that a policy may have: of these.
fn one_of(numbers: &'static [i64]) -> impl Strategy<Value = Value> {
    prop::sample::select(numbers).prop_map(|number| json!(number))
}

fn strange_pod() -> impl Strategy<Value = Value> {
    let phase = prop_oneof![Just("Running"), Just("Pending"), Just("Failed"), Just("Unknown")];
    let ready = prop_oneof![Just(json!(true)), Just(json!(false)), Just(Value::Null)];
    let pod = numbers(&["started_s_ago", "ready_changed_s_ago", "request_milli"]);
    let sample = option::of(numbers(&["value_milli", "age_s", "window_s"]));
    (phase, ready, pod, sample, 0..4_u8).prop_map(|(phase, ready, mut pod, sample, name)| {
        pod.insert("name".to_owned(), json!(name.to_string()));
        pod.insert("phase".to_owned(), json!(phase));
        pod.insert("ready".to_owned(), ready);
        pod.insert("sample".to_owned(), json!(sample));
        Value::Object(pod)
    })
}

fn strange_metric() -> impl Strategy<Value = Value> {
    let kind = prop_oneof![
        Just("resource_utilization"),
        Just("resource_average_value"),
        Just("pods_average_value"),
        Just("object_value"),
        Just("object_average_value"),
        Just("external_value"),
        Just("external_average_value"),
    ];
    (kind, one_of(&[1, 100, 4_294_967_295]), one_of(&[1, 100, i64::MAX]), vec(number(), 0..3)).prop_map(
        |(kind, percent, milli, values)| {
            json!({
                "type": kind,
                "target_utilization_percent": percent,
                "target_average_milli": milli,
                "target_value_milli": milli,
                "values_milli": values.into_iter().filter(Value::is_i64).collect::<Vec<_>>(),
            })
        },
    )
}

fn strange_rules() -> impl Strategy<Value = Value> {
    let kind = prop_oneof![Just("Pods"), Just("Percent")];
    let rate = (kind, one_of(&[1, 100, 4_294_967_295]), one_of(&[1, 60, 1_800]));
    let rate =
        rate.prop_map(|(kind, value, period)| json!({ "type": kind, "value": value, "period_s": period }));
    let tolerance = prop_oneof![Just(json!(0)), Just(json!(1e300)), Just(Value::Null)];
    (vec(rate, 1..3), one_of(&[0, 300, 3_600]), tolerance).prop_map(|(policies, window, tolerance)| {
        json!({ "policies": policies, "stabilization_window_s": window, "tolerance": tolerance })
    })
}

fn strange_case() -> impl Strategy<Value = Value> {
    let keys = (
        one_of(&[0, 1, 7]),
        one_of(&[7, 100, 2_147_483_647]),
        one_of(&[0, 1, 7, 100, 4_294_967_295]),
        number(),
    );
    let keys = keys.prop_map(|(min, max, replicas, existing)| {
        json!({ "min": min, "max": max, "spec_replicas": replicas, "status_replicas": existing })
    });
    let past = || vec(numbers(&["replicas", "change", "s_ago"]), 0..3);
    let rules = option::of((option::of(strange_rules()), option::of(strange_rules())));
    let behavior =
        rules.prop_map(|rules| rules.map(|(up, down)| json!({ "scale_up": up, "scale_down": down })));
    (keys, past(), past(), past(), behavior, vec(strange_metric(), 1..3), vec(strange_pod(), 0..5)).prop_map(
        |(mut case, recommendations, up, down, behavior, metrics, pods)| {
            case["recommendations"] = json!(recommendations);
            case["scale_up_events"] = json!(up);
            case["scale_down_events"] = json!(down);
            case["behavior"] = json!(behavior);
            case["metrics"] = json!(metrics);
            case["pods"] = json!(pods);
            case
        },
    )
}

/// Drops values until the case can be read, so that most cases reach the arithmetic.
fn readable(mut case: Value) -> Option<scenario::Case> {
    for key in ["recommendations", "scale_up_events", "scale_down_events", "pods"] {
        let entries = case[key].as_array_mut().unwrap();
        entries.retain(|entry| {
            let mut probe = json!({ "max": 1, "spec_replicas": 1, "metrics": [] });
            probe[key] = json!([entry]);
            serde_json::from_value::<scenario::Case>(probe).is_ok()
        });
    }
    if case["status_replicas"].as_u64().is_none_or(|replicas| u32::try_from(replicas).is_err()) {
        case["status_replicas"] = Value::Null;
    }
    serde_json::from_value(case).ok()
}
