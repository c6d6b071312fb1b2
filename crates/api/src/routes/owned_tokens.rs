//! The answers about the tokens of an owner, which is the user or an account

use axum::response::Response;
use certgate_model::{AccountId, PermissionGroup, TokenId, TokenRecord};
use certgate_service::{
    AccountScope, LastToken, ManageAccountTokens, ManageTokens, TokenError, TokenOwner, UserScope,
};
use certgate_wire::{CreateToken, Deleted, Id, Token};

use crate::envelope;
use crate::error::ApiError;
use crate::objects::{permission_group, token};
use crate::query::Query;
use crate::state::Api;
use crate::token_body::draft;

/// Answers with a page of the tokens of an account, or (`None`) of the user.
pub(super) async fn list(
    api: &Api,
    account: Option<AccountId>,
    query: Option<&str>,
) -> Result<Response, ApiError> {
    let query = Query::parse(query)?;
    let asked = query.page()?;
    let tokens = api.store.tokens(account, query.direction()?, asked.slice);
    let page = tokens.await?;
    let now = api.clock.now();
    envelope::list(asked, &page, |record| token(now, record))
}

/// Proves the right again: the caller's token may have been deleted or limited while the body was
/// on its way, and the caller must not make itself another one then.
pub(super) async fn of_user_again(
    api: &Api,
    scope: &UserScope<ManageTokens>,
) -> Result<UserScope<ManageTokens>, ApiError> {
    let access = &api.service.access;
    let caller = access.authenticate_again(scope.caller()).await?;
    Ok(access.user_scope(&caller).await?)
}

/// Proves the right on an account again, like [`of_user_again`].
pub(super) async fn of_account_again(
    api: &Api,
    scope: &AccountScope<ManageAccountTokens>,
) -> Result<AccountScope<ManageAccountTokens>, ApiError> {
    let access = &api.service.access;
    let caller = access.authenticate_again(scope.caller()).await?;
    Ok(access.account_scope(&caller, scope.account().id).await?)
}

/// Creates a token, and answers with its value.
pub(super) async fn create(
    api: &Api,
    owner: TokenOwner<'_>,
    body: CreateToken<'static>,
) -> Result<Response, ApiError> {
    let (record, value) = api.service.tokens.create(owner, draft(body)?).await?;
    envelope::one(Token {
        value: Some(value.expose().into()),
        ..token(api.clock.now(), &record)
    })
}

/// Answers with a token if `is_own`.
pub(super) async fn get(
    api: &Api,
    id: TokenId,
    is_own: impl Fn(&TokenRecord) -> bool,
) -> Result<Response, ApiError> {
    let own = api.store.token(id).await?.filter(is_own);
    let record = own.ok_or(TokenError::NotFound)?;
    envelope::one(token(api.clock.now(), &record))
}

/// Replaces all of a token but its value.
pub(super) async fn update(
    api: &Api,
    owner: TokenOwner<'_>,
    id: TokenId,
    body: CreateToken<'static>,
    last: LastToken,
) -> Result<Response, ApiError> {
    let tokens = &api.service.tokens;
    let record = tokens.update(owner, id, draft(body)?, last).await?;
    envelope::one(token(api.clock.now(), &record))
}

/// Deletes a token.
pub(super) async fn delete(
    api: &Api,
    owner: TokenOwner<'_>,
    id: Id,
    last: LastToken,
) -> Result<Response, ApiError> {
    api.service.tokens.delete(owner, id.into(), last).await?;
    envelope::one(Deleted { id })
}

/// Reads the confirmation of a change of the last token that can create tokens.
pub(super) fn last_token(query: Option<&str>) -> Result<LastToken, ApiError> {
    let choices = [
        ("true", LastToken::Confirmed),
        ("false", LastToken::Protected),
    ];
    let given = Query::parse(query)?.choice("last_token", &choices)?;
    Ok(given.unwrap_or(LastToken::Protected))
}

/// Gives a token a new value, and answers with it.
pub(super) async fn roll(
    api: &Api,
    owner: TokenOwner<'_>,
    id: TokenId,
) -> Result<Response, ApiError> {
    let value = api.service.tokens.roll(owner, id).await?;
    envelope::one(value.expose())
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
