//! `/certgate/v1/accounts/{account_id}/enforcement_points`: not part of Cloudflare's API.

use axum::extract::State;
use axum::response::Response;
use certgate_service::{
    AccountScope, DeletePoints, EnforcementPointDraft, FollowRevocations, ManageEnforcementPoints,
};
use certgate_wire::{
    AccountPath, AcknowledgeEpoch, Answer, Deleted, EnforcementPoint, EnforcementPointPath,
    RegisterEnforcementPoint,
};

use crate::body::Body;
use crate::enforcement_objects::enforcement_point;
use crate::envelope;
use crate::error::ApiError;
use crate::state::Api;

/// List enforcement points
///
/// With the epoch that each has acknowledged, and its state. Not part of Cloudflare's API.
#[utoipa::path(
    get,
    path = "/certgate/v1/accounts/{account_id}/enforcement_points",
    tag = "Enforcement points",
    operation_id = "enforcement-points-list",
    params(AccountPath),
    responses((
        status = 200,
        description = "All of them, by name",
        body = Answer<Vec<EnforcementPoint<'static>>>,
    )),
)]
pub(crate) async fn list(
    State(api): State<Api>,
    scope: AccountScope<FollowRevocations>,
) -> Result<Response, ApiError> {
    let last = api.store.account_epoch(scope.account().id).await?;
    let points = api.store.enforcement_points(scope.account().id).await?;
    let now = api.clock.now();
    let points = points
        .iter()
        .map(|point| enforcement_point(now, last, point));
    envelope::one(Vec::from_iter(points))
}

/// Register an enforcement point
///
/// From now on, a change of the account's certificates settles only after this enforcement point
/// has acknowledged it, or its lease has ended. Register the same name again to renew the lease.
/// `covers` and `when_stale` are shown to operators. A point that is silent for `forget_seconds` is
/// deleted. Only this token can renew the lease and acknowledge changes. Not part of Cloudflare's API.
#[utoipa::path(
    post,
    path = "/certgate/v1/accounts/{account_id}/enforcement_points",
    tag = "Enforcement points",
    operation_id = "enforcement-points-register",
    params(AccountPath),
    request_body = RegisterEnforcementPoint<'static>,
    responses((
        status = 200,
        description = "The enforcement point",
        body = Answer<EnforcementPoint<'static>>,
    )),
)]
pub(crate) async fn register(
    State(api): State<Api>,
    scope: AccountScope<ManageEnforcementPoints>,
    Body(body): Body<RegisterEnforcementPoint<'static>>,
) -> Result<Response, ApiError> {
    let draft = EnforcementPointDraft {
        name: body.name.into_owned(),
        lease_seconds: body.lease_seconds.map(|seconds| seconds.0),
        covers: body
            .covers
            .map(|names| names.into_iter().map(|name| name.0).collect()),
        when_stale: body.when_stale.map(|name| name.0),
        forget_seconds: body.forget_seconds.map(|seconds| seconds.0),
    };
    let points = &api.service.enforcement_points;
    let point = points.register(&scope, draft).await?;
    let last = api.store.account_epoch(scope.account().id).await?;
    envelope::one(enforcement_point(api.clock.now(), last, &point))
}

/// Delete an enforcement point
///
/// Changes stop waiting for it. A token with Account Settings Write can also delete an enforcement
/// point that another token registered. Not part of Cloudflare's API.
#[utoipa::path(
    delete,
    path = "/certgate/v1/accounts/{account_id}/enforcement_points/{enforcement_point_id}",
    tag = "Enforcement points",
    operation_id = "enforcement-points-delete",
    params(EnforcementPointPath),
    responses((
        status = 200,
        description = "The ID of the deleted enforcement point",
        body = Answer<Deleted>,
    )),
)]
pub(crate) async fn delete(
    State(api): State<Api>,
    scope: DeletePoints,
    path: EnforcementPointPath,
) -> Result<Response, ApiError> {
    let id = path.enforcement_point_id;
    let points = &api.service.enforcement_points;
    points.delete(&scope, id.into()).await?;
    envelope::one(Deleted { id })
}

/// Acknowledge changes
///
/// The enforcement point enforces every change up to `epoch`. This also renews its lease: call it
/// before the lease ends, even without a new change. Not part of Cloudflare's API.
#[utoipa::path(
    put,
    path = "/certgate/v1/accounts/{account_id}/enforcement_points/{enforcement_point_id}/acknowledgement",
    tag = "Enforcement points",
    operation_id = "enforcement-points-acknowledge",
    params(EnforcementPointPath),
    request_body = AcknowledgeEpoch,
    responses((
        status = 200,
        description = "The enforcement point",
        body = Answer<EnforcementPoint<'static>>,
    )),
)]
pub(crate) async fn acknowledge(
    State(api): State<Api>,
    scope: AccountScope<ManageEnforcementPoints>,
    path: EnforcementPointPath,
    Body(body): Body<AcknowledgeEpoch>,
) -> Result<Response, ApiError> {
    let id = path.enforcement_point_id.into();
    let points = &api.service.enforcement_points;
    let point = points.acknowledge(&scope, id, body.epoch.0).await?;
    let last = api.store.account_epoch(scope.account().id).await?;
    envelope::one(enforcement_point(api.clock.now(), last, &point))
}
