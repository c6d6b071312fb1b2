//! `/zones/{zone_id}/certificate_authorities/hostname_associations`

use axum::extract::{RawQuery, State};
use axum::response::Response;
use certgate_model::MtlsCertificateId;
use certgate_service::{ReadCertificates, WriteCertificates, ZoneScope};

use crate::body::JsonBody;
use crate::error::ApiError;
use crate::extract::ScopeOf;
use crate::openapi::{Answer, ReplaceHostnameAssociations};
use crate::query::Query;
use crate::wire::HostnameAssociations;
use crate::{Api, envelope};

/// The query parameter and the member of the body; `""` counts as absent.
const AUTHORITY: &str = "mtls_certificate_id";

/// List hostname associations
///
/// The hostnames at which client certificates of one authority are asked for, in the order and spelling in which they came.
#[utoipa::path(
    get,
    path = "/client/v4/zones/{zone_id}/certificate_authorities/hostname_associations",
    tag = "Hostname associations",
    operation_id = "client-certificate-for-a-zone-list-hostname-associations",
    params(
        ("zone_id" = String, Path, description = "32 hex digits"),
        ("mtls_certificate_id" = Option<String>, Query, description = "UUID of an authority that the account brought; absent: the managed one"),
    ),
    responses((status = 200, description = "The hostnames", body = Answer<HostnameAssociations<'static>>)),
)]
pub(crate) async fn list(
    State(api): State<Api>,
    ScopeOf(scope): ScopeOf<ZoneScope<ReadCertificates>>,
    RawQuery(query): RawQuery,
) -> Result<Response, ApiError> {
    let query = Query::parse(query.as_deref())?;
    let authority = authority(query.one(AUTHORITY)?)
        .map_err(|message| ApiError::parameter(AUTHORITY, message))?;
    match (
        api.store
            .hostname_associations(scope.zone().id, authority)
            .await?,
        authority,
    ) {
        (Some(hostnames), _) => envelope::one(HostnameAssociations {
            hostnames: &hostnames,
        }),
        (None, Some(_)) => Err(ApiError::mtls_certificate_not_found().at(AUTHORITY)),
        // The zone was deleted meanwhile.
        (None, None) => Err(ApiError::refused()),
    }
}

/// Replace hostname associations
///
/// Replaces the whole list of one authority. Each hostname is the zone's name or below it, without a wildcard or a
/// dot at its end, and in no list of another zone. No hostnames at all: client certificates of the authority are asked for
/// nowhere in the zone.
#[utoipa::path(
    put,
    path = "/client/v4/zones/{zone_id}/certificate_authorities/hostname_associations",
    tag = "Hostname associations",
    operation_id = "client-certificate-for-a-zone-put-hostname-associations",
    params(("zone_id" = String, Path, description = "32 hex digits")),
    request_body = ReplaceHostnameAssociations,
    responses((status = 200, description = "The hostnames", body = Answer<HostnameAssociations<'static>>)),
)]
pub(crate) async fn replace(
    State(api): State<Api>,
    ScopeOf(scope): ScopeOf<ZoneScope<WriteCertificates>>,
    body: JsonBody,
) -> Result<Response, ApiError> {
    // Otherwise a client that loses its body would empty the list.
    let body = body.given()?;
    let body = body.object();
    let authority = authority(body.optional_string(AUTHORITY)?)
        .map_err(|message| ApiError::member(body.pointer(AUTHORITY), message))?;
    let hostnames = body.strings("hostnames")?;
    let hostnames = api
        .service
        .hostnames
        .replace(&scope, authority, hostnames)
        .await?;
    envelope::one(HostnameAssociations {
        hostnames: &hostnames,
    })
}

fn authority(text: Option<&str>) -> Result<Option<MtlsCertificateId>, String> {
    text.filter(|text| !text.is_empty())
        .map(str::parse)
        .transpose()
        .map_err(|error| format!("{AUTHORITY} is {error}; leave it out for the managed authority"))
}
