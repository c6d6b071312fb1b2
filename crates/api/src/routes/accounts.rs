//! `/accounts`

use std::borrow::Cow;

use axum::extract::{RawQuery, State};
use axum::response::Response;
use certgate_model::{AccountChange, AccountFilter};
use certgate_service::{AccountDraft, AccountScope, Caller, ManageAccounts, ReadAccounts};
use certgate_wire::{
    Account, AccountPath, AccountsQuery, Answer, CreateAccount, Deleted, PageAnswer,
    TenantsPageQuery, UpdateAccount,
};

use crate::body::Body;
use crate::envelope;
use crate::error::ApiError;
use crate::error_translation::account_error;
use crate::objects::account;
use crate::query::Query;
use crate::state::Api;

/// List accounts
///
/// The accounts that the token may read.
#[utoipa::path(
    get,
    path = "/client/v4/accounts",
    tag = "Accounts",
    operation_id = "accounts-list-accounts",
    params(AccountsQuery, TenantsPageQuery),
    responses((
        status = 200,
        description = "A page of accounts",
        body = PageAnswer<Vec<Account<'static>>>,
    )),
)]
pub(crate) async fn list(
    State(api): State<Api>,
    caller: Caller,
    RawQuery(query): RawQuery,
) -> Result<Response, ApiError> {
    let visible = caller
        .principal()
        .visible::<ReadAccounts>()
        .ok_or_else(ApiError::refused)?;
    let query = Query::parse(query.as_deref())?;
    let asked = query.page_of_tenants()?;
    let filter = AccountFilter {
        visible,
        name: query.text_match("name")?,
        direction: query.direction()?,
    };
    let page = api.store.accounts(&filter, asked.slice).await?;
    envelope::list(asked, &page, account)
}

/// Create an account
///
/// The first use of its managed CA creates it, with a key of the kind `authority_algorithm`.
#[utoipa::path(
    post,
    path = "/client/v4/accounts",
    tag = "Accounts",
    operation_id = "account-creation",
    request_body = CreateAccount<'static>,
    responses((status = 200, description = "The new account", body = Answer<Account<'static>>)),
)]
pub(crate) async fn create(
    State(api): State<Api>,
    caller: Caller,
    Body(body): Body<CreateAccount<'static>>,
) -> Result<Response, ApiError> {
    let draft = AccountDraft {
        name: body.name.into_owned(),
        kind: body.kind.map(|kind| kind.0).unwrap_or_default(),
        authority_algorithm: body.authority_algorithm.map(|algorithm| algorithm.0),
    };
    let created = api.service.tenants.create_account(&caller, draft).await?;
    envelope::one(account(&created.map_err(account_error)?))
}

/// Get an account
#[utoipa::path(
    get,
    path = "/client/v4/accounts/{account_id}",
    tag = "Accounts",
    operation_id = "accounts-account-details",
    params(AccountPath),
    responses((status = 200, description = "The account", body = Answer<Account<'static>>)),
)]
pub(crate) async fn get(scope: AccountScope<ReadAccounts>) -> Result<Response, ApiError> {
    envelope::one(account(scope.account()))
}

/// Replace an account
///
/// Absent members, and `null`, leave theirs as they are.
#[utoipa::path(
    put,
    path = "/client/v4/accounts/{account_id}",
    tag = "Accounts",
    operation_id = "accounts-update-account",
    params(AccountPath),
    request_body = UpdateAccount<'static>,
    responses((status = 200, description = "The account", body = Answer<Account<'static>>)),
)]
pub(crate) async fn update(
    State(api): State<Api>,
    scope: AccountScope<ManageAccounts>,
    Body(body): Body<UpdateAccount<'static>>,
) -> Result<Response, ApiError> {
    let settings = body.settings.as_ref();
    let address = settings.and_then(|settings| settings.abuse_contact_email.clone());
    let kept = |address: Cow<'_, str>| Some(address.into_owned()).filter(|text| !text.is_empty());
    let change = AccountChange {
        name: Some(body.name.into_owned()),
        kind: body.kind.map(|kind| kind.0),
        enforce_twofactor: settings.and_then(|settings| settings.enforce_twofactor),
        abuse_contact_email: address.map(kept),
    };
    let changed = api.service.tenants.change_account(&scope, change).await;
    envelope::one(account(&changed.map_err(account_error)?))
}

/// Delete an account
///
/// Refused while it has zones or mTLS certificates. Its tokens stop working.
#[utoipa::path(
    delete,
    path = "/client/v4/accounts/{account_id}",
    tag = "Accounts",
    operation_id = "account-deletion",
    params(AccountPath),
    responses((
        status = 200,
        description = "The ID of the deleted account",
        body = Answer<Deleted>,
    )),
)]
pub(crate) async fn delete(
    State(api): State<Api>,
    scope: AccountScope<ManageAccounts>,
) -> Result<Response, ApiError> {
    let deleted = api.service.tenants.delete_account(&scope).await;
    let id = deleted.map_err(account_error)?.into();
    envelope::one(Deleted { id })
}
