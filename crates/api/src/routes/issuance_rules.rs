//! `/certgate/v1/zones/{zone_id}/issuance_rules`: not part of Cloudflare's API.

use axum::extract::State;
use axum::response::Response;
use certgate_service::{ManageZones, ReadZones, ZoneScope};
use certgate_wire::{Answer, IssuanceRuleSet, ZonePath};

use crate::body::RequiredBody;
use crate::envelope;
use crate::error::ApiError;
use crate::error_translation::zone_error;
use crate::issuance_rules::{rules, shown};
use crate::state::Api;

/// Get the issuance rules of a zone
///
/// Limits on its certificates; `{}`: there are none. Not part of Cloudflare's API.
#[utoipa::path(
    get,
    path = "/certgate/v1/zones/{zone_id}/issuance_rules",
    tag = "Zones",
    operation_id = "issuance-rules-get",
    params(ZonePath),
    responses((status = 200, description = "The rules", body = Answer<IssuanceRuleSet>)),
)]
pub(crate) async fn get(
    State(api): State<Api>,
    scope: ZoneScope<ReadZones>,
) -> Result<Response, ApiError> {
    let zone = api.store.zone(scope.zone().id).await?;
    let zone = zone.ok_or_else(ApiError::no_tenant)?;
    envelope::one(shown(&zone.issuance_rules).unwrap_or_default())
}

/// Replace the issuance rules of a zone
///
/// They apply to every token, together with the rules of the token. `{}` removes all of them. Not
/// part of Cloudflare's API.
#[utoipa::path(
    put,
    path = "/certgate/v1/zones/{zone_id}/issuance_rules",
    tag = "Zones",
    operation_id = "issuance-rules-replace",
    params(ZonePath),
    request_body = IssuanceRuleSet,
    responses((status = 200, description = "The new rules", body = Answer<IssuanceRuleSet>)),
)]
pub(crate) async fn replace(
    State(api): State<Api>,
    scope: ZoneScope<ManageZones>,
    RequiredBody(body): RequiredBody<IssuanceRuleSet>,
) -> Result<Response, ApiError> {
    let rules = rules(body, "")?;
    for (number, id) in rules.enrolment.trusted_cas.iter().enumerate() {
        let account = scope.zone().account;
        let found = api.store.mtls_certificate(account, *id).await?;
        if !found.is_some_and(|found| found.ca) {
            let message = format!("the account has no uploaded CA {id}: upload its certificate");
            let pointer = format!("/enrolment/trusted_cas/{number}");
            return Err(ApiError::member(pointer, message));
        }
    }
    let tenants = &api.service.tenants;
    let replaced = tenants.replace_issuance_rules(&scope, rules).await;
    let zone = replaced.map_err(zone_error)?;
    envelope::one(shown(&zone.issuance_rules).unwrap_or_default())
}
