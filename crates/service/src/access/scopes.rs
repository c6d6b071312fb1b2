use std::marker::PhantomData;
use std::sync::Arc;

use certgate_model::{
    AccountId, AccountRecord, By, Place, StoredRules, Timestamp, TokenRecord, UserRecord, ZoneId,
    ZoneRecord,
};
use certgate_store::StoreError;

use super::authentication::Access;
use super::permission::{IssueCertificates, Permission};
use super::principal::Caller;
use crate::error::AccessError;

/// Proof that the caller has permission `P` in this zone, which exists. Only
/// [`Access::zone_scope`] makes one.
pub struct ZoneScope<P> {
    zone: Arc<ZoneRecord>,
    caller: Caller,
    permission: PhantomData<P>,
}

/// Proof that the caller has permission `P` on this account, which exists. Only
/// [`Access::account_scope`] makes one.
pub struct AccountScope<P> {
    account: AccountRecord,
    caller: Caller,
    permission: PhantomData<P>,
}

/// Proof that the caller has permission `P` on the user. Only [`Access::user_scope`] makes one.
pub struct UserScope<P> {
    user: UserRecord,
    caller: Caller,
    permission: PhantomData<P>,
}

impl Access {
    /// Proves that the caller has permission `P` in the zone.
    pub async fn zone_scope<P: Permission>(
        &self,
        caller: &Caller,
        id: ZoneId,
    ) -> Result<ZoneScope<P>, AccessError> {
        let Some(zone) = self.zone(id).await? else {
            // Only a caller that would have the permission in any such zone learns that there is
            // none.
            check::<P>(caller, Place::Zone(id, None))?;
            return Err(AccessError::NotFound);
        };
        check::<P>(caller, Place::Zone(zone.id, Some(zone.account)))?;
        Ok(ZoneScope {
            zone,
            caller: caller.clone(),
            permission: PhantomData,
        })
    }

    /// Returns a zone, without a proof of any right.
    pub(crate) async fn zone(&self, id: ZoneId) -> Result<Option<Arc<ZoneRecord>>, StoreError> {
        let load = self.environment.store.zone(id);
        self.zones.get_or_load(id, load).await
    }

    /// Proves that the caller has permission `P` on the account. For a zone permission: on every
    /// zone of the account.
    pub async fn account_scope<P: Permission>(
        &self,
        caller: &Caller,
        id: AccountId,
    ) -> Result<AccountScope<P>, AccessError> {
        check::<P>(caller, Place::of_account(P::GROUP, id))?;
        let account = self.environment.store.account(id).await?;
        let account = account.ok_or(AccessError::NotFound)?;
        Ok(AccountScope {
            account,
            caller: caller.clone(),
            permission: PhantomData,
        })
    }

    /// Proves that the caller has permission `P` on the user of its token.
    pub async fn user_scope<P: Permission>(
        &self,
        caller: &Caller,
    ) -> Result<UserScope<P>, AccessError> {
        let owner = caller.principal().token().user;
        let user = self.environment.store.user().await?;
        let user = user.filter(|user| user.id == owner);
        let user = user.ok_or(AccessError::Refused)?;
        check::<P>(caller, Place::User(owner))?;
        Ok(UserScope {
            user,
            caller: caller.clone(),
            permission: PhantomData,
        })
    }
}

fn check<P: Permission>(caller: &Caller, place: Place) -> Result<(), AccessError> {
    match caller.principal().may(P::GROUP, place) {
        true => Ok(()),
        false => Err(AccessError::Refused),
    }
}

impl<P> ZoneScope<P> {
    /// Returns the zone.
    pub fn zone(&self) -> &ZoneRecord {
        &self.zone
    }

    /// Returns the token of the caller.
    pub(crate) fn token(&self) -> &TokenRecord {
        self.caller.principal().token()
    }

    pub(crate) fn by(&self, at: Timestamp) -> By {
        self.caller.by(at)
    }
}

impl ZoneScope<IssueCertificates> {
    /// Returns true if the token of the caller has issuance rules of its own.
    pub(crate) fn has_own_rules(&self) -> bool {
        self.token().issuance_rules != StoredRules::Absent
    }
}

impl<P> AccountScope<P> {
    /// Returns the account.
    pub fn account(&self) -> &AccountRecord {
        &self.account
    }

    /// Returns the caller that has the permission.
    pub fn caller(&self) -> &Caller {
        &self.caller
    }

    pub(crate) fn by(&self, at: Timestamp) -> By {
        self.caller.by(at)
    }
}

impl<P> UserScope<P> {
    /// Returns the user.
    pub fn user(&self) -> &UserRecord {
        &self.user
    }

    /// Returns the caller that has the permission.
    pub fn caller(&self) -> &Caller {
        &self.caller
    }

    pub(crate) fn by(&self, at: Timestamp) -> By {
        self.caller.by(at)
    }
}
