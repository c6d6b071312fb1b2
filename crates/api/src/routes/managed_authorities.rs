//! `/certgate/v1/accounts/{account_id}/managed_authorities`: not part of Cloudflare's API.

use axum::extract::State;
use axum::response::Response;
use certgate_model::KeyAlgorithm;
use certgate_service::{AccountScope, AuthorityImport, ManageAccounts, ReadAccounts};

use crate::body::JsonBody;
use crate::error::ApiError;
use crate::extract::ScopeOf;
use crate::openapi::{Answer, ImportAuthority, RotateAuthority};
use crate::wire::ManagedAuthority;
use crate::{Api, envelope};

/// Get the managed authority of an account
///
/// The one in force. Not part of Cloudflare's API. Made now if this is its first use.
#[utoipa::path(
    get,
    path = "/certgate/v1/accounts/{account_id}/managed_authority",
    tag = "Authorities",
    operation_id = "managed-authority-get",
    params(("account_id" = String, Path, description = "32 hex digits")),
    responses((status = 200, description = "The authority", body = Answer<ManagedAuthority>)),
)]
pub(crate) async fn get(
    State(api): State<Api>,
    ScopeOf(scope): ScopeOf<AccountScope<ReadAccounts>>,
) -> Result<Response, ApiError> {
    let authority = api
        .service
        .managed_authorities
        .active(&scope)
        .await?
        .ok_or_else(ApiError::refused)?;
    envelope::one(ManagedAuthority::from(authority))
}

/// List the managed authorities of an account
///
/// All of them: the one in force first, then the latest of those that were replaced. Not part of Cloudflare's API.
#[utoipa::path(
    get,
    path = "/certgate/v1/accounts/{account_id}/managed_authorities",
    tag = "Authorities",
    operation_id = "managed-authorities-list",
    params(("account_id" = String, Path, description = "32 hex digits")),
    responses((status = 200, description = "The authorities", body = Answer<Vec<ManagedAuthority>>)),
)]
pub(crate) async fn list(
    State(api): State<Api>,
    ScopeOf(scope): ScopeOf<AccountScope<ReadAccounts>>,
) -> Result<Response, ApiError> {
    let authorities = api.service.managed_authorities.all(&scope).await?;
    envelope::one(
        authorities
            .into_iter()
            .map(ManagedAuthority::from)
            .collect::<Vec<_>>(),
    )
}

/// Import a managed authority
///
/// An authority that was made elsewhere, with its private key: new certificates come from it from now on. Certificates of
/// the one in force until now stay valid and revocable. Not part of Cloudflare's API.
#[utoipa::path(
    post,
    path = "/certgate/v1/accounts/{account_id}/managed_authorities",
    tag = "Authorities",
    operation_id = "managed-authorities-import",
    params(("account_id" = String, Path, description = "32 hex digits")),
    request_body = ImportAuthority,
    responses((status = 200, description = "The authority, in force", body = Answer<ManagedAuthority>)),
)]
pub(crate) async fn import(
    State(api): State<Api>,
    ScopeOf(scope): ScopeOf<AccountScope<ManageAccounts>>,
    mut body: JsonBody,
) -> Result<Response, ApiError> {
    // Taken first, so that it is wiped whatever is wrong with the rest.
    let private_key = body.take_secret("private_key");
    let certificate = body.object().string("certificate")?.to_owned();
    let private_key =
        private_key?.ok_or_else(|| body.object().missing("private_key", "a string"))?;
    let import = AuthorityImport {
        certificate,
        private_key,
    };
    let authority = Box::pin(api.service.managed_authorities.import(&scope, import)).await?;
    envelope::one(ManagedAuthority::from(authority))
}

/// Rotate the managed authority of an account
///
/// Makes a new one: new certificates come from it from now on. Certificates of the one in force until now stay valid and
/// revocable. Not part of Cloudflare's API.
#[utoipa::path(
    post,
    path = "/certgate/v1/accounts/{account_id}/managed_authorities/rotate",
    tag = "Authorities",
    operation_id = "managed-authorities-rotate",
    params(("account_id" = String, Path, description = "32 hex digits")),
    request_body = Option<RotateAuthority>,
    responses((status = 200, description = "The new authority, in force", body = Answer<ManagedAuthority>)),
)]
pub(crate) async fn rotate(
    State(api): State<Api>,
    ScopeOf(scope): ScopeOf<AccountScope<ManageAccounts>>,
    body: JsonBody,
) -> Result<Response, ApiError> {
    let algorithm = body
        .object()
        .optional_string("algorithm")?
        .map(KeyAlgorithm::from_name)
        .transpose();
    let algorithm = algorithm.map_err(|error| ApiError::member("/algorithm", error.to_string()))?;
    let authority = Box::pin(api.service.managed_authorities.rotate(&scope, algorithm)).await?;
    envelope::one(ManagedAuthority::from(authority))
}
