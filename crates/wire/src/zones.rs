//! `/zones`

use std::borrow::Cow;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{AccountName, AccountReference, Id, Time, ZoneTypeName};

/// A zone.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct Zone<'a> {
    /// ID.
    pub id: Id,
    /// Domain name.
    pub name: Cow<'a, str>,
    /// Always `active`.
    pub status: Cow<'a, str>,
    /// Stored without an effect: a paused zone still has its certificates.
    pub paused: bool,
    /// Type.
    #[serde(rename = "type")]
    pub kind: ZoneTypeName,
    /// Always 0.
    pub development_mode: u32,
    /// Always empty.
    pub name_servers: Vec<String>,
    /// The zone's own name servers; absent if it has none. Stored without an effect.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub vanity_name_servers: Option<Vec<Cow<'a, str>>>,
    /// Always null.
    pub original_name_servers: Option<Vec<String>>,
    /// Always null.
    pub original_registrar: Option<String>,
    /// Always null.
    pub original_dnshost: Option<String>,
    /// Time of the last change.
    pub modified_on: Time,
    /// Time of creation.
    pub created_on: Time,
    /// The same as `created_on`.
    pub activated_on: Time,
    /// Constants that clients of the API expect.
    pub meta: ZoneMeta,
    /// The account, in the form of an owner.
    pub owner: ZoneOwner<'a>,
    /// The account.
    pub account: AccountName<'a>,
    /// Constants that clients of the API expect.
    pub permissions: Vec<Cow<'a, str>>,
    /// Constants that clients of the API expect.
    pub plan: ZonePlan<'a>,
}

/// Constants of a zone.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct ZoneMeta {
    /// Always 2.
    pub step: u32,
    /// Always 0.
    pub custom_certificate_quota: u32,
    /// Always 0.
    pub page_rule_quota: u32,
    /// Always `false`.
    pub phishing_detected: bool,
}

/// The account of a zone, in the form of an owner.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct ZoneOwner<'a> {
    /// ID of the account.
    pub id: Id,
    /// Always `organization`.
    #[serde(rename = "type")]
    pub kind: Cow<'a, str>,
    /// Name of the account.
    pub name: Cow<'a, str>,
}

/// The plan of a zone: constants.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct ZonePlan<'a> {
    /// Always 32 zeros.
    pub id: Id,
    /// Always `Self-hosted`.
    pub name: Cow<'a, str>,
    /// Always 0.
    pub price: u32,
    /// Always `USD`.
    pub currency: Cow<'a, str>,
    /// Always empty.
    pub frequency: Cow<'a, str>,
    /// Always `true`.
    pub is_subscribed: bool,
    /// Always `false`.
    pub can_subscribe: bool,
    /// Always `self_hosted`.
    pub legacy_id: Cow<'a, str>,
    /// Always `false`.
    pub legacy_discount: bool,
    /// Always `false`.
    pub externally_managed: bool,
}

/// A zone to create.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct CreateZone<'a> {
    /// A domain name, at most 253 octets.
    #[schema(value_type = String, min_length = 3, max_length = 253)]
    pub name: Cow<'a, str>,
    /// The account that owns the zone; absent: the only one in which the token may create zones.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub account: Option<AccountReference>,
    /// The older name of `account`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub organization: Option<AccountReference>,
    /// Default: `full`.
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    pub kind: Option<ZoneTypeName>,
    /// Default: `false`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub paused: Option<bool>,
    /// The zone's own name servers, at most 13.
    #[schema(value_type = Option<Vec<String>>, max_items = 13)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub vanity_name_servers: Option<Vec<Cow<'a, str>>>,
}

/// A change of a zone. Absent members, and `null`, leave theirs as they are.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct UpdateZone<'a> {
    /// Stored without an effect: a paused zone still has its certificates.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub paused: Option<bool>,
    /// Type.
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    pub kind: Option<ZoneTypeName>,
    /// The zone's own name servers, at most 13.
    #[schema(value_type = Option<Vec<String>>, max_items = 13)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub vanity_name_servers: Option<Vec<Cow<'a, str>>>,
}
