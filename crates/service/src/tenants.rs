use std::sync::Arc;

use certgate_model::{AccountId, AccountRecord, KeyAlgorithm, ZoneId, ZoneRecord};
use certgate_store::{AccountDeleted, AccountRecorded, Neighbours, ZoneDeleted, ZoneRecorded};

use crate::access::{Access, AccountScope, Caller, ManageAccounts, ManageZones, ZoneScope};
use crate::environment::Environment;
use crate::error::{AccessError, TenantError};
use crate::issuers::Issuers;
use crate::names::{checked_name, checked_zone_name};

/// A new account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccountDraft {
    /// Its name.
    pub name: String,
    /// Key algorithm of its managed CA; `None` is the configured default.
    pub authority_algorithm: Option<KeyAlgorithm>,
}

/// A new zone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ZoneDraft {
    /// Its domain name.
    pub name: String,
}

/// Accounts and zones.
pub struct Tenants {
    pub(crate) environment: Environment,
    pub(crate) access: Arc<Access>,
    pub(crate) issuers: Arc<Issuers>,
    /// Key algorithm of the managed CA of an account that names none.
    pub(crate) authority_algorithm: KeyAlgorithm,
}

impl Tenants {
    /// Creates an account, if the caller has the permission.
    pub async fn create_account(
        &self,
        caller: &Caller,
        draft: AccountDraft,
    ) -> Result<Result<AccountRecord, TenantError>, AccessError> {
        match caller.principal().may_make_accounts() {
            true => Ok(self.record_account(caller, draft).await),
            false => Err(AccessError::Refused),
        }
    }

    async fn record_account(
        &self,
        caller: &Caller,
        draft: AccountDraft,
    ) -> Result<AccountRecord, TenantError> {
        let Environment { store, random, .. } = &self.environment;
        let now = self.environment.now();
        let account = AccountRecord {
            id: AccountId::time_ordered(now, &**random),
            name: checked_name(&draft.name).map_err(TenantError::Name)?,
            authority_algorithm: draft
                .authority_algorithm
                .unwrap_or(self.authority_algorithm),
            created_on: now,
        };
        match store
            .record_account(account.clone(), caller.by(now))
            .await?
        {
            AccountRecorded::Recorded => Ok(account),
            AccountRecorded::NameTaken => Err(TenantError::NameTaken(account.name)),
        }
    }

    /// Deletes an account without zones and uploaded certificates.
    pub async fn delete_account(
        &self,
        scope: &AccountScope<ManageAccounts>,
    ) -> Result<AccountId, TenantError> {
        let id = scope.account().id;
        let by = scope.by(self.environment.now());
        match self.environment.store.delete_account(id, by).await? {
            AccountDeleted::Deleted => {
                self.issuers.forget_active(id);
                Ok(id)
            }
            AccountDeleted::NotFound => Err(TenantError::NotFound),
            AccountDeleted::HasZones(zones) => Err(TenantError::HasZones(zones)),
            AccountDeleted::HasMtlsCertificates(count) => {
                Err(TenantError::HasMtlsCertificates(count))
            }
        }
    }

    /// Creates a zone in the account. Above or below a zone of another account, the caller needs
    /// the permission there too: the holder of the upper zone decides about the names below it.
    pub async fn create_zone(
        &self,
        scope: &AccountScope<ManageZones>,
        draft: ZoneDraft,
    ) -> Result<ZoneRecord, TenantError> {
        let Environment { store, random, .. } = &self.environment;
        let now = self.environment.now();
        let zone = ZoneRecord {
            id: ZoneId::time_ordered(now, &**random),
            name: checked_zone_name(&draft.name).map_err(TenantError::Name)?,
            account: scope.account().id,
            account_name: scope.account().name.clone(),
            created_on: now,
            modified_on: now,
        };
        let principal = scope.caller().principal();
        let mut neighbours = match principal.may_manage_every_zone() {
            true => Neighbours::Every,
            false => Neighbours::Only(Vec::new()),
        };
        // The second attempt has the permitted neighbours. More can only have come meanwhile, or
        // there are too many.
        for _ in 0..2 {
            let recorded = store.record_zone(zone.clone(), neighbours, scope.by(now));
            neighbours = match recorded.await? {
                ZoneRecorded::Recorded => return Ok(zone),
                ZoneRecorded::NoAccount => return Err(TenantError::NotFound),
                ZoneRecorded::NameTaken => return Err(TenantError::NameTaken(zone.name)),
                ZoneRecorded::Neighbours(found) => {
                    let may = |(id, account): &(ZoneId, AccountId)| {
                        principal.may_manage_zone(*id, *account)
                    };
                    if !found.iter().all(may) {
                        break;
                    }
                    Neighbours::Only(found.into_iter().map(|(id, _)| id).collect())
                }
            };
        }
        Err(TenantError::Neighbour(zone.name))
    }

    /// Deletes a zone that has only revoked certificates.
    pub async fn delete_zone(&self, scope: &ZoneScope<ManageZones>) -> Result<ZoneId, TenantError> {
        let id = scope.zone().id;
        let by = scope.by(self.environment.now());
        let deleted = self.environment.store.delete_zone(id, by).await?;
        self.access.zones_changed();
        match deleted {
            ZoneDeleted::Deleted => Ok(id),
            ZoneDeleted::NotFound => Err(TenantError::NotFound),
            ZoneDeleted::InUse(totals) => Err(TenantError::HasCertificates(totals)),
        }
    }
}
