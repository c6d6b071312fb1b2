//! Entries of audit logs, in the shape of Cloudflare's.

use std::collections::HashMap;

use certgate_model::{
    AccountRecord, Actor, AuditEntry, MtlsCertificateId, ResourceType, TokenId, UserRecord, ZoneId,
};
use serde::Serialize;
use utoipa::ToSchema;

use super::{Instant, hex};

/// Something that was done.
#[derive(Serialize, ToSchema)]
pub(crate) struct AuditLog {
    /// The entry's hash, 64 hex digits.
    id: String,
    /// Absent in a user's log.
    #[serde(skip_serializing_if = "Option::is_none")]
    account: Option<AuditAccount>,
    action: AuditLogAction,
    actor: AuditActor,
    resource: AuditResource,
    /// Absent where nothing in a zone was changed.
    #[serde(skip_serializing_if = "Option::is_none")]
    zone: Option<AuditZone>,
    certgate: AuditChain,
}

/// Whose log it is in.
#[derive(Serialize, ToSchema)]
pub(crate) struct AuditAccount {
    id: String,
    name: String,
}

/// What was done.
#[derive(Serialize, ToSchema)]
pub(crate) struct AuditLogAction {
    /// For people.
    description: String,
    /// Always `success`: what was refused is not in the log.
    result: &'static str,
    #[schema(value_type = String, format = DateTime)]
    time: Instant,
    /// `issue`, `revoke`, `reactivate`, `create`, `update` or `delete`.
    #[serde(rename = "type")]
    kind: &'static str,
}

/// Who did it.
#[derive(Serialize, ToSchema)]
pub(crate) struct AuditActor {
    /// The user's, 32 hex digits.
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<String>,
    /// `api_token` or `api_key`; absent for the program itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    context: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    email: Option<String>,
    /// The client's, if it is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    ip_address: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    token_id: Option<String>,
    /// What the token is called now; absent once it is deleted.
    #[serde(skip_serializing_if = "Option::is_none")]
    token_name: Option<String>,
    /// `user`, or `system` for the program itself.
    #[serde(rename = "type")]
    kind: &'static str,
}

/// What it was done to.
#[derive(Serialize, ToSchema)]
pub(crate) struct AuditResource {
    id: String,
    product: &'static str,
    /// `client_certificate`, `managed_authority`, `mtls_certificate`, `hostname_associations`, `zone`, `account`,
    /// `enforcement_point`, `api_token` or `api_key`.
    #[serde(rename = "type")]
    kind: &'static str,
}

/// The zone it is in.
#[derive(Serialize, ToSchema)]
pub(crate) struct AuditZone {
    id: String,
    /// Absent once it is deleted.
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<String>,
}

/// The entry's place in its log: see docs/audit.md for what is hashed.
#[derive(Serialize, ToSchema)]
pub(crate) struct AuditChain {
    /// From 1, without gaps.
    number: u64,
    /// SHA-256, 64 hex digits.
    hash: String,
    /// SHA-256 of the certificate, 64 hex digits; absent for what is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    fingerprint_sha256: Option<String>,
    /// What else there is to know, such as `reason=keyCompromise epoch=7`.
    detail: String,
}

/// What the ids in a log are called now.
pub(crate) struct AuditNames {
    pub(crate) account: Option<AccountRecord>,
    pub(crate) user: UserRecord,
    pub(crate) tokens: HashMap<TokenId, String>,
    pub(crate) zones: HashMap<ZoneId, String>,
}

impl AuditNames {
    pub(crate) fn entry(&self, entry: &AuditEntry) -> AuditLog {
        let resource = resource_id(entry);
        let kind = entry.resource_type.name();
        let action = entry.action.name();
        AuditLog {
            id: hex(&entry.hash),
            account: self.account.as_ref().map(|account| AuditAccount {
                id: account.id.to_string(),
                name: account.name.clone(),
            }),
            action: AuditLogAction {
                description: format!("{action} {kind} {resource}"),
                result: "success",
                time: Instant(entry.by.at),
                kind: action,
            },
            actor: self.actor(entry),
            resource: AuditResource {
                id: resource,
                product: "certgate",
                kind,
            },
            zone: entry.zone.map(|zone| AuditZone {
                id: zone.to_string(),
                name: self.zones.get(&zone).cloned(),
            }),
            certgate: AuditChain {
                number: entry.number,
                hash: hex(&entry.hash),
                fingerprint_sha256: entry
                    .fingerprint_sha256
                    .map(|fingerprint| hex(&fingerprint)),
                detail: entry.detail.clone(),
            },
        }
    }

    fn actor(&self, entry: &AuditEntry) -> AuditActor {
        let ip_address = entry.by.address.map(|address| address.to_string());
        let user = |context| AuditActor {
            id: Some(self.user.id.to_string()),
            context: Some(context),
            email: Some(self.user.email.clone()),
            ip_address: ip_address.clone(),
            token_id: None,
            token_name: None,
            kind: "user",
        };
        match entry.by.actor {
            Actor::Token(id) => AuditActor {
                token_id: Some(id.to_string()),
                token_name: self.tokens.get(&id).cloned(),
                ..user("api_token")
            },
            Actor::ApiKey(_) => user("api_key"),
            Actor::System => AuditActor {
                id: None,
                context: None,
                email: None,
                ip_address,
                token_id: None,
                token_name: None,
                kind: "system",
            },
        }
    }
}

/// As the API writes it elsewhere: these two are UUIDs.
fn resource_id(entry: &AuditEntry) -> String {
    match entry.resource_type {
        ResourceType::ManagedAuthority | ResourceType::MtlsCertificate => {
            MtlsCertificateId::from_bytes(entry.resource).to_string()
        }
        _ => hex(&entry.resource),
    }
}
