//! `/certgate/v1/accounts/{account_id}/enforcement_points`, and what they follow

use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::extract::{RawQuery, State};
use axum::response::Response;
use certgate_model::{AccountId, EnforcedCertificate, Timestamp};
use certgate_service::{
    AccountScope, CHANGES_MAX, Caller, FollowRevocations, ManageEnforcementPoints,
};
use futures_util::stream;
use http::{HeaderValue, header};
use http_body::Frame;
use http_body_util::StreamBody;
use tokio::sync::OwnedSemaphorePermit;

use crate::body::JsonBody;
use crate::error::ApiError;
use crate::extract::{EnforcementPointPath, ScopeOf};
use crate::openapi::{AcknowledgeEpoch, Answer, RegisterEnforcementPoint};
use crate::query::Query;
use crate::wire::{Deleted, EnforcementPoint, RevocationChanges, RevokedCertificate};
use crate::{Api, STREAMS_MAX, envelope};

/// After how long without a change a follower is told that there was none, and its token is looked at again.
const STREAM_PAUSE: Duration = Duration::from_secs(10);

/// List enforcement points
///
/// With what each has acknowledged, and whether it lags. Not part of Cloudflare's API.
#[utoipa::path(
    get,
    path = "/certgate/v1/accounts/{account_id}/enforcement_points",
    tag = "Enforcement points",
    operation_id = "enforcement-points-list",
    params(("account_id" = String, Path, description = "32 hex digits")),
    responses((status = 200, description = "All of them, by name", body = Answer<Vec<EnforcementPoint>>)),
)]
pub(crate) async fn list(
    State(api): State<Api>,
    ScopeOf(scope): ScopeOf<AccountScope<FollowRevocations>>,
) -> Result<Response, ApiError> {
    let last = api.store.account_epoch(scope.account().id).await?;
    let points = api.store.enforcement_points(scope.account().id).await?;
    let now = api.clock.now();
    let points: Vec<_> = points
        .into_iter()
        .map(|point| EnforcementPoint::at(now, last, point))
        .collect();
    envelope::one(points)
}

/// Register an enforcement point
///
/// From now on a change of the account's certificates settles only when this enforcement point has acknowledged it, or was
/// silent for longer than its lease. Registering a name again renews the lease. Not part of Cloudflare's API.
#[utoipa::path(
    post,
    path = "/certgate/v1/accounts/{account_id}/enforcement_points",
    tag = "Enforcement points",
    operation_id = "enforcement-points-register",
    params(("account_id" = String, Path, description = "32 hex digits")),
    request_body = RegisterEnforcementPoint,
    responses((status = 200, description = "The enforcement point", body = Answer<EnforcementPoint>)),
)]
pub(crate) async fn register(
    State(api): State<Api>,
    ScopeOf(scope): ScopeOf<AccountScope<ManageEnforcementPoints>>,
    body: JsonBody,
) -> Result<Response, ApiError> {
    let body = body.object();
    let lease = body
        .value("lease_seconds")
        .map(|_| body.integer("lease_seconds"))
        .transpose()?;
    let point = api
        .service
        .enforcement_points
        .register(&scope, body.string("name")?, lease)
        .await?;
    let last = api.store.account_epoch(scope.account().id).await?;
    envelope::one(EnforcementPoint::at(api.clock.now(), last, point))
}

/// Delete an enforcement point
///
/// Nobody waits for it any more. Not part of Cloudflare's API.
#[utoipa::path(
    delete,
    path = "/certgate/v1/accounts/{account_id}/enforcement_points/{enforcement_point_id}",
    tag = "Enforcement points",
    operation_id = "enforcement-points-delete",
    params(
        ("account_id" = String, Path, description = "32 hex digits"),
        ("enforcement_point_id" = String, Path, description = "32 hex digits"),
    ),
    responses((status = 200, description = "The id of the deleted enforcement point", body = Answer<Deleted>)),
)]
pub(crate) async fn delete(
    State(api): State<Api>,
    ScopeOf(scope): ScopeOf<AccountScope<ManageEnforcementPoints>>,
    EnforcementPointPath(id): EnforcementPointPath,
) -> Result<Response, ApiError> {
    api.service.enforcement_points.delete(&scope, id).await?;
    envelope::one(Deleted { id: id.to_string() })
}

