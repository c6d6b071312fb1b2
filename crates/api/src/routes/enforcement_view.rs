//! The configuration of enforcement points: not part of Cloudflare's API.

use axum::extract::State;
use axum::response::Response;
use certgate_service::{AccountScope, FollowRevocations};
use certgate_wire::{AccountPath, Answer, EnforcementView};

use crate::enforcement_objects::enforcement_view;
use crate::envelope;
use crate::error::ApiError;
use crate::state::Api;

/// Get the configuration of enforcement points
///
/// The hostnames of the account that ask for client certificates, with the CAs whose certificates
/// each accepts, and the certificates of these CAs. All of it is of one instant. A change takes an
/// epoch, and the list and the stream of changes announce it. Not part of Cloudflare's API.
#[utoipa::path(
    get,
    path = "/certgate/v1/accounts/{account_id}/enforcement",
    tag = "Enforcement points",
    operation_id = "enforcement-view",
    params(AccountPath),
    responses((
        status = 200,
        description = "Hostnames and CAs",
        body = Answer<EnforcementView<'static>>,
    )),
)]
pub(crate) async fn get(
    State(api): State<Api>,
    scope: AccountScope<FollowRevocations>,
) -> Result<Response, ApiError> {
    let account = scope.account().id;
    let configuration = api.store.enforced_configuration(account).await?;
    envelope::one(enforcement_view(&configuration)?)
}
