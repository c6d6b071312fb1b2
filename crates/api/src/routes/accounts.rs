//! `/accounts`

use axum::extract::{RawQuery, State};
use axum::response::Response;
use certgate_model::{AccountFilter, KeyAlgorithm};
use certgate_service::{AccountDraft, AccountScope, ManageAccounts, ReadAccounts};

use crate::body::JsonBody;
use crate::error::{ApiError, account_error};
use crate::extract::{Caller, ScopeOf};
use crate::openapi::{Answer, CreateAccount, PageAnswer};
use crate::query::Query;
use crate::wire::{Account, Deleted};
use crate::{Api, envelope};

/// List accounts
///
/// Those that the token may read.
#[utoipa::path(
    get,
    path = "/client/v4/accounts",
    tag = "Accounts",
    operation_id = "accounts-list-accounts",
    params(
        ("name" = Option<String>, Query, description = "The account's name, or a condition on it as in the list of zones"),
        ("direction" = Option<String>, Query, description = "`asc` (default) or `desc`, by creation"),
        ("page" = Option<u64>, Query, description = "From 1", minimum = 1, maximum = 9_007_199_254_740_991_u64),
        ("per_page" = Option<u64>, Query, description = "Page size; default 20", minimum = 5, maximum = 50),
    ),
    responses((status = 200, description = "A page of accounts", body = PageAnswer<Account<'static>>)),
)]
pub(crate) async fn list(
    State(api): State<Api>,
    Caller(caller): Caller,
    RawQuery(query): RawQuery,
) -> Result<Response, ApiError> {
    let visible = caller
        .principal()
        .visible::<ReadAccounts>()
        .ok_or_else(ApiError::refused)?;
    let query = Query::parse(query.as_deref())?;
    let asked = query.page()?;
    let filter = AccountFilter {
        visible,
        name: query.text_match("name")?,
        direction: query.direction()?,
    };
    let page = api.store.accounts(&filter, asked.slice).await?;
    envelope::list(asked, &page, Account::from)
}

/// Create an account
///
/// Its managed authority is made on first use, with a key of the kind `authority_algorithm` names.
#[utoipa::path(
    post,
    path = "/client/v4/accounts",
    tag = "Accounts",
    operation_id = "account-creation",
    request_body = CreateAccount,
    responses((status = 200, description = "The new account", body = Answer<Account<'static>>)),
)]
pub(crate) async fn create(
    State(api): State<Api>,
    Caller(caller): Caller,
    body: JsonBody,
) -> Result<Response, ApiError> {
    let body = body.object();
    let algorithm = body
        .optional_string("authority_algorithm")?
        .map(KeyAlgorithm::from_name)
        .transpose();
    let authority_algorithm =
        algorithm.map_err(|error| ApiError::member("/authority_algorithm", error.to_string()))?;
    let draft = AccountDraft {
        name: body.string("name")?.to_owned(),
        authority_algorithm,
    };
    let account = api
        .service
        .tenants
        .create_account(&caller, draft)
        .await?
        .map_err(account_error)?;
    envelope::one(Account::from(&account))
}

/// Get an account
#[utoipa::path(
    get,
    path = "/client/v4/accounts/{account_id}",
    tag = "Accounts",
    operation_id = "accounts-account-details",
    params(("account_id" = String, Path, description = "32 hex digits")),
    responses((status = 200, description = "The account", body = Answer<Account<'static>>)),
)]
pub(crate) async fn get(
    ScopeOf(scope): ScopeOf<AccountScope<ReadAccounts>>,
) -> Result<Response, ApiError> {
    envelope::one(Account::from(scope.account()))
}

/// Delete an account
///
/// Refused while it has zones or mTLS certificates.
#[utoipa::path(
    delete,
    path = "/client/v4/accounts/{account_id}",
    tag = "Accounts",
    operation_id = "account-deletion",
    params(("account_id" = String, Path, description = "32 hex digits")),
    responses((status = 200, description = "The id of the deleted account", body = Answer<Deleted>)),
)]
pub(crate) async fn delete(
    State(api): State<Api>,
    ScopeOf(scope): ScopeOf<AccountScope<ManageAccounts>>,
) -> Result<Response, ApiError> {
    let id = api
        .service
        .tenants
        .delete_account(&scope)
        .await
        .map_err(account_error)?;
    envelope::one(Deleted { id: id.to_string() })
}
