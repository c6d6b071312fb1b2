//! `/accounts/{account_id}/mtls_certificates`

use axum::extract::{RawQuery, State};
use axum::response::Response;
use certgate_model::{Page, Slice};
use certgate_service::{
    AccountScope, MtlsCertificateUpload, ReadMtlsCertificates, WriteMtlsCertificates,
};

use crate::body::JsonBody;
use crate::envelope::PageRequest;
use crate::error::ApiError;
use crate::extract::{MtlsCertificatePath, ScopeOf};
use crate::openapi::{Answer, CreateMtlsCertificate, PageAnswer};
use crate::query::Query;
use crate::wire::{MtlsCertificate, MtlsCertificateAssociation, NewMtlsCertificate};
use crate::{Api, envelope};

/// The least page size that the answer names: everything is in one answer, and clients that page stop there.
const PER_PAGE_MIN: u32 = 50;

/// List certificates that the account brought
///
/// All that match every filter in one answer, newest first; a page after the first is empty.
#[utoipa::path(
    get,
    path = "/client/v4/accounts/{account_id}/mtls_certificates",
    tag = "mTLS certificates",
    operation_id = "m-tls-certificate-management-list-m-tls-certificates",
    params(
        ("account_id" = String, Path, description = "32 hex digits"),
        ("type" = Option<Vec<String>>, Query, description = "`custom`, `gateway_managed` or `access_managed`; repeated, or with commas in between. All certificates here are `custom`"),
        ("name" = Option<String>, Query, description = "Only certificates of exactly this name"),
        ("ca" = Option<bool>, Query, description = "Only CAs (`true`), or only leaf certificates (`false`)"),
        ("page" = Option<u64>, Query, description = "From 1", minimum = 1, maximum = 9_007_199_254_740_991_u64),
    ),
    responses((status = 200, description = "The certificates", body = PageAnswer<MtlsCertificate<'static>>)),
)]
pub(crate) async fn list(
    State(api): State<Api>,
    ScopeOf(scope): ScopeOf<AccountScope<ReadMtlsCertificates>>,
    RawQuery(query): RawQuery,
) -> Result<Response, ApiError> {
    let asked = Query::parse(query.as_deref())?.mtls_certificates()?;
    let mut items = api.store.mtls_certificates(scope.account().id).await?;
    items.retain(|certificate| asked.matches(certificate));
    let total = items.len() as u64;
    let size = u32::try_from(total).unwrap_or(u32::MAX).max(PER_PAGE_MIN);
    if asked.page > 1 {
        items.clear();
    }
    let page = PageRequest {
        page: asked.page,
        slice: Slice { first: 0, size },
    };
    envelope::list(page, &Page { items, total }, MtlsCertificate::from)
}

/// Bring a certificate
///
/// An authority (`ca: true`), alone or with the chain above it and with or without its private key, or a leaf certificate with
/// its private key. The private key is stored sealed and never answered.
#[utoipa::path(
    post,
    path = "/client/v4/accounts/{account_id}/mtls_certificates",
    tag = "mTLS certificates",
    operation_id = "m-tls-certificate-management-upload-m-tls-certificate",
    params(("account_id" = String, Path, description = "32 hex digits")),
    request_body = CreateMtlsCertificate,
    responses((status = 200, description = "The new certificate", body = Answer<NewMtlsCertificate<'static>>)),
)]
pub(crate) async fn create(
    State(api): State<Api>,
    ScopeOf(scope): ScopeOf<AccountScope<WriteMtlsCertificates>>,
    mut body: JsonBody,
) -> Result<Response, ApiError> {
    let private_key = body.take_secret("private_key")?;
    let body = body.object();
    let upload = MtlsCertificateUpload {
        certificates: body.string("certificates")?.to_owned(),
        ca: body
            .optional_boolean("ca")?
            .ok_or_else(|| body.missing("ca", "true or false"))?,
        name: body.optional_string("name")?.unwrap_or_default().to_owned(),
        private_key,
    };
    let certificate = Box::pin(api.service.mtls_certificates.upload(&scope, upload)).await?;
    envelope::one(NewMtlsCertificate::from(&certificate))
}

/// Get a certificate that the account brought
#[utoipa::path(
    get,
    path = "/client/v4/accounts/{account_id}/mtls_certificates/{mtls_certificate_id}",
    tag = "mTLS certificates",
    operation_id = "m-tls-certificate-management-get-m-tls-certificate",
    params(
        ("account_id" = String, Path, description = "32 hex digits"),
        ("mtls_certificate_id" = String, Path, description = "UUID of 36 characters"),
    ),
    responses((status = 200, description = "The certificate", body = Answer<MtlsCertificate<'static>>)),
)]
pub(crate) async fn get(
    State(api): State<Api>,
    ScopeOf(scope): ScopeOf<AccountScope<ReadMtlsCertificates>>,
    MtlsCertificatePath(id): MtlsCertificatePath,
) -> Result<Response, ApiError> {
    let certificate = api.store.mtls_certificate(scope.account().id, id).await?;
    let certificate = certificate.ok_or_else(ApiError::mtls_certificate_not_found)?;
    envelope::one(MtlsCertificate::from(&certificate))
}

/// Delete a certificate that the account brought
///
/// Refused while hostnames use it.
#[utoipa::path(
    delete,
    path = "/client/v4/accounts/{account_id}/mtls_certificates/{mtls_certificate_id}",
    tag = "mTLS certificates",
    operation_id = "m-tls-certificate-management-delete-m-tls-certificate",
    params(
        ("account_id" = String, Path, description = "32 hex digits"),
        ("mtls_certificate_id" = String, Path, description = "UUID of 36 characters"),
    ),
    responses((status = 200, description = "The deleted certificate", body = Answer<MtlsCertificate<'static>>)),
)]
pub(crate) async fn delete(
    State(api): State<Api>,
    ScopeOf(scope): ScopeOf<AccountScope<WriteMtlsCertificates>>,
    MtlsCertificatePath(id): MtlsCertificatePath,
) -> Result<Response, ApiError> {
    let certificate = api.service.mtls_certificates.delete(&scope, id).await?;
    envelope::one(MtlsCertificate::from(&certificate))
}

/// List what uses a certificate that the account brought
///
/// One entry if hostnames use it, none otherwise.
#[utoipa::path(
    get,
    path = "/client/v4/accounts/{account_id}/mtls_certificates/{mtls_certificate_id}/associations",
    tag = "mTLS certificates",
    operation_id = "m-tls-certificate-management-list-m-tls-certificate-associations",
    params(
        ("account_id" = String, Path, description = "32 hex digits"),
        ("mtls_certificate_id" = String, Path, description = "UUID of 36 characters"),
    ),
    responses((status = 200, description = "What uses it", body = Answer<Vec<MtlsCertificateAssociation>>)),
)]
pub(crate) async fn associations(
    State(api): State<Api>,
    ScopeOf(scope): ScopeOf<AccountScope<ReadMtlsCertificates>>,
    MtlsCertificatePath(id): MtlsCertificatePath,
) -> Result<Response, ApiError> {
    let hostnames = api
        .store
        .mtls_certificate_used_by(scope.account().id, id)
        .await?;
    let hostnames = hostnames.ok_or_else(ApiError::mtls_certificate_not_found)?;
    envelope::one(MtlsCertificateAssociation::of(hostnames))
}
