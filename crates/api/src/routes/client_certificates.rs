//! `/zones/{zone_id}/client_certificates`

use axum::extract::{RawQuery, State};
use axum::response::Response;
use certgate_model::Actor;
use certgate_service::{
    CsrRemarks, EarlierRevocation, IdempotencyKey, IssueCertificates, IssueRequest,
    ReadCertificates, RestoreCertificates, Revocation, RevokeCertificates, ZoneScope,
};
use certgate_wire::{
    Answer, ClientCertificate, ClientCertificatePath, ClientCertificatesQuery,
    CreateClientCertificate, Message, PageAnswer, PageQuery, ReactivateClientCertificate,
    RevokeClientCertificate, ZonePath,
};

use crate::body::{Body, OptionalBody};
use crate::certificate_pages;
use crate::code::{self, Code};
use crate::envelope;
use crate::error::ApiError;
use crate::objects::client_certificate;
use crate::query::Query;
use crate::state::Api;

/// List client certificates
///
/// Only active ones, unless `status` says otherwise. Newest first. The first record is
/// `offset + (page - 1) * size`. The size is `limit`, or `per_page` without a `limit`. A page past
/// the end is empty. `total_count` is exact. Do not revoke while you walk the active ones from page
/// to page: read page 1 again until it is empty.
///
/// With a filter other than `status`, `total_count` is exact up to 10,000 matches. If there are
/// more, it is 10,000, `messages` says so (code 1530), and a page that begins after them is 400
/// (code 1532). A search that reaches its limit of work answers with the matches so far and
/// `result_info.continue`; if it has none yet, with 400, code 1531 and `continue` in the error.
#[utoipa::path(
    get,
    path = "/client/v4/zones/{zone_id}/client_certificates",
    tag = "Client certificates",
    operation_id = "client-certificate-for-a-zone-list-client-certificates",
    params(ZonePath, ClientCertificatesQuery, PageQuery),
    responses((
        status = 200,
        description = "A page of certificates",
        body = PageAnswer<Vec<ClientCertificate<'static>>>,
    )),
)]
pub(crate) async fn list(
    State(api): State<Api>,
    scope: ZoneScope<ReadCertificates>,
    RawQuery(query): RawQuery,
) -> Result<Response, ApiError> {
    let zone = scope.zone().id;
    let read_serial = |text: &str| api.service.serial_texts.read(text);
    let list = Query::parse(query.as_deref())?.certificates(zone, read_serial)?;
    certificate_pages::answer(&api, zone, list).await
}

/// Issue a client certificate
///
/// The account's managed CA signs it. It is durable before the answer. `messages` has a line for an
/// empty subject, for one that OpenSSL cannot read, for names that were not copied, and for a
/// shortened lifetime. The issuance rules of the zone and of the token apply (code 1540). Repeat a
/// request with the same `Idempotency-Key`, token and zone, and the answer is the certificate that
/// the first request made, in its present state.
#[utoipa::path(
    post,
    path = "/client/v4/zones/{zone_id}/client_certificates",
    tag = "Client certificates",
    operation_id = "client-certificate-for-a-zone-create-client-certificate",
    params(
        ZonePath,
        (
            "Idempotency-Key" = Option<String>, Header,
            description = "1 to 255 visible ASCII characters, such as a UUID",
        ),
    ),
    request_body = CreateClientCertificate<'static>,
    responses((
        status = 200,
        description = "The new certificate",
        body = Answer<ClientCertificate<'static>>,
    )),
)]
pub(crate) async fn create(
    State(api): State<Api>,
    scope: ZoneScope<IssueCertificates>,
    idempotency_key: Option<IdempotencyKey>,
    Body(body): Body<CreateClientCertificate<'static>>,
) -> Result<Response, ApiError> {
    let request = IssueRequest {
        csr: body.csr.into_owned(),
        validity_days: body.validity_days.0,
        idempotency_key,
    };
    // Boxed: the future is large, and every layer around a handler moves it.
    let issued = Box::pin(api.service.issuing.issue(&scope, request)).await?;
    let remarks = remarks(&issued.remarks);
    envelope::one_with_messages(client_certificate(&issued.certificate), remarks)
}

