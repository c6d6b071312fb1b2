//! `/user` and `/user/tokens/verify`

use axum::extract::{Request, State};
use axum::response::Response;
use certgate_service::{AccessError, ReadUser, Secret, UserScope};
use certgate_wire::{Answer, FailedAnswer, Message, TokenVerification, User};

use crate::error::ApiError;
use crate::extract::credential;
use crate::objects::{token_verification, user};
use crate::state::Api;
use crate::{code, envelope};

/// Get the user
#[utoipa::path(
    get,
    path = "/client/v4/user",
    tag = "User",
    operation_id = "user-user-details",
    responses((status = 200, description = "The user", body = Answer<User<'static>>)),
)]
pub(crate) async fn get(scope: UserScope<ReadUser>) -> Result<Response, ApiError> {
    envelope::one(user(scope.user()))
}

/// Verify the token of the request
///
/// Any token may verify itself. The answer to a token that is not valid, and to an API key, is 401
/// with code 1000.
#[utoipa::path(
    get,
    path = "/client/v4/user/tokens/verify",
    tag = "User",
    operation_id = "user-api-tokens-verify-token",
    responses(
        (status = 200, description = "The token is valid", body = Answer<TokenVerification>),
        (status = 401, description = "The token is not valid", body = FailedAnswer<'static>),
    ),
)]
pub(crate) async fn verify_token(
    State(api): State<Api>,
    request: Request,
) -> Result<Response, ApiError> {
    let (parts, _) = request.into_parts();
    let invalid = || {
        let message = "Invalid API Token";
        ApiError::new(code::INVALID_API_TOKEN, message)
    };
    let credential = credential(&parts, &api)?;
    let is_token = matches!(credential.secret, Secret::Token(_));
    let caller = api.service.access.authenticate(credential).await;
    let caller = caller.map_err(|error| match error {
        AccessError::InvalidToken => invalid(),
        other => other.into(),
    })?;
    if !is_token {
        return Err(invalid());
    }
    let verification = token_verification(api.clock.now(), caller.principal().token());
    let message = Message {
        code: code::TOKEN_VALID.number(),
        message: "This API Token is valid and active".into(),
        kind: None,
    };
    envelope::one_with_messages(verification, vec![message])
}
