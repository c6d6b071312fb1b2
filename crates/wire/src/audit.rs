//! `/accounts/{account_id}/logs/audit`, in the shape of Cloudflare's.

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{AccountName, ErrorItem, Id, Message, Sha256, Time};

/// An entry of an audit log.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct AuditLog<'a> {
    /// The entry's hash.
    pub id: Sha256,
    /// The account that owns the log; absent in a user's log.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub account: Option<AccountName<'a>>,
    /// The action.
    pub action: AuditLogAction<'a>,
    /// The caller.
    pub actor: AuditActor<'a>,
    /// The object that was changed.
    pub resource: AuditResource<'a>,
    /// Absent if the change concerns no zone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub zone: Option<AuditZone<'a>>,
    /// Certgate's additions.
    pub certgate: AuditChain<'a>,
}

/// The action of an audit log entry.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct AuditLogAction<'a> {
    /// A short text for people.
    pub description: Cow<'a, str>,
    /// Always `success`: the log has no refused requests.
    pub result: Cow<'a, str>,
    /// Time of the action.
    pub time: Time,
    /// `issue`, `revoke`, `reactivate`, `create`, `update` or `delete`.
    #[serde(rename = "type")]
    pub kind: Cow<'a, str>,
}

/// The caller of an audit log entry.
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
pub struct AuditActor<'a> {
    /// ID of the user.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<Id>,
    /// `api_token` or `api_key`; absent for the server itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub context: Option<Cow<'a, str>>,
    /// E-mail address of the user.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub email: Option<Cow<'a, str>>,
    /// The client's address, if it is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ip_address: Option<Cow<'a, str>>,
    /// ID of the token.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub token_id: Option<Id>,
    /// The token's name now; absent for a deleted token.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub token_name: Option<Cow<'a, str>>,
    /// `user`, `account` for a token that an account owns, or `system` for the server itself.
    #[serde(rename = "type")]
    pub kind: Cow<'a, str>,
}

/// The object that was changed.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct AuditResource<'a> {
    /// ID of the object.
    pub id: Cow<'a, str>,
    /// Always `certgate`.
    pub product: Cow<'a, str>,
    /// `client_certificate`, `managed_authority`, `mtls_certificate`, `hostname_associations`,
    /// `zone`, `account`, `enforcement_point`, `api_token` or `api_key`.
    #[serde(rename = "type")]
    pub kind: Cow<'a, str>,
}

/// The zone of the object that was changed.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct AuditZone<'a> {
    /// ID.
    pub id: Id,
    /// Absent for a deleted zone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<Cow<'a, str>>,
}

/// The entry's place in its log: docs/audit.md defines the input of the hash.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct AuditChain<'a> {
    /// From 1, without gaps.
    pub number: u64,
    /// The entry's hash.
    pub hash: Sha256,
    /// Digest of the certificate's DER form; absent for objects that are not certificates.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fingerprint_sha256: Option<Sha256>,
    /// Details such as `reason=keyCompromise epoch=7`.
    pub detail: Cow<'a, str>,
}

/// An entry of an audit log in Cloudflare's first version.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct AuditLogEntry<'a> {
    /// The entry's hash.
    pub id: Sha256,
    /// The action.
    pub action: AuditEntryAction<'a>,
    /// The caller.
    pub actor: AuditEntryActor<'a>,
    /// Always `API`.
    pub interface: Cow<'a, str>,
    /// `detail`, and as far as they apply: `token_id`, `token_name`, `zone_id` and `zone_name`.
    pub metadata: BTreeMap<Cow<'a, str>, Cow<'a, str>>,
    /// Always empty.
    #[serde(rename = "newValue")]
    pub new_value: Cow<'a, str>,
    /// Always empty.
    #[serde(rename = "oldValue")]
    pub old_value: Cow<'a, str>,
    /// The account or user that owns the log.
    pub owner: AuditEntryOwner,
    /// The object that was changed.
    pub resource: AuditEntryResource<'a>,
    /// Time of the action.
    pub when: Time,
}

/// The action of an entry.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct AuditEntryAction<'a> {
    /// Always `true`: the log has no refused requests.
    pub result: bool,
    /// `issue`, `revoke`, `reactivate`, `create`, `update` or `delete`.
    #[serde(rename = "type")]
    pub kind: Cow<'a, str>,
}

/// The caller of an entry.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct AuditEntryActor<'a> {
    /// ID of the user, or of the account whose token it was; absent for the server itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<Id>,
    /// E-mail address of the user.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub email: Option<Cow<'a, str>>,
    /// The client's address, if it is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ip: Option<Cow<'a, str>>,
    /// `user`, or for the server itself `Cloudflare`, the word of Cloudflare's clients.
    #[serde(rename = "type")]
    pub kind: Cow<'a, str>,
}

/// The owner of a log.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct AuditEntryOwner {
    /// ID of the account or user.
    pub id: Id,
}

/// The object that was changed.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct AuditEntryResource<'a> {
    /// ID of the object.
    pub id: Cow<'a, str>,
    /// Type of the object.
    #[serde(rename = "type")]
    pub kind: Cow<'a, str>,
}

/// A page of an audit log.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct AuditPageAnswer<T> {
    /// Always `true`.
    pub success: bool,
    /// Always empty.
    pub errors: Vec<ErrorItem<'static>>,
    /// Always empty.
    pub messages: Vec<Message<'static>>,
    /// The entries of the page.
    pub result: T,
    /// The page.
    pub result_info: AuditPageInfo,
}

/// A page of an audit log. The number of all pages is not known.
#[derive(Debug, Clone, Copy, Serialize, Deserialize, ToSchema)]
pub struct AuditPageInfo {
    /// The requested page, from 1.
    pub page: u64,
    /// The page size.
    pub per_page: u32,
    /// The number of entries in this answer.
    pub count: u64,
}
