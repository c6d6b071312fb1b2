//! Accounts, users, tokens and zones.

use async_trait::async_trait;
use certgate_model::{
    AccountChange, AccountFilter, AccountId, AccountRecord, By, Direction, Installation, Page,
    Slice, StoredRules, Timestamp, TokenHash, TokenId, TokenRecord, UserChange, UserId, UserRecord,
    ZoneChange, ZoneFilter, ZoneId, ZoneRecord,
};

use super::View::{Snapshot, Statement};
use super::{Engine, SqlStore};
use crate::traits::{ReadTenants, Tenants};
use crate::verbs::{deleting, public_url, revocations, tenant_changes, tenants, tokens};
use crate::{
    AccountChanged, AccountDeleted, AccountRecorded, Earlier, FirstRecords, Neighbours, StoreError,
    ZoneDeleted, ZoneRecorded,
};

#[async_trait]
impl<E: Engine> ReadTenants for SqlStore<E> {
    async fn installation(&self) -> Result<Option<Installation>, StoreError> {
        self.read(Statement, (), |db, ()| Box::pin(tenants::installation(db)))
            .await
    }

    async fn public_url(&self) -> Result<Option<String>, StoreError> {
        self.read(Statement, (), |db, ()| Box::pin(public_url::read(db)))
            .await
    }

    async fn user(&self) -> Result<Option<UserRecord>, StoreError> {
        self.read(Statement, (), |db, ()| Box::pin(tenants::user(db)))
            .await
    }

    async fn user_by_api_key(&self, hash: TokenHash) -> Result<Option<UserRecord>, StoreError> {
        self.read(Statement, hash, |db, hash| {
            Box::pin(tenants::user_by_api_key(db, *hash))
        })
        .await
    }

    async fn account(&self, id: AccountId) -> Result<Option<AccountRecord>, StoreError> {
        self.read(Statement, id, |db, id| Box::pin(tenants::account(db, *id)))
            .await
    }

    async fn accounts(
        &self,
        filter: &AccountFilter,
        slice: Slice,
    ) -> Result<Page<AccountRecord>, StoreError> {
        self.read(Snapshot, (filter.clone(), slice), |db, (filter, slice)| {
            Box::pin(tenants::accounts(db, filter, *slice))
        })
        .await
    }

    async fn zone(&self, id: ZoneId) -> Result<Option<ZoneRecord>, StoreError> {
        self.read(Statement, id, |db, id| Box::pin(tenants::zone(db, *id)))
            .await
    }

    async fn zone_by_name(&self, name: &str) -> Result<Option<ZoneRecord>, StoreError> {
        self.read(Statement, name.to_owned(), |db, name| {
            Box::pin(tenants::zone_by_name(db, name))
        })
        .await
    }

    async fn zones(
        &self,
        filter: &ZoneFilter,
        slice: Slice,
    ) -> Result<Page<ZoneRecord>, StoreError> {
        self.read(Snapshot, (filter.clone(), slice), |db, (filter, slice)| {
            Box::pin(tenants::zones(db, filter, *slice))
        })
        .await
    }

    async fn token(&self, id: TokenId) -> Result<Option<TokenRecord>, StoreError> {
        self.read(Statement, id, |db, id| Box::pin(tokens::token(db, *id)))
            .await
    }

    async fn token_by_hash(&self, hash: TokenHash) -> Result<Option<TokenRecord>, StoreError> {
        self.read(Statement, hash, |db, hash| {
            Box::pin(tokens::by_hash(db, *hash))
        })
        .await
    }

    async fn tokens(
        &self,
        account: Option<AccountId>,
        direction: Direction,
        slice: Slice,
    ) -> Result<Page<TokenRecord>, StoreError> {
        let asked = (account, direction, slice);
        self.read(Snapshot, asked, |db, (account, direction, slice)| {
            Box::pin(tokens::page(db, *account, *direction, *slice))
        })
        .await
    }
}

#[async_trait]
impl<E: Engine> Tenants for SqlStore<E> {
    async fn initialise(&self, records: FirstRecords) -> Result<bool, StoreError> {
        self.write(records, |db, records| {
            Box::pin(tenants::initialise(db, records))
        })
        .await
    }

