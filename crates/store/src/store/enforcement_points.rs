//! Enforcement points and hostnames.

use async_trait::async_trait;
use certgate_model::{
    AccountId, AuthorityId, By, EnforcedCertificate, EnforcementPointId, EnforcementPointRecord,
    FollowedChange, SerialNumber, Timestamp, TokenId,
};

use super::View::{Snapshot, Statement};
use super::{Engine, SqlStore};
use crate::traits::{EnforcementPoints, ReadEnforcementPoints};
use crate::verbs::{account_epochs, enforcement};
use crate::{
    Acknowledged, EnforcementPointDeleted, EnforcementPointRegistered, LastEpochs, RevokedPosition,
    StoreError,
};

#[async_trait]
impl<E: Engine> ReadEnforcementPoints for SqlStore<E> {
    async fn enforcement_points(
        &self,
        account: AccountId,
    ) -> Result<Vec<EnforcementPointRecord>, StoreError> {
        self.read(Statement, account, |db, account| {
            Box::pin(enforcement::all(db, *account))
        })
        .await
    }

    async fn account_epoch(&self, account: AccountId) -> Result<u64, StoreError> {
        self.read(Statement, account, |db, account| {
            Box::pin(enforcement::account_epoch(db, *account))
        })
        .await
    }

    async fn lagging_enforcement_points(&self) -> Result<Vec<EnforcementPointRecord>, StoreError> {
        self.read(Statement, (), |db, ()| Box::pin(enforcement::lagging(db)))
            .await
    }

    async fn next_forgotten_point(&self) -> Result<Option<Timestamp>, StoreError> {
        self.read(Statement, (), |db, ()| {
            Box::pin(enforcement::next_forgotten(db))
        })
        .await
    }

    async fn revoked_certificates(
        &self,
        authority: AuthorityId,
        at: Timestamp,
        after: Option<RevokedPosition>,
        limit: u32,
    ) -> Result<Vec<(RevokedPosition, EnforcedCertificate)>, StoreError> {
        self.read(
            Snapshot,
            (authority, at, after, limit),
            |db, (authority, at, after, limit)| {
                Box::pin(enforcement::revoked(db, *authority, *at, *after, *limit))
            },
        )
        .await
    }

    async fn revoked_serials(
        &self,
        authority: AuthorityId,
        at: Timestamp,
        after: Option<RevokedPosition>,
        limit: u32,
    ) -> Result<Vec<(RevokedPosition, SerialNumber)>, StoreError> {
        self.read(
            Snapshot,
            (authority, at, after, limit),
            |db, (authority, at, after, limit)| {
                Box::pin(enforcement::revoked_serials(
                    db, *authority, *at, *after, *limit,
                ))
            },
        )
        .await
    }

    async fn last_epochs(&self, account: AccountId) -> Result<LastEpochs, StoreError> {
        self.read(Statement, account, |db, account| {
            Box::pin(account_epochs::last(db, *account))
        })
        .await
    }

    async fn known_epoch(
        &self,
        account: AccountId,
        number: u64,
    ) -> Result<Option<u64>, StoreError> {
        self.read(Statement, (account, number), |db, (account, number)| {
            Box::pin(account_epochs::known(db, *account, *number))
        })
        .await
    }

    async fn revocation_changes(
        &self,
        account: AccountId,
        after: u64,
        limit: u32,
    ) -> Result<Vec<FollowedChange>, StoreError> {
        self.read(
            Snapshot,
            (account, after, limit),
            |db, (account, after, limit)| {
                Box::pin(enforcement::changes(db, *account, *after, *limit))
            },
        )
        .await
    }
}

#[async_trait]
impl<E: Engine> EnforcementPoints for SqlStore<E> {
    async fn register_enforcement_point(
        &self,
        point: EnforcementPointRecord,
        max: u64,
        by: By,
    ) -> Result<EnforcementPointRegistered, StoreError> {
        self.write((point, max, by), |db, (point, max, by)| {
            Box::pin(enforcement::register(db, point, *max, by))
        })
        .await
    }

    async fn acknowledge(
        &self,
        account: AccountId,
        id: EnforcementPointId,
        token: TokenId,
        epoch: u64,
        at: Timestamp,
    ) -> Result<Acknowledged, StoreError> {
        self.write(
            (account, id, token, epoch, at),
            |db, (account, id, token, epoch, at)| {
                Box::pin(enforcement::acknowledge(
                    db, *account, *id, *token, *epoch, *at,
                ))
            },
        )
        .await
    }

    async fn delete_enforcement_point(
        &self,
        account: AccountId,
        id: EnforcementPointId,
        token: Option<TokenId>,
        by: By,
    ) -> Result<EnforcementPointDeleted, StoreError> {
        self.write((account, id, token, by), |db, (account, id, token, by)| {
            Box::pin(enforcement::delete(db, *account, *id, *token, by))
        })
        .await
    }

    async fn forget_silent_points(
        &self,
        at: Timestamp,
        limit: u32,
    ) -> Result<Vec<EnforcementPointRecord>, StoreError> {
        self.write((at, limit), |db, (at, limit)| {
            Box::pin(enforcement::forget_silent(db, *at, *limit))
        })
        .await
    }
}