/// Acknowledge changes
///
/// Everything up to `epoch` is in force at the enforcement point. Renews its lease, also where nothing is new: to be called
/// before the lease ends. Not part of Cloudflare's API.
#[utoipa::path(
    put,
    path = "/certgate/v1/accounts/{account_id}/enforcement_points/{enforcement_point_id}/acknowledgement",
    tag = "Enforcement points",
    operation_id = "enforcement-points-acknowledge",
    params(
        ("account_id" = String, Path, description = "32 hex digits"),
        ("enforcement_point_id" = String, Path, description = "32 hex digits"),
    ),
    request_body = AcknowledgeEpoch,
    responses((status = 200, description = "The enforcement point", body = Answer<EnforcementPoint>)),
)]
pub(crate) async fn acknowledge(
    State(api): State<Api>,
    ScopeOf(scope): ScopeOf<AccountScope<ManageEnforcementPoints>>,
    EnforcementPointPath(id): EnforcementPointPath,
    body: JsonBody,
) -> Result<Response, ApiError> {
    let epoch = body.object().integer("epoch")?;
    let point = api
        .service
        .enforcement_points
        .acknowledge(&scope, id, epoch)
        .await?;
    let last = api.store.account_epoch(scope.account().id).await?;
    envelope::one(EnforcementPoint::at(api.clock.now(), last, point))
}

/// Changes after an epoch
///
/// For each certificate that was revoked or restored since, its state, in the order of the changes: at most 1,000, the same
/// call with the answer's `epoch` brings the next. With `wait_seconds`, an answer without changes comes only after that
/// time. Not part of Cloudflare's API.
#[utoipa::path(
    get,
    path = "/certgate/v1/accounts/{account_id}/revocation_changes",
    tag = "Enforcement points",
    operation_id = "revocation-changes-list",
    params(
        ("account_id" = String, Path, description = "32 hex digits"),
        ("after" = Option<u64>, Query, description = "Epoch up to which everything is known; default 0", minimum = 0, maximum = 9_007_199_254_740_991_u64),
        ("wait_seconds" = Option<u64>, Query, description = "How long to wait for a change; default 0", minimum = 0, maximum = 20),
    ),
    responses((status = 200, description = "The changes", body = Answer<RevocationChanges>)),
)]
pub(crate) async fn changes(
    State(api): State<Api>,
    ScopeOf(scope): ScopeOf<AccountScope<FollowRevocations>>,
    RawQuery(query): RawQuery,
) -> Result<Response, ApiError> {
    let (after, wait_seconds) = Query::parse(query.as_deref())?.revocation_changes()?;
    // An answer must come before the request is given up.
    let wait = Duration::from_secs(wait_seconds).min(api.request_timeout / 2);
    let found = Box::pin(api.service.feed.changes(&scope, after, CHANGES_MAX, wait)).await?;
    envelope::one(RevocationChanges::from(found))
}

/// Changes after an epoch, as they come
///
/// One JSON object a line (`application/x-ndjson`), each as the list of changes answers: first with what there is, then with
/// what comes; one without changes after ten seconds in which nothing came. Ends after `for_seconds`, when the token is not
/// good any more, and when certgate stops: go on with the last line's `epoch`. Not part of Cloudflare's API.
#[utoipa::path(
    get,
    path = "/certgate/v1/accounts/{account_id}/revocation_stream",
    tag = "Enforcement points",
    operation_id = "revocation-changes-stream",
    params(
        ("account_id" = String, Path, description = "32 hex digits"),
        ("after" = Option<u64>, Query, description = "Epoch up to which everything is known; default 0", minimum = 0, maximum = 9_007_199_254_740_991_u64),
        ("for_seconds" = Option<u64>, Query, description = "How long the answer goes on; default 300", minimum = 0, maximum = 3600),
    ),
    responses((status = 200, description = "The changes, a line each time", body = String, content_type = "application/x-ndjson")),
)]
pub(crate) async fn stream(
    State(api): State<Api>,
    ScopeOf(scope): ScopeOf<AccountScope<FollowRevocations>>,
    RawQuery(query): RawQuery,
) -> Result<Response, ApiError> {
    let (after, seconds) = Query::parse(query.as_deref())?.revocation_stream()?;
    let place = api
        .stream_place()
        .ok_or_else(|| ApiError::too_many_streams(STREAMS_MAX))?;
    // The first line is read before the head is sent: an epoch that is not known is refused.
    let found = Box::pin(
        api.service
            .feed
            .changes(&scope, after, CHANGES_MAX, Duration::ZERO),
    )
    .await?;
    let end = api
        .clock
        .now()
        .plus_seconds(i64::try_from(seconds).unwrap_or(i64::MAX));
    let caller = scope.caller().clone();
    let follower = Follower {
        api,
        caller,
        account: scope.account().id,
        end,
        _place: place,
    };
    let lines = stream::unfold(
        (follower, Some(found), after),
        |(follower, first, epoch)| async move {
            let found = match first {
                Some(first) => first,
                None => Box::pin(follower.next(epoch)).await?,
            };
            let epoch = found.epoch;
            let line =
                serde_json::to_string(&RevocationChanges::from(found)).map(|line| line + "\n");
            let frame = line
                .map(|line| Frame::data(Bytes::from(line)))
                .map_err(std::io::Error::other);
            Some((frame, (follower, None, epoch)))
        },
    );
    Ok(ndjson(Body::new(StreamBody::new(Box::pin(lines)))))
}

