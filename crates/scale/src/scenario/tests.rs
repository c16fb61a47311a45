use super::*;

fn case(text: &str) -> Case {
    serde_json::from_str(text).unwrap()
}

#[test]
fn what_is_absent_is_as_in_kubernetes() {
    let case = case(
        r#"{ "max": 4, "spec_replicas": 1,
             "metrics": [ { "type": "external_average_value", "target_average_milli": 1000, "values_milli": [ 3000 ] } ] }"#,
    );
    let policy = case.policy().unwrap();
    assert_eq!((policy.wanted().min, policy.wanted().behavior.as_ref()), (1, None));
    assert_eq!(case.decide().unwrap().replicas, 3);
    assert_eq!(case.state().recommendations(), None);
}

#[test]
fn what_makes_no_sense_is_told() {
    let fault = |text: &str| case(text).decide().unwrap_err().to_string();
    assert_eq!(
        fault(
            r#"{ "max": 4, "spec_replicas": 1, "metrics": [ { "type": "broken" }, { "type": "object_value" } ] }"#
        ),
        "metrics[1]: target_value_milli is missing"
    );
    assert_eq!(
        fault(r#"{ "max": 0, "min": 0, "spec_replicas": 1, "metrics": [] }"#),
        "max must be from 1 to 2147483647; at least one metric is needed"
    );
}

#[test]
fn times_at_the_ends_of_their_range_do_not_overflow() {
    assert_eq!(ago(0.0), NOW);
    assert_eq!(ago(-1.0), NOW + Duration::from_secs(1));
    assert_eq!(ago(1e300), Duration::ZERO);
    assert_eq!(ago(-1e300), Duration::MAX);
    assert_eq!(ago(f64::NAN), Duration::ZERO);
}