/// Tells the requester of the parts of the CSR that the certificate lacks.
fn remarks(remarks: &CsrRemarks) -> Vec<Message<'static>> {
    let mut messages = Vec::new();
    let mut push = |code: Code, message: String| {
        messages.push(Message {
            code: code.number(),
            message: message.into(),
            kind: None,
        });
    };
    if remarks.is_subject_empty {
        let message = "The subject of the CSR is empty, so the certificate does not name its \
                       holder, and strict verifiers refuse it: make the request with a subject, \
                       such as -subj /CN=device-1";
        push(code::SUBJECT_EMPTY, message.to_owned());
    }
    if let Some(attribute) = &remarks.unreadable {
        let message = format!(
            "OpenSSL cannot read the {attribute} in the subject, because its type or text is \
             unusual, and so most proxies reject the certificate: make the request with a plain \
             subject, such as -subj /CN=device-1"
        );
        push(code::SUBJECT_FOREIGN, message);
    }
    if !remarks.names.is_empty() {
        let message = format!(
            "The certificate has the subject of the CSR, but not the other names that it asks for \
             ({}): put a name that verifiers need into the subject, such as -subj /CN=device-1, or \
             permit it in the issuance rules of the zone",
            remarks.names.join(", ")
        );
        push(code::NAMES_NOT_COPIED, message);
    }
    if let Some(end) = remarks.shortened_to {
        let message = format!(
            "The certificate ends on {end}, earlier than validity_days says, because of an \
             issuance rule (max_lifetime): renew it before"
        );
        push(code::LIFETIME_SHORTENED, message);
    }
    messages
}

/// Get a client certificate
///
/// A revoked certificate stays available forever.
#[utoipa::path(
    get,
    path = "/client/v4/zones/{zone_id}/client_certificates/{client_certificate_id}",
    tag = "Client certificates",
    operation_id = "client-certificate-for-a-zone-client-certificate-details",
    params(ClientCertificatePath),
    responses((
        status = 200,
        description = "The certificate",
        body = Answer<ClientCertificate<'static>>,
    )),
)]
pub(crate) async fn get(
    State(api): State<Api>,
    scope: ZoneScope<ReadCertificates>,
    path: ClientCertificatePath,
) -> Result<Response, ApiError> {
    let id = path.client_certificate_id.into();
    let certificate = api.store.certificate(scope.zone().id, id).await?;
    let certificate = certificate.ok_or_else(ApiError::certificate_not_found)?;
    envelope::one(client_certificate(&certificate))
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
    params(ClientCertificatePath),
    request_body = Option<ReactivateClientCertificate>,
    responses((
        status = 200,
        description = "The certificate",
        body = Answer<ClientCertificate<'static>>,
    )),
)]
pub(crate) async fn reactivate(
    State(api): State<Api>,
    scope: ZoneScope<RestoreCertificates>,
    path: ClientCertificatePath,
    Body(body): Body<ReactivateClientCertificate>,
) -> Result<Response, ApiError> {
    let id = path.client_certificate_id.into();
    let certificate = if body.is_asked() {
        api.service.revoking.reactivate(&scope, id).await?
    } else {
        let found = api.store.certificate(scope.zone().id, id).await?;
        found.ok_or_else(ApiError::certificate_not_found)?
    };
    envelope::one(client_certificate(&certificate))
}

/// Revoke a client certificate
///
/// `pending_revocation`, then `revoked`. Revoking a certificate again changes nothing: the answer
/// is the certificate as it is, and `messages` says when and by whom it was revoked (code 1407).
/// The body may be absent, or give a `reason` (RFC 5280 §5.3.1), an addition to Cloudflare's API.
/// Every reason but `certificateHold`, the default, is final: the certificate cannot be restored.
/// You can revoke a certificate on hold once more with a final reason.
#[utoipa::path(
    delete,
    path = "/client/v4/zones/{zone_id}/client_certificates/{client_certificate_id}",
    tag = "Client certificates",
    operation_id = "client-certificate-for-a-zone-delete-client-certificate",
    params(ClientCertificatePath),
    request_body = Option<RevokeClientCertificate>,
    responses((
        status = 200,
        description = "The certificate",
        body = Answer<ClientCertificate<'static>>,
    )),
)]
pub(crate) async fn revoke(
    State(api): State<Api>,
    scope: ZoneScope<RevokeCertificates>,
    path: ClientCertificatePath,
    OptionalBody(body): OptionalBody<RevokeClientCertificate>,
) -> Result<Response, ApiError> {
    let id = path.client_certificate_id.into();
    let reason = body.reason.map(|reason| reason.0).unwrap_or_default();
    match api.service.revoking.revoke(&scope, id, reason).await? {
        Revocation::Accepted(certificate) => envelope::one(client_certificate(&certificate)),
        Revocation::Repeated(certificate, earlier) => {
            let message = Message {
                code: code::REVOKED_BEFORE.number(),
                message: revoked_before(&earlier).into(),
                kind: None,
            };
            envelope::one_with_messages(client_certificate(&certificate), vec![message])
        }
    }
}

fn revoked_before(earlier: &EarlierRevocation) -> String {
    let EarlierRevocation { at, reason, by } = earlier;
    let by = match by {
        Some(Actor::Token(id)) => format!(" by API token {id}"),
        Some(Actor::ApiKey(_)) => " by the API key".to_owned(),
        Some(
            Actor::System
            | Actor::Offline
            | Actor::Certificate(_)
            | Actor::TrustedCa(_)
            | Actor::Invite(_),
        )
        | None => String::new(),
    };
    let reason = reason.name();
    format!("The client certificate was already revoked on {at}{by} ({reason}): nothing changed")
}
