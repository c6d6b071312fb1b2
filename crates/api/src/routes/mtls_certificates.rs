//! `/accounts/{account_id}/mtls_certificates`

use axum::extract::{RawQuery, State};
use axum::response::Response;
use certgate_model::{Page, Slice};
use certgate_service::{
    AccountScope, MtlsCertificateUpload, ReadMtlsCertificates, WriteMtlsCertificates,
};
use certgate_wire::{
    AccountPath, Answer, CreateMtlsCertificate, MtlsCertificate, MtlsCertificateAssociation,
    MtlsCertificatePath, MtlsCertificatesQuery, PageAnswer, PrivateKeyText, Time,
};

use crate::body::Body;
use crate::envelope::{self, PageRequest};
use crate::error::ApiError;
use crate::objects::mtls_certificate;
use crate::query::Query;
use crate::state::Api;

/// The least page size in the answer with all uploaded certificates. All certificates are in one
/// answer, and clients that read pages stop there.
const PER_PAGE_MIN: u32 = 50;

/// List uploaded certificates
///
/// All certificates that match every filter in one answer, newest first. A page after the first is
/// empty.
#[utoipa::path(
    get,
    path = "/client/v4/accounts/{account_id}/mtls_certificates",
    tag = "mTLS certificates",
    operation_id = "m-tls-certificate-management-list-m-tls-certificates",
    params(AccountPath, MtlsCertificatesQuery),
    responses((
        status = 200,
        description = "The certificates",
        body = PageAnswer<Vec<MtlsCertificate<'static>>>,
    )),
)]
pub(crate) async fn list(
    State(api): State<Api>,
    scope: AccountScope<ReadMtlsCertificates>,
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
    envelope::list(page, &Page { items, total }, mtls_certificate)
}

/// Upload a certificate
///
/// A CA (`ca: true`), alone or with the chain above it, with or without its private key; or a leaf
/// certificate with its private key. The private key is stored sealed and never returned.
#[utoipa::path(
    post,
    path = "/client/v4/accounts/{account_id}/mtls_certificates",
    tag = "mTLS certificates",
    operation_id = "m-tls-certificate-management-upload-m-tls-certificate",
    params(AccountPath),
    request_body = CreateMtlsCertificate<'static>,
    responses((
        status = 200,
        description = "The new certificate",
        body = Answer<MtlsCertificate<'static>>,
    )),
)]
pub(crate) async fn create(
    State(api): State<Api>,
    scope: AccountScope<WriteMtlsCertificates>,
    Body(body): Body<CreateMtlsCertificate<'static>>,
) -> Result<Response, ApiError> {
    let private_key = body.private_key.map(PrivateKeyText::into_inner);
    let upload = MtlsCertificateUpload {
        certificates: body.certificates.into_owned(),
        ca: body.ca,
        name: body.name.unwrap_or_default().into_owned(),
        private_key: private_key.filter(|key| !key.is_empty()),
    };
    let record = Box::pin(api.service.mtls_certificates.upload(&scope, upload)).await?;
    envelope::one(MtlsCertificate {
        updated_at: Some(Time(record.uploaded_on)),
        ..mtls_certificate(&record)
    })
}

/// Get an uploaded certificate
#[utoipa::path(
    get,
    path = "/client/v4/accounts/{account_id}/mtls_certificates/{mtls_certificate_id}",
    tag = "mTLS certificates",
    operation_id = "m-tls-certificate-management-get-m-tls-certificate",
    params(MtlsCertificatePath),
    responses((
        status = 200,
        description = "The certificate",
        body = Answer<MtlsCertificate<'static>>,
    )),
)]
pub(crate) async fn get(
    State(api): State<Api>,
    scope: AccountScope<ReadMtlsCertificates>,
    path: MtlsCertificatePath,
) -> Result<Response, ApiError> {
    let id = path.mtls_certificate_id.into();
    let record = api.store.mtls_certificate(scope.account().id, id).await?;
    let record = record.ok_or_else(ApiError::mtls_certificate_not_found)?;
    envelope::one(mtls_certificate(&record))
}

/// Delete an uploaded certificate
///
/// Refused while hostnames use it.
#[utoipa::path(
    delete,
    path = "/client/v4/accounts/{account_id}/mtls_certificates/{mtls_certificate_id}",
    tag = "mTLS certificates",
    operation_id = "m-tls-certificate-management-delete-m-tls-certificate",
    params(MtlsCertificatePath),
    responses((
        status = 200,
        description = "The deleted certificate",
        body = Answer<MtlsCertificate<'static>>,
    )),
)]
pub(crate) async fn delete(
    State(api): State<Api>,
    scope: AccountScope<WriteMtlsCertificates>,
    path: MtlsCertificatePath,
) -> Result<Response, ApiError> {
    let id = path.mtls_certificate_id.into();
    let record = api.service.mtls_certificates.delete(&scope, id).await?;
    envelope::one(mtls_certificate(&record))
}

/// List the uses of an uploaded certificate
///
/// One entry if hostnames use it, an empty list otherwise.
#[utoipa::path(
    get,
    path = "/client/v4/accounts/{account_id}/mtls_certificates/{mtls_certificate_id}/associations",
    tag = "mTLS certificates",
    operation_id = "m-tls-certificate-management-list-m-tls-certificate-associations",
    params(MtlsCertificatePath),
    responses((
        status = 200,
        description = "The uses",
        body = Answer<Vec<MtlsCertificateAssociation<'static>>>,
    )),
)]
pub(crate) async fn associations(
    State(api): State<Api>,
    scope: AccountScope<ReadMtlsCertificates>,
    path: MtlsCertificatePath,
) -> Result<Response, ApiError> {
    let id = path.mtls_certificate_id.into();
    let used_by = api.store.mtls_certificate_used_by(scope.account().id, id);
    let hostnames = used_by
        .await?
        .ok_or_else(ApiError::mtls_certificate_not_found)?;
    let use_by_hostnames = MtlsCertificateAssociation {
        service: "mtls".into(),
        status: "active".into(),
    };
    envelope::one(Vec::from_iter((hostnames > 0).then_some(use_by_hostnames)))
}
