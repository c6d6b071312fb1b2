//! Zones, accounts with their authority, and the user.

use certgate_model::{AccountRecord, UserRecord, ZoneRecord};
use certgate_pki::pem_lines;
use serde::Serialize;
use utoipa::ToSchema;

use super::{Instant, hex};

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
            owner: ZoneOwner {
                id: zone.account.to_string(),
                kind: "organization",
                name: &zone.account_name,
            },
            account: AccountName {
                id: zone.account.to_string(),
                name: &zone.account_name,
            },
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
}

impl<'a> From<&'a AccountRecord> for Account<'a> {
    fn from(account: &'a AccountRecord) -> Self {
        Self {
            id: account.id.to_string(),
            name: &account.name,
            kind: "standard",
            settings: AccountSettings {
                enforce_twofactor: false,
            },
            created_on: Instant(account.created_on),
            authority_algorithm: account.authority_algorithm.name(),
        }
    }
}

/// A managed authority of an account.
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
    /// Whether new certificates come from it. Those of one that was replaced stay valid and revocable.
    in_force: bool,
    #[schema(value_type = String, format = DateTime)]
    created_on: Instant,
    #[schema(value_type = String, format = DateTime)]
    expires_on: Instant,
}

impl From<certgate_service::ManagedAuthority> for ManagedAuthority {
    fn from(authority: certgate_service::ManagedAuthority) -> Self {
        let fingerprint_sha256 = hex(&authority.fingerprint_sha256());
        let record = authority.record;
        Self {
            id: record.id.to_string(),
            name: record.name,
            algorithm: record.algorithm.name(),
            certificate: pem_lines("CERTIFICATE", &record.certificate_der),
            fingerprint_sha256,
            public_url: record.public_url,
            in_force: authority.is_active,
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

/// The user's API key, for `X-Auth-Email` and `X-Auth-Key`.
#[derive(Serialize, ToSchema)]
pub(crate) struct UserApiKey<'a> {
    pub(crate) email: &'a str,
    /// 64 lower-case hex digits; in the answer that makes the key and nowhere else.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) api_key: Option<&'a str>,
}
