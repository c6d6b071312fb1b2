//! `/certgate/v1/accounts/{account_id}/managed_authority_requests`: not part of Cloudflare's API.

use std::borrow::Cow;

use axum::extract::State;
use axum::response::Response;
use certgate_service::{AccountScope, AuthorityRequestDraft, ManageAccounts, ReadAccounts};
use certgate_wire::{AccountPath, Answer, CaRequest, ManagedAuthorityRequestPath, RequestCa};

use crate::body::OptionalBody;
use crate::envelope;
use crate::error::ApiError;
use crate::objects::ca_request;
use crate::state::Api;

/// List the requests for certificates of CAs
///
/// The keys that wait for a certificate, latest first. Not part of Cloudflare's API.
#[utoipa::path(
    get,
    path = "/certgate/v1/accounts/{account_id}/managed_authority_requests",
    tag = "Authorities",
    operation_id = "managed-authority-requests-list",
    params(AccountPath),
    responses((status = 200, description = "The requests", body = Answer<Vec<CaRequest<'static>>>)),
)]
pub(crate) async fn list(
    State(api): State<Api>,
    scope: AccountScope<ReadAccounts>,
) -> Result<Response, ApiError> {
    let requests = api.service.managed_authorities.requests(&scope).await?;
    envelope::one(Vec::from_iter(requests.iter().map(ca_request)))
}

/// Request a certificate of a CA
///
/// The server creates a key, which never leaves it, and a request that another CA signs, such as an
/// offline root. Import the certificate to prepare the CA. Not part of Cloudflare's API.
#[utoipa::path(
    post,
    path = "/certgate/v1/accounts/{account_id}/managed_authority_requests",
    tag = "Authorities",
    operation_id = "managed-authority-requests-create",
    params(AccountPath),
    request_body = Option<RequestCa<'static>>,
    responses((status = 200, description = "The request", body = Answer<CaRequest<'static>>)),
)]
pub(crate) async fn create(
    State(api): State<Api>,
    scope: AccountScope<ManageAccounts>,
    OptionalBody(body): OptionalBody<RequestCa<'static>>,
) -> Result<Response, ApiError> {
    let draft = AuthorityRequestDraft {
        algorithm: body.algorithm.map(|algorithm| algorithm.0),
        name: body.name.map(Cow::into_owned),
    };
    let cas = &api.service.managed_authorities;
    let request = Box::pin(cas.request(&scope, draft)).await?;
    envelope::one(ca_request(&request))
}

/// Delete a request for the certificate of a CA
///
/// Its key is deleted too, and a certificate of it cannot be imported any more. Not part of
/// Cloudflare's API.
#[utoipa::path(
    delete,
    path = "/certgate/v1/accounts/{account_id}/managed_authority_requests/{request_id}",
    tag = "Authorities",
    operation_id = "managed-authority-requests-delete",
    params(ManagedAuthorityRequestPath),
    responses((status = 200, description = "The request", body = Answer<CaRequest<'static>>)),
)]
pub(crate) async fn delete(
    State(api): State<Api>,
    scope: AccountScope<ManageAccounts>,
    path: ManagedAuthorityRequestPath,
) -> Result<Response, ApiError> {
    let cas = &api.service.managed_authorities;
    let request = cas.delete_request(&scope, path.request_id.into()).await?;
    envelope::one(ca_request(&request))
}
