//! `/zones/{zone_id}/certificate_authorities/hostname_associations`

use axum::extract::{RawQuery, State};
use axum::response::Response;
use certgate_model::MtlsCertificateId;
use certgate_service::{ReadHostnames, WriteHostnames, ZoneScope};
use certgate_wire::{
    Answer, HostnameAssociations, HostnameAssociationsQuery, ReplaceHostnameAssociations, ZonePath,
};

use crate::body::RequiredBody;
use crate::envelope;
use crate::error::ApiError;
use crate::query::Query;
use crate::state::Api;

/// The query parameter and the member of the body; `""` counts as absent.
const CA: &str = "mtls_certificate_id";

/// List hostname associations
///
/// The hostnames that ask for client certificates of one CA, in the order and spelling of the
/// request that set them.
#[utoipa::path(
    get,
    path = "/client/v4/zones/{zone_id}/certificate_authorities/hostname_associations",
    tag = "Hostname associations",
    operation_id = "client-certificate-for-a-zone-list-hostname-associations",
    params(ZonePath, HostnameAssociationsQuery),
    responses((
        status = 200,
        description = "The hostnames",
        body = Answer<HostnameAssociations<'static>>,
    )),
)]
pub(crate) async fn list(
    State(api): State<Api>,
    scope: ZoneScope<ReadHostnames>,
    RawQuery(query): RawQuery,
) -> Result<Response, ApiError> {
    let query = Query::parse(query.as_deref())?;
    let ca = ca(query.one(CA)?).map_err(|message| ApiError::parameter(CA, message))?;
    let found = api.store.hostname_associations(scope.zone().id, ca);
    let hostnames = found.await?.ok_or_else(|| match ca {
        Some(_) => ApiError::mtls_certificate_not_found().at(CA),
        // The zone was deleted meanwhile.
        None => ApiError::no_tenant(),
    })?;
    envelope::one(HostnameAssociations {
        hostnames: hostnames.into(),
    })
}

/// Replace hostname associations
///
/// Replaces the whole list of one CA. A hostname is the zone's name or below it, without a wildcard
/// or a dot at its end, and in no list of another zone. With an empty list, no hostname of the zone
/// asks for client certificates of the CA.
#[utoipa::path(
    put,
    path = "/client/v4/zones/{zone_id}/certificate_authorities/hostname_associations",
    tag = "Hostname associations",
    operation_id = "client-certificate-for-a-zone-put-hostname-associations",
    params(ZonePath),
    request_body = ReplaceHostnameAssociations<'static>,
    responses((
        status = 200,
        description = "The hostnames",
        body = Answer<HostnameAssociations<'static>>,
    )),
)]
pub(crate) async fn replace(
    State(api): State<Api>,
    scope: ZoneScope<WriteHostnames>,
    // Required: otherwise a client that loses its body would empty the list.
    RequiredBody(body): RequiredBody<ReplaceHostnameAssociations<'static>>,
) -> Result<Response, ApiError> {
    let ca = ca(body.mtls_certificate_id.as_deref())
        .map_err(|message| ApiError::member(format!("/{CA}"), message))?;
    let hostnames = body.hostnames.unwrap_or_default().into_owned();
    let hostnames = api.service.hostnames.replace(&scope, ca, hostnames).await?;
    envelope::one(HostnameAssociations {
        hostnames: hostnames.into(),
    })
}

/// Reads the ID of an uploaded CA; [`None`] stands for the managed one.
fn ca(text: Option<&str>) -> Result<Option<MtlsCertificateId>, String> {
    text.filter(|text| !text.is_empty())
        .map(str::parse)
        .transpose()
        .map_err(|error| format!("{CA} is {error}: omit it for the managed CA"))
}
