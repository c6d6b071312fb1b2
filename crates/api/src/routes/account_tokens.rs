//! `/accounts/{account_id}/tokens`: tokens that an account owns

use axum::extract::{RawQuery, Request, State};
use axum::response::Response;
use certgate_model::Scope;
use certgate_service::{
    AccessError, AccountScope, LastToken, ManageAccountTokens, ReadAccountTokens,
};
use certgate_wire::{
    AccountPath, AccountTokenPath, Answer, CreateToken, Deleted, FailedAnswer, PageAnswer,
    PageQuery, PermissionGroupEntry, PermissionGroupsQuery, Token, TokenVerification, TokensQuery,
};

use super::owned_tokens;
use super::user::{not_verified, verified, verified_caller};
use crate::body::Body;
use crate::error::ApiError;
use crate::extract::account_path;
use crate::state::Api;

/// List API tokens of an account
#[utoipa::path(
    get,
    path = "/client/v4/accounts/{account_id}/tokens",
    tag = "Account API tokens",
    operation_id = "account-api-tokens-list-tokens",
    params(AccountPath, TokensQuery, PageQuery),
    responses((
        status = 200,
        description = "A page of tokens",
        body = PageAnswer<Vec<Token<'static>>>,
    )),
)]
pub(crate) async fn list(
    State(api): State<Api>,
    scope: AccountScope<ReadAccountTokens>,
    RawQuery(query): RawQuery,
) -> Result<Response, ApiError> {
    owned_tokens::list(&api, Some(scope.account().id), query.as_deref()).await
}

/// Create an API token that the account owns
///
/// Only this answer has its `value`. A token cannot grant a permission that the token of the
/// request does not have, and only permissions on this account and its zones.
#[utoipa::path(
    post,
    path = "/client/v4/accounts/{account_id}/tokens",
    tag = "Account API tokens",
    operation_id = "account-api-tokens-create-token",
    params(AccountPath),
    request_body = CreateToken<'static>,
    responses((
        status = 200,
        description = "The new token with its value",
        body = Answer<Token<'static>>,
    )),
)]
pub(crate) async fn create(
    State(api): State<Api>,
    scope: AccountScope<ManageAccountTokens>,
    Body(body): Body<CreateToken<'static>>,
) -> Result<Response, ApiError> {
    let scope = owned_tokens::of_account_again(&api, &scope).await?;
    owned_tokens::create(&api, (&scope).into(), body).await
}

/// Get an API token of an account
#[utoipa::path(
    get,
    path = "/client/v4/accounts/{account_id}/tokens/{token_id}",
    tag = "Account API tokens",
    operation_id = "account-api-tokens-token-details",
    params(AccountTokenPath),
    responses((status = 200, description = "The token", body = Answer<Token<'static>>)),
)]
pub(crate) async fn get(
    State(api): State<Api>,
    scope: AccountScope<ReadAccountTokens>,
    path: AccountTokenPath,
) -> Result<Response, ApiError> {
    owned_tokens::get(&api, path.token_id.into(), |token| {
        token.account == Some(scope.account().id)
    })
    .await
}

/// Replace an API token of an account
///
/// Its value stays.
#[utoipa::path(
    put,
    path = "/client/v4/accounts/{account_id}/tokens/{token_id}",
    tag = "Account API tokens",
    operation_id = "account-api-tokens-update-token",
    params(AccountTokenPath),
    request_body = CreateToken<'static>,
    responses((status = 200, description = "The token", body = Answer<Token<'static>>)),
)]
pub(crate) async fn update(
    State(api): State<Api>,
    scope: AccountScope<ManageAccountTokens>,
    path: AccountTokenPath,
    Body(body): Body<CreateToken<'static>>,
) -> Result<Response, ApiError> {
    let scope = owned_tokens::of_account_again(&api, &scope).await?;
    let id = path.token_id.into();
    owned_tokens::update(&api, (&scope).into(), id, body, LastToken::Protected).await
}

/// Delete an API token of an account
///
/// It stops working immediately.
#[utoipa::path(
    delete,
    path = "/client/v4/accounts/{account_id}/tokens/{token_id}",
    tag = "Account API tokens",
    operation_id = "account-api-tokens-delete-token",
    params(AccountTokenPath),
    responses((status = 200, description = "The ID of the deleted token", body = Answer<Deleted>)),
)]
pub(crate) async fn delete(
    State(api): State<Api>,
    scope: AccountScope<ManageAccountTokens>,
    path: AccountTokenPath,
) -> Result<Response, ApiError> {
    owned_tokens::delete(&api, (&scope).into(), path.token_id, LastToken::Protected).await
}

/// Roll an API token of an account
///
/// Gives it a new value. The old value stops working immediately.
#[utoipa::path(
    put,
    path = "/client/v4/accounts/{account_id}/tokens/{token_id}/value",
    tag = "Account API tokens",
    operation_id = "account-api-tokens-roll-token",
    params(AccountTokenPath),
    responses((status = 200, description = "The new value", body = Answer<String>)),
)]
pub(crate) async fn roll(
    State(api): State<Api>,
    scope: AccountScope<ManageAccountTokens>,
    path: AccountTokenPath,
) -> Result<Response, ApiError> {
    owned_tokens::roll(&api, (&scope).into(), path.token_id.into()).await
}

/// Verify the token of the request
///
/// A token that the account owns may verify itself here, and so may a user's token that may read
/// the tokens of the account. The answer to any other credential is 401 with code 1000.
#[utoipa::path(
    get,
    path = "/client/v4/accounts/{account_id}/tokens/verify",
    tag = "Account API tokens",
    operation_id = "account-api-tokens-verify-token",
    params(AccountPath),
    responses(
        (status = 200, description = "The token is valid", body = Answer<TokenVerification>),
        (status = 401, description = "The token is not valid", body = FailedAnswer<'static>),
    ),
)]
pub(crate) async fn verify(State(api): State<Api>, request: Request) -> Result<Response, ApiError> {
    let (mut parts, _) = request.into_parts();
    let account = account_path(&mut parts).await?.account_id.into();
    let caller = verified_caller(&api, &parts).await?;
    match caller.principal().token().account {
        Some(owner) if owner == account => {}
        Some(_) => return Err(not_verified()),
        None => {
            let scope = api
                .service
                .access
                .account_scope::<ReadAccountTokens>(&caller, account);
            scope.await.map_err(|error| match error {
                AccessError::Fault(fault) => fault.into(),
                _ => not_verified(),
            })?;
        }
    }
    verified(&api, &caller)
}

/// List permission groups for tokens of an account
#[utoipa::path(
    get,
    path = "/client/v4/accounts/{account_id}/tokens/permission_groups",
    tag = "Account API tokens",
    operation_id = "account-api-tokens-list-permission-groups",
    params(AccountPath, PermissionGroupsQuery),
    responses((
        status = 200,
        description = "The permission groups",
        body = Answer<Vec<PermissionGroupEntry<'static>>>,
    )),
)]
pub(crate) async fn permission_groups(
    _: AccountScope<ReadAccountTokens>,
    RawQuery(query): RawQuery,
) -> Result<Response, ApiError> {
    owned_tokens::matching_groups(query.as_deref(), |group| group.scope() != Scope::User)
}
