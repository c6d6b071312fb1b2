//! `/certgate/v1/notifications`: not part of Cloudflare's API.

use axum::extract::{RawQuery, State};
use axum::response::Response;
use certgate_model::{
    Backlog, DestinationRecord, Hex, NotificationId, NotificationKind, UndeliveredEvent,
};
use certgate_service::{ManageUser, Outlet, ReadUser, UserScope};
use certgate_wire::{
    Answer, Id, NotificationDestination, PageAnswer, PageQuery, RetriedNotifications,
    TestedDestination, Time, UndeliveredNotification,
};

use crate::envelope;
use crate::error::ApiError;
use crate::query::Query;
use crate::state::Api;

/// List the destinations of notifications
///
/// With their state. The settings of the server name the destinations. Not part of Cloudflare's API.
#[utoipa::path(
    get,
    path = "/certgate/v1/notifications",
    tag = "Notifications",
    operation_id = "notifications-list",
    responses((
        status = 200,
        description = "The destinations",
        body = Answer<Vec<NotificationDestination<'static>>>,
    )),
)]
pub(crate) async fn list(
    State(api): State<Api>,
    _: UserScope<ReadUser>,
) -> Result<Response, ApiError> {
    let mut shown = Vec::new();
    for outlet in api.notifier.outlets() {
        let record = api.store.destination(outlet.name()).await?;
        let backlog = api.store.backlog(outlet.name(), outlet.kinds().to_vec());
        shown.push(destination(outlet, record, backlog.await?));
    }
    envelope::one(shown)
}

/// List undelivered events
///
/// Those that were set aside last come first. A destination has the last 10,000, for 90 days. Not
/// part of Cloudflare's API.
#[utoipa::path(
    get,
    path = "/certgate/v1/notifications/undelivered",
    tag = "Notifications",
    operation_id = "notifications-undelivered-list",
    params(PageQuery),
    responses((
        status = 200,
        description = "A page of events",
        body = PageAnswer<Vec<UndeliveredNotification<'static>>>,
    )),
)]
pub(crate) async fn undelivered(
    State(api): State<Api>,
    _: UserScope<ReadUser>,
    RawQuery(query): RawQuery,
) -> Result<Response, ApiError> {
    let asked = Query::parse(query.as_deref())?.page()?;
    let page = api.store.undelivered_events(asked.slice).await?;
    envelope::list(asked, &page, event)
}

/// Try undelivered events once more
///
/// Each undelivered event gets one more attempt, before the events that wait, and the pauses of the
/// destinations end. An event that fails again stays in the list. Not part of Cloudflare's API.
#[utoipa::path(
    post,
    path = "/certgate/v1/notifications/retry",
    tag = "Notifications",
    operation_id = "notifications-retry",
    responses((
        status = 200,
        description = "The number of events",
        body = Answer<RetriedNotifications>,
    )),
)]
pub(crate) async fn retry(
    State(api): State<Api>,
    scope: UserScope<ManageUser>,
) -> Result<Response, ApiError> {
    let events = api.notifier.retry(&scope).await?;
    envelope::one(RetriedNotifications { events })
}

/// Test the destinations
///
/// Sends an event of type `test` to each destination now, outside of the order of the others. Not
/// part of Cloudflare's API.
#[utoipa::path(
    post,
    path = "/certgate/v1/notifications/test",
    tag = "Notifications",
    operation_id = "notifications-test",
    responses((
        status = 200,
        description = "The outcomes",
        body = Answer<Vec<TestedDestination<'static>>>,
    )),
)]
pub(crate) async fn test(
    State(api): State<Api>,
    scope: UserScope<ManageUser>,
) -> Result<Response, ApiError> {
    let tested = api.notifier.test(&scope).await;
    let shown = tested.into_iter().map(|one| TestedDestination {
        destination: one.name.into(),
        event_id: event_id(one.id).into(),
        delivered: one.error.is_none(),
        milliseconds: one.milliseconds,
        error: one.error.map(Into::into),
    });
    envelope::one(shown.collect::<Vec<_>>())
}

fn destination(
    outlet: &dyn Outlet,
    record: Option<DestinationRecord>,
    backlog: Backlog,
) -> NotificationDestination<'_> {
    let kinds = outlet.kinds().iter().copied().map(NotificationKind::name);
    let record = record.as_ref();
    let time = |read: fn(&DestinationRecord) -> Option<certgate_model::Timestamp>| {
        record.and_then(read).map(Time)
    };
    NotificationDestination {
        name: outlet.name().into(),
        address: outlet.address().into(),
        events: kinds.map(Into::into).collect(),
        begun_on: record.map(|record| Time(record.begun_on)),
        delivered: record.map_or(0, |record| record.delivered),
        delivered_on: time(|record| record.delivered_on),
        backlog: backlog.entries,
        oldest_event_on: backlog.oldest.map(Time),
        failing_since: time(|record| record.failing_since),
        failed_attempts: record.map_or(0, |record| record.attempts),
        next_attempt_on: time(|record| record.attempt_on),
        error: record.and_then(|record| record.error.clone().map(Into::into)),
        undelivered: record.map_or(0, |record| record.undelivered),
    }
}

fn event(event: &UndeliveredEvent) -> UndeliveredNotification<'_> {
    UndeliveredNotification {
        destination: (&event.destination).into(),
        event_id: event_id(event.id).into(),
        kind: event.kind.name().into(),
        object_id: Id(event.object),
        timestamp: Time(event.place.at),
        set_aside_on: Time(event.set_aside_on),
        error: (&event.error).into(),
        is_retried: event.is_retried,
    }
}

fn event_id(id: NotificationId) -> String {
    format!("evt_{}", Hex(&id))
}
