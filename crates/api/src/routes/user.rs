//! `/user` and `/user/tokens/verify`

use axum::extract::{Request, State};
use axum::response::Response;
use certgate_service::{AccessError, ReadUser, Secret, UserScope};
use http::StatusCode;

use crate::error::ApiError;
use crate::extract::{ScopeOf, credential};
use crate::openapi::Answer;
use crate::wire::{TokenVerification, User};
use crate::{Api, code, envelope};

/// Get the user
#[utoipa::path(
    get,
    path = "/client/v4/user",
    tag = "User",
    operation_id = "user-user-details",
    responses((status = 200, description = "The user", body = Answer<User<'static>>)),
)]
pub(crate) async fn get(
    ScopeOf(scope): ScopeOf<UserScope<ReadUser>>,
) -> Result<Response, ApiError> {
    envelope::one(User::from(scope.user()))
}

/// Verify the token of the request
///
/// Any token may verify itself. One that is not valid, or an API key, which is none, is answered 401, code 1000.
#[utoipa::path(
    get,
    path = "/client/v4/user/tokens/verify",
    tag = "User",
    operation_id = "user-api-tokens-verify-token",
    responses(
        (status = 200, description = "The token is valid", body = Answer<TokenVerification>),
        (status = 401, description = "The token is not valid", body = crate::openapi::Failure),
    ),
)]
pub(crate) async fn verify_token(
    State(api): State<Api>,
    request: Request,
) -> Result<Response, ApiError> {
    let (parts, _) = request.into_parts();
    let no_token = || {
        ApiError::new(
            StatusCode::UNAUTHORIZED,
            code::INVALID_API_TOKEN,
            "Invalid API Token",
        )
    };
    let credential = credential(&parts, &api)?;
    let is_token = matches!(credential.secret, Secret::Token(_));
    let caller =
        api.service
            .access
            .authenticate(credential)
            .await
            .map_err(|error| match error {
                AccessError::InvalidToken => no_token(),
                other => other.into(),
            })?;
    if !is_token {
        return Err(no_token());
    }
    let verification = TokenVerification::at(api.clock.now(), caller.principal().token());
    let message = envelope::Message {
        code: code::TOKEN_VALID,
        message: "This API Token is valid and active",
        kind: (),
    };
    envelope::one_with_message(verification, message)
}
