//! `/accounts/{account_id}/logs/audit`, and the same for the user

use axum::extract::{RawQuery, State};
use axum::response::Response;
use certgate_model::CertificateId;
use certgate_service::{AccountScope, ReadAccounts, ReadUser, UserScope};
use certgate_wire::{
    AccountPath, AuditLog, AuditLogCertificateQuery, AuditLogExceptQuery, AuditLogQuery, PartAnswer,
};

use crate::audit_conditions::SCANNED_MAX;
use crate::audit_log::{LogNames, Selection, find};
use crate::certificates_of_log;
use crate::code;
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
    params(AccountPath, AuditLogQuery, AuditLogCertificateQuery, AuditLogExceptQuery),
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
    let query = Query::parse(query.as_deref())?;
    let certificates = match query.audit_certificates()? {
        Some(wanted) => Some(certificates_of_log::find(&api, scope.account().id, wanted).await?),
        None => None,
    };
    answer(&api, names, &query, certificates).await
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
    let query = Query::parse(query.as_deref())?;
    if query.audit_certificates()?.is_some() {
        let message = "The log of the user has no certificates: use \
                       /accounts/<id>/logs/audit, or leave certificate_id and common_name out";
        return Err(ApiError::parameter("certificate_id", message.to_owned()));
    }
    answer(&api, LogNames::of_user(&scope), &query, None).await
}

async fn answer(
    api: &Api,
    mut names: LogNames,
    query: &Query<'_>,
    certificates: Option<Vec<CertificateId>>,
) -> Result<Response, ApiError> {
    let (conditions, query) = (query.audit_exceptions(), query.audit(names.user())?);
    let selection = Selection {
        query,
        certificates,
        conditions,
    };
    let found = find(api, &mut names, &selection, 0, query.limit).await?;
    // Clients take an empty part for the end of the log.
    if let Some(place) = found.next
        && found.entries.is_empty()
    {
        let message = format!(
            "None of the next {SCANNED_MAX} entries meets the conditions: send the same request \
             with the value of continue in this error as cursor, or narrow since and before"
        );
        let error = ApiError::new(code::NOTHING_FOUND_YET, message).at("cursor");
        return Err(error.continued(audit_cursor_text(place)));
    }
    let logs = found.entries.iter().map(|entry| names.log(entry)).collect();
    envelope::part(logs, found.next.map(audit_cursor_text))
}
