//! `/certgate/v1/zones/{zone_id}/client_certificates/adopt`: not part of Cloudflare's API.

use std::borrow::Cow;

use axum::extract::State;
use axum::response::Response;
use certgate_service::{AdoptForeign, ZoneScope};
use certgate_wire::{AdoptCertificates, AdoptedCertificate, AdoptionProblem, Answer, ZonePath};

use crate::body::LargeBody;
use crate::envelope;
use crate::error::ApiError;
use crate::error_translation::adoption_code;
use crate::state::Api;

/// Record client certificates that were issued elsewhere
///
/// A managed CA of the account must have issued them. They are then listed, and you can revoke and
/// restore them. Each certificate has its own outcome. To send one again changes nothing. Not part
/// of Cloudflare's API.
#[utoipa::path(
    post,
    path = "/certgate/v1/zones/{zone_id}/client_certificates/adopt",
    tag = "Client certificates",
    operation_id = "client-certificates-adopt",
    params(ZonePath),
    request_body = AdoptCertificates<'static>,
    responses((
        status = 200,
        description = "The outcome for each certificate",
        body = Answer<Vec<AdoptedCertificate<'static>>>,
    )),
)]
pub(crate) async fn adopt(
    State(api): State<Api>,
    scope: ZoneScope<AdoptForeign>,
    LargeBody(body): LargeBody<AdoptCertificates<'static>>,
) -> Result<Response, ApiError> {
    let certificates = body.certificates.into_iter().map(Cow::into_owned).collect();
    let lines = Box::pin(api.service.adopting.adopt(&scope, certificates)).await?;
    let shown = (0..).zip(&lines).map(|(index, line)| AdoptedCertificate {
        index,
        id: line.as_ref().ok().map(|id| (*id).into()),
        error: line.as_ref().err().map(|error| AdoptionProblem {
            code: adoption_code(error).number(),
            message: error.to_string().into(),
        }),
    });
    envelope::one(Vec::from_iter(shown))
}
