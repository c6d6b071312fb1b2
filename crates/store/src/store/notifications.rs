//! Notifications.

use async_trait::async_trait;
use certgate_model::{
    Backlog, Condition, DestinationRecord, EventPlace, ExpiringCertificate, ExpiryPlace,
    NotificationKind, Page, PendingEvent, ReportedState, Slice, Timestamp, UndeliveredEvent,
    ZoneId,
};

use super::View::{Snapshot, Statement};
use super::{Engine, SqlStore};
use crate::StoreError;
use crate::traits::{Notifications, ReadNotifications};
use crate::verbs::{notifications, reported_states};

/// The number of entries among which the oldest event of a backlog is looked for.
const OLDEST_LOOK: u32 = 100;

#[async_trait]
impl<E: Engine> ReadNotifications for SqlStore<E> {
    async fn destination(&self, name: &str) -> Result<Option<DestinationRecord>, StoreError> {
        self.read(Snapshot, name.to_owned(), |db, name| {
            Box::pin(notifications::destination(db, name))
        })
        .await
    }

    async fn backlog(
        &self,
        destination: &str,
        kinds: Vec<NotificationKind>,
    ) -> Result<Backlog, StoreError> {
        self.read(
            Snapshot,
            (destination.to_owned(), kinds),
            |db, (name, kinds)| Box::pin(notifications::backlog(db, name, kinds, OLDEST_LOOK)),
        )
        .await
    }

    async fn undelivered_events(&self, slice: Slice) -> Result<Page<UndeliveredEvent>, StoreError> {
        self.read(Snapshot, slice, |db, slice| {
            Box::pin(notifications::undelivered(db, *slice))
        })
        .await
    }

    async fn pending_events(
        &self,
        destination: &str,
        limit: u32,
    ) -> Result<Vec<PendingEvent>, StoreError> {
        self.read(
            Snapshot,
            (destination.to_owned(), limit),
            |db, (name, limit)| Box::pin(notifications::pending(db, name, *limit)),
        )
        .await
    }

    async fn retried_events(
        &self,
        destination: &str,
        limit: u32,
    ) -> Result<Vec<(UndeliveredEvent, Option<PendingEvent>)>, StoreError> {
        self.read(
            Snapshot,
            (destination.to_owned(), limit),
            |db, (name, limit)| Box::pin(notifications::retried(db, name, *limit)),
        )
        .await
    }

    async fn authorities_ending(
        &self,
        at: Timestamp,
        before: Timestamp,
    ) -> Result<Vec<ReportedState>, StoreError> {
        self.read(Statement, (at, before), |db, (at, before)| {
            Box::pin(reported_states::authorities_ending(db, *at, *before))
        })
        .await
    }

    async fn crls_overdue(
        &self,
        due_before: Timestamp,
        at: Timestamp,
    ) -> Result<Vec<ReportedState>, StoreError> {
        self.read(Statement, (due_before, at), |db, (due_before, at)| {
            Box::pin(reported_states::crls_overdue(db, *due_before, *at))
        })
        .await
    }

    async fn points_silent(
        &self,
        before: Timestamp,
        limit: u32,
    ) -> Result<Vec<ReportedState>, StoreError> {
        self.read(Statement, (before, limit), |db, (before, limit)| {
            Box::pin(reported_states::points_silent(db, *before, *limit))
        })
        .await
    }

    async fn expiring(
        &self,
        zone: ZoneId,
        after: ExpiryPlace,
        until: Timestamp,
        limit: u32,
    ) -> Result<(Vec<ExpiringCertificate>, Option<ExpiryPlace>), StoreError> {
        let asked = (zone, after, until, limit);
        self.read(Snapshot, asked, |db, (zone, after, until, limit)| {
            Box::pin(reported_states::expiring(db, *zone, *after, *until, *limit))
        })
        .await
    }
}

#[async_trait]
impl<E: Engine> Notifications for SqlStore<E> {
    async fn begin_destination(&self, name: &str, at: Timestamp) -> Result<(), StoreError> {
        self.write((name.to_owned(), at), |db, (name, at)| {
            Box::pin(notifications::begin(db, name, *at))
        })
        .await
    }

    async fn advance_destination(
        &self,
        name: &str,
        places: Vec<EventPlace>,
        delivered: u64,
        at: Timestamp,
    ) -> Result<(), StoreError> {
        let asked = (name.to_owned(), places, delivered, at);
        self.write(asked, |db, (name, places, delivered, at)| {
            Box::pin(notifications::advance(db, name, places, *delivered, *at))
        })
        .await
    }

    async fn note_failed_attempt(
        &self,
        name: &str,
        error: String,
        at: Timestamp,
        attempt_on: Timestamp,
    ) -> Result<(), StoreError> {
        let asked = (name.to_owned(), error, at, attempt_on);
        self.write(asked, |db, (name, error, at, attempt_on)| {
            Box::pin(notifications::fail(db, name, error, *at, *attempt_on))
        })
        .await
    }

    async fn set_events_aside(
        &self,
        name: &str,
        events: Vec<UndeliveredEvent>,
        max: u64,
    ) -> Result<(), StoreError> {
        self.write((name.to_owned(), events, max), |db, (name, events, max)| {
            Box::pin(notifications::set_aside(db, name, events, *max))
        })
        .await
    }

    async fn retry_undelivered(&self) -> Result<u64, StoreError> {
        self.write((), |db, ()| Box::pin(notifications::retry(db)))
            .await
    }

    async fn note_retried(
        &self,
        name: &str,
        events: Vec<UndeliveredEvent>,
        error: Option<String>,
        at: Timestamp,
    ) -> Result<(), StoreError> {
        let asked = (name.to_owned(), events, error, at);
        self.write(asked, |db, (name, events, error, at)| {
            let error = error.as_deref();
            Box::pin(notifications::note_retried(db, name, events, error, *at))
        })
        .await
    }

    async fn record_condition(&self, condition: Condition) -> Result<bool, StoreError> {
        self.write(condition, |db, condition| {
            Box::pin(notifications::record_condition(db, condition))
        })
        .await
    }

    async fn forget_notifications(&self, before: Timestamp) -> Result<(), StoreError> {
        self.write(before, |db, before| {
            Box::pin(notifications::forget(db, *before))
        })
        .await
    }
}
