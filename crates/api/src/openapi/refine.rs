//! Refines the OpenAPI document, so that the usual generators of clients make one type of each
//! object, and compile.

use serde_json::{Map, Value, json};

use super::words::lists;

/// The methods of operations.
const METHODS: [&str; 5] = ["get", "post", "put", "patch", "delete"];

/// The tags and their descriptions, in the order of the document.
const TAGS: [(&str, &str); 14] = [
    (
        "Client certificates",
        "Certificates of the devices and users of a zone",
    ),
    (
        "Invites",
        "Certificates for people and devices without a token",
    ),
    (
        "Hostname associations",
        "Hostnames that ask for client certificates",
    ),
    (
        "mTLS certificates",
        "CAs and leaf certificates that an account uploads",
    ),
    ("Zones", "Domains with client certificates"),
    ("Accounts", "Owners of zones and their CAs"),
    ("Memberships", "The accounts of the user"),
    ("User", "The user, and its API key"),
    ("API tokens", "Tokens of the user"),
    ("Account API tokens", "Tokens that an account owns"),
    ("Audit logs", "The changes of an account or of the user"),
    (
        "Authorities",
        "The CAs of an account that sign client certificates",
    ),
    (
        "Enforcement points",
        "Gateways that follow and acknowledge revocations",
    ),
    ("Notifications", "Destinations of events, such as a webhook"),
];

/// Refines the document.
pub(super) fn refine(document: &mut Value) {
    add_servers_and_tags(document);
    add_words(document);
    for_each_operation(document, name_body);
    let schemas = &mut document["components"]["schemas"];
    let copies = schemas.clone();
    for (name, schema) in members(schemas) {
        merge_parts(schema, &copies);
        name_words(name, schema);
    }
    open_objects(schemas);
    super::examples::add(document);
    remove_unused(document);
}

fn add_servers_and_tags(document: &mut Value) {
    document["servers"] = json!([
        { "url": "/", "description": "The server of this document" },
        {
            "url": "{origin}",
            "description": "Another server",
            "variables": {
                "origin": {
                    "default": "http://127.0.0.1:8787",
                    "description": "Scheme, host and port of the management API",
                },
            },
        },
    ]);
    let tags = TAGS.map(|(name, description)| json!({ "name": name, "description": description }));
    document["tags"] = tags.into_iter().collect();
}

/// Makes a schema of each list of words, and refers to it.
fn add_words(document: &mut Value) {
    for list in lists() {
        let reference = json!({ "$ref": format!("#/components/schemas/{}", list.name) });
        document["components"]["schemas"][list.name] = json!({
            "type": "string",
            "description": list.description,
            "enum": list.words,
        });
        for (owner, member) in list.members {
            let schemas = &mut document["components"]["schemas"];
            refer(&mut schemas[*owner]["properties"][*member], &reference);
        }
        for_each_operation(document, |operation| {
            let id = operation["operationId"].clone();
            let parameters = operation
                .get_mut("parameters")
                .and_then(Value::as_array_mut);
            for parameter in parameters.into_iter().flatten() {
                for (operation, name, default) in list.parameters {
                    if id == *operation && parameter["name"] == *name {
                        parameter["schema"] = reference.clone();
                        if !default.is_empty() {
                            parameter["schema"]["default"] = json!(default);
                        }
                    }
                }
            }
        });
    }
}

/// Replaces the schema of a member by a reference. The description stays.
fn refer(schema: &mut Value, reference: &Value) {
    let is_nullable = schema["type"].is_array();
    let description = schema["description"].take();
    let mut named = reference.clone();
    if !description.is_null() {
        named["description"] = description;
    }
    *schema = match is_nullable {
        true => json!({ "oneOf": [named, { "type": "null" }] }),
        false => named,
    };
}

/// Refers plainly to the schema of a body that may be missing. Generators make a type of their own
/// for the choice between the schema and null.
fn name_body(operation: &mut Value) {
    let body = operation.pointer_mut("/requestBody/content/application~1json/schema");
    if let Some(schema) = body
        && let Some(first) = schema.pointer("/oneOf/0").cloned()
    {
        *schema = first;
    }
}

/// Merges an object that the generator describes in parts.
fn merge_parts(schema: &mut Value, schemas: &Value) {
    let Some(parts) = schema.get("allOf").and_then(Value::as_array).cloned() else {
        return;
    };
    let (mut properties, mut required) = (Map::new(), Vec::new());
    for part in parts {
        let part = match part.get("$ref").and_then(Value::as_str) {
            Some(reference) => &schemas[name_of(reference)],
            None => &part,
        };
        properties.extend(part["properties"].as_object().cloned().unwrap_or_default());
        required.extend(part["required"].as_array().cloned().unwrap_or_default());
    }
    *schema = json!({
        "type": "object",
        "description": schema["description"],
        "required": required,
        "properties": properties,
    });
}

/// Names the constants of words. Without names, some generators call those of two schemas alike.
fn name_words(name: &str, schema: &mut Value) {
    let Some(words) = schema.get("enum").and_then(Value::as_array) else {
        return;
    };
    let names = words.iter().filter_map(Value::as_str).map(|word| {
        let parts = word.split(|character: char| !character.is_ascii_alphanumeric());
        let capitals = parts.map(|part| {
            let (first, rest) = part.split_at(part.len().min(1));
            first.to_ascii_uppercase() + rest
        });
        format!("{name}{}", capitals.collect::<String>())
    });
    schema["x-enum-varnames"] = names.collect();
}

/// Describes the objects whose members have names of the client's choice.
fn open_objects(schemas: &mut Value) {
    for policy in ["TokenPolicy", "CreatePolicy"] {
        schemas[policy]["properties"]["resources"]["additionalProperties"] = json!(true);
    }
    schemas["TokenAddresses"]["type"] = json!(["object", "null"]);
    // Its two members have names that become the same in most languages.
    let description = schemas["TokenCondition"]["description"].clone();
    schemas["TokenCondition"] = json!({
        "type": "object",
        "description": description,
        "propertyNames": { "enum": ["request.ip", "request_ip"] },
        "additionalProperties": { "$ref": "#/components/schemas/TokenAddresses" },
    });
}

/// Removes the schemas that nothing refers to any more.
fn remove_unused(document: &mut Value) {
    let text = document.to_string();
    let is_used = |name: &str| text.contains(&format!("\"#/components/schemas/{name}\""));
    if let Some(schemas) = document["components"]["schemas"].as_object_mut() {
        schemas.retain(|name, _| is_used(name));
    }
}

/// Calls `change` for every operation.
pub(super) fn for_each_operation(document: &mut Value, mut change: impl FnMut(&mut Value)) {
    for (_, path) in members(&mut document["paths"]) {
        for (method, operation) in members(path) {
            if METHODS.contains(&method.as_str()) {
                change(operation);
            }
        }
    }
}

fn members(object: &mut Value) -> impl Iterator<Item = (&String, &mut Value)> {
    object.as_object_mut().into_iter().flatten()
}

fn name_of(reference: &str) -> &str {
    reference.rsplit('/').next().unwrap_or_default()
}
