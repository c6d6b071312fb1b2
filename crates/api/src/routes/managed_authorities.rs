//! `/certgate/v1/accounts/{account_id}/managed_authorities`: not part of Cloudflare's API.

use axum::extract::State;
use axum::response::Response;
use certgate_service::{AccountScope, AuthorityImport, ManageAccounts, ReadAccounts};
use certgate_wire::{AccountPath, Answer, ImportCa, ManagedCa, RotateCa};

use crate::body::{Body, OptionalBody};
use crate::envelope;
use crate::error::ApiError;
use crate::objects::managed_ca;
use crate::state::Api;

/// Get the active CA of an account
///
/// The first use of an account's CA creates it. Not part of Cloudflare's API.
#[utoipa::path(
    get,
    path = "/certgate/v1/accounts/{account_id}/managed_authority",
    tag = "Authorities",
    operation_id = "managed-authority-get",
    params(AccountPath),
    responses((status = 200, description = "The CA", body = Answer<ManagedCa<'static>>)),
)]
pub(crate) async fn get(
    State(api): State<Api>,
    scope: AccountScope<ReadAccounts>,
) -> Result<Response, ApiError> {
    let ca = api.service.managed_authorities.active(&scope).await?;
    envelope::one(managed_ca(&ca.ok_or_else(ApiError::no_tenant)?))
}

/// List the managed CAs of an account
///
/// All of them: the active one first, then the superseded ones, latest first. Not part of
/// Cloudflare's API.
#[utoipa::path(
    get,
    path = "/certgate/v1/accounts/{account_id}/managed_authorities",
    tag = "Authorities",
    operation_id = "managed-authorities-list",
    params(AccountPath),
    responses((status = 200, description = "The CAs", body = Answer<Vec<ManagedCa<'static>>>)),
)]
pub(crate) async fn list(
    State(api): State<Api>,
    scope: AccountScope<ReadAccounts>,
) -> Result<Response, ApiError> {
    let cas = api.service.managed_authorities.all(&scope).await?;
    envelope::one(Vec::from_iter(cas.iter().map(managed_ca)))
}

/// Import a managed CA
///
/// A CA from elsewhere with its private key becomes the active one, which signs new certificates.
/// Certificates of the CA before it stay valid and revocable. Not part of Cloudflare's API.
#[utoipa::path(
    post,
    path = "/certgate/v1/accounts/{account_id}/managed_authorities",
    tag = "Authorities",
    operation_id = "managed-authorities-import",
    params(AccountPath),
    request_body = ImportCa<'static>,
    responses((status = 200, description = "The active CA", body = Answer<ManagedCa<'static>>)),
)]
pub(crate) async fn import(
    State(api): State<Api>,
    scope: AccountScope<ManageAccounts>,
    Body(body): Body<ImportCa<'static>>,
) -> Result<Response, ApiError> {
    let import = AuthorityImport {
        certificate: body.certificate.into_owned(),
        private_key: body.private_key.into_inner(),
    };
    let ca = Box::pin(api.service.managed_authorities.import(&scope, import)).await?;
    envelope::one(managed_ca(&ca))
}

/// Rotate the managed CA of an account
///
/// A new CA becomes the active one, which signs new certificates. Certificates of the CA before it
/// stay valid and revocable. Not part of Cloudflare's API.
#[utoipa::path(
    post,
    path = "/certgate/v1/accounts/{account_id}/managed_authorities/rotate",
    tag = "Authorities",
    operation_id = "managed-authorities-rotate",
    params(AccountPath),
    request_body = Option<RotateCa>,
    responses((status = 200, description = "The active CA", body = Answer<ManagedCa<'static>>)),
)]
pub(crate) async fn rotate(
    State(api): State<Api>,
    scope: AccountScope<ManageAccounts>,
    OptionalBody(body): OptionalBody<RotateCa>,
) -> Result<Response, ApiError> {
    let algorithm = body.algorithm.map(|algorithm| algorithm.0);
    let ca = Box::pin(api.service.managed_authorities.rotate(&scope, algorithm)).await?;
    envelope::one(managed_ca(&ca))
}
