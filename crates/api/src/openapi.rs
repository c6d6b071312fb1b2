//! The OpenAPI document, made from the handlers.

use std::sync::LazyLock;

use utoipa::openapi::path::Operation;
use utoipa::openapi::security::{ApiKey, ApiKeyValue, HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::openapi::{
    ContentBuilder, Info, OpenApi, Ref, RefOr, ResponseBuilder, SecurityRequirement,
};
use utoipa::{IntoParams, PartialSchema, ToSchema};

use crate::envelope::{CursorInfo, Message, ResultInfo};
use crate::error::ErrorItem;
use crate::router;

/// A successful answer.
#[derive(ToSchema)]
#[expect(dead_code, reason = "documents the envelope")]
pub(crate) struct Answer<T: ToSchema> {
    /// Always `true`.
    success: bool,
    #[schema(value_type = Vec<ErrorItem<'static>>)]
    errors: [(); 0],
    messages: Vec<Message>,
    result: T,
}

/// A page of a list.
#[derive(ToSchema)]
#[expect(dead_code, reason = "documents the envelope")]
pub(crate) struct PageAnswer<T: ToSchema> {
    /// Always `true`.
    success: bool,
    #[schema(value_type = Vec<ErrorItem<'static>>)]
    errors: [(); 0],
    messages: Vec<Message>,
    result: Vec<T>,
    result_info: ResultInfo,
}

/// A part of a list.
#[derive(ToSchema)]
#[expect(dead_code, reason = "documents the envelope")]
pub(crate) struct PartAnswer<T: ToSchema> {
    /// Always `true`.
    success: bool,
    #[schema(value_type = Vec<ErrorItem<'static>>)]
    errors: [(); 0],
    messages: Vec<Message>,
    result: Vec<T>,
    result_info: CursorInfo,
}

/// A failed answer.
#[derive(ToSchema)]
#[expect(dead_code, reason = "documents the envelope")]
pub(crate) struct Failure {
    /// Always `false`.
    success: bool,
    errors: Vec<ErrorItem<'static>>,
    messages: Vec<Message>,
    /// Always null.
    #[schema(value_type = Option<Object>)]
    result: (),
}

/// What to issue.
#[derive(ToSchema)]
#[expect(
    dead_code,
    reason = "documents the body, which is read member by member"
)]
pub(crate) struct CreateClientCertificate {
    /// Certificate signing request (PKCS #10, RFC 2986), PEM, at most 16 KiB.
    csr: String,
    /// From 1 to the configured maximum, 5,475 by default.
    #[schema(minimum = 1, maximum = 5475)]
    validity_days: i64,
}

/// Reactivation.
#[derive(ToSchema)]
#[expect(
    dead_code,
    reason = "documents the body, which is read member by member"
)]
pub(crate) struct ReactivateClientCertificate {
    /// `true` restores; `false` and null change nothing.
    reactivate: Option<bool>,
}

/// Revocation.
#[derive(ToSchema)]
#[expect(
    dead_code,
    reason = "documents the body, which is read member by member"
)]
pub(crate) struct RevokeClientCertificate {
    /// `certificateHold` (default), which can be undone, or `unspecified`, `keyCompromise`, `cACompromise`,
    /// `affiliationChanged`, `superseded`, `cessationOfOperation` or `privilegeWithdrawn`, which cannot.
    reason: Option<String>,
}

/// The list of hostnames of one authority.
#[derive(ToSchema)]
#[expect(
    dead_code,
    reason = "documents the body, which is read member by member"
)]
pub(crate) struct ReplaceHostnameAssociations {
    /// DNS names in the zone; absent: none.
    #[schema(max_items = 1000)]
    hostnames: Option<Vec<String>>,
    /// UUID of an authority that the account brought; absent, null or empty: the managed one.
    mtls_certificate_id: Option<String>,
}

