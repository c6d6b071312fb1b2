//! `/zones/{zone_id}/client_certificates`

use axum::extract::{RawQuery, State};
use axum::response::Response;
use certgate_service::{IssueRequest, ReadCertificates, WriteCertificates, ZoneScope};

use certgate_model::RevocationReason;

use crate::body::{JsonBody, NullableBody};
use crate::error::ApiError;
use crate::extract::{CertificatePath, RequestKey, ScopeOf};
use crate::openapi::{
    Answer, CreateClientCertificate, PageAnswer, ReactivateClientCertificate,
    RevokeClientCertificate,
};
use crate::query::Query;
use crate::wire::ClientCertificate;
use crate::{Api, envelope};

/// List client certificates
///
/// Newest first. The first record is `offset + (page - 1) * size`, where size is `limit` if it is given and `per_page`
/// otherwise; a page past the end is empty. `total_count` is exact.
#[utoipa::path(
    get,
    path = "/client/v4/zones/{zone_id}/client_certificates",
    tag = "Client certificates",
    operation_id = "client-certificate-for-a-zone-list-client-certificates",
    params(
        ("zone_id" = String, Path, description = "32 hex digits"),
        ("status" = Option<String>, Query, description = "`all` (default), `active`, `pending_reactivation`, `pending_revocation` or `revoked`, in any letter case"),
        ("page" = Option<u64>, Query, description = "From 1", minimum = 1, maximum = 9_007_199_254_740_991_u64),
        ("per_page" = Option<u64>, Query, description = "Page size; default 20", minimum = 5, maximum = 50),
        ("limit" = Option<u64>, Query, description = "Page size instead of per_page", minimum = 1, maximum = 1000),
        ("offset" = Option<u64>, Query, description = "First record of page 1", minimum = 0, maximum = 9_007_199_254_740_991_u64),
    ),
    responses((status = 200, description = "A page of certificates", body = PageAnswer<ClientCertificate<'static>>)),
)]
pub(crate) async fn list(
    State(api): State<Api>,
    ScopeOf(scope): ScopeOf<ZoneScope<ReadCertificates>>,
    RawQuery(query): RawQuery,
) -> Result<Response, ApiError> {
    let (asked, query) = Query::parse(query.as_deref())?.certificates()?;
    let page = api.store.certificates(scope.zone().id, query).await?;
    envelope::list(asked, &page, ClientCertificate::from)
}

/// Issue a client certificate
///
/// Signed by the account's managed authority; durable before the answer. A request that is repeated with the same
/// `Idempotency-Key`, by the same token, in the same zone, is answered with the certificate that the first one made, as it is by then.
#[utoipa::path(
    post,
    path = "/client/v4/zones/{zone_id}/client_certificates",
    tag = "Client certificates",
    operation_id = "client-certificate-for-a-zone-create-client-certificate",
    params(
        ("zone_id" = String, Path, description = "32 hex digits"),
        ("Idempotency-Key" = Option<String>, Header, description = "1 to 255 visible ASCII characters, such as a UUID"),
    ),
    request_body = CreateClientCertificate,
    responses((status = 200, description = "The new certificate", body = Answer<ClientCertificate<'static>>)),
)]
pub(crate) async fn create(
    State(api): State<Api>,
    ScopeOf(scope): ScopeOf<ZoneScope<WriteCertificates>>,
    RequestKey(idempotency_key): RequestKey,
    body: JsonBody,
) -> Result<Response, ApiError> {
    let body = body.object();
    let request = IssueRequest {
        csr: body.string("csr")?.to_owned(),
        validity_days: body.integer("validity_days")?,
        idempotency_key,
    };
    // Boxed: the future is large, and every layer around a handler moves it.
    let certificate = Box::pin(api.service.issuing.issue(&scope, request)).await?;
    envelope::one(ClientCertificate::from(&*certificate))
}