/// Whoever reads changes as they come.
struct Follower {
    api: Api,
    caller: Caller,
    account: AccountId,
    end: Timestamp,
    _place: OwnedSemaphorePermit,
}

impl Follower {
    /// The changes after `epoch`, or that there were none for a while; `None`: that is the end.
    async fn next(&self, epoch: u64) -> Option<certgate_service::RevocationChanges> {
        let left = self.end.duration_since(self.api.clock.now());
        if left.is_zero() || self.api.service.signals.is_ending() {
            return None;
        }
        let wait = left.min(STREAM_PAUSE);
        let found = self.changes(epoch, wait).await;
        if let Err(error) = &found {
            tracing::debug!(error = %error.message, "a stream of changes ended");
        }
        found.ok()
    }

    async fn changes(
        &self,
        epoch: u64,
        wait: Duration,
    ) -> Result<certgate_service::RevocationChanges, ApiError> {
        let scope = self.scope().await?;
        let found = self
            .api
            .service
            .feed
            .changes(&scope, epoch, CHANGES_MAX, wait)
            .await?;
        // It may have been taken away while nothing came.
        self.scope().await?;
        Ok(found)
    }

    async fn scope(&self) -> Result<AccountScope<FollowRevocations>, ApiError> {
        let caller = self
            .api
            .service
            .access
            .authenticate_again(&self.caller)
            .await?;
        Ok(self
            .api
            .service
            .access
            .account_scope(&caller, self.account)
            .await?)
    }
}

/// Everything that is revoked
///
/// One JSON object a line (`application/x-ndjson`): first `{"epoch"}`, then each revoked certificate of the account that has
/// not expired, at last `{"count"}`, without which the list is not whole. Changes after the epoch complete it. Not part of
/// Cloudflare's API.
#[utoipa::path(
    get,
    path = "/certgate/v1/accounts/{account_id}/revocations",
    tag = "Enforcement points",
    operation_id = "revocations-list",
    params(("account_id" = String, Path, description = "32 hex digits")),
    responses((status = 200, description = "The revoked certificates, a line each", body = String, content_type = "application/x-ndjson")),
)]
pub(crate) async fn revoked(
    State(api): State<Api>,
    ScopeOf(scope): ScopeOf<AccountScope<FollowRevocations>>,
) -> Result<Response, ApiError> {
    let epoch = api.service.feed.epoch(&scope).await?;
    let first = Bytes::from(format!("{{\"epoch\":{epoch}}}\n"));
    let now = api.clock.now();
    let state = Some((None, 0_u64));
    let lines = stream::unfold(
        (api, scope, state, Some(first)),
        move |(api, scope, state, first)| async move {
            if let Some(first) = first {
                return Some((Ok(Frame::data(first)), (api, scope, state, None)));
            }
            let (cursor, count) = state?;
            let part = api.service.feed.revoked(&scope, now, cursor).await;
            let (frame, state) = match part {
                // Cut off without the last line, which tells the reader.
                Err(fault) => (Err(std::io::Error::other(fault)), None),
                Ok((certificates, next)) => {
                    let count = count + certificates.len() as u64;
                    let mut text = lines_of(&certificates);
                    if next.is_none() {
                        text.push_str(&format!("{{\"count\":{count}}}\n"));
                    }
                    (
                        Ok(Frame::data(Bytes::from(text))),
                        next.map(|next| (Some(next), count)),
                    )
                }
            };
            Some((frame, (api, scope, state, None)))
        },
    );
    Ok(ndjson(Body::new(StreamBody::new(Box::pin(lines)))))
}

fn ndjson(body: Body) -> Response {
    let mut response = Response::new(body);
    response.headers_mut().insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("application/x-ndjson"),
    );
    response
}

fn lines_of(certificates: &[EnforcedCertificate]) -> String {
    const LINE_BYTES: usize = 220;
    let mut text = String::with_capacity(certificates.len() * LINE_BYTES);
    for certificate in certificates {
        let line = serde_json::to_string(&RevokedCertificate::from(*certificate));
        text.push_str(&line.expect("strings always serialise"));
        text.push('\n');
    }
    text
}
