//! `/accounts/{account_id}/logs/audit`, and the same for the user

use std::collections::HashMap;

use axum::extract::{RawQuery, State};
use axum::response::Response;
use certgate_model::{
    AccountRecord, Actor, AuditEntry, AuditOwner, AuditQuery, MtlsCertificateId, ResourceType,
    TokenId, UserRecord, ZoneId,
};
use certgate_service::{AccountScope, ReadAccounts, ReadUser, UserScope};
use certgate_wire::{
    AccountName, AccountPath, AuditActor, AuditChain, AuditLog, AuditLogAction, AuditLogQuery,
    AuditResource, AuditZone, Id, PartAnswer, Sha256, Time,
};

use crate::envelope;
use crate::error::ApiError;
use crate::query::{Query, audit_cursor_text};
use crate::state::Api;

/// List the changes of an account, its zones and their certificates
///
/// By time, newest first. An answer with a `cursor` is not the last one. Other conditions of
/// Cloudflare's API are refused.
#[utoipa::path(
    get,
    path = "/client/v4/accounts/{account_id}/logs/audit",
    tag = "Audit logs",
    operation_id = "audit-logs-v2-get-account-audit-logs",
    params(AccountPath, AuditLogQuery),
    responses((
        status = 200,
        description = "A part of the log",
        body = PartAnswer<Vec<AuditLog<'static>>>,
    )),
)]
pub(crate) async fn of_account(
    State(api): State<Api>,
    scope: AccountScope<ReadAccounts>,
    RawQuery(query): RawQuery,
) -> Result<Response, ApiError> {
    let user = api.store.user().await?;
    let user = user.ok_or_else(|| ApiError::internal("the store has no user".to_owned()))?;
    let query = Query::parse(query.as_deref())?.audit(user.id)?;
    let account = scope.account();
    let owner = AuditOwner::Account(account.id);
    answer(&api, owner, query, Some(account.clone()), user).await
}

/// List the changes of the user's tokens and API key
///
/// Like the list of an account. Not part of Cloudflare's API.
#[utoipa::path(
    get,
    path = "/certgate/v1/user/logs/audit",
    tag = "Audit logs",
    operation_id = "user-audit-logs-list",
    params(AuditLogQuery),
    responses((
        status = 200,
        description = "A part of the log",
        body = PartAnswer<Vec<AuditLog<'static>>>,
    )),
)]
pub(crate) async fn of_user(
    State(api): State<Api>,
    scope: UserScope<ReadUser>,
    RawQuery(query): RawQuery,
) -> Result<Response, ApiError> {
    let user = scope.user().clone();
    let query = Query::parse(query.as_deref())?.audit(user.id)?;
    answer(&api, AuditOwner::User(user.id), query, None, user).await
}

async fn answer(
    api: &Api,
    owner: AuditOwner,
    query: AuditQuery,
    account: Option<AccountRecord>,
    user: UserRecord,
) -> Result<Response, ApiError> {
    let limit = query.limit;
    // One entry more than the limit shows that there is a next part.
    let query = AuditQuery {
        limit: limit + 1,
        ..query
    };
    let mut entries = api.store.audit_entries(owner, query).await?;
    let is_last = entries.len() <= limit as usize;
    entries.truncate(limit as usize);
    let last = entries.last().filter(|_| !is_last);
    let cursor = last.map(|entry| audit_cursor_text(entry.by.at, entry.number));
    let names = LogNames::of(api, &entries, account, user).await?;
    let logs = entries.iter().map(|entry| names.log(entry)).collect();
    envelope::part(logs, cursor)
}

/// The present names of the IDs in a log.
struct LogNames {
    account: Option<AccountRecord>,
    user: UserRecord,
    tokens: HashMap<TokenId, Option<String>>,
    zones: HashMap<ZoneId, Option<String>>,
}

impl LogNames {
    /// Looks up each token and zone once: few of them occur in many entries.
    async fn of(
        api: &Api,
        entries: &[AuditEntry],
        account: Option<AccountRecord>,
        user: UserRecord,
    ) -> Result<Self, ApiError> {
        let (mut tokens, mut zones) = (HashMap::new(), HashMap::new());
        for entry in entries {
            if let Actor::Token(id) = entry.by.actor
                && !tokens.contains_key(&id)
            {
                tokens.insert(id, api.store.token(id).await?.map(|token| token.name));
            }
            if let Some(id) = entry.zone
                && !zones.contains_key(&id)
            {
                zones.insert(id, api.store.zone(id).await?.map(|zone| zone.name));
            }
        }
        Ok(Self {
            account,
            user,
            tokens,
            zones,
        })
    }

    fn log<'a>(&'a self, entry: &'a AuditEntry) -> AuditLog<'a> {
        let id = resource_id(entry);
        let kind = entry.resource_type.name();
        let action = entry.action.name();
        AuditLog {
            id: Sha256(entry.hash),
            account: self.account.as_ref().map(|account| AccountName {
                id: account.id.into(),
                name: (&account.name).into(),
            }),
            action: AuditLogAction {
                description: format!("{action} {kind} {id}").into(),
                result: "success".into(),
                time: Time(entry.by.at),
                kind: action.into(),
            },
            actor: self.actor(entry),
            resource: AuditResource {
                id: id.into(),
                product: "certgate".into(),
                kind: kind.into(),
            },
            zone: entry.zone.map(|zone| AuditZone {
                id: zone.into(),
                name: name_of(&self.zones, zone).map(Into::into),
            }),
            certgate: AuditChain {
                number: entry.number,
                hash: Sha256(entry.hash),
                fingerprint_sha256: entry.fingerprint_sha256.map(Sha256),
                detail: (&entry.detail).into(),
            },
        }
    }

    fn actor(&self, entry: &AuditEntry) -> AuditActor<'_> {
        let user = |context: &'static str| AuditActor {
            id: Some(self.user.id.into()),
            context: Some(context.into()),
            email: Some((&self.user.email).into()),
            kind: "user".into(),
            ..AuditActor::default()
        };
        let actor = match entry.by.actor {
            Actor::Token(id) => AuditActor {
                token_id: Some(id.into()),
                token_name: name_of(&self.tokens, id).map(Into::into),
                ..user("api_token")
            },
            Actor::ApiKey(_) => user("api_key"),
            Actor::System => AuditActor {
                kind: "system".into(),
                ..AuditActor::default()
            },
        };
        AuditActor {
            ip_address: entry.by.address.map(|address| address.to_string().into()),
            ..actor
        }
    }
}

/// Returns the name of an object that still exists.
fn name_of<K: Eq + std::hash::Hash>(names: &HashMap<K, Option<String>>, id: K) -> Option<&str> {
    names.get(&id)?.as_deref()
}

/// Returns the ID in the form that other answers have: two kinds of objects have UUIDs.
fn resource_id(entry: &AuditEntry) -> String {
    match entry.resource_type {
        ResourceType::ManagedAuthority | ResourceType::MtlsCertificate => {
            MtlsCertificateId::from_bytes(entry.resource).to_string()
        }
        _ => Id(entry.resource).to_string(),
    }
}
