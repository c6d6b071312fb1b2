//! The revocations that enforcement points follow: not part of Cloudflare's API.

use std::io;
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::extract::{RawQuery, State};
use axum::response::Response;
use certgate_model::{AccountId, EnforcedCertificate, Timestamp};
use certgate_service::{AccountScope, CHANGES_MAX, Caller, FollowRevocations, RevocationChanges};
use certgate_wire::{
    AccountPath, Answer, RevocationChangesQuery, RevocationFeed, RevocationStreamQuery,
};
use futures_util::stream::{self, Stream};
use http::HeaderMap;
use http_body::Frame;
use http_body_util::StreamBody;

use crate::enforcement_objects::{revocation_feed, revoked_certificate};
use crate::envelope;
use crate::error::ApiError;
use crate::followers::FollowerPlace;
use crate::query::Query;
use crate::response::typed;
use crate::sorted_serials;
use crate::state::Api;

/// A pause without a change, after which the server sends a line without changes and checks the
/// follower's token again.
const STREAM_PAUSE: Duration = Duration::from_secs(10);

/// List the changes after an epoch
///
/// The state of each certificate that was revoked or restored after the epoch, in the order of the
/// changes: at most 1,000. Repeat the call with the answer's `epoch` to get the next ones. With
/// `wait_seconds`, an answer without changes comes only after that time. Not part of Cloudflare's
/// API.
#[utoipa::path(
    get,
    path = "/certgate/v1/accounts/{account_id}/revocation_changes",
    tag = "Enforcement points",
    operation_id = "revocation-changes-list",
    params(AccountPath, RevocationChangesQuery),
    responses((status = 200, description = "The changes", body = Answer<RevocationFeed>)),
)]
pub(crate) async fn changes(
    State(api): State<Api>,
    scope: AccountScope<FollowRevocations>,
    RawQuery(query): RawQuery,
) -> Result<Response, ApiError> {
    let (after, wait_seconds) = Query::parse(query.as_deref())?.revocation_changes()?;
    // The answer must come before the request times out.
    let wait = Duration::from_secs(wait_seconds).min(api.request_timeout / 2);
    let _place = match wait_seconds {
        0 => None,
        _ => Some(api.followers().begin(&scope)?),
    };
    let found = api.service.feed.changes(&scope, after, CHANGES_MAX, wait);
    let found = Box::pin(found).await?;
    envelope::one(revocation_feed(&found))
}

/// Follow the changes after an epoch
///
/// One JSON object per line (`application/x-ndjson`), in the form of the list of changes: first the
/// present changes, then each new one, and a line without changes after ten seconds without a new
/// one. The answer ends after `for_seconds`, when the token is not valid any more, and when the
/// server stops. Continue with the `epoch` of the last line. Not part of Cloudflare's API.
#[utoipa::path(
    get,
    path = "/certgate/v1/accounts/{account_id}/revocation_stream",
    tag = "Enforcement points",
    operation_id = "revocation-changes-stream",
    params(AccountPath, RevocationStreamQuery),
    responses((
        status = 200,
        description = "Lines of changes",
        body = String,
        content_type = "application/x-ndjson",
    )),
)]
pub(crate) async fn stream(
    State(api): State<Api>,
    scope: AccountScope<FollowRevocations>,
    RawQuery(query): RawQuery,
) -> Result<Response, ApiError> {
    let (after, seconds) = Query::parse(query.as_deref())?.revocation_stream()?;
    let place = api.followers().begin(&scope)?;
    // The first line is read before the head is sent, so that an unknown epoch can be refused.
    let found = api
        .service
        .feed
        .changes(&scope, after, CHANGES_MAX, Duration::ZERO);
    let found = Box::pin(found).await?;
    let follower = Follower {
        begun: api.clock.now(),
        seconds: i64::try_from(seconds).unwrap_or(i64::MAX),
        api,
        caller: scope.caller().clone(),
        account: scope.account().id,
        _place: place,
    };
    let state = (follower, Some(found), after);
    let lines = stream::unfold(state, |(follower, first, epoch)| async move {
        let found = match first {
            Some(first) => first,
            None => Box::pin(follower.next(epoch)).await?,
        };
        let line = serde_json::to_string(&revocation_feed(&found)).map(|line| line + "\n");
        let frame = line
            .map(|line| Frame::data(Bytes::from(line)))
            .map_err(io::Error::other);
        Some((frame, (follower, None, found.epoch)))
    });
    Ok(ndjson(lines))
}

