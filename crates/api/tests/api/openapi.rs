use certgate_testkit::TestApp;
use serde_json::Value;

#[tokio::test]
async fn the_document_is_served_and_reviewed() {
    let app = TestApp::new().await;
    let answer = app.get("/!openapi.json").anonymous().await;
    let text = String::from_utf8(answer.bytes.clone()).unwrap();
    assert_eq!(text, certgate_api::openapi_json());
    insta::with_settings!({ snapshot_path => "../snapshots", prepend_module_to_snapshot => false }, {
        insta::assert_snapshot!("openapi", text);
    });
}

#[test]
fn every_reference_of_the_document_has_a_target() {
    let document: Value = serde_json::from_str(certgate_api::openapi_json()).unwrap();
    let mut references = Vec::new();
    collect(&document, &mut references);
    assert!(references.len() > 50);
    for reference in references {
        let pointer = reference.strip_prefix('#').unwrap();
        assert!(document.pointer(pointer).is_some(), "{reference}");
    }
}

#[test]
fn every_schema_is_used_and_every_result_is_named() {
    let document: Value = serde_json::from_str(certgate_api::openapi_json()).unwrap();
    let mut references = Vec::new();
    collect(&document, &mut references);
    for (name, schema) in document["components"]["schemas"].as_object().unwrap() {
        let reference = format!("#/components/schemas/{name}");
        assert!(references.contains(&reference), "{name} is not used");
        let result = &schema["properties"]["result"];
        let item = result.get("items").unwrap_or(result);
        let is_copy = item.get("properties").is_some();
        assert!(!is_copy, "{name} has a copy of a schema");
    }
}

fn collect(value: &Value, references: &mut Vec<String>) {
    match value {
        Value::Object(members) => {
            for (name, member) in members {
                match (name.as_str(), member) {
                    ("$ref", Value::String(reference)) => references.push(reference.clone()),
                    _ => collect(member, references),
                }
            }
        }
        Value::Array(items) => items.iter().for_each(|item| collect(item, references)),
        _ => {}
    }
}
