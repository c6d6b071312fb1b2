//! Revocations and CRLs.

use async_trait::async_trait;
use certgate_model::{AuthorityId, CrlKind, CrlRecord, Timestamp};

use super::View::{Snapshot, Statement};
use super::{Engine, SqlStore};
use crate::traits::{ReadRevocations, Revocations};
use crate::verbs::{crl, revocations};
use crate::{AgedCrls, CrlContent, CrlState, StoreError};

#[async_trait]
impl<E: Engine> ReadRevocations for SqlStore<E> {
    async fn is_skipped_epoch(&self, epoch: u64) -> Result<bool, StoreError> {
        self.read(Statement, epoch, |db, epoch| {
            Box::pin(revocations::is_skipped_epoch(db, *epoch))
        })
        .await
    }

    async fn last_epoch(&self) -> Result<u64, StoreError> {
        self.read(Statement, (), |db, ()| {
            Box::pin(revocations::last_epoch(db))
        })
        .await
    }

    async fn crls_changed(&self, at: Timestamp) -> Result<Vec<(AuthorityId, CrlKind)>, StoreError> {
        self.read(Statement, at, |db, at| Box::pin(crl::changed(db, *at)))
            .await
    }

    async fn crls_aged(
        &self,
        at: Timestamp,
        latest: Timestamp,
        limit: u32,
    ) -> Result<AgedCrls, StoreError> {
        self.read(Statement, (at, latest, limit), |db, (at, latest, limit)| {
            Box::pin(crl::aged(db, *at, *latest, *limit))
        })
        .await
    }

    async fn crl_content(
        &self,
        authority: AuthorityId,
        kind: CrlKind,
        at: Timestamp,
        limit: u32,
    ) -> Result<Option<CrlContent>, StoreError> {
        self.read(
            Snapshot,
            (authority, kind, at, limit),
            |db, (authority, kind, at, limit)| {
                Box::pin(crl::content(db, *authority, *kind, *at, *limit))
            },
        )
        .await
    }

    async fn crl_states(&self, authority: AuthorityId) -> Result<Vec<CrlState>, StoreError> {
        self.read(Statement, authority, |db, authority| {
            Box::pin(crl::states(db, *authority))
        })
        .await
    }

    async fn crl_state(
        &self,
        authority: AuthorityId,
        kind: CrlKind,
    ) -> Result<Option<CrlState>, StoreError> {
        self.read(Statement, (authority, kind), |db, (authority, kind)| {
            Box::pin(crl::state(db, *authority, *kind))
        })
        .await
    }

    async fn crl(
        &self,
        authority: AuthorityId,
        kind: CrlKind,
    ) -> Result<Option<CrlRecord>, StoreError> {
        self.read(Statement, (authority, kind), |db, (authority, kind)| {
            Box::pin(crl::crl(db, *authority, *kind))
        })
        .await
    }
}

#[async_trait]
impl<E: Engine> Revocations for SqlStore<E> {
    async fn set_crls_aside(&self, expired: Vec<AuthorityId>) -> Result<(), StoreError> {
        self.write(expired, |db, expired| Box::pin(crl::set_aside(db, expired)))
            .await
    }

    async fn record_crl(&self, crl: CrlRecord, renew_on: Timestamp) -> Result<bool, StoreError> {
        self.write((crl, renew_on), |db, (crl, renew_on)| {
            Box::pin(crl::record(db, crl, *renew_on))
        })
        .await
    }
}
