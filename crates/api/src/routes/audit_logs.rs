//! `/accounts/{account_id}/audit_logs` and `/user/audit_logs`: audit logs in the form of the first
//! version of Cloudflare's

use std::borrow::Cow;
use std::collections::BTreeMap;

use axum::extract::{RawQuery, State};
use axum::response::Response;
use certgate_model::AuditOwner;
use certgate_service::{AccountScope, ReadAccounts, ReadUser, UserScope};
use certgate_wire::{
    AccountPath, AuditEntryAction, AuditEntryActor, AuditEntryOwner, AuditEntryResource, AuditLog,
    AuditLogEntry, AuditLogsQuery, AuditPageAnswer, AuditPageInfo, Id,
};

use crate::audit_conditions::SCANNED_MAX;
use crate::audit_log::{LogNames, Selection, find};
use crate::envelope;
use crate::error::ApiError;
use crate::query::Query;
use crate::state::Api;

/// List the changes of an account by page
///
/// The log of `/accounts/{account_id}/logs/audit` in the form of Cloudflare's first version.
#[utoipa::path(
    get,
    path = "/client/v4/accounts/{account_id}/audit_logs",
    tag = "Audit logs",
    operation_id = "audit-logs-get-account-audit-logs",
    params(AccountPath, AuditLogsQuery),
    responses((
        status = 200,
        description = "A page of the log",
        body = AuditPageAnswer<Vec<AuditLogEntry<'static>>>,
    )),
)]
pub(crate) async fn of_account(
    State(api): State<Api>,
    scope: AccountScope<ReadAccounts>,
    RawQuery(query): RawQuery,
) -> Result<Response, ApiError> {
    let names = LogNames::of_account(&api, &scope).await?;
    answer(&api, names, query.as_deref()).await
}

/// List the changes of the user's tokens, API key and details by page
#[utoipa::path(
    get,
    path = "/client/v4/user/audit_logs",
    tag = "Audit logs",
    operation_id = "audit-logs-get-user-audit-logs",
    params(AuditLogsQuery),
    responses((
        status = 200,
        description = "A page of the log",
        body = AuditPageAnswer<Vec<AuditLogEntry<'static>>>,
    )),
)]
pub(crate) async fn of_user(
    State(api): State<Api>,
    scope: UserScope<ReadUser>,
    RawQuery(query): RawQuery,
) -> Result<Response, ApiError> {
    answer(&api, LogNames::of_user(&scope), query.as_deref()).await
}

async fn answer(api: &Api, mut names: LogNames, query: Option<&str>) -> Result<Response, ApiError> {
    let asked = Query::parse(query)?.audit_page()?;
    let (page, per_page) = (asked.page, asked.per_page);
    let owner = names.owner();
    let mut found = Vec::new();
    if !(asked.hides_user && matches!(owner, AuditOwner::User(_))) {
        let skip = (page - 1).saturating_mul(u64::from(per_page));
        let selection = Selection {
            query: asked.query,
            certificates: None,
            conditions: asked.conditions,
        };
        let part = find(api, &mut names, &selection, skip, per_page).await?;
        if part.is_cut {
            let message = format!(
                "page {page} ends after more than {SCANNED_MAX} entries: narrow since and before, \
                 or read /accounts/<id>/logs/audit, which has a cursor"
            );
            return Err(ApiError::parameter("page", message));
        }
        found = part.entries;
    }
    let logs = found.iter().map(|found| entry(owner, names.log(found)));
    let result: Vec<_> = logs.collect();
    let info = AuditPageInfo {
        page,
        per_page,
        count: result.len() as u64,
    };
    envelope::audit_page(result, info)
}

fn entry(owner: AuditOwner, log: AuditLog<'_>) -> AuditLogEntry<'_> {
    let mut metadata: BTreeMap<Cow<'_, str>, Cow<'_, str>> = BTreeMap::new();
    let zone = log.zone.map(|zone| (zone.id, zone.name));
    let (zone_id, zone_name) = zone.unzip();
    for (name, value) in [
        ("detail", Some(log.certgate.detail)),
        (
            "token_id",
            log.actor.token_id.map(|id| id.to_string().into()),
        ),
        ("token_name", log.actor.token_name),
        ("zone_id", zone_id.map(|id| id.to_string().into())),
        ("zone_name", zone_name.flatten()),
    ] {
        metadata.extend(value.map(|value| (name.into(), value)));
    }
    AuditLogEntry {
        id: log.id,
        action: AuditEntryAction {
            result: true,
            kind: log.action.kind,
        },
        actor: AuditEntryActor {
            id: log.actor.id,
            email: log.actor.email,
            ip: log.actor.ip_address,
            kind: match &*log.actor.kind {
                "system" => "Cloudflare",
                _ => "user",
            }
            .into(),
        },
        interface: "API".into(),
        metadata,
        new_value: "".into(),
        old_value: "".into(),
        owner: AuditEntryOwner {
            id: Id(*owner.as_bytes()),
        },
        resource: AuditEntryResource {
            id: log.resource.id,
            kind: log.resource.kind,
        },
        when: log.action.time,
    }
}
