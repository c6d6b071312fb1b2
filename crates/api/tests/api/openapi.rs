use certgate_testkit::TestApp;
use serde_json::{Value, json};

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
    let document = document();
    let mut references = Vec::new();
    collect(&document, &mut references);
    assert!(references.len() > 50);
    for reference in references {
        let pointer = reference.strip_prefix('#').unwrap();
        assert!(document.pointer(pointer).is_some(), "{reference}");
    }
}

#[test]
fn every_schema_is_used_and_every_object_is_named() {
    let document = document();
    let mut references = Vec::new();
    collect(&document, &mut references);
    for (name, schema) in document["components"]["schemas"].as_object().unwrap() {
        let reference = format!("#/components/schemas/{name}");
        assert!(references.contains(&reference), "{name} is not used");
        // An object within another one would be a type without a name of its own.
        for part in parts(schema).skip(1) {
            assert_eq!(part.get("properties"), None, "{name}: {part}");
            assert_eq!(part.get("allOf"), None, "{name}: {part}");
        }
        assert_eq!(schema.get("allOf"), None, "{name}");
    }
}

#[test]
fn bodies_and_answers_refer_plainly_to_a_schema() {
    let document = document();
    let mut bodies = 0;
    for (id, operation) in operations(&document) {
        let schema = operation.pointer("/requestBody/content/application~1json/schema");
        if let Some(schema) = schema {
            bodies += 1;
            let members: Vec<_> = schema.as_object().unwrap().keys().collect();
            assert_eq!(members, ["$ref"], "{id}");
        }
        for (status, answer) in operation["responses"].as_object().unwrap() {
            let schema = answer.pointer("/content/application~1json/schema");
            let is_named = schema.is_none_or(|schema| schema.get("$ref").is_some());
            assert!(is_named, "{id}: {status}");
        }
    }
    assert!(bodies >= 18);
}

#[test]
fn words_have_names_that_differ_in_the_whole_document() {
    let document = document();
    let mut names = Vec::new();
    for (schema, description) in document["components"]["schemas"].as_object().unwrap() {
        let Some(words) = description.get("enum") else {
            continue;
        };
        let constants = description["x-enum-varnames"].as_array().unwrap();
        assert_eq!(words.as_array().unwrap().len(), constants.len(), "{schema}");
        names.extend(constants.iter().map(|name| name.as_str().unwrap()));
    }
    let count = names.len();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), count);
    assert!(count > 60);
}

#[test]
fn objects_with_free_names_and_bounds_are_described() {
    let document = document();
    let schema = |pointer: &str| {
        let found = document.pointer(&format!("/components/schemas/{pointer}"));
        found.unwrap_or_else(|| panic!("{pointer}"))
    };
    for policy in ["TokenPolicy", "CreatePolicy"] {
        let names = schema(&format!(
            "{policy}/properties/resources/additionalProperties"
        ));
        assert_eq!(*names, json!(true));
    }
    let addresses = schema("TokenCondition/additionalProperties");
    assert_eq!(
        *addresses,
        json!({ "$ref": "#/components/schemas/TokenAddresses" })
    );
    assert_eq!(
        *schema("CreateAccount/properties/name/maxLength"),
        json!(100)
    );
    assert_eq!(
        *schema("CreateToken/properties/policies/maxItems"),
        json!(100)
    );
    assert_eq!(
        *schema("UpdateUser/properties/zipcode/maxLength"),
        json!(20)
    );
    for name in ["Id", "Uuid", "Time", "Sha256", "Octets20"] {
        let example = schema(&format!("{name}/examples/0")).as_str().unwrap();
        assert!(!example.is_empty(), "{name}");
    }
    for (id, operation) in operations(&document) {
        for parameter in operation["parameters"].as_array().into_iter().flatten() {
            let described = &parameter["schema"];
            let needs_default = ["page", "per_page", "offset"];
            if needs_default.iter().any(|name| parameter["name"] == *name) {
                assert!(described.get("default").is_some(), "{id}: {parameter}");
            }
            let is_words = ["direction", "match", "order"];
            if is_words.iter().any(|name| parameter["name"] == *name) {
                assert!(described.get("$ref").is_some(), "{id}: {parameter}");
            }
        }
    }
}

#[test]
fn servers_tags_examples_and_links_are_complete() {
    let document = document();
    assert_eq!(document["servers"][0]["url"], "/");
    let tags = document["tags"].as_array().unwrap();
    let names: Vec<_> = tags.iter().map(|tag| &tag["name"]).collect();
    let operations = operations(&document);
    let ids: Vec<_> = operations.iter().map(|(id, _)| id.clone()).collect();
    for name in &names {
        let is_used = operations
            .iter()
            .any(|(_, operation)| operation["tags"][0] == **name);
        assert!(is_used, "{name}");
    }
    let mut links = 0;
    for (id, operation) in &operations {
        assert!(names.contains(&&operation["tags"][0]), "{id}");
        assert_eq!(operation["tags"].as_array().unwrap().len(), 1, "{id}");
        if let Some(reference) = operation.pointer("/requestBody/content/application~1json/schema")
        {
            let pointer = reference["$ref"]
                .as_str()
                .unwrap()
                .strip_prefix('#')
                .unwrap();
            let examples = document.pointer(pointer).unwrap().get("examples");
            assert!(examples.is_some(), "{id}: {pointer}");
        }
        let found = operation.pointer("/responses/200/links");
        for link in found.and_then(Value::as_object).into_iter().flatten() {
            links += 1;
            let target = link.1["operationId"].as_str().unwrap();
            assert!(ids.iter().any(|id| id == target), "{id}: {target}");
        }
    }
    assert!(links > 15);
}

fn document() -> Value {
    serde_json::from_str(certgate_api::openapi_json()).unwrap()
}

/// Returns every operation with its ID.
fn operations(document: &Value) -> Vec<(String, &Value)> {
    let paths = document["paths"].as_object().unwrap().values();
    let operations = paths.flat_map(|path| path.as_object().unwrap().values());
    let named = operations.map(|operation| {
        let id = operation["operationId"].as_str().unwrap();
        (id.to_owned(), operation)
    });
    named.collect()
}

/// Returns a schema and every schema within it.
fn parts(schema: &Value) -> Box<dyn Iterator<Item = &Value> + '_> {
    let within: Vec<&Value> = match schema {
        Value::Object(members) => {
            let described = members.iter().filter(|(name, _)| *name != "properties");
            let members_of = members.get("properties").and_then(Value::as_object);
            let of_members = members_of.into_iter().flat_map(|members| members.values());
            described.map(|(_, part)| part).chain(of_members).collect()
        }
        Value::Array(items) => items.iter().collect(),
        _ => Vec::new(),
    };
    Box::new(std::iter::once(schema).chain(within.into_iter().flat_map(parts)))
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