/// What certificate to take in.
#[derive(ToSchema)]
#[expect(
    dead_code,
    reason = "documents the body, which is read member by member"
)]
pub(crate) struct CreateMtlsCertificate {
    /// One to ten certificates in PEM, each signed by the next, at most 32 KiB.
    certificates: String,
    /// Whether the first one is an authority; `false` needs `private_key`.
    ca: bool,
    /// At most 100 characters.
    name: Option<String>,
    /// Private key of the first certificate: PKCS #8, SEC 1 or PKCS #1 in PEM, not encrypted, at most 16 KiB.
    private_key: Option<String>,
}

/// What enforcement point to register.
#[derive(ToSchema)]
#[expect(
    dead_code,
    reason = "documents the body, which is read member by member"
)]
pub(crate) struct RegisterEnforcementPoint {
    /// At most 100 characters; unique in the account.
    name: String,
    /// How long it may be silent before nobody waits for it; default 60.
    #[schema(minimum = 5, maximum = 3600)]
    lease_seconds: Option<i64>,
}

/// What is in force at an enforcement point.
#[derive(ToSchema)]
#[expect(
    dead_code,
    reason = "documents the body, which is read member by member"
)]
pub(crate) struct AcknowledgeEpoch {
    /// Every change up to this epoch.
    #[schema(minimum = 0, maximum = 9_007_199_254_740_991_i64)]
    epoch: i64,
}

/// What is asked of an audit log.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(
    dead_code,
    reason = "documents the query, which is read parameter by parameter"
)]
pub(crate) struct AuditLogConditions {
    /// Date or RFC 3339 time, inclusive; default: the beginning
    since: Option<String>,
    /// Date or RFC 3339 time, exclusive; default: the end
    before: Option<String>,
    /// Only what was done with this token, 32 hex digits
    actor_token_id: Option<String>,
    /// `api_key`: only what was done with the API key
    actor_context: Option<String>,
    /// `system`: only what certgate did itself
    actor_type: Option<String>,
    /// `desc` (default) or `asc`
    direction: Option<String>,
    /// How many; default 100
    #[param(minimum = 1, maximum = 1000)]
    limit: Option<u64>,
    /// Where to go on: from the answer before
    cursor: Option<String>,
}

/// What zone to make.
#[derive(ToSchema)]
#[expect(
    dead_code,
    reason = "documents the body, which is read member by member"
)]
pub(crate) struct CreateZone {
    /// A domain name, at most 253 octets.
    name: String,
    account: AccountReference,
}

/// An account by its id.
#[derive(ToSchema)]
#[expect(
    dead_code,
    reason = "documents the body, which is read member by member"
)]
pub(crate) struct AccountReference {
    /// 32 hex digits.
    id: String,
}

/// What account to make.
#[derive(ToSchema)]
#[expect(
    dead_code,
    reason = "documents the body, which is read member by member"
)]
pub(crate) struct CreateAccount {
    /// At most 100 characters.
    name: String,
    /// `P-256`, `P-384`, `RSA-2048`, `RSA-3072`, `RSA-4096` or `Ed25519`: an addition to Cloudflare's body.
    authority_algorithm: Option<String>,
}

/// What authority to import.
#[derive(ToSchema)]
#[expect(
    dead_code,
    reason = "documents the body, which is read member by member"
)]
pub(crate) struct ImportAuthority {
    /// Its certificate, PEM, at most 16 KiB.
    certificate: String,
    /// Its private key, PEM, not encrypted: PKCS #8, SEC 1 or PKCS #1, at most 16 KiB.
    private_key: String,
}

/// What authority to make.
#[derive(ToSchema)]
#[expect(
    dead_code,
    reason = "documents the body, which is read member by member"
)]
pub(crate) struct RotateAuthority {
    /// `P-256`, `P-384`, `RSA-2048`, `RSA-3072`, `RSA-4096` or `Ed25519`; default: the account's `authority_algorithm`.
    algorithm: Option<String>,
}

