//! `/user/tokens`

use axum::extract::{RawQuery, State};
use axum::response::Response;
use certgate_model::PermissionGroup;
use certgate_service::{ManageTokens, ReadTokens, TokenError, UserScope};
use certgate_wire::{
    Answer, CreateToken, Deleted, PageAnswer, PageQuery, PermissionGroupEntry,
    PermissionGroupsQuery, Token, TokenPath, TokensQuery,
};

use crate::body::Body;
use crate::envelope;
use crate::error::ApiError;
use crate::objects::{permission_group, token};
use crate::query::Query;
use crate::state::Api;
use crate::token_body::draft;

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
    let query = Query::parse(query.as_deref())?;
    let asked = query.page()?;
    let tokens = api.store.tokens(None, query.direction()?, asked.slice);
    let page = tokens.await?;
    let now = api.clock.now();
    envelope::list(asked, &page, |record| token(now, record))
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
    let (record, value) = api
        .service
        .tokens
        .create((&scope).into(), draft(body)?)
        .await?;
    envelope::one(Token {
        value: Some(value.expose().into()),
        ..token(api.clock.now(), &record)
    })
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
    let found = api.store.token(path.token_id.into()).await?;
    let own = found.filter(|token| token.account.is_none() && token.user == scope.user().id);
    let record = own.ok_or(TokenError::NotFound)?;
    envelope::one(token(api.clock.now(), &record))
}

/// Replace an API token
///
/// Its value stays.
#[utoipa::path(
    put,
    path = "/client/v4/user/tokens/{token_id}",
    tag = "API tokens",
    operation_id = "user-api-tokens-update-token",
    params(TokenPath),
    request_body = CreateToken<'static>,
    responses((status = 200, description = "The token", body = Answer<Token<'static>>)),
)]
pub(crate) async fn update(
    State(api): State<Api>,
    scope: UserScope<ManageTokens>,
    path: TokenPath,
    Body(body): Body<CreateToken<'static>>,
) -> Result<Response, ApiError> {
    let id = path.token_id.into();
    let update = api.service.tokens.update((&scope).into(), id, draft(body)?);
    let record = update.await?;
    envelope::one(token(api.clock.now(), &record))
}

/// Delete an API token
///
/// It stops working immediately.
#[utoipa::path(
    delete,
    path = "/client/v4/user/tokens/{token_id}",
    tag = "API tokens",
    operation_id = "user-api-tokens-delete-token",
    params(TokenPath),
    responses((status = 200, description = "The ID of the deleted token", body = Answer<Deleted>)),
)]
pub(crate) async fn delete(
    State(api): State<Api>,
    scope: UserScope<ManageTokens>,
    path: TokenPath,
) -> Result<Response, ApiError> {
    let id = path.token_id;
    api.service
        .tokens
        .delete((&scope).into(), id.into())
        .await?;
    envelope::one(Deleted { id })
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
    let id = path.token_id.into();
    let value = api.service.tokens.roll((&scope).into(), id).await?;
    envelope::one(value.expose())
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
    matching_groups(query.as_deref(), |_| true)
}

/// Answers with the permission groups that meet the conditions and `offered`.
pub(super) fn matching_groups(
    query: Option<&str>,
    offered: fn(&PermissionGroup) -> bool,
) -> Result<Response, ApiError> {
    let query = Query::parse(query)?;
    let (name, scope) = (
        query.encoded_once_or_twice("name")?,
        query.encoded_once_or_twice("scope")?,
    );
    let matches = |group: &PermissionGroup| {
        let is_any = |given: &Option<[String; 2]>, text: &str| {
            let texts = given.as_ref();
            texts.is_none_or(|texts| texts.iter().any(|given| given.eq_ignore_ascii_case(text)))
        };
        is_any(&name, group.name()) && is_any(&scope, group.scope().name())
    };
    let groups = PermissionGroup::ALL
        .into_iter()
        .filter(offered)
        .filter(matches);
    envelope::one(Vec::from_iter(groups.map(permission_group)))
}
