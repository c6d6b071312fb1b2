//! Enforcement points: what follows the revocations of an account, and is waited for.

use std::collections::HashSet;
use std::time::Duration;

use certgate_model::{
    AccountId, EnforcedCertificate, EnforcementPointId, EnforcementPointRecord, RevocationChange,
    Timestamp,
};
use certgate_store::{Acknowledged, EnforcementPointRegistered, RevokedPosition};

use crate::access::{AccountScope, FollowRevocations, ManageEnforcementPoints};
use crate::tenants::checked_name;
use crate::{Authority, EnforcementPointError, Fault, measures};

/// How many enforcement points an account can have: each is looked at when a change settles.
pub const ENFORCEMENT_POINTS_MAX: u64 = 1_000;

/// For how long an enforcement point is waited for when it does not say itself, in seconds.
pub const LEASE_SECONDS_DEFAULT: u32 = 60;

/// The shortest and the longest lease, in seconds: one that is not renewed in time must not hold others back for long.
pub const LEASE_SECONDS: (u32, u32) = (5, 3_600);

/// How many changes are handed out at a time.
pub const CHANGES_MAX: u32 = 1_000;

/// How many revoked certificates are read at a time.
const REVOKED_AT_A_TIME: u32 = 5_000;

/// How often a waiting request looks for changes that nobody here is told of: those of another process, and those whose caller went
/// away before they were committed.
const CHANGES_LOOK: Duration = Duration::from_secs(1);

/// Changes after an epoch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RevocationChanges {
    /// Whoever has applied the changes knows everything up to this epoch.
    pub epoch: u64,
    /// In the order in which they were committed.
    pub changes: Vec<RevocationChange>,
}

/// Where the reading of everything that is revoked stands.
#[derive(Debug, Clone, Copy)]
pub struct RevokedCursor {
    authority: usize,
    after: Option<RevokedPosition>,
}

impl Authority {
    /// Registers an enforcement point, which knows nothing yet, or renews the lease of the one of that name, which keeps what it
    /// has acknowledged.
    pub async fn register_enforcement_point(
        &self,
        scope: &AccountScope<ManageEnforcementPoints>,
        name: &str,
        lease_seconds: Option<i64>,
    ) -> Result<EnforcementPointRecord, EnforcementPointError> {
        let name = checked_name(name).map_err(EnforcementPointError::Name)?;
        let given = lease_seconds.unwrap_or(i64::from(LEASE_SECONDS_DEFAULT));
        let (min, max) = LEASE_SECONDS;
        let lease_seconds = u32::try_from(given)
            .ok()
            .filter(|seconds| (min..=max).contains(seconds));
        let lease_seconds =
            lease_seconds.ok_or(EnforcementPointError::Lease { given, min, max })?;
        let now = self.clock.now();
        let point = EnforcementPointRecord {
            id: EnforcementPointId::time_ordered(now, &*self.random),
            account: scope.account().id,
            name,
            lease_seconds,
            acknowledged_epoch: 0,
            seen_on: now,
            registered_on: now,
        };
        match self
            .store
            .register_enforcement_point(point, ENFORCEMENT_POINTS_MAX, scope.by(now))
            .await?
        {
            EnforcementPointRegistered::Registered(point) => {
                // Its lease may end earlier than before.
                self.pending.notify_one();
                Ok(point)
            }
            EnforcementPointRegistered::NoAccount => Err(EnforcementPointError::NotFound),
            EnforcementPointRegistered::TooMany => Err(EnforcementPointError::TooMany {
                max: ENFORCEMENT_POINTS_MAX,
            }),
        }
    }

    /// Notes that everything up to `epoch` is in force at an enforcement point.
    pub async fn acknowledge(
        &self,
        scope: &AccountScope<ManageEnforcementPoints>,
        id: EnforcementPointId,
        epoch: i64,
    ) -> Result<EnforcementPointRecord, EnforcementPointError> {
        let now = self.clock.now();
        let wanted = u64::try_from(epoch)
            .map_err(|_| EnforcementPointError::NegativeEpoch { given: epoch })?;
        if self.store.is_skipped_epoch(wanted).await? {
            return Err(EnforcementPointError::Skipped { given: wanted });
        }
        match self
            .store
            .acknowledge(scope.account().id, id, wanted, now)
            .await?
        {
            Acknowledged::Acknowledged(point) => {
                // Something may have waited for this.
                self.pending.notify_one();
                Ok(point)
            }
            Acknowledged::Ahead(last) => Err(EnforcementPointError::Ahead {
                given: wanted,
                last,
            }),
            Acknowledged::NotFound => Err(EnforcementPointError::NotFound),
        }
    }

    /// Deletes an enforcement point; nobody waits for it any more.
    pub async fn delete_enforcement_point(
        &self,
        scope: &AccountScope<ManageEnforcementPoints>,
        id: EnforcementPointId,
    ) -> Result<(), EnforcementPointError> {
        match self
            .store
            .delete_enforcement_point(scope.account().id, id, scope.by(self.clock.now()))
            .await?
        {
            true => {
                self.pending.notify_one();
                Ok(())
            }
            false => Err(EnforcementPointError::NotFound),
        }
    }

