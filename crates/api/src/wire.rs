//! What the records look like in JSON. Only this module knows.

use std::collections::BTreeMap;

use certgate_model::{
    AccountRecord, AddressBlock, CertificateRecord, Effect, PermissionGroup, Resource, Timestamp,
    TokenRecord, TokenState, UserRecord, ZoneRecord,
};
use certgate_pki::pem_lines;
use serde::Serialize;
use utoipa::ToSchema;

/// A client certificate.
#[derive(Serialize, ToSchema)]
pub(crate) struct ClientCertificate<'a> {
    /// 32 lower-case hex digits.
    id: String,
    /// The certificate, PEM.
    certificate: String,
    certificate_authority: CertificateAuthority<'a>,
    common_name: &'a str,
    country: &'a str,
    /// The request exactly as it was sent.
    csr: &'a str,
    /// `notAfter`, RFC 3339 in UTC, a whole minute.
    #[schema(value_type = String, format = DateTime)]
    expires_on: Instant,
    /// SHA-256 of the DER form, 64 lower-case hex digits.
    fingerprint_sha256: String,
    /// `notBefore`, RFC 3339 in UTC, a whole minute.
    #[schema(value_type = String, format = DateTime)]
    issued_on: Instant,
    location: &'a str,
    organization: &'a str,
    organizational_unit: &'a str,
    /// 40 lower-case hex digits.
    serial_number: String,
    /// How the certificate is signed.
    #[schema(value_type = SignatureName)]
    signature: &'static str,
    /// Subject key identifier, 40 lower-case hex digits.
    ski: String,
    state: &'a str,
    #[schema(value_type = StatusName)]
    status: &'static str,
    validity_days: u32,
}

/// The authority that signed a certificate.
#[derive(Serialize, ToSchema)]
pub(crate) struct CertificateAuthority<'a> {
    /// UUID of 36 characters.
    id: String,
    name: &'a str,
}

/// Where a certificate is in its life. `pending_*` is accepted and durable, but not yet in force everywhere.
#[derive(ToSchema)]
#[schema(rename_all = "snake_case")]
#[expect(dead_code, reason = "documents the words of certgate_model::Status; a test holds them together")]
pub(crate) enum StatusName {
    Active,
    PendingReactivation,
    PendingRevocation,
    Revoked,
}

/// How a certificate is signed.
#[derive(ToSchema)]
#[expect(dead_code, reason = "documents the words of certgate_model::SignatureAlgorithm")]
pub(crate) enum SignatureName {
    #[schema(rename = "SHA256WithRSA")]
    Sha256WithRsa,
    #[schema(rename = "ECDSAWithSHA256")]
    EcdsaWithSha256,
    #[schema(rename = "ECDSAWithSHA384")]
    EcdsaWithSha384,
    PureEd25519,
}

impl<'a> From<&'a CertificateRecord> for ClientCertificate<'a> {
    fn from(record: &'a CertificateRecord) -> Self {
        let subject = &record.subject;
        Self {
            id: record.id.to_string(),
            certificate: pem_lines("CERTIFICATE", &record.der),
            certificate_authority: CertificateAuthority {
                id: record.authority.id.to_string(),
                name: &record.authority.name,
            },
            common_name: &subject.common_name,
            country: &subject.country,
            csr: &record.csr,
            expires_on: Instant(record.expires_on),
            fingerprint_sha256: hex(&record.fingerprint_sha256),
            issued_on: Instant(record.issued_on),
            location: &subject.location,
            organization: &subject.organization,
            organizational_unit: &subject.organizational_unit,
            serial_number: record.serial.to_string(),
            signature: record.signature.name(),
            ski: hex(&record.ski),
            state: &subject.state,
            status: record.status.name(),
            validity_days: record.validity_days,
        }
    }
}

/// RFC 3339 in UTC with `Z`.
pub(crate) struct Instant(pub(crate) Timestamp);

impl Serialize for Instant {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.0)
    }
}

