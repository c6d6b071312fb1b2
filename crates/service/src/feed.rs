use std::time::Duration;

use certgate_model::{
    AccountId, AuthorityId, EnforcedCertificate, FollowedChange, SerialNumber, Timestamp,
};
use certgate_store::RevokedPosition;
use tokio::sync::{Mutex, watch};
use tokio::time::{Interval, MissedTickBehavior, interval};

use crate::access::{AccountScope, FollowRevocations};
use crate::environment::Environment;
use crate::error::{EnforcementPointError, Fault};

/// Maximum number of changes in one answer.
pub const CHANGES_MAX: u32 = 1_000;

/// Number of revoked certificates that are read at a time: about 200 kB of JSON, which a slow
/// client holds in memory.
const REVOKED_AT_A_TIME: u32 = 1_000;

/// Number of serial numbers that are read at a time: 200 kB.
const SERIALS_AT_A_TIME: u32 = 10_000;

/// Interval at which one of the waiting requests looks for changes that nothing announces in this
/// process: those of other processes, and those whose client disconnected before they were
/// committed.
const CHANGES_LOOK: Duration = Duration::from_secs(1);

/// Changes after an epoch. Epochs are those of the account: see `account_epochs` of the store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RevocationChanges {
    /// A follower that has applied the changes knows every change up to this epoch.
    pub epoch: u64,
    /// The changes in the order of their commits.
    pub changes: Vec<FollowedChange>,
}

/// The position of a reader of all revoked certificates.
#[derive(Debug, Clone, Copy)]
pub struct RevokedCursor {
    authority: AuthorityId,
    after: Option<RevokedPosition>,
}

impl RevokedCursor {
    const fn begin_of(authority: AuthorityId) -> Self {
        Self {
            authority,
            after: None,
        }
    }

    /// Returns the next position, where the CAs have these IDs, and the CA after it. A CA that is
    /// missing was discarded, because it had signed nothing. The order is that of the IDs: another
    /// one can change during the reading, so that a CA is left out.
    fn next_in(
        cursor: Option<Self>,
        mut authorities: Vec<AuthorityId>,
    ) -> Option<(Self, Option<AuthorityId>)> {
        authorities.sort_unstable();
        if let Some(cursor) = cursor {
            authorities.retain(|authority| *authority >= cursor.authority);
        }
        let mut authorities = authorities.into_iter();
        let first = authorities.next()?;
        let at = cursor.filter(|cursor| cursor.authority == first);
        Some((at.unwrap_or(Self::begin_of(first)), authorities.next()))
    }
}

/// The revocations of an account for its enforcement points: all of them, and then the changes.
pub struct Feed {
    environment: Environment,
    /// The last epoch of the store that a waiting request has seen.
    seen: watch::Sender<u64>,
    /// Held by the one request that looks for all: the time of the next look.
    looking: Mutex<Option<Interval>>,
}

impl Feed {
    pub(crate) fn new(environment: Environment) -> Self {
        Self {
            environment,
            seen: watch::Sender::new(0),
            looking: Mutex::default(),
        }
    }

    /// Returns the changes of the account's certificates, hostnames and CAs after the epoch
    /// `after`, at most `limit`. Without changes, waits at most `wait` for one.
    pub async fn changes(
        &self,
        scope: &AccountScope<FollowRevocations>,
        after: u64,
        limit: u32,
        wait: Duration,
    ) -> Result<RevocationChanges, EnforcementPointError> {
        let account = scope.account().id;
        let mut announced = self.environment.signals.changes(account);
        let mut seen = self.seen.subscribe();
        let (mut found, mut searched) = self.changes_now(account, after, limit).await?;
        let waiting = async {
            while found.changes.is_empty() {
                let is_new = tokio::select! {
                    _ = announced.changed() => true,
                    _ = seen.changed() => *seen.borrow_and_update() > searched,
                    looked = self.look_for_all() => looked? > searched,
                };
                // A thousand requests wait, and most looks find no new epoch.
                if !is_new {
                    continue;
                }
                // Epochs that were searched are not searched again.
                (found, searched) = self.changes_now(account, found.epoch, limit).await?;
            }
            Ok::<_, EnforcementPointError>(())
        };
        let mut ending = self.environment.signals.ending();
        let ended = tokio::select! {
            ended = tokio::time::timeout(wait, waiting) => ended,
            _ = ending.wait_for(|ending| *ending) => Ok(Ok(())),
        };
        // If the time ends during a search, the follower's next request finds its changes.
        if let Ok(ended) = ended {
            ended?;
        }
        Ok(found)
    }

    /// Waits until no other request looks, and then for the next look. Returns the store's epoch.
    async fn look_for_all(&self) -> Result<u64, Fault> {
        let mut looking = self.looking.lock().await;
        let next = looking.get_or_insert_with(|| {
            let mut next = interval(CHANGES_LOOK);
            next.set_missed_tick_behavior(MissedTickBehavior::Delay);
            next
        });
        next.tick().await;
        let epoch = self.environment.store.last_epoch().await?;
        self.seen.send_if_modified(|seen| {
            let is_other = *seen != epoch;
            *seen = epoch;
            is_other
        });
        Ok(epoch)
    }

