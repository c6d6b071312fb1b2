use certgate_model::{Coverage, EnforcementPointId, EnforcementPointRecord, WhenStale};
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

/// The longest silence after which a point is deleted, in seconds: 30 days.
pub const FORGET_SECONDS_MAX: u32 = 2_592_000;

/// An enforcement point to register. Absent parts have their defaults.
#[derive(Debug, Clone, Default)]
pub struct EnforcementPointDraft {
    /// Its name.
    pub name: String,
    /// The length of its lease.
    pub lease_seconds: Option<i64>,
    /// The traffic that it refuses.
    pub covers: Option<Vec<Coverage>>,
    /// Its behaviour without contact.
    pub when_stale: Option<WhenStale>,
    /// The silence after which it is deleted.
    pub forget_seconds: Option<i64>,
}

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
        draft: EnforcementPointDraft,
    ) -> Result<EnforcementPointRecord, EnforcementPointError> {
        let Environment { store, random, .. } = &self.environment;
        let name = checked_name(&draft.name).map_err(EnforcementPointError::Name)?;
        let lease_seconds = lease_seconds(draft.lease_seconds)?;
        let covers = covers(draft.covers)?;
        let forget_seconds = forget_seconds(draft.forget_seconds, lease_seconds)?;
        let now = self.environment.now();
        let point = EnforcementPointRecord {
            id: EnforcementPointId::time_ordered(now, &**random),
            account: scope.account().id,
            token: scope.caller().principal().token_id(),
            name,
            lease_seconds,
            covers,
            when_stale: draft.when_stale.unwrap_or(WhenStale::Refuse),
            forget_seconds,
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
        let last = store.last_epochs(account).await?.of_account;
        if given <= last && store.known_epoch(account, given).await?.is_none() {
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

fn lease_seconds(given: Option<i64>) -> Result<u32, EnforcementPointError> {
    let given = given.unwrap_or(i64::from(LEASE_SECONDS_DEFAULT));
    let (min, max) = LEASE_SECONDS;
    within(given, min, max).ok_or(EnforcementPointError::Lease { given, min, max })
}

/// A point that was forgotten before the end of its lease would not be waited for.
fn forget_seconds(given: Option<i64>, lease: u32) -> Result<u32, EnforcementPointError> {
    let given = given.unwrap_or(i64::from(EnforcementPointRecord::FORGET_SECONDS_DEFAULT));
    let (min, max) = (lease, FORGET_SECONDS_MAX);
    within(given, min, max).ok_or(EnforcementPointError::Forget { given, min, max })
}

fn within(given: i64, min: u32, max: u32) -> Option<u32> {
    let seconds = u32::try_from(given).ok();
    seconds.filter(|seconds| (min..=max).contains(seconds))
}

fn covers(given: Option<Vec<Coverage>>) -> Result<Vec<Coverage>, EnforcementPointError> {
    let mut covers = given.unwrap_or_else(|| vec![Coverage::Requests]);
    covers.sort_unstable();
    covers.dedup();
    match covers.is_empty() {
        true => Err(EnforcementPointError::CoversNothing),
        false => Ok(covers),
    }
}