/// A client that follows changes.
struct Follower {
    api: Api,
    caller: Caller,
    account: AccountId,
    begun: Timestamp,
    seconds: i64,
    _place: FollowerPlace,
}

impl Follower {
    /// Waits for changes after `epoch`; without any, returns none after a pause. [`None`]: the
    /// stream ends.
    async fn next(&self, epoch: u64) -> Option<RevocationChanges> {
        // A clock that was set back ends the stream: the client opens another one.
        let now = self.api.clock.now();
        if !self.begun.until(now).is_within(self.seconds) || self.api.service.signals.is_ending() {
            return None;
        }
        let left = now.until(self.begun.plus_seconds(self.seconds)).duration();
        let found = self.changes(epoch, left.min(STREAM_PAUSE)).await;
        if let Err(error) = &found {
            tracing::debug!(error = %error.message, "a stream of changes ended");
        }
        found.ok()
    }

    async fn changes(&self, epoch: u64, wait: Duration) -> Result<RevocationChanges, ApiError> {
        let scope = self.scope().await?;
        let feed = &self.api.service.feed;
        let found = feed.changes(&scope, epoch, CHANGES_MAX, wait).await?;
        // The permission may have been withdrawn during the wait.
        self.scope().await?;
        Ok(found)
    }

    async fn scope(&self) -> Result<AccountScope<FollowRevocations>, ApiError> {
        let access = &self.api.service.access;
        let caller = access.authenticate_again(&self.caller).await?;
        Ok(access.account_scope(&caller, self.account).await?)
    }
}

/// List the revoked certificates
///
/// One JSON object per line (`application/x-ndjson`): first `{"epoch"}`, then each revoked
/// certificate of the account that has not expired, last `{"count"}`. A list without its last line
/// is incomplete. The changes after the epoch complete the list. With
/// `Accept: application/vnd.certgate.revocations`, the answer has a compact binary form instead: the
/// sorted serial numbers of each CA. Not part of Cloudflare's API.
#[utoipa::path(
    get,
    path = "/certgate/v1/accounts/{account_id}/revocations",
    tag = "Enforcement points",
    operation_id = "revocations-list",
    params(AccountPath),
    responses((
        status = 200,
        description = "Lines of revoked certificates, or the binary form",
        content(
            (String = "application/x-ndjson"),
            (String = "application/vnd.certgate.revocations"),
        ),
    )),
)]
pub(crate) async fn revoked(
    State(api): State<Api>,
    scope: AccountScope<FollowRevocations>,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    if sorted_serials::is_accepted(&headers) {
        let now = api.clock.now();
        return sorted_serials::answer(api, scope, now).await;
    }
    let epoch = api.service.feed.epoch(&scope).await?;
    let first = Bytes::from(format!("{{\"epoch\":{epoch}}}\n"));
    let now = api.clock.now();
    let state = (api, scope, Some((None, 0_u64)), Some(first));
    let lines = stream::unfold(state, move |(api, scope, position, first)| async move {
        if let Some(first) = first {
            return Some((Ok(Frame::data(first)), (api, scope, position, None)));
        }
        let (cursor, count) = position?;
        let part = api.service.feed.revoked(&scope, now, cursor).await;
        let (frame, position) = match part {
            // The list ends without its last line, which the reader notices.
            Err(fault) => (Err(io::Error::other(fault)), None),
            Ok((certificates, next)) => {
                let count = count + certificates.len() as u64;
                let mut text = lines_of(&certificates);
                if next.is_none() {
                    text.push_str(&format!("{{\"count\":{count}}}\n"));
                }
                let frame = Frame::data(Bytes::from(text));
                (Ok(frame), next.map(|next| (Some(next), count)))
            }
        };
        Some((frame, (api, scope, position, None)))
    });
    Ok(ndjson(lines))
}

/// Answers with lines of JSON, each sent when it is ready.
fn ndjson<S>(lines: S) -> Response
where
    S: Stream<Item = io::Result<Frame<Bytes>>> + Send + 'static,
{
    typed(
        "application/x-ndjson",
        Body::new(StreamBody::new(Box::pin(lines))),
    )
}

fn lines_of(certificates: &[EnforcedCertificate]) -> String {
    const LINE_BYTES: usize = 220;
    let mut text = String::with_capacity(certificates.len() * LINE_BYTES);
    for certificate in certificates {
        let line = serde_json::to_string(&revoked_certificate(certificate));
        text.push_str(&line.expect("strings always serialise"));
        text.push('\n');
    }
    text
}
