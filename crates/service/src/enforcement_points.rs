use certgate_model::{EnforcementPointId, EnforcementPointRecord};
use certgate_store::{Acknowledged, EnforcementPointDeleted, EnforcementPointRegistered};

use crate::access::{AccountScope, ManageAccounts, ManageEnforcementPoints};
use crate::environment::Environment;
use crate::error::EnforcementPointError;
use crate::names::checked_name;

/// Maximum number of enforcement points of an account: settling reads each of them.
pub const ENFORCEMENT_POINTS_MAX: u64 = 1_000;

/// Lease of an enforcement point that does not request one, in seconds.
pub const LEASE_SECONDS_DEFAULT: u32 = 60;

/// The shortest and the longest lease, in seconds. An enforcement point that stops delays settling
/// by at most its lease.
pub const LEASE_SECONDS: (u32, u32) = (5, 3_600);

/// Proof of the permission to delete enforcement points of an account.
pub enum DeletePoints {
    /// Those that the caller's token registered.
    Own(AccountScope<ManageEnforcementPoints>),
    /// All of them.
    All(AccountScope<ManageAccounts>),
}

/// Enforcement points: a change settles after each of them has acknowledged it, or its lease ended.
pub struct EnforcementPoints {
    pub(crate) environment: Environment,
}

impl EnforcementPoints {
    /// Registers an enforcement point, or renews the lease of the one with the same name, which
    /// keeps its acknowledged epoch.
    pub async fn register(
        &self,
        scope: &AccountScope<ManageEnforcementPoints>,
        name: &str,
        lease_seconds: Option<i64>,
    ) -> Result<EnforcementPointRecord, EnforcementPointError> {
        let Environment { store, random, .. } = &self.environment;
        let name = checked_name(name).map_err(EnforcementPointError::Name)?;
        let given = lease_seconds.unwrap_or(i64::from(LEASE_SECONDS_DEFAULT));
        let (min, max) = LEASE_SECONDS;
        let lease_seconds = u32::try_from(given)
            .ok()
            .filter(|seconds| (min..=max).contains(seconds))
            .ok_or(EnforcementPointError::Lease { given, min, max })?;
        let now = self.environment.now();
        let point = EnforcementPointRecord {
            id: EnforcementPointId::time_ordered(now, &**random),
            account: scope.account().id,
            token: scope.caller().principal().token_id(),
            name,
            lease_seconds,
            acknowledged_epoch: 0,
            seen_on: now,
            registered_on: now,
        };
        let (max, by) = (ENFORCEMENT_POINTS_MAX, scope.by(now));
        match store.register_enforcement_point(point, max, by).await? {
            EnforcementPointRegistered::Registered(point) => {
                // Its lease may end earlier than before.
                self.environment.signals.wake_settler();
                Ok(point)
            }
            EnforcementPointRegistered::NoAccount => Err(EnforcementPointError::NotFound),
            EnforcementPointRegistered::TooMany => Err(EnforcementPointError::TooMany { max }),
            EnforcementPointRegistered::OfAnotherToken => {
                Err(EnforcementPointError::OfAnotherToken)
            }
        }
    }

    /// Records that an enforcement point applies every change up to `epoch`.
    pub async fn acknowledge(
        &self,
        scope: &AccountScope<ManageEnforcementPoints>,
        id: EnforcementPointId,
        epoch: i64,
    ) -> Result<EnforcementPointRecord, EnforcementPointError> {
        let store = &self.environment.store;
        let (account, now) = (scope.account().id, self.environment.now());
        let given = u64::try_from(epoch)
            .map_err(|_| EnforcementPointError::NegativeEpoch { given: epoch })?;
        if store.is_skipped_epoch(given).await? {
            return Err(EnforcementPointError::Skipped { given });
        }
        let token = scope.caller().principal().token_id();
        match store.acknowledge(account, id, token, given, now).await? {
            Acknowledged::Acknowledged(point) => {
                // A change may have waited for this.
                self.environment.signals.wake_settler();
                Ok(point)
            }
            Acknowledged::Ahead(last) => Err(EnforcementPointError::Ahead { given, last }),
            Acknowledged::NotFound => Err(EnforcementPointError::NotFound),
            Acknowledged::OfAnotherToken => Err(EnforcementPointError::OfAnotherToken),
        }
    }

    /// Deletes an enforcement point. Changes do not wait for it any more.
    pub async fn delete(
        &self,
        scope: &DeletePoints,
        id: EnforcementPointId,
    ) -> Result<(), EnforcementPointError> {
        let now = self.environment.now();
        let (account, by, token) = match scope {
            DeletePoints::Own(scope) => {
                let token = scope.caller().principal().token_id();
                (scope.account().id, scope.by(now), Some(token))
            }
            DeletePoints::All(scope) => (scope.account().id, scope.by(now), None),
        };
        let store = &self.environment.store;
        let deleted = store.delete_enforcement_point(account, id, token, by);
        match deleted.await? {
            EnforcementPointDeleted::Deleted => {
                self.environment.signals.wake_settler();
                Ok(())
            }
            EnforcementPointDeleted::NotFound => Err(EnforcementPointError::NotFound),
            EnforcementPointDeleted::OfAnotherToken => Err(EnforcementPointError::OfAnotherToken),
        }
    }
}