/// A zone.
#[derive(Serialize, ToSchema)]
pub(crate) struct Zone<'a> {
    /// 32 lower-case hex digits.
    id: String,
    /// Its domain name.
    name: &'a str,
    /// Always `active`.
    status: &'static str,
    paused: bool,
    #[serde(rename = "type")]
    kind: &'static str,
    development_mode: u32,
    name_servers: [String; 0],
    #[schema(value_type = Option<Vec<String>>)]
    original_name_servers: (),
    #[schema(value_type = Option<String>)]
    original_registrar: (),
    #[schema(value_type = Option<String>)]
    original_dnshost: (),
    #[schema(value_type = String, format = DateTime)]
    modified_on: Instant,
    #[schema(value_type = String, format = DateTime)]
    created_on: Instant,
    #[schema(value_type = String, format = DateTime)]
    activated_on: Instant,
    meta: ZoneMeta,
    owner: ZoneOwner<'a>,
    account: AccountName<'a>,
    permissions: [&'static str; 2],
    plan: ZonePlan,
}

#[derive(Serialize, ToSchema)]
struct ZoneMeta {
    step: u32,
    custom_certificate_quota: u32,
    page_rule_quota: u32,
    phishing_detected: bool,
}

#[derive(Serialize, ToSchema)]
struct ZoneOwner<'a> {
    id: String,
    #[serde(rename = "type")]
    kind: &'static str,
    name: &'a str,
}

#[derive(Serialize, ToSchema)]
struct AccountName<'a> {
    id: String,
    name: &'a str,
}

#[derive(Serialize, ToSchema)]
struct ZonePlan {
    id: &'static str,
    name: &'static str,
    price: u32,
    currency: &'static str,
    frequency: &'static str,
    is_subscribed: bool,
    can_subscribe: bool,
    legacy_id: &'static str,
    legacy_discount: bool,
    externally_managed: bool,
}

impl<'a> From<&'a ZoneRecord> for Zone<'a> {
    fn from(zone: &'a ZoneRecord) -> Self {
        Self {
            id: zone.id.to_string(),
            name: &zone.name,
            status: "active",
            paused: false,
            kind: "full",
            development_mode: 0,
            name_servers: [],
            original_name_servers: (),
            original_registrar: (),
            original_dnshost: (),
            modified_on: Instant(zone.modified_on),
            created_on: Instant(zone.created_on),
            activated_on: Instant(zone.created_on),
            meta: ZoneMeta {
                step: 2,
                custom_certificate_quota: 0,
                page_rule_quota: 0,
                phishing_detected: false,
            },
            owner: ZoneOwner { id: zone.account.to_string(), kind: "organization", name: &zone.account_name },
            account: AccountName { id: zone.account.to_string(), name: &zone.account_name },
            permissions: ["#zone:read", "#ssl:edit"],
            plan: ZonePlan {
                id: "00000000000000000000000000000000",
                name: "Self-hosted",
                price: 0,
                currency: "USD",
                frequency: "",
                is_subscribed: true,
                can_subscribe: false,
                legacy_id: "self_hosted",
                legacy_discount: false,
                externally_managed: false,
            },
        }
    }
}

/// An account.
#[derive(Serialize, ToSchema)]
pub(crate) struct Account<'a> {
    /// 32 lower-case hex digits.
    id: String,
    name: &'a str,
    #[serde(rename = "type")]
    kind: &'static str,
    settings: AccountSettings,
    #[schema(value_type = String, format = DateTime)]
    created_on: Instant,
    /// The kind of key of its managed authority: an addition to Cloudflare's object.
    authority_algorithm: &'static str,
}

#[derive(Serialize, ToSchema)]
struct AccountSettings {
    enforce_twofactor: bool,
    #[schema(value_type = Option<String>)]
    abuse_contact_email: (),
}

impl<'a> From<&'a AccountRecord> for Account<'a> {
    fn from(account: &'a AccountRecord) -> Self {
        Self {
            id: account.id.to_string(),
            name: &account.name,
            kind: "standard",
            settings: AccountSettings { enforce_twofactor: false, abuse_contact_email: () },
            created_on: Instant(account.created_on),
            authority_algorithm: account.authority_algorithm.name(),
        }
    }
}

