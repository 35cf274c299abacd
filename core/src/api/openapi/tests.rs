//! The document says what the table says.

use super::*;
use crate::http::problem::Refusal;
use std::collections::BTreeSet;

#[test]
fn every_endpoint_of_the_api_is_an_operation() {
    let document = document();
    for endpoint in endpoints().filter(|endpoint| endpoint.is_api()) {
        let operation = &document["paths"][endpoint.path()][endpoint.method().name()];
        assert_eq!(operation["operationId"], endpoint.name());
        let responses = operation["responses"].as_object().unwrap();
        let successes = responses.keys().filter(|status| status.starts_with('2')).count();
        let parts = usize::from(endpoint.output() == Output::File);
        assert_eq!(successes, 1 + parts, "{}", endpoint.name());
        assert!(responses.contains_key("405"), "{}", endpoint.name());
        for refusal in endpoint.problems() {
            let (status, code, _) = refusal.facts();
            let reference = responses[&status.to_string()]["$ref"].as_str().unwrap();
            let response = document.pointer(reference.trim_start_matches('#')).unwrap();
            let schema = &response["content"]["application/problem+json"]["schema"];
            let codes = schema["allOf"][1]["properties"]["code"]["enum"]
                .as_array()
                .unwrap();
            assert!(codes.contains(&code.into()), "{} {code}", endpoint.name());
            let headers = response["headers"].as_object();
            let has = |name| headers.is_some_and(|headers| headers.contains_key(name));
            assert!(refusal.retry_after().is_none() || has("Retry-After"), "{code}");
            assert!(refusal.challenge().is_none() || has("WWW-Authenticate"), "{code}");
        }
    }
}

#[test]
fn every_reference_in_the_document_leads_somewhere() {
    fn walk(value: &Value, found: &mut BTreeSet<String>) {
        match value {
            Value::Object(map) => {
                if let Some(Value::String(reference)) = map.get("$ref") {
                    found.insert(reference.clone());
                }
                map.values().for_each(|value| walk(value, found));
            }
            Value::Array(list) => list.iter().for_each(|value| walk(value, found)),
            _ => {}
        }
    }
    let document = document();
    let mut references = BTreeSet::new();
    walk(&document, &mut references);
    assert!(references.len() > 30, "{references:?}");
    for reference in &references {
        assert!(
            document.pointer(reference.trim_start_matches('#')).is_some(),
            "{reference}"
        );
    }
    for name in document["components"]["schemas"].as_object().unwrap().keys() {
        let used = references.contains(&format!("#/components/schemas/{name}"));
        assert!(used, "{name} is used by nothing");
    }
}

#[test]
fn what_may_be_null_is_always_there() {
    let schemas = &document()["components"]["schemas"];
    let required = |name: &str| -> Vec<String> {
        let list = schemas[name]["required"].as_array().unwrap();
        list.iter()
            .map(|name| name.as_str().unwrap().to_owned())
            .collect()
    };
    let event = required("Event");
    assert!(event.contains(&"run".into()) && event.contains(&"id".into()));
    let status = required("BotStatus");
    assert!(status.contains(&"since".into()) && !status.contains(&"idle_ms".into()));
    let snapshot = &schemas["ShownSnapshot"];
    assert_eq!(
        required("ShownSnapshot"),
        ["held_until", "id", "pinned", "stored_at", "verified_at"]
    );
    assert!(snapshot["properties"]["gateway_version"].is_object());
    assert!(schemas["RestoreRequest"].get("required").is_none());
}

#[test]
fn the_texts_of_the_api_have_patterns() {
    let schemas = &document()["components"]["schemas"];
    for pointer in [
        "/UserId/pattern",
        "/SnapshotId/pattern",
        "/HostName/pattern",
        "/DomainName/properties/host/pattern",
        "/AccessEntry/properties/entry/pattern",
        "/Invitee/properties/entry/pattern",
        "/Problem/properties/code/enum",
        "/DnsRecord/properties/type/enum",
    ] {
        assert!(schemas.pointer(pointer).is_some(), "{pointer}");
    }
    let codes = schemas["Problem"]["properties"]["code"]["enum"]
        .as_array()
        .unwrap();
    assert_eq!(codes.len(), Refusal::ALL.len());
    for name in [
        "AccessEntry",
        "DomainName",
        "Invitee",
        "RestoreRequest",
        "SnapshotName",
        "TakeRequest",
    ] {
        assert_eq!(schemas[name]["additionalProperties"], false, "{name}");
    }
}

#[test]
fn a_field_of_what_a_request_brings_may_be_missing() {
    let brought: BTreeSet<&str> = endpoints()
        .filter_map(|endpoint| match endpoint.input() {
            Input::Json(document) | Input::OptionalJson(document) => Some(document.name()),
            Input::Nothing | Input::Query(_) | Input::Form | Input::Stream => None,
        })
        .collect();
    assert_eq!(brought, schemas::REQUESTS.into_iter().collect());
}
