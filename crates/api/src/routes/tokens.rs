//! `/user/tokens`

use axum::extract::{RawQuery, State};
use axum::response::Response;
use certgate_service::{ManageTokens, ReadTokens, UserScope};
use certgate_wire::{
    Answer, CreateToken, Deleted, LastTokenQuery, PageAnswer, PageQuery, PermissionGroupEntry,
    PermissionGroupsQuery, Token, TokenPath, TokensQuery,
};

use super::owned_tokens;
use crate::body::Body;
use crate::error::ApiError;
use crate::state::Api;

/// List API tokens of the user
#[utoipa::path(
    get,
    path = "/client/v4/user/tokens",
    tag = "API tokens",
    operation_id = "user-api-tokens-list-tokens",
    params(TokensQuery, PageQuery),
    responses((
        status = 200,
        description = "A page of tokens",
        body = PageAnswer<Vec<Token<'static>>>,
    )),
)]
pub(crate) async fn list(
    State(api): State<Api>,
    _: UserScope<ReadTokens>,
    RawQuery(query): RawQuery,
) -> Result<Response, ApiError> {
    owned_tokens::list(&api, None, query.as_deref()).await
}

/// Create an API token
///
/// Only this answer has its `value`. A token cannot grant a permission that the token of the
/// request does not have.
#[utoipa::path(
    post,
    path = "/client/v4/user/tokens",
    tag = "API tokens",
    operation_id = "user-api-tokens-create-token",
    request_body = CreateToken<'static>,
    responses((
        status = 200,
        description = "The new token with its value",
        body = Answer<Token<'static>>,
    )),
)]
pub(crate) async fn create(
    State(api): State<Api>,
    scope: UserScope<ManageTokens>,
    Body(body): Body<CreateToken<'static>>,
) -> Result<Response, ApiError> {
    let scope = owned_tokens::of_user_again(&api, &scope).await?;
    owned_tokens::create(&api, (&scope).into(), body).await
}

/// Get an API token
#[utoipa::path(
    get,
    path = "/client/v4/user/tokens/{token_id}",
    tag = "API tokens",
    operation_id = "user-api-tokens-token-details",
    params(TokenPath),
    responses((status = 200, description = "The token", body = Answer<Token<'static>>)),
)]
pub(crate) async fn get(
    State(api): State<Api>,
    scope: UserScope<ReadTokens>,
    path: TokenPath,
) -> Result<Response, ApiError> {
    owned_tokens::get(&api, path.token_id.into(), |token| {
        token.account.is_none() && token.user == scope.user().id
    })
    .await
}

/// Replace an API token
///
/// Its value stays. The last token that can create tokens needs a confirmation to lose that use or
/// to get an end (code 1542).
#[utoipa::path(
    put,
    path = "/client/v4/user/tokens/{token_id}",
    tag = "API tokens",
    operation_id = "user-api-tokens-update-token",
    params(TokenPath, LastTokenQuery),
    request_body = CreateToken<'static>,
    responses((status = 200, description = "The token", body = Answer<Token<'static>>)),
)]
pub(crate) async fn update(
    State(api): State<Api>,
    scope: UserScope<ManageTokens>,
    path: TokenPath,
    RawQuery(query): RawQuery,
    Body(body): Body<CreateToken<'static>>,
) -> Result<Response, ApiError> {
    let last = owned_tokens::last_token(query.as_deref())?;
    let scope = owned_tokens::of_user_again(&api, &scope).await?;
    owned_tokens::update(&api, (&scope).into(), path.token_id.into(), body, last).await
}

/// Delete an API token
///
/// It stops working immediately. The last token that can create tokens needs a confirmation (code
/// 1542).
#[utoipa::path(
    delete,
    path = "/client/v4/user/tokens/{token_id}",
    tag = "API tokens",
    operation_id = "user-api-tokens-delete-token",
    params(TokenPath, LastTokenQuery),
    responses((status = 200, description = "The ID of the deleted token", body = Answer<Deleted>)),
)]
pub(crate) async fn delete(
    State(api): State<Api>,
    scope: UserScope<ManageTokens>,
    path: TokenPath,
    RawQuery(query): RawQuery,
) -> Result<Response, ApiError> {
    let last = owned_tokens::last_token(query.as_deref())?;
    owned_tokens::delete(&api, (&scope).into(), path.token_id, last).await
}

/// Roll an API token
///
/// Gives it a new value. The old value stops working immediately.
#[utoipa::path(
    put,
    path = "/client/v4/user/tokens/{token_id}/value",
    tag = "API tokens",
    operation_id = "user-api-tokens-roll-token",
    params(TokenPath),
    responses((status = 200, description = "The new value", body = Answer<String>)),
)]
pub(crate) async fn roll(
    State(api): State<Api>,
    scope: UserScope<ManageTokens>,
    path: TokenPath,
) -> Result<Response, ApiError> {
    owned_tokens::roll(&api, (&scope).into(), path.token_id.into()).await
}

/// List permission groups
#[utoipa::path(
    get,
    path = "/client/v4/user/tokens/permission_groups",
    tag = "API tokens",
    operation_id = "permission-groups-list-permission-groups",
    params(PermissionGroupsQuery),
    responses((
        status = 200,
        description = "The permission groups",
        body = Answer<Vec<PermissionGroupEntry<'static>>>,
    )),
)]
pub(crate) async fn permission_groups(
    _: UserScope<ReadTokens>,
    RawQuery(query): RawQuery,
) -> Result<Response, ApiError> {
    owned_tokens::matching_groups(query.as_deref(), |_| true)
}
