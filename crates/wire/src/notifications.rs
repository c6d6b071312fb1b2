//! `/notifications`

use std::borrow::Cow;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{Id, Time};

/// A destination of notifications and its state.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct NotificationDestination<'a> {
    /// `webhook` or `email`.
    pub name: Cow<'a, str>,
    /// Its address, without a path or a secret.
    pub address: Cow<'a, str>,
    /// The types of events that it gets.
    pub events: Vec<Cow<'a, str>>,
    /// The time from which on it gets events.
    #[schema(required = true)]
    pub begun_on: Option<Time>,
    /// The number of delivered events.
    pub delivered: u64,
    /// The time of the last delivery.
    #[schema(required = true)]
    pub delivered_on: Option<Time>,
    /// The number of entries of the audit logs, and of other events, that are not looked at yet: at
    /// least the number of events that wait.
    pub backlog: u64,
    /// The time of the event that waits longest.
    #[schema(required = true)]
    pub oldest_event_on: Option<Time>,
    /// The time of the first failure after the last delivery; null without one.
    #[schema(required = true)]
    pub failing_since: Option<Time>,
    /// The number of attempts that failed since then.
    pub failed_attempts: u64,
    /// The time of the next attempt after a failure.
    #[schema(required = true)]
    pub next_attempt_on: Option<Time>,
    /// The reason of the last failure.
    #[schema(required = true)]
    pub error: Option<Cow<'a, str>>,
    /// The number of events that were set aside and are listed.
    pub undelivered: u64,
}

/// An event that was not delivered in time.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct UndeliveredNotification<'a> {
    /// The destination.
    pub destination: Cow<'a, str>,
    /// The ID of the event.
    pub event_id: Cow<'a, str>,
    /// The type of the event.
    #[serde(rename = "type")]
    pub kind: Cow<'a, str>,
    /// The ID of the certificate, zone, CA or enforcement point.
    pub object_id: Id,
    /// The time of the event.
    pub timestamp: Time,
    /// The time at which it was set aside.
    pub set_aside_on: Time,
    /// The reason of the last failure.
    pub error: Cow<'a, str>,
    /// True: one more attempt is to come.
    pub is_retried: bool,
}

/// The answer to a request to try undelivered events once more.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct RetriedNotifications {
    /// The number of events that are tried.
    pub events: u64,
}

/// The outcome of a test of a destination.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct TestedDestination<'a> {
    /// The destination.
    pub destination: Cow<'a, str>,
    /// The ID of the event.
    pub event_id: Cow<'a, str>,
    /// True: the destination accepted it.
    pub delivered: bool,
    /// The time that it took, in milliseconds.
    pub milliseconds: u64,
    /// The reason of a failure.
    #[schema(required = true)]
    pub error: Option<Cow<'a, str>>,
}