/// Get a client certificate
///
/// Revoked ones too, for ever.
#[utoipa::path(
    get,
    path = "/client/v4/zones/{zone_id}/client_certificates/{client_certificate_id}",
    tag = "Client certificates",
    operation_id = "client-certificate-for-a-zone-client-certificate-details",
    params(
        ("zone_id" = String, Path, description = "32 hex digits"),
        ("client_certificate_id" = String, Path, description = "32 hex digits"),
    ),
    responses((status = 200, description = "The certificate", body = Answer<ClientCertificate<'static>>)),
)]
pub(crate) async fn get(
    State(api): State<Api>,
    ScopeOf(scope): ScopeOf<ZoneScope<ReadCertificates>>,
    CertificatePath(id): CertificatePath,
) -> Result<Response, ApiError> {
    let certificate = api.store.certificate(scope.zone().id, id).await?;
    let certificate = certificate.ok_or_else(ApiError::certificate_not_found)?;
    envelope::one(ClientCertificate::from(&certificate))
}

/// Reactivate a client certificate
///
/// Undoes a revocation: `pending_reactivation`, then `active`. Nothing changes on a certificate
/// that is `active` or `pending_reactivation`. Only no body, `{}` and `{"reactivate": true}`
/// restore. `null` as the body or as the value of `reactivate`, `false`, and a body with other
/// members change nothing: the answer is the certificate as it is.
#[utoipa::path(
    patch,
    path = "/client/v4/zones/{zone_id}/client_certificates/{client_certificate_id}",
    tag = "Client certificates",
    operation_id = "client-certificate-for-a-zone-edit-client-certificate",
    params(
        ("zone_id" = String, Path, description = "32 hex digits"),
        ("client_certificate_id" = String, Path, description = "32 hex digits"),
    ),
    request_body = Option<ReactivateClientCertificate>,
    responses((status = 200, description = "The certificate", body = Answer<ClientCertificate<'static>>)),
)]
pub(crate) async fn reactivate(
    State(api): State<Api>,
    ScopeOf(scope): ScopeOf<ZoneScope<WriteCertificates>>,
    CertificatePath(id): CertificatePath,
    body: NullableBody,
) -> Result<Response, ApiError> {
    let certificate = if asks_to_reactivate(&body)? {
        api.service.revoking.reactivate(&scope, id).await?
    } else {
        let found = api.store.certificate(scope.zone().id, id).await?;
        found.ok_or_else(ApiError::certificate_not_found)?
    };
    envelope::one(ClientCertificate::from(&certificate))
}

/// Terraform sends `{"reactivate": null}` and `{"csr": …}` on its own account: an update of any
/// attribute must not restore a certificate that an operator revoked.
fn asks_to_reactivate(body: &NullableBody) -> Result<bool, ApiError> {
    let NullableBody::Body(body) = body else {
        return Ok(false);
    };
    let body = body.object();
    let is_asked = body.optional_boolean("reactivate")? == Some(true);
    Ok(match body.members().count() {
        0 => true,
        1 => is_asked,
        _ => false,
    })
}

/// Revoke a client certificate
///
/// `pending_revocation`, then `revoked`. Once it is revoked, revoking it again is error 1407. The body may be absent, or
/// give a `reason` (RFC 5280 §5.3.1), an addition to Cloudflare's API: with any but `certificateHold`, the default, the
/// certificate cannot be restored. A certificate on hold can be revoked once more, for such a reason.
#[utoipa::path(
    delete,
    path = "/client/v4/zones/{zone_id}/client_certificates/{client_certificate_id}",
    tag = "Client certificates",
    operation_id = "client-certificate-for-a-zone-delete-client-certificate",
    params(
        ("zone_id" = String, Path, description = "32 hex digits"),
        ("client_certificate_id" = String, Path, description = "32 hex digits"),
    ),
    request_body = Option<RevokeClientCertificate>,
    responses((status = 200, description = "The certificate", body = Answer<ClientCertificate<'static>>)),
)]
pub(crate) async fn revoke(
    State(api): State<Api>,
    ScopeOf(scope): ScopeOf<ZoneScope<WriteCertificates>>,
    CertificatePath(id): CertificatePath,
    body: JsonBody,
) -> Result<Response, ApiError> {
    let reason = match body.object().optional_string("reason")? {
        None => RevocationReason::default(),
        Some(name) => RevocationReason::from_name(name).ok_or_else(|| {
            let names: Vec<_> = RevocationReason::ALL
                .into_iter()
                .map(RevocationReason::name)
                .collect();
            ApiError::member(
                "/reason",
                format!("reason is unknown: use one of {}", names.join(", ")),
            )
        })?,
    };
    let certificate = api.service.revoking.revoke(&scope, id, reason).await?;
    envelope::one(ClientCertificate::from(&certificate))
}
