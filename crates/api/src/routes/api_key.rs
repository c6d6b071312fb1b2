//! `/certgate/v1/user/api_key`: not part of Cloudflare's API.

use axum::extract::State;
use axum::response::Response;
use certgate_service::{ManageTokens, UserScope};
use certgate_wire::{Answer, UserApiKey};

use crate::envelope;
use crate::error::ApiError;
use crate::state::Api;

/// Create or replace the user's API key
///
/// For clients that know only `X-Auth-Email` and `X-Auth-Key`. The key has every permission and is
/// in this answer alone. The key before it stops working immediately. The request needs a token
/// with every permission and without limits of address and time.
#[utoipa::path(
    put,
    path = "/certgate/v1/user/api_key",
    tag = "User",
    operation_id = "api-key-replace",
    responses((
        status = 200,
        description = "The e-mail address and the new key",
        body = Answer<UserApiKey<'static>>,
    )),
)]
pub(crate) async fn replace(
    State(api): State<Api>,
    scope: UserScope<ManageTokens>,
) -> Result<Response, ApiError> {
    let key = api.service.api_keys.create(&scope).await?;
    envelope::one(UserApiKey {
        email: (&scope.user().email).into(),
        api_key: Some(key.expose().into()),
    })
}

/// Delete the user's API key
///
/// It stops working immediately. Nothing changes if the user has no key.
#[utoipa::path(
    delete,
    path = "/certgate/v1/user/api_key",
    tag = "User",
    operation_id = "api-key-delete",
    responses((
        status = 200,
        description = "The e-mail address alone",
        body = Answer<UserApiKey<'static>>,
    )),
)]
pub(crate) async fn delete(
    State(api): State<Api>,
    scope: UserScope<ManageTokens>,
) -> Result<Response, ApiError> {
    api.service.api_keys.delete(&scope).await?;
    envelope::one(UserApiKey {
        email: (&scope.user().email).into(),
        api_key: None,
    })
}
