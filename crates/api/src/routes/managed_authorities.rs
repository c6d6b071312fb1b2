//! `/certgate/v1/accounts/{account_id}/managed_authorities`: not part of Cloudflare's API.

use std::borrow::Cow;

use axum::extract::State;
use axum::response::Response;
use certgate_model::KeyAlgorithm;
use certgate_service::{
    AccountScope, AuthorityError, AuthorityImport, ImportAim, ManageAccounts, ReadAccounts,
};
use certgate_store::Confirmation;
use certgate_wire::{
    AccountPath, Answer, CaCrls, ChangeCaState, ManagedAuthorityPath, ManagedCa, NewCa,
    PrivateKeyText, RotateCa, Time,
};

use crate::body::{Body, OptionalBody};
use crate::envelope;
use crate::error::ApiError;
use crate::objects::managed_ca;
use crate::state::Api;

/// Get the active CA of an account
///
/// The first use of an account's CA creates it, unless another one is prepared: that must be
/// activated first. Not part of Cloudflare's API.
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
/// All of them, in any state: the active one first, then the others, latest first. Not part of
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

/// Get the state of the CRLs of a managed CA
///
/// The latest publication, and the time at which the first list ends. Not part of Cloudflare's API.
#[utoipa::path(
    get,
    path = "/certgate/v1/accounts/{account_id}/managed_authorities/{managed_authority_id}/crls",
    tag = "Authorities",
    operation_id = "managed-authorities-crls",
    params(ManagedAuthorityPath),
    responses((status = 200, description = "The state of the CRLs", body = Answer<CaCrls>)),
)]
pub(crate) async fn crls(
    State(api): State<Api>,
    scope: AccountScope<ReadAccounts>,
    path: ManagedAuthorityPath,
) -> Result<Response, ApiError> {
    let cas = api.service.managed_authorities.all(&scope).await?;
    let id = path.managed_authority_id.into();
    if cas.iter().all(|ca| ca.record.id != id) {
        return Err(AuthorityError::NotFound { what: "managed CA" }.into());
    }
    let mut states = api.store.crl_states(id).await?;
    states.retain(|state| state.is_made);
    envelope::one(CaCrls {
        lists: u32::try_from(states.len()).unwrap_or(u32::MAX),
        number: states.iter().map(|state| state.number).max(),
        this_update: states.iter().map(|state| state.this_update).max().map(Time),
        next_update: states.iter().map(|state| state.next_update).min().map(Time),
    })
}

/// Prepare or import a managed CA
///
/// Without `certificate`, a new CA is prepared: enforcement points accept its certificates, and it
/// signs after its activation. With `certificate` and `private_key`, a CA from elsewhere becomes
/// the active one, which signs new certificates, or is prepared; certificates of the CA before it
/// stay valid and revocable. With `certificate` alone, the CA of a request is prepared. Not part of
/// Cloudflare's API.
#[utoipa::path(
    post,
    path = "/certgate/v1/accounts/{account_id}/managed_authorities",
    tag = "Authorities",
    operation_id = "managed-authorities-import",
    params(AccountPath),
    request_body = NewCa<'static>,
    responses((status = 200, description = "The CA", body = Answer<ManagedCa<'static>>)),
)]
pub(crate) async fn create(
    State(api): State<Api>,
    scope: AccountScope<ManageAccounts>,
    Body(body): Body<NewCa<'static>>,
) -> Result<Response, ApiError> {
    let cas = &api.service.managed_authorities;
    let ca = match new_ca(body)? {
        New::Prepared { algorithm, name } => {
            Box::pin(cas.prepare(&scope, Some(algorithm), name.as_deref())).await?
        }
        New::Imported(import) => Box::pin(cas.import(&scope, import)).await?,
    };
    envelope::one(managed_ca(&ca))
}

/// A CA to add to an account.
enum New {
    Prepared {
        algorithm: KeyAlgorithm,
        name: Option<String>,
    },
    Imported(AuthorityImport),
}

/// Reads the two forms of the body.
fn new_ca(body: NewCa<'static>) -> Result<New, ApiError> {
    let name = body.name.map(Cow::into_owned);
    match (body.certificate, body.algorithm) {
        (Some(certificate), None) => Ok(New::Imported(AuthorityImport {
            certificate: certificate.into_owned(),
            private_key: body.private_key.map(PrivateKeyText::into_inner),
            name,
            aim: match body.prepare {
                Some(true) => ImportAim::Prepare,
                Some(false) | None => ImportAim::Activate,
            },
        })),
        (Some(_), Some(_)) => {
            let message = "algorithm and certificate exclude each other: an imported CA has a key";
            Err(ApiError::member("/algorithm", message.to_owned()))
        }
        (None, _) if body.private_key.is_some() => {
            let message = "certificate is missing: send the certificate of the private key";
            Err(ApiError::member("/certificate", message.to_owned()))
        }
        (None, Some(algorithm)) => Ok(New::Prepared {
            algorithm: algorithm.0,
            name,
        }),
        (None, None) => {
            let message = "algorithm and certificate are missing: send algorithm to prepare a new \
                           CA, or certificate to import one";
            Err(ApiError::member("/certificate", message.to_owned()))
        }
    }
}

/// Activate a managed CA
///
/// It signs new certificates from now on. Each enforcement point of the account must have
/// acknowledged it, unless `anyway` is true. The activation of the CA before undoes a rotation. Not
/// part of Cloudflare's API.
#[utoipa::path(
    post,
    path = "/certgate/v1/accounts/{account_id}/managed_authorities/{managed_authority_id}/activate",
    tag = "Authorities",
    operation_id = "managed-authorities-activate",
    params(ManagedAuthorityPath),
    request_body = Option<ChangeCaState>,
    responses((status = 200, description = "The active CA", body = Answer<ManagedCa<'static>>)),
)]
pub(crate) async fn activate(
    State(api): State<Api>,
    scope: AccountScope<ManageAccounts>,
    path: ManagedAuthorityPath,
    OptionalBody(body): OptionalBody<ChangeCaState>,
) -> Result<Response, ApiError> {
    let (cas, id) = (
        &api.service.managed_authorities,
        path.managed_authority_id.into(),
    );
    let ca = Box::pin(cas.activate(&scope, id, confirmation(&body))).await?;
    envelope::one(managed_ca(&ca))
}

/// Retire a managed CA
///
/// Enforcement points do not accept its certificates any more. Its CRLs are still published. A CA
/// whose certificates can be valid needs `anyway`. Not part of Cloudflare's API.
#[utoipa::path(
    post,
    path = "/certgate/v1/accounts/{account_id}/managed_authorities/{managed_authority_id}/retire",
    tag = "Authorities",
    operation_id = "managed-authorities-retire",
    params(ManagedAuthorityPath),
    request_body = Option<ChangeCaState>,
    responses((status = 200, description = "The retired CA", body = Answer<ManagedCa<'static>>)),
)]
pub(crate) async fn retire(
    State(api): State<Api>,
    scope: AccountScope<ManageAccounts>,
    path: ManagedAuthorityPath,
    OptionalBody(body): OptionalBody<ChangeCaState>,
) -> Result<Response, ApiError> {
    let (cas, id) = (
        &api.service.managed_authorities,
        path.managed_authority_id.into(),
    );
    let ca = Box::pin(cas.retire(&scope, id, confirmation(&body))).await?;
    envelope::one(managed_ca(&ca))
}

const fn confirmation(body: &ChangeCaState) -> Confirmation {
    match body.anyway {
        Some(true) => Confirmation::Given,
        Some(false) | None => Confirmation::Missing,
    }
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
