//! Completes the OpenAPI document, which comes from the handlers and the structs of
//! `certgate-wire`.

mod examples;
mod refine;
mod words;

use std::collections::BTreeMap;

use certgate_wire::FailedAnswer;
use utoipa::openapi::path::Operation;
use utoipa::openapi::schema::ArrayItems;
use utoipa::openapi::security::{ApiKey, ApiKeyValue, HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::openapi::{
    Components, ContentBuilder, Info, OpenApi, PathItem, Ref, RefOr, ResponseBuilder, Schema,
    SecurityRequirement,
};
use utoipa::{PartialSchema, ToSchema};

/// The statuses that every route can answer with, and their reasons.
const FAILURES: [(&str, &str); 9] = [
    ("400", "The request is malformed, or has no credentials"),
    (
        "403",
        "The token is not valid or has no permission here, or a quota is reached",
    ),
    ("404", "The route or the object does not exist"),
    ("405", "The route does not have this method"),
    ("408", "The request took too long to arrive"),
    ("413", "The body is too large"),
    ("429", "Too many requests with this token; see retry-after"),
    ("500", "Internal error"),
    ("503", "Temporarily unavailable; see retry-after"),
];

/// Adds what all routes have in common, and returns the document as JSON.
pub(crate) fn complete(mut document: OpenApi) -> String {
    document.info = Info::new("certgate", "1");
    document.info.description = Some(
        "Client certificates by Cloudflare's API, self-hosted. Answers are JSON in UTF-8."
            .to_owned(),
    );
    let components = document.components.get_or_insert_with(Default::default);
    components
        .schemas
        .insert(FailedAnswer::name().into_owned(), FailedAnswer::schema());
    let mut nested = Vec::new();
    FailedAnswer::schemas(&mut nested);
    components.schemas.extend(nested);
    name_results(components);
    document.security = Some(add_security(components));
    document.paths.paths.values_mut().for_each(add_failures);
    let mut document = serde_json::to_value(document).expect("the document is JSON");
    refine::refine(&mut document);
    serde_json::to_string_pretty(&document).expect("the document is JSON") + "\n"
}

/// Adds the two kinds of credentials, and returns the choice between them.
fn add_security(components: &mut Components) -> Vec<SecurityRequirement> {
    let bearer = HttpBuilder::new()
        .scheme(HttpAuthScheme::Bearer)
        .description(Some("An API token"))
        .build();
    components.add_security_scheme("api_token", SecurityScheme::Http(bearer));
    for (name, header) in [("api_email", "X-Auth-Email"), ("api_key", "X-Auth-Key")] {
        let description = "A user's e-mail address and API key, together. \
                           PUT /certgate/v1/user/api_key creates the key";
        let value = ApiKeyValue::with_description(header, description);
        components.add_security_scheme(name, SecurityScheme::ApiKey(ApiKey::Header(value)));
    }
    let requires = |name| SecurityRequirement::new::<_, [&str; 0], &str>(name, []);
    vec![
        requires("api_token"),
        requires("api_email").add::<_, [&str; 0], &str>("api_key", []),
    ]
}

fn add_failures(path: &mut PathItem) {
    let operations = [
        &mut path.get,
        &mut path.post,
        &mut path.put,
        &mut path.patch,
        &mut path.delete,
    ];
    let operations: Vec<&mut Operation> = operations.into_iter().flatten().collect();
    for operation in operations {
        for (status, description) in FAILURES {
            let schema = Ref::from_schema_name(FailedAnswer::name());
            let content = ContentBuilder::new().schema(Some(schema)).build();
            let response = ResponseBuilder::new()
                .description(description)
                .content("application/json", content);
            let responses = &mut operation.responses.responses;
            let response = RefOr::T(response.build());
            responses.entry(status.to_owned()).or_insert(response);
        }
    }
}

/// Replaces each copy of an object's schema by a reference to it. The generator copies the schema
/// of `T` into that of `Answer<T>`, and generators of clients would make a type of each copy.
fn name_results(components: &mut Components) {
    let named = components.schemas.clone();
    for schema in components.schemas.values_mut() {
        if let RefOr::T(Schema::Object(answer)) = schema
            && let Some(result) = answer.properties.get_mut("result")
        {
            name(result, &named);
        }
    }
}

fn name(schema: &mut RefOr<Schema>, named: &BTreeMap<String, RefOr<Schema>>) {
    if let RefOr::T(Schema::Array(array)) = schema {
        if let ArrayItems::RefOrSchema(items) = &mut array.items {
            name(items, named);
        }
        return;
    }
    let mut named = named.iter();
    if let Some((name, _)) = named.find(|(_, other)| *other == schema) {
        *schema = Ref::from_schema_name(name).into();
    }
}
