use std::collections::BTreeSet;

use serde_json::Value;

use super::*;

fn described() -> Value {
    serde_json::from_slice(&json()).unwrap()
}

/// Every operation with its method and path.
fn operations<'d>(document: &'d Value) -> Vec<(String, &'d Value)> {
    let paths = document["paths"].as_object().unwrap();
    let of_path = |(path, item): (&String, &'d Value)| -> Vec<_> {
        let item = item.as_object().unwrap();
        item.iter()
            .map(|(method, operation)| (format!("{} {path}", method.to_uppercase()), operation))
            .collect()
    };
    paths.iter().flat_map(of_path).collect()
}

#[test]
fn the_document_has_the_routes_of_the_table_and_no_others() {
    let document = described();
    let described: BTreeSet<_> = operations(&document).into_iter().map(|(name, _)| name).collect();
    let routes: BTreeSet<_> =
        table().iter().map(|Route { method, template, .. }| format!("{method} {template}")).collect();
    assert_eq!(described, routes);
}

#[test]
fn every_reference_leads_somewhere() {
    let document = described();
    let text = document.to_string();
    for reference in text.split("\"$ref\":\"#").skip(1) {
        let pointer = reference.split('"').next().unwrap();
        assert!(document.pointer(pointer).is_some(), "{pointer}");
    }
}

#[test]
fn every_operation_says_what_it_is_and_what_may_go_wrong() {
    let document = described();
    let mut ids = BTreeSet::new();
    for (name, operation) in operations(&document) {
        assert!(operation["summary"].is_string(), "{name} has no summary");
        assert!(ids.insert(operation["operationId"].as_str().unwrap().to_owned()), "{name}");
        let tag = &operation["tags"][0];
        let tags = document["tags"].as_array().unwrap();
        assert!(tags.iter().any(|known| known["name"] == *tag), "{name} has the tag {tag}");
        let responses = operation["responses"].as_object().unwrap();
        assert!(responses.keys().any(|status| status.as_str() < "400"), "{name} never succeeds");
        for (status, response) in responses.iter().filter(|(status, _)| status.as_str() >= "400") {
            let schema = &response["content"]["application/problem+json"]["schema"]["$ref"];
            assert_eq!(schema, "#/components/schemas/Problem", "{name} {status}");
        }
        let secured = operation["security"].as_array().is_some_and(|schemes| !schemes.is_empty());
        assert!(!secured || responses.contains_key("401"), "{name}");
    }
}
