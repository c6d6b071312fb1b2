//! Revoking, reactivating, and settling what is pending.

use std::time::Duration;

use certgate_model::{
    AuthorityId, CertificateId, CertificateRecord, Event, RevocationReason, Timestamp,
};
use certgate_store::{Duty, FaultPoint, Settled, StatusChange, fault_point};

use crate::access::{WriteCertificates, ZoneScope};
use crate::{Authority, Fault, RevocationError, measures};

/// How many certificates settle in one transaction: enough to share its fsync, few enough to keep other writes waiting
/// for milliseconds only.
const SETTLE_BATCH: u32 = 512;

/// How long settling pauses after trouble; twice as long each time, up to the next figure.
const SETTLE_RETRY: Duration = Duration::from_secs(1);
const SETTLE_RETRY_MAX: Duration = Duration::from_secs(64);
/// The most on a shared store, where nobody wakes the task for what other processes have accepted.
const SETTLE_RETRY_SHARED_MAX: Duration = Duration::from_secs(4);

/// However many leases end, they are looked at no more often.
const LEASE_LOOK: Duration = Duration::from_millis(100);

/// For how long a process has the duty to settle, in seconds: another one goes on that long after it was killed. Kept when half of
/// it is over.
const DUTY_SECONDS: i64 = 20;

/// How often a process that does not settle looks whether it has to.
const DUTY_LOOK: Duration = Duration::from_secs(5);

/// How often the process that settles looks for changes that others have accepted: of those nobody wakes it.
const SHARED_LOOK: Duration = Duration::from_secs(1);

/// How often to look for lists that are old enough to be made again, when nothing else happens. They are made days before
/// they run out.
const RENEWAL_LOOK: Duration = Duration::from_secs(600);

impl Authority {
    /// Revokes a certificate; it is `pending_revocation` until the revocation has settled. For any reason but
    /// certificateHold that is for good.
    pub async fn revoke(
        &self,
        scope: &ZoneScope<WriteCertificates>,
        id: CertificateId,
        reason: RevocationReason,
    ) -> Result<CertificateRecord, RevocationError> {
        self.change_status(scope, id, Event::Revoke(reason)).await
    }

    /// Restores a revoked certificate; it is `pending_reactivation` until that has settled.
    pub async fn reactivate(
        &self,
        scope: &ZoneScope<WriteCertificates>,
        id: CertificateId,
    ) -> Result<CertificateRecord, RevocationError> {
        self.change_status(scope, id, Event::Reactivate).await
    }

    async fn change_status(
        &self,
        scope: &ZoneScope<WriteCertificates>,
        id: CertificateId,
        event: Event,
    ) -> Result<CertificateRecord, RevocationError> {
        // Also if the caller goes away before the store has answered: the change may be durable all the same. What the
        // woken task asks of the store is queued behind it.
        let _wake = WakeOnDrop(self);
        let by = scope.by(self.clock.now());
        let change = self
            .store
            .change_status(scope.zone().id, id, event, by)
            .await?;
        match change.ok_or(RevocationError::NotFound)? {
            StatusChange::Unchanged(certificate) => Ok(certificate),
            StatusChange::Refused if event == Event::Reactivate => Err(RevocationError::Permanent),
            StatusChange::Refused => Err(RevocationError::AlreadyRevoked),
            StatusChange::Changed(certificate) => {
                metrics::counter!("certgate_status_changes_total", "to" => certificate.status.name())
                    .increment(1);
                Ok(certificate)
            }
        }
    }

    /// Settles what is pending now, and then whatever becomes pending, until it is dropped: a background task.
    pub async fn settle_forever(&self) {
        let mut pause = SETTLE_RETRY;
        loop {
            let woken = self.pending.notified();
            // Before settling: a lease that ends while this is done must still be seen to end.
            let begun = self.clock.now();
            match self.settle_all().await {
                Ok(Settling::LeftToOthers) => {
                    // Who lags is for the process that settles to say: what this one saw last would stay for ever.
                    measures::lagging(0, 0);
                    let _ = tokio::time::timeout(DUTY_LOOK, woken).await;
                    continue;
                }
                Ok(Settling::Done) => {
                    pause = SETTLE_RETRY;
                    // Woken by the next change or acknowledgement, when somebody's lease ends, or to see whether a list has to be
                    // made again.
                    let longest = if self.store.is_shared() {
                        SHARED_LOOK
                    } else {
                        RENEWAL_LOOK
                    };
                    let look = self
                        .until_next_lease_ends(begun)
                        .await
                        .map_or(longest, |lease| lease.min(longest));
                    let _ = tokio::time::timeout(look, woken).await;
                    continue;
                }
                Ok(Settling::ListsMissing) => {}
                Err(fault) => tracing::error!(error = %fault, "settling failed; it is tried again"),
            }
            // Woken earlier by the next change, which is as good a moment to try; but also by every one that is refused.
            let _ = tokio::time::timeout(SETTLE_RETRY, std::future::pending::<()>()).await;
            let _ = tokio::time::timeout(pause.saturating_sub(SETTLE_RETRY), woken).await;
            let longest = if self.store.is_shared() {
                SETTLE_RETRY_SHARED_MAX
            } else {
                SETTLE_RETRY_MAX
            };
            pause = (pause * 2).min(longest);
        }
    }

