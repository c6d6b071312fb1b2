//! `/accounts/{account_id}/logs/audit`, and the same for the user

use std::collections::HashMap;
use std::hash::Hash;

use axum::extract::{RawQuery, State};
use axum::response::Response;
use certgate_model::{AccountRecord, Actor, AuditEntry, AuditOwner, AuditQuery, UserRecord};
use certgate_service::{AccountScope, ReadAccounts, ReadUser, UserScope};

use crate::envelope::CursorInfo;
use crate::error::ApiError;
use crate::extract::ScopeOf;
use crate::openapi::{AuditLogConditions, PartAnswer};
use crate::query::{Query, audit_cursor_text};
use crate::wire::{AuditLog, AuditNames};
use crate::{Api, envelope};

/// List what was done to an account, its zones and their certificates
///
/// By time, newest first. An answer with a `cursor` is not the last one. Other conditions of Cloudflare's are refused.
#[utoipa::path(
    get,
    path = "/client/v4/accounts/{account_id}/logs/audit",
    tag = "Audit logs",
    operation_id = "audit-logs-v2-get-account-audit-logs",
    params(
        ("account_id" = String, Path, description = "32 hex digits"),
        AuditLogConditions,
    ),
    responses((status = 200, description = "A part of the log", body = PartAnswer<AuditLog>)),
)]
pub(crate) async fn of_account(
    State(api): State<Api>,
    ScopeOf(scope): ScopeOf<AccountScope<ReadAccounts>>,
    RawQuery(query): RawQuery,
) -> Result<Response, ApiError> {
    let user = api
        .store
        .user()
        .await?
        .ok_or_else(|| ApiError::internal("there is no user".to_owned()))?;
    let query = Query::parse(query.as_deref())?.audit(user.id)?;
    let account = scope.account();
    answer(
        &api,
        AuditOwner::Account(account.id),
        query,
        Some(account.clone()),
        user,
    )
    .await
}

/// List what was done to the user's tokens and API key
///
/// As for an account. Not part of Cloudflare's API.
#[utoipa::path(
    get,
    path = "/certgate/v1/user/logs/audit",
    tag = "Audit logs",
    operation_id = "user-audit-logs-list",
    params(AuditLogConditions),
    responses((status = 200, description = "A part of the log", body = PartAnswer<AuditLog>)),
)]
pub(crate) async fn of_user(
    State(api): State<Api>,
    ScopeOf(scope): ScopeOf<UserScope<ReadUser>>,
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
    // One more than asked for tells whether that is all.
    let mut entries = api
        .store
        .audit_entries(
            owner,
            AuditQuery {
                limit: query.limit + 1,
                ..query
            },
        )
        .await?;
    let is_last = entries.len() <= query.limit as usize;
    entries.truncate(query.limit as usize);
    let last = entries.last().filter(|_| !is_last);
    let cursor = last.map(|entry| audit_cursor_text(entry.by.at, entry.number));
    let names = names(api, &entries, account, user).await?;
    let info = CursorInfo::new(entries.len(), cursor);
    envelope::part(
        entries.iter().map(|entry| names.entry(entry)).collect(),
        info,
    )
}

/// Looks every token and zone up once; few did all of it.
async fn names(
    api: &Api,
    entries: &[AuditEntry],
    account: Option<AccountRecord>,
    user: UserRecord,
) -> Result<AuditNames, ApiError> {
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
    let (tokens, zones) = (still_there(tokens), still_there(zones));
    Ok(AuditNames {
        account,
        user,
        tokens,
        zones,
    })
}

fn still_there<K: Eq + Hash>(names: HashMap<K, Option<String>>) -> HashMap<K, String> {
    names
        .into_iter()
        .filter_map(|(id, name)| name.map(|name| (id, name)))
        .collect()
}