/// The managed authority of an account.
#[derive(Serialize, ToSchema)]
pub(crate) struct ManagedAuthority {
    /// UUID of 36 characters.
    id: String,
    name: String,
    /// The kind of its key.
    algorithm: &'static str,
    /// Its certificate, PEM.
    certificate: String,
    /// SHA-256 of the DER form, 64 lower-case hex digits.
    fingerprint_sha256: String,
    /// Base address of the CRLs and the OCSP responder that its certificates name.
    public_url: String,
    #[schema(value_type = String, format = DateTime)]
    created_on: Instant,
    #[schema(value_type = String, format = DateTime)]
    expires_on: Instant,
}

impl From<certgate_authority::ManagedAuthority> for ManagedAuthority {
    fn from(authority: certgate_authority::ManagedAuthority) -> Self {
        let fingerprint_sha256 = hex(&authority.fingerprint_sha256());
        let record = authority.record;
        Self {
            id: record.id.to_string(),
            name: record.name,
            algorithm: record.algorithm.name(),
            certificate: pem_lines("CERTIFICATE", &record.certificate_der),
            fingerprint_sha256,
            public_url: record.public_url,
            created_on: Instant(record.created_on),
            expires_on: Instant(record.expires_on),
        }
    }
}

/// The user that tokens belong to.
#[derive(Serialize, ToSchema)]
pub(crate) struct User<'a> {
    /// 32 lower-case hex digits.
    id: String,
    email: &'a str,
    #[schema(value_type = Option<String>)]
    first_name: (),
    #[schema(value_type = Option<String>)]
    last_name: (),
    #[schema(value_type = Option<String>)]
    telephone: (),
    #[schema(value_type = Option<String>)]
    country: (),
    #[schema(value_type = Option<String>)]
    zipcode: (),
    two_factor_authentication_enabled: bool,
    two_factor_authentication_locked: bool,
    suspended: bool,
    #[schema(value_type = String, format = DateTime)]
    created_on: Instant,
    #[schema(value_type = String, format = DateTime)]
    modified_on: Instant,
}

impl<'a> From<&'a UserRecord> for User<'a> {
    fn from(user: &'a UserRecord) -> Self {
        Self {
            id: user.id.to_string(),
            email: &user.email,
            first_name: (),
            last_name: (),
            telephone: (),
            country: (),
            zipcode: (),
            two_factor_authentication_enabled: false,
            two_factor_authentication_locked: false,
            suspended: false,
            created_on: Instant(user.created_on),
            modified_on: Instant(user.created_on),
        }
    }
}

/// An API token.
#[derive(Serialize, ToSchema)]
pub(crate) struct Token<'a> {
    /// 32 lower-case hex digits.
    id: String,
    name: &'a str,
    /// `active`, `disabled` or `expired`.
    status: &'static str,
    #[schema(value_type = String, format = DateTime)]
    issued_on: Instant,
    #[schema(value_type = String, format = DateTime)]
    modified_on: Instant,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    not_before: Option<Instant>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    expires_on: Option<Instant>,
    policies: Vec<TokenPolicy<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    condition: Option<TokenCondition<'a>>,
    /// The secret value; in the answer that makes the token and nowhere else.
    #[serde(skip_serializing_if = "Option::is_none")]
    value: Option<&'a str>,
}

#[derive(Serialize, ToSchema)]
struct TokenPolicy<'a> {
    id: &'a str,
    /// `allow` or `deny`.
    effect: &'static str,
    permission_groups: Vec<PermissionGroupName>,
    /// Resource names to `*`, or an account's to an object of its zones.
    #[schema(value_type = Object)]
    resources: BTreeMap<String, ResourceValue>,
}

#[derive(Serialize, ToSchema)]
struct PermissionGroupName {
    id: &'static str,
    name: &'static str,
}

