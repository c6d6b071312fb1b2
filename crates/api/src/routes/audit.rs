//! `/accounts/{account_id}/logs/audit`, and the same for the user

use axum::extract::{RawQuery, State};
use axum::response::Response;
use certgate_service::{AccountScope, ReadAccounts, ReadUser, UserScope};
use certgate_wire::{AccountPath, AuditLog, AuditLogExceptQuery, AuditLogQuery, PartAnswer};

use crate::audit_conditions::SCANNED_MAX;
use crate::audit_log::{LogNames, find};
use crate::envelope;
use crate::error::ApiError;
use crate::query::Query;
use crate::query::audit::audit_cursor_text;
use crate::state::Api;

/// List the changes of an account, its zones and their certificates
///
/// By time, newest first. An answer with a `cursor` is not the last one. Conditions of Cloudflare's
/// API other than these are refused.
#[utoipa::path(
    get,
    path = "/client/v4/accounts/{account_id}/logs/audit",
    tag = "Audit logs",
    operation_id = "audit-logs-v2-get-account-audit-logs",
    params(AccountPath, AuditLogQuery, AuditLogExceptQuery),
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
    let names = LogNames::of_account(&api, &scope).await?;
    answer(&api, names, query.as_deref()).await
}

/// List the changes of the user's tokens and API key
///
/// Like the list of an account. Not part of Cloudflare's API.
#[utoipa::path(
    get,
    path = "/certgate/v1/user/logs/audit",
    tag = "Audit logs",
    operation_id = "user-audit-logs-list",
    params(AuditLogQuery, AuditLogExceptQuery),
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
    answer(&api, LogNames::of_user(&scope), query.as_deref()).await
}

async fn answer(api: &Api, mut names: LogNames, query: Option<&str>) -> Result<Response, ApiError> {
    let query = Query::parse(query)?;
    let (conditions, query) = (query.audit_exceptions(), query.audit(names.user())?);
    let count = query.limit;
    let found = find(api, &mut names, query, &conditions, 0, count).await?;
    // Clients take an empty part for the end of the log.
    if found.is_cut && found.entries.is_empty() {
        let message = format!(
            "None of the next {SCANNED_MAX} entries meets the conditions: narrow since and before"
        );
        return Err(ApiError::parameter("", message));
    }
    let logs = found.entries.iter().map(|entry| names.log(entry)).collect();
    envelope::part(logs, found.next.map(audit_cursor_text))
}
