//! `/certgate/v1/user/api_key`

use axum::extract::State;
use axum::response::Response;
use certgate_service::{ManageTokens, UserScope};

use crate::error::ApiError;
use crate::extract::ScopeOf;
use crate::openapi::Answer;
use crate::wire::UserApiKey;
use crate::{Api, envelope};

/// Make the user's API key, or replace it
///
/// For clients that know `X-Auth-Email` and `X-Auth-Key` only. The key may do everything, is shown in this answer and
/// nowhere else, and stops the one before it. There is none until it is made. Needs a token that may do everything, without
/// limits of address and time.
#[utoipa::path(
    put,
    path = "/certgate/v1/user/api_key",
    tag = "User",
    operation_id = "api-key-replace",
    responses((status = 200, description = "The e-mail address and the new key", body = Answer<UserApiKey<'static>>)),
)]
pub(crate) async fn replace(
    State(api): State<Api>,
    ScopeOf(scope): ScopeOf<UserScope<ManageTokens>>,
) -> Result<Response, ApiError> {
    let key = api.service.api_keys.create(&scope).await?;
    envelope::one(UserApiKey {
        email: &scope.user().email,
        api_key: Some(key.expose()),
    })
}

/// Switch the user's API key off
///
/// It stops working at once. Does nothing where there is none.
#[utoipa::path(
    delete,
    path = "/certgate/v1/user/api_key",
    tag = "User",
    operation_id = "api-key-delete",
    responses((status = 200, description = "The e-mail address alone", body = Answer<UserApiKey<'static>>)),
)]
pub(crate) async fn delete(
    State(api): State<Api>,
    ScopeOf(scope): ScopeOf<UserScope<ManageTokens>>,
) -> Result<Response, ApiError> {
    api.service.api_keys.delete(&scope).await?;
    envelope::one(UserApiKey {
        email: &scope.user().email,
        api_key: None,
    })
}