    /// The changes of the account's certificates after `after`, at most `limit`. Where there is none, waits for one for as
    /// long as `wait`.
    pub async fn revocation_changes(
        &self,
        scope: &AccountScope<FollowRevocations>,
        after: u64,
        limit: u32,
        wait: Duration,
    ) -> Result<RevocationChanges, EnforcementPointError> {
        let account = scope.account().id;
        let mut seen = self.changed.subscribe();
        let mut found = self.changes_now(account, after, limit).await?;
        let waiting = async {
            while found.changes.is_empty() {
                let _ = tokio::time::timeout(CHANGES_LOOK, seen.changed()).await;
                // What was looked through is not looked through again.
                found = self.changes_now(account, found.epoch, limit).await?;
            }
            Ok::<_, EnforcementPointError>(())
        };
        let mut ending = self.ending.subscribe();
        let ended = tokio::select! {
            ended = tokio::time::timeout(wait, waiting) => ended,
            _ = ending.wait_for(|ending| *ending) => Ok(Ok(())),
        };
        // Where a look is cut off, its changes are those of the next question.
        if let Ok(ended) = ended {
            ended?;
        }
        Ok(found)
    }

    async fn changes_now(
        &self,
        account: AccountId,
        after: u64,
        limit: u32,
    ) -> Result<RevocationChanges, EnforcementPointError> {
        // Before the changes: what comes between the two is reported again, never left out.
        let known = self.store.last_epoch().await?;
        if after > known {
            return Err(EnforcementPointError::Ahead {
                given: after,
                last: known,
            });
        }
        if self.store.is_skipped_epoch(after).await? {
            return Err(EnforcementPointError::Skipped { given: after });
        }
        let changes = self.store.revocation_changes(account, after, limit).await?;
        let epoch = match changes.last() {
            Some(last) if changes.len() >= limit as usize => last.epoch,
            Some(last) => last.epoch.max(known),
            None => known,
        };
        Ok(RevocationChanges { epoch, changes })
    }

    /// The epoch that a reading of everything that is revoked begins with: changes after it complete what was read.
    pub async fn revoked_epoch(&self, _: &AccountScope<FollowRevocations>) -> Result<u64, Fault> {
        Ok(self.store.last_epoch().await?)
    }

    /// The next part of everything that is revoked of an account; `None` for the cursor: that was all.
    pub async fn revoked_certificates(
        &self,
        scope: &AccountScope<FollowRevocations>,
        at: Timestamp,
        cursor: Option<RevokedCursor>,
    ) -> Result<(Vec<EnforcedCertificate>, Option<RevokedCursor>), Fault> {
        let authorities = self.store.managed_authorities(scope.account().id).await?;
        let RevokedCursor { authority, after } = cursor.unwrap_or(RevokedCursor {
            authority: 0,
            after: None,
        });
        if cursor.is_some() && authority >= authorities.len() {
            return Err(Fault::Unavailable(
                "the account was deleted while its revocations were read".to_owned(),
            ));
        }
        // Oldest first: one that comes while this is read has nothing that its changes do not tell.
        let Some(record) = authorities.iter().rev().nth(authority) else {
            return Ok((Vec::new(), None));
        };
        let part = self
            .store
            .revoked_certificates(record.id, at, after, REVOKED_AT_A_TIME)
            .await?;
        let next = match part.last() {
            Some((place, _)) if part.len() >= REVOKED_AT_A_TIME as usize => Some(RevokedCursor {
                authority,
                after: Some(*place),
            }),
            _ => (authority + 1 < authorities.len()).then_some(RevokedCursor {
                authority: authority + 1,
                after: None,
            }),
        };
        Ok((
            part.into_iter()
                .map(|(_, certificate)| certificate)
                .collect(),
            next,
        ))
    }

    /// Those that are waited for no longer at `now` although they lag, told once each; when the next lease of one that lags
    /// ends.
    pub(crate) async fn look_at_leases(&self, now: Timestamp) -> Result<Option<Timestamp>, Fault> {
        let lagging = self.store.lagging_enforcement_points().await?;
        let (live, silent): (Vec<_>, Vec<_>) =
            lagging.iter().partition(|point| point.is_waited_for(now));
        measures::lagging(live.len(), silent.len());
        let mut told = self
            .silent_points
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        for point in &silent {
            if told.insert(point.id) {
                tracing::warn!(
                    enforcement_point = %point.id, account = %point.account, name = point.name,
                    acknowledged_epoch = point.acknowledged_epoch,
                    "an enforcement point was silent for longer than its lease: changes settle without it"
                );
            }
        }
        let silent: HashSet<_> = silent.iter().map(|point| point.id).collect();
        told.retain(|id| silent.contains(id));
        Ok(live.iter().map(|point| point.lease_until()).min())
    }
}
