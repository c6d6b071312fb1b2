//! `/user` and `/user/tokens/verify`

use axum::extract::{Request, State};
use axum::response::Response;
use certgate_model::UserChange;
use certgate_service::{AccessError, Caller, ManageUser, ReadUser, Secret, UserScope};
use certgate_wire::{Answer, FailedAnswer, Message, TokenVerification, UpdateUser, User};
use http::request::Parts;

use crate::body::Body;
use crate::error::ApiError;
use crate::error_translation::user_error;
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

/// Change the user
///
/// Absent members leave theirs as they are, and `null` removes them.
#[utoipa::path(
    patch,
    path = "/client/v4/user",
    tag = "User",
    operation_id = "user-edit-user",
    request_body = Option<UpdateUser>,
    responses((status = 200, description = "The user", body = Answer<User<'static>>)),
)]
pub(crate) async fn update(
    State(api): State<Api>,
    scope: UserScope<ManageUser>,
    Body(body): Body<UpdateUser>,
) -> Result<Response, ApiError> {
    let change = UserChange {
        first_name: body.first_name,
        last_name: body.last_name,
        telephone: body.telephone,
        country: body.country,
        zipcode: body.zipcode,
    };
    let changed = api.service.tenants.change_user(&scope, change).await;
    envelope::one(user(&changed.map_err(user_error)?))
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
    verified(&api, &verified_caller(&api, &parts).await?)
}

/// Returns the caller of a request with a valid token; an API key is not one.
pub(super) async fn verified_caller(api: &Api, parts: &Parts) -> Result<Caller, ApiError> {
    let credential = credential(parts, api)?;
    let is_token = matches!(credential.secret, Secret::Token(_));
    let caller = api.service.access.authenticate(credential).await;
    let caller = caller.map_err(|error| match error {
        AccessError::InvalidToken => not_verified(),
        other => other.into(),
    })?;
    match is_token {
        true => Ok(caller),
        false => Err(not_verified()),
    }
}

/// Answers that the caller's token is valid.
pub(super) fn verified(api: &Api, caller: &Caller) -> Result<Response, ApiError> {
    let verification = token_verification(api.clock.now(), caller.principal().token());
    let message = Message {
        code: code::TOKEN_VALID.number(),
        message: "This API Token is valid and active".into(),
        kind: None,
    };
    envelope::one_with_messages(verification, vec![message])
}

/// The answer to a token that is not valid here.
pub(super) fn not_verified() -> ApiError {
    ApiError::new(code::INVALID_API_TOKEN, "Invalid API Token")
}
