//! Invites.

use async_trait::async_trait;
use certgate_model::{By, InviteId, InviteRecord, Page, Slice, ZoneId};

use super::View::Snapshot;
use super::{Engine, SqlStore};
use crate::traits::{Invites, ReadInvites};
use crate::verbs::invites;
use crate::{InviteRecorded, StoreError};

#[async_trait]
impl<E: Engine> ReadInvites for SqlStore<E> {
    async fn invite(&self, id: InviteId) -> Result<Option<InviteRecord>, StoreError> {
        self.read(Snapshot, id, |db, id| Box::pin(invites::invite(db, *id)))
            .await
    }

    async fn invites(&self, zone: ZoneId, slice: Slice) -> Result<Page<InviteRecord>, StoreError> {
        self.read(Snapshot, (zone, slice), |db, (zone, slice)| {
            Box::pin(invites::page(db, *zone, *slice))
        })
        .await
    }
}

#[async_trait]
impl<E: Engine> Invites for SqlStore<E> {
    async fn record_invite(
        &self,
        invite: InviteRecord,
        max: u64,
        by: By,
    ) -> Result<InviteRecorded, StoreError> {
        self.write((invite, max, by), |db, (invite, max, by)| {
            Box::pin(invites::record(db, invite, *max, by))
        })
        .await
    }

    async fn withdraw_invite(
        &self,
        zone: ZoneId,
        id: InviteId,
        by: By,
    ) -> Result<Option<InviteRecord>, StoreError> {
        self.write((zone, id, by), |db, (zone, id, by)| {
            Box::pin(invites::withdraw(db, *zone, *id, by))
        })
        .await
    }

    async fn note_wrong_secret(&self, id: InviteId) -> Result<(), StoreError> {
        self.write(id, |db, id| Box::pin(invites::note_wrong_secret(db, *id)))
            .await
    }
}