    async fn record_serial_key(&self, sealed: Vec<u8>) -> Result<Option<Vec<u8>>, StoreError> {
        self.write(sealed, |db, sealed| {
            Box::pin(revocations::record_serial_key(db, sealed))
        })
        .await
    }

    async fn record_public_url(
        &self,
        url: String,
        earlier: Earlier,
    ) -> Result<Option<String>, StoreError> {
        self.write((url, earlier), |db, (url, earlier)| {
            Box::pin(public_url::record(db, url, *earlier))
        })
        .await
    }

    async fn record_account(
        &self,
        account: AccountRecord,
        by: By,
    ) -> Result<AccountRecorded, StoreError> {
        self.write((account, by), |db, (account, by)| {
            Box::pin(tenants::record_account(db, account, by))
        })
        .await
    }

    async fn change_account(
        &self,
        id: AccountId,
        change: AccountChange,
        by: By,
    ) -> Result<AccountChanged, StoreError> {
        self.write((id, change, by), |db, (id, change, by)| {
            Box::pin(tenant_changes::change_account(db, *id, change, by))
        })
        .await
    }

    async fn delete_account(&self, id: AccountId, by: By) -> Result<AccountDeleted, StoreError> {
        self.write((id, by), |db, (id, by)| {
            Box::pin(deleting::delete_account(db, *id, by))
        })
        .await
    }

    async fn record_zone(
        &self,
        zone: ZoneRecord,
        neighbours: Neighbours,
        by: By,
    ) -> Result<ZoneRecorded, StoreError> {
        self.write((zone, neighbours, by), |db, (zone, neighbours, by)| {
            Box::pin(tenants::record_zone(db, zone, neighbours, by))
        })
        .await
    }

    async fn change_zone(
        &self,
        id: ZoneId,
        change: ZoneChange,
        by: By,
    ) -> Result<Option<ZoneRecord>, StoreError> {
        self.write((id, change, by), |db, (id, change, by)| {
            Box::pin(tenant_changes::change_zone(db, *id, change, by))
        })
        .await
    }

    async fn replace_issuance_rules(
        &self,
        id: ZoneId,
        rules: StoredRules,
        by: By,
    ) -> Result<Option<ZoneRecord>, StoreError> {
        self.write((id, rules, by), |db, (id, rules, by)| {
            Box::pin(tenant_changes::replace_issuance_rules(db, *id, rules, by))
        })
        .await
    }

    async fn change_user(
        &self,
        id: UserId,
        change: UserChange,
        by: By,
    ) -> Result<Option<UserRecord>, StoreError> {
        self.write((id, change, by), |db, (id, change, by)| {
            Box::pin(tenant_changes::change_user(db, *id, change, by))
        })
        .await
    }

    async fn delete_zone(&self, id: ZoneId, by: By) -> Result<ZoneDeleted, StoreError> {
        self.write((id, by), |db, (id, by)| {
            Box::pin(deleting::delete_zone(db, *id, by))
        })
        .await
    }

    async fn record_token(&self, token: TokenRecord, by: By) -> Result<(), StoreError> {
        self.write((token, by), |db, (token, by)| {
            Box::pin(tokens::record(db, token, by))
        })
        .await
    }

    async fn replace_token(
        &self,
        old: TokenRecord,
        new: TokenRecord,
        by: By,
    ) -> Result<bool, StoreError> {
        self.write((old, new, by), |db, (old, new, by)| {
            Box::pin(tokens::replace(db, old, new, by))
        })
        .await
    }

    async fn delete_token(&self, id: TokenId, by: By) -> Result<bool, StoreError> {
        self.write((id, by), |db, (id, by)| {
            Box::pin(tokens::delete(db, *id, by))
        })
        .await
    }

    async fn record_token_uses(&self, uses: Vec<(TokenId, Timestamp)>) -> Result<(), StoreError> {
        self.write(uses, |db, uses| Box::pin(tokens::record_uses(db, uses)))
            .await
    }

    async fn replace_api_key(
        &self,
        user: UserId,
        hash: Option<TokenHash>,
        by: By,
    ) -> Result<bool, StoreError> {
        self.write((user, hash, by), |db, (user, hash, by)| {
            Box::pin(tenants::replace_api_key(db, *user, hash.as_ref(), by))
        })
        .await
    }
}