    async fn until_next_lease_ends(&self, begun: Timestamp) -> Option<Duration> {
        match self.look_at_leases(begun).await {
            Ok(end) => Some(end?.duration_since(self.clock.now()).max(LEASE_LOOK)),
            Err(fault) => {
                tracing::error!(error = %fault, "the leases of enforcement points could not be read");
                Some(SETTLE_RETRY)
            }
        }
    }

    /// Publishes what has to be published and settles what was pending when that began, until there is nothing left to do.
    pub async fn settle_all(&self) -> Result<Settling, Fault> {
        let mut failed_aged = Vec::new();
        loop {
            if !self.keep_settling_duty().await? {
                return Ok(Settling::LeftToOthers);
            }
            // What is published from here on holds every change up to this one.
            let epoch = self.store.last_epoch().await?;
            fault_point(FaultPoint::SettlingBegun);
            let failed = self.publish_changed().await?;
            fault_point(FaultPoint::ListsPublished);
            self.settle_up_to(epoch, &failed).await?;
            // A few at a time: a revocation that comes meanwhile does not wait for all of them.
            if !self.publish_aged(&mut failed_aged).await? {
                // Lists that only had to be made again are still good for days.
                return Ok(if failed.is_empty() {
                    Settling::Done
                } else {
                    Settling::ListsMissing
                });
            }
        }
    }

    /// Whether this process is the one that settles. What two did at once would be done right all the same, but twice.
    async fn keep_settling_duty(&self) -> Result<bool, Fault> {
        let now = self.clock.now();
        let (half, whole) = (
            now.plus_seconds(DUTY_SECONDS / 2),
            now.plus_seconds(DUTY_SECONDS),
        );
        if self
            .settling_until()
            .is_some_and(|until| (half..=whole).contains(&until))
        {
            return Ok(true);
        }
        let is_ours = self
            .store
            .hold_duty(Duty::Settling, self.holder, now, whole)
            .await?;
        *self.settling_until() = is_ours.then_some(whole);
        Ok(is_ours)
    }

    /// Leaves settling to other processes, which then need not wait for the end of a lease.
    pub async fn leave_duties(&self) -> Result<(), Fault> {
        *self.settling_until() = None;
        Ok(self.store.leave_duty(Duty::Settling, self.holder).await?)
    }

    fn settling_until(&self) -> std::sync::MutexGuard<'_, Option<Timestamp>> {
        self.settling_until
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    async fn settle_up_to(&self, epoch: u64, except: &[AuthorityId]) -> Result<(), Fault> {
        loop {
            let settled = self
                .store
                .settle_pending(epoch, self.clock.now(), except, SETTLE_BATCH)
                .await?;
            fault_point(FaultPoint::Settled);
            let Settled {
                reactivated,
                revoked,
            } = settled;
            metrics::counter!("certgate_status_changes_total", "to" => "active")
                .increment(reactivated);
            metrics::counter!("certgate_status_changes_total", "to" => "revoked")
                .increment(revoked);
            if reactivated + revoked < u64::from(SETTLE_BATCH) {
                return Ok(());
            }
        }
    }
}

/// How settling ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Settling {
    /// There is nothing left to do.
    Done,
    /// Lists could not be made, and what they have to hold waits.
    ListsMissing,
    /// Another process does it.
    LeftToOthers,
}

/// Wakes the settling task, and those who wait for changes, when it is dropped.
struct WakeOnDrop<'a>(&'a Authority);

impl Drop for WakeOnDrop<'_> {
    fn drop(&mut self) {
        self.0
            .changed
            .send_modify(|count| *count = count.wrapping_add(1));
        self.0.pending.notify_one();
    }
}