#[derive(Serialize)]
#[serde(untagged)]
enum ResourceValue {
    Everything(&'static str),
    Nested(BTreeMap<String, &'static str>),
}

/// The addresses under both names: the reference and older clients say `request.ip`, the official SDKs `request_ip`.
#[derive(Serialize, ToSchema)]
struct TokenCondition<'a> {
    #[serde(rename = "request.ip")]
    request_ip: TokenAddresses<'a>,
    #[serde(rename = "request_ip")]
    request_ip_of_sdks: TokenAddresses<'a>,
}

#[derive(Clone, Serialize, ToSchema)]
struct TokenAddresses<'a> {
    #[serde(rename = "in", skip_serializing_if = "Vec::is_empty")]
    allowed: Vec<&'a str>,
    #[serde(rename = "not_in", skip_serializing_if = "Vec::is_empty")]
    refused: Vec<&'a str>,
}

impl<'a> Token<'a> {
    /// The token as it is at `now`.
    pub(crate) fn at(now: Timestamp, token: &'a TokenRecord) -> Self {
        let texts = |blocks: &'a [AddressBlock]| blocks.iter().map(|block| &*block.text).collect::<Vec<_>>();
        let (allowed, refused) = (texts(&token.allowed_addresses), texts(&token.refused_addresses));
        let anywhere = allowed.is_empty() && refused.is_empty();
        let addresses = TokenAddresses { allowed, refused };
        Self {
            id: token.id.to_string(),
            name: &token.name,
            status: token_status(now, token),
            issued_on: Instant(token.issued_on),
            modified_on: Instant(token.modified_on),
            not_before: token.not_before.map(Instant),
            expires_on: token.expires_on.map(Instant),
            policies: token.policies.iter().map(TokenPolicy::from).collect(),
            condition: (!anywhere)
                .then(|| TokenCondition { request_ip: addresses.clone(), request_ip_of_sdks: addresses }),
            value: None,
        }
    }

    pub(crate) fn with_value(self, value: &'a str) -> Self {
        Self { value: Some(value), ..self }
    }
}

pub(crate) fn token_status(now: Timestamp, token: &TokenRecord) -> &'static str {
    match token.state {
        TokenState::Disabled => "disabled",
        TokenState::Active if token.expires_on.is_some_and(|end| end <= now) => "expired",
        TokenState::Active => "active",
    }
}

impl<'a> From<&'a certgate_model::Policy> for TokenPolicy<'a> {
    fn from(policy: &'a certgate_model::Policy) -> Self {
        let resource = |resource: &Resource| {
            let value = match resource {
                Resource::ZonesOfAccount(_) => {
                    ResourceValue::Nested(BTreeMap::from([(Resource::AllZones.to_string(), "*")]))
                }
                _ => ResourceValue::Everything("*"),
            };
            (resource.to_string(), value)
        };
        Self {
            id: &policy.id,
            effect: match policy.effect {
                Effect::Allow => "allow",
                Effect::Deny => "deny",
            },
            permission_groups: policy
                .permission_groups
                .iter()
                .map(|group| PermissionGroupName { id: group.id(), name: group.name() })
                .collect(),
            resources: policy.resources.iter().map(resource).collect(),
        }
    }
}

/// What `/user/tokens/verify` says.
#[derive(Serialize, ToSchema)]
pub(crate) struct TokenVerification {
    id: String,
    status: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    not_before: Option<Instant>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    expires_on: Option<Instant>,
}

impl TokenVerification {
    pub(crate) fn at(now: Timestamp, token: &TokenRecord) -> Self {
        Self {
            id: token.id.to_string(),
            status: token_status(now, token),
            not_before: token.not_before.map(Instant),
            expires_on: token.expires_on.map(Instant),
        }
    }
}

/// A permission group that a token's policy can name.
#[derive(Serialize, ToSchema)]
pub(crate) struct PermissionGroupEntry {
    id: &'static str,
    name: &'static str,
    scopes: [&'static str; 1],
}

impl From<PermissionGroup> for PermissionGroupEntry {
    fn from(group: PermissionGroup) -> Self {
        Self { id: group.id(), name: group.name(), scopes: [group.scope().name()] }
    }
}

/// The id of what was deleted.
#[derive(Serialize, ToSchema)]
pub(crate) struct Deleted {
    pub(crate) id: String,
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let mut text = String::with_capacity(bytes.len() * 2);
    for byte in bytes {
        text.push(char::from(DIGITS[usize::from(byte >> 4)]));
        text.push(char::from(DIGITS[usize::from(byte & 15)]));
    }
    text
}