    /// Returns the changes, and the store's epoch up to which they were searched.
    async fn changes_now(
        &self,
        account: AccountId,
        after: u64,
        limit: u32,
    ) -> Result<(RevocationChanges, u64), EnforcementPointError> {
        let store = &self.environment.store;
        // The epoch is read first: a change between the two reads is reported twice, never skipped.
        let last = store.last_epochs(account).await?;
        let (known, searched) = (last.of_account, last.of_store);
        if after > known {
            return Err(EnforcementPointError::Ahead {
                given: after,
                last: known,
            });
        }
        // Most looks find changes of other accounts only.
        let changes = match after == known {
            true => Vec::new(),
            false => match store.known_epoch(account, after).await? {
                Some(epoch) => store.revocation_changes(account, epoch, limit).await?,
                None => return Err(EnforcementPointError::Skipped { given: after }),
            },
        };
        let epoch = match changes.last() {
            Some(last) if changes.len() >= limit as usize => last.epoch(),
            Some(last) => last.epoch().max(known),
            None => known,
        };
        Ok((RevocationChanges { epoch, changes }, searched))
    }

    /// Returns the epoch before a reading of all revoked certificates. The changes after it
    /// complete that reading.
    pub async fn epoch(&self, scope: &AccountScope<FollowRevocations>) -> Result<u64, Fault> {
        let last = self
            .environment
            .store
            .last_epochs(scope.account().id)
            .await?;
        Ok(last.of_account)
    }

    /// Returns the next revoked certificates of an account, and the cursor after them. A cursor of
    /// `None` ends the reading.
    pub async fn revoked(
        &self,
        scope: &AccountScope<FollowRevocations>,
        at: Timestamp,
        cursor: Option<RevokedCursor>,
    ) -> Result<(Vec<EnforcedCertificate>, Option<RevokedCursor>), Fault> {
        let store = &self.environment.store;
        let authorities = store.managed_authorities(scope.account().id).await?;
        if cursor.is_some() && authorities.is_empty() {
            return Err(Fault::Unavailable(
                "the account was deleted while its revocations were read".to_owned(),
            ));
        }
        // Every revocation of a CA that is added during the reading is also in the changes.
        let ids = authorities.iter().map(|known| known.record.id).collect();
        let Some((RevokedCursor { authority, after }, following)) =
            RevokedCursor::next_in(cursor, ids)
        else {
            return Ok((Vec::new(), None));
        };
        let found = store
            .revoked_certificates(authority, at, after, REVOKED_AT_A_TIME)
            .await?;
        let next = match found.last() {
            Some((position, _)) if found.len() >= REVOKED_AT_A_TIME as usize => {
                Some(RevokedCursor {
                    authority,
                    after: Some(*position),
                })
            }
            _ => following.map(RevokedCursor::begin_of),
        };
        let certificates = found.into_iter().map(|(_, certificate)| certificate);
        Ok((certificates.collect(), next))
    }

    /// Returns the managed and imported CAs of an account, the oldest first. Every revocation of a
    /// CA that is added later is also in the changes.
    pub async fn authorities(
        &self,
        scope: &AccountScope<FollowRevocations>,
    ) -> Result<Vec<AuthorityId>, Fault> {
        let store = &self.environment.store;
        let known = store.managed_authorities(scope.account().id).await?;
        Ok(known.iter().rev().map(|known| known.record.id).collect())
    }

    /// Returns the serial numbers of the next revoked certificates of a CA in a fixed order, which
    /// is not theirs, and the position after them. A position of `None` ends the reading.
    pub async fn revoked_serials(
        &self,
        _: &AccountScope<FollowRevocations>,
        authority: AuthorityId,
        at: Timestamp,
        after: Option<RevokedPosition>,
    ) -> Result<(Vec<SerialNumber>, Option<RevokedPosition>), Fault> {
        let store = &self.environment.store;
        let found = store
            .revoked_serials(authority, at, after, SERIALS_AT_A_TIME)
            .await?;
        let is_full = found.len() >= SERIALS_AT_A_TIME as usize;
        let next = found
            .last()
            .filter(|_| is_full)
            .map(|(position, _)| *position);
        let serials = found.into_iter().map(|(_, serial)| serial);
        Ok((serials.collect(), next))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reading_visits_each_ca_once_whatever_the_order_of_each_answer() {
        let [first, second, third] = [1, 2, 3].map(|n| AuthorityId::from_bytes([n; 16]));
        // Before each page another CA is activated, which the store then returns first.
        let mut answers = [
            vec![third, second, first],
            vec![first, third, second],
            vec![second, third, first],
        ]
        .into_iter();
        let (mut visited, mut cursor) = (Vec::new(), None);
        for answer in answers.by_ref() {
            let (at, following) = RevokedCursor::next_in(cursor, answer).unwrap();
            visited.push(at.authority);
            cursor = following.map(RevokedCursor::begin_of);
        }
        assert_eq!(visited, [first, second, third]);
        assert!(cursor.is_none());
        // A CA that was discarded meanwhile does not hide the later ones.
        let cursor = Some(RevokedCursor::begin_of(second));
        let (at, following) = RevokedCursor::next_in(cursor, vec![third, first]).unwrap();
        assert_eq!((at.authority, following), (third, None));
        assert!(RevokedCursor::next_in(cursor, vec![first]).is_none());
    }
}