/// What token to make.
#[derive(ToSchema)]
#[expect(
    dead_code,
    reason = "documents the body, which is read member by member"
)]
pub(crate) struct CreateToken {
    /// At most 100 characters.
    name: String,
    /// `active` (default) or `disabled`.
    status: Option<String>,
    policies: Vec<CreatePolicy>,
    #[schema(value_type = Option<Object>)]
    condition: Option<()>,
    #[schema(value_type = Option<String>, format = DateTime)]
    not_before: Option<()>,
    #[schema(value_type = Option<String>, format = DateTime)]
    expires_on: Option<()>,
}

/// A policy of a token.
#[derive(ToSchema)]
#[expect(
    dead_code,
    reason = "documents the body, which is read member by member"
)]
pub(crate) struct CreatePolicy {
    /// `allow` or `deny`.
    effect: String,
    permission_groups: Vec<PermissionGroupReference>,
    /// Resource names to `*`, or an account's to an object of its zones.
    #[schema(value_type = Object)]
    resources: (),
}

/// A permission group by its id.
#[derive(ToSchema)]
#[expect(
    dead_code,
    reason = "documents the body, which is read member by member"
)]
pub(crate) struct PermissionGroupReference {
    /// 32 hex digits.
    id: String,
}

/// The statuses that any route can answer with, and when.
const FAILURES: [(&str, &str); 9] = [
    (
        "400",
        "The request is not a good one, or has no credentials",
    ),
    (
        "403",
        "The token is not valid, may not do this here, or a quota is reached",
    ),
    ("404", "There is no such route or object"),
    ("405", "The route does not have this method"),
    ("408", "The request took too long to arrive"),
    ("413", "The body is too large"),
    ("429", "Too many requests with this token; see retry-after"),
    ("500", "Internal error"),
    ("503", "Temporarily unavailable; see retry-after"),
];

static DOCUMENT: LazyLock<String> = LazyLock::new(|| {
    let mut text = document()
        .to_pretty_json()
        .expect("the document is made of strings and numbers");
    text.push('\n');
    text
});

/// The document as JSON.
pub fn openapi_json() -> &'static str {
    &DOCUMENT
}

fn document() -> OpenApi {
    let mut document = router::document();
    document.info = Info::new("certgate", "1");
    document.info.description = Some(
        "Client certificates by Cloudflare's API, self-hosted. Answers are JSON in UTF-8."
            .to_owned(),
    );

    let components = document.components.get_or_insert_with(Default::default);
    let bearer = HttpBuilder::new()
        .scheme(HttpAuthScheme::Bearer)
        .description(Some("An API token"))
        .build();
    components.add_security_scheme("api_token", SecurityScheme::Http(bearer));
    components
        .schemas
        .insert(Failure::name().into_owned(), Failure::schema());
    let mut nested = Vec::new();
    Failure::schemas(&mut nested);
    components.schemas.extend(nested);
    for (name, header) in [("api_email", "X-Auth-Email"), ("api_key", "X-Auth-Key")] {
        let description =
            "A user's e-mail address and API key, together; made by PUT /certgate/v1/user/api_key";
        let value = ApiKeyValue::with_description(header, description);
        components.add_security_scheme(name, SecurityScheme::ApiKey(ApiKey::Header(value)));
    }
    let requires = |name| SecurityRequirement::new::<_, [&str; 0], &str>(name, []);
    document.security = Some(vec![
        requires("api_token"),
        requires("api_email").add::<_, [&str; 0], &str>("api_key", []),
    ]);

    let operations = document.paths.paths.values_mut().flat_map(|path| {
        [
            &mut path.get,
            &mut path.post,
            &mut path.put,
            &mut path.patch,
            &mut path.delete,
        ]
    });
    operations.flatten().for_each(add_failures);
    document
}

fn add_failures(operation: &mut Operation) {
    for (status, description) in FAILURES {
        let schema = Ref::from_schema_name(Failure::name());
        let content = ContentBuilder::new().schema(Some(schema)).build();
        let response = ResponseBuilder::new()
            .description(description)
            .content("application/json", content);
        let responses = &mut operation.responses.responses;
        responses
            .entry(status.to_owned())
            .or_insert(RefOr::T(response.build()));
    }
}
