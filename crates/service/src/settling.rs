use std::collections::HashSet;
use std::sync::Mutex;
use std::time::Duration;

use certgate_model::{
    AuthorityId, By, EnforcementPointId, Event, RevocationReason, Status, Timestamp, lock,
};
use certgate_store::{
    BackgroundJob, FaultPoint, LeaseHolder, ReplacedCertificate, Settled, StatusChange, fault_point,
};
use futures_util::future::try_join_all;

use crate::environment::Environment;
use crate::error::Fault;
use crate::measures;
use crate::publishing::Publisher;
use crate::signals::AnnounceOnDrop;

/// Number of certificates that settle in one transaction: enough to share its fsync, few enough to
/// delay other writes only by milliseconds.
const SETTLE_BATCH: u32 = 512;

/// Pause after a failure. It doubles each time up to the next figure.
const SETTLE_RETRY: Duration = Duration::from_secs(1);
const SETTLE_RETRY_MAX: Duration = Duration::from_secs(64);
/// Longest pause on a shared store: changes of other processes do not wake the settler.
const SETTLE_RETRY_SHARED_MAX: Duration = Duration::from_secs(4);

/// Minimum pause before the next look at leases of enforcement points, however many of them end.
const LEASE_LOOK: Duration = Duration::from_millis(100);

/// Number of silent enforcement points that one transaction deletes.
const FORGET_BATCH: u32 = 100;

/// Number of replaced certificates that are read at once to be revoked.
const SUPERSEDE_BATCH: u32 = 100;

/// Time after the start before silent enforcement points are deleted, in seconds: certgate may have
/// been down for longer than they may be silent, and they come back now.
const FORGET_GRACE_SECONDS: i64 = 30;

/// Duration of this process's lease on settling, in seconds. After a crash, another process takes
/// over after this time. The lease is renewed when half of it has passed.
const SETTLING_LEASE_SECONDS: i64 = 20;

/// Interval at which a process without the lease tries to get it.
const SETTLING_LEASE_LOOK: Duration = Duration::from_secs(5);

/// Interval at which the settler looks for changes that other processes have accepted.
const SHARED_LOOK: Duration = Duration::from_secs(1);

/// Interval at which an idle settler looks for lists that are due for renewal. Renewal begins days
/// before a list expires.
const RENEWAL_LOOK: Duration = Duration::from_secs(600);

/// The outcome of a round of settling.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Settling {
    /// No work is left.
    Done,
    /// Some lists could not be published. The changes that belong on them wait.
    ListsMissing,
    /// Another process holds the lease.
    LeftToOthers,
}

/// The background job that publishes revocation lists and settles pending changes.
pub struct Settler {
    environment: Environment,
    publisher: Publisher,
    /// The identity of this process as a lease holder.
    holder: LeaseHolder,
    /// End of this process's lease on settling.
    lease_until: Mutex<Option<Timestamp>>,
    /// The time of the start.
    begun: Timestamp,
    /// The silent enforcement points that the log already names.
    silent_points: Mutex<HashSet<EnforcementPointId>>,
}

impl Settler {
    pub(crate) fn new(environment: Environment, publisher: Publisher) -> Self {
        let mut holder = LeaseHolder::default();
        environment.random.fill(&mut holder);
        Self {
            begun: environment.now(),
            environment,
            publisher,
            holder,
            lease_until: Mutex::default(),
            silent_points: Mutex::default(),
        }
    }

    /// Settles pending changes, now and whenever there are new ones: a background job that never
    /// returns.
    pub async fn settle_forever(&self) {
        let mut pause = SETTLE_RETRY;
        loop {
            let woken = self.environment.signals.settling_due();
            // Read before the work, so that the end of a lease during the work is noticed.
            let begun = self.environment.now();
            match self.settle_all().await {
                Ok(Settling::LeftToOthers) => {
                    // The lease holder reports lagging enforcement points. This process's last
                    // figures would remain otherwise.
                    measures::lagging(0, 0);
                    let _ = tokio::time::timeout(SETTLING_LEASE_LOOK, woken).await;
                    continue;
                }
                Ok(Settling::Done) => {
                    pause = SETTLE_RETRY;
                    // A change or an acknowledgement wakes the settler. So do the end of an
                    // enforcement point's lease, a replaced certificate and the renewal of lists.
                    let longest = self.longest(SHARED_LOOK, RENEWAL_LOOK);
                    let lease = self.until_next_lease_ends(begun).await;
                    let forgetting = self.until_next_is_forgotten(begun).await;
                    let superseding = self.until_next_is_superseded().await;
                    let ends = [lease, forgetting, superseding].into_iter().flatten();
                    let look = ends.fold(longest, Duration::min);
                    let _ = tokio::time::timeout(look, woken).await;
                    continue;
                }
                Ok(Settling::ListsMissing) => {}
                Err(fault) => tracing::error!(error = %fault, "settling failed; it is tried again"),
            }
            // A new change wakes the settler early, and it retries then. Refused changes wake it
            // too, so the first second is always waited.
            let _ = tokio::time::timeout(SETTLE_RETRY, std::future::pending::<()>()).await;
            let _ = tokio::time::timeout(pause.saturating_sub(SETTLE_RETRY), woken).await;
            let longest = self.longest(SETTLE_RETRY_SHARED_MAX, SETTLE_RETRY_MAX);
            pause = (pause * 2).min(longest);
        }
    }

    /// Publishes the lists that are due and settles the changes that were pending before, until no
    /// work is left.
    pub async fn settle_all(&self) -> Result<Settling, Fault> {
        let mut failed_aged = Vec::new();
        loop {
            if !self.hold_lease().await? {
                return Ok(Settling::LeftToOthers);
            }
            self.forget_silent_points().await?;
            self.revoke_replaced().await?;
            // Every list published from here on has each change up to this one.
            let epoch = self.environment.store.last_epoch().await?;
            fault_point(FaultPoint::SettlingBegun);
            let failed = self.publisher.publish_changed().await?;
            fault_point(FaultPoint::ListsPublished);
            self.settle_up_to(epoch, &failed).await?;
            // Renew a few lists at a time, so that a revocation does not wait for all of them.
            if !self.publisher.publish_aged(&mut failed_aged).await? {
                // A list that is only due for renewal is still valid for days.
                return Ok(match failed.is_empty() {
                    true => Settling::Done,
                    false => Settling::ListsMissing,
                });
            }
        }
    }

    /// Revokes a batch of certificates that were replaced, after the time that the rules of their
    /// zone give. The revocations share commits, and other changes settle between two batches. A
    /// crash in between repeats a revocation, which changes nothing.
    async fn revoke_replaced(&self) -> Result<(), Fault> {
        let store = &self.environment.store;
        let now = self.environment.now();
        let due = store.replaced_due(now, SUPERSEDE_BATCH).await?;
        if due.is_empty() {
            return Ok(());
        }
        try_join_all(due.iter().map(|replaced| self.supersede(replaced, now))).await?;
        let ids = due.iter().map(|replaced| replaced.id).collect();
        Ok(store.leave_replaced(ids).await?)
    }

    async fn supersede(&self, replaced: &ReplacedCertificate, now: Timestamp) -> Result<(), Fault> {
        let _announce = AnnounceOnDrop {
            signals: &self.environment.signals,
            account: replaced.account,
        };
        let event = Event::Revoke(RevocationReason::Superseded);
        let (zone, id) = (replaced.zone, replaced.id);
        let store = &self.environment.store;
        let change = store.change_status(zone, id, event, By::system(now));
        if let Some(StatusChange::Changed(certificate)) = change.await? {
            measures::status_changes(certificate.status, 1);
        }
        Ok(())
    }

    /// Returns the time until the next replaced certificate is to be revoked.
    async fn until_next_is_superseded(&self) -> Option<Duration> {
        match self.environment.store.next_replaced_due().await {
            Ok(on) => {
                let left = self.environment.now().until(on?).duration();
                Some(left.max(LEASE_LOOK))
            }
            Err(fault) => {
                tracing::error!(error = %fault, "the replaced certificates could not be read");
                Some(SETTLE_RETRY)
            }
        }
    }

    /// Gives up the lease, so that another process need not wait for its end.
    pub async fn release_lease(&self) -> Result<(), Fault> {
        *lock(&self.lease_until) = None;
        let store = &self.environment.store;
        Ok(store
            .release_lease(BackgroundJob::Settling, self.holder)
            .await?)
    }

    /// Returns true if this process holds the lease. Two settlers at once would do the work twice,
    /// but correctly.
    async fn hold_lease(&self) -> Result<bool, Fault> {
        let now = self.environment.now();
        let (half, whole) = (
            now.plus_seconds(SETTLING_LEASE_SECONDS / 2),
            now.plus_seconds(SETTLING_LEASE_SECONDS),
        );
        let until = *lock(&self.lease_until);
        if until.is_some_and(|until| (half..=whole).contains(&until)) {
            return Ok(true);
        }
        let store = &self.environment.store;
        let is_ours = store
            .hold_lease(BackgroundJob::Settling, self.holder, now, whole)
            .await?;
        *lock(&self.lease_until) = is_ours.then_some(whole);
        Ok(is_ours)
    }

    async fn settle_up_to(&self, epoch: u64, except: &[AuthorityId]) -> Result<(), Fault> {
        let store = &self.environment.store;
        loop {
            let now = self.environment.now();
            let settled = store
                .settle_pending(epoch, now, except, SETTLE_BATCH)
                .await?;
            fault_point(FaultPoint::Settled);
            let Settled {
                reactivated,
                revoked,
            } = settled;
            measures::status_changes(Status::Active, reactivated);
            measures::status_changes(Status::Revoked, revoked);
            if reactivated + revoked < u64::from(SETTLE_BATCH) {
                return Ok(());
            }
        }
    }

    async fn until_next_lease_ends(&self, begun: Timestamp) -> Option<Duration> {
        match self.look_at_leases(begun).await {
            Ok(end) => {
                let left = self.environment.now().until(end?).duration();
                Some(left.max(LEASE_LOOK))
            }
            Err(fault) => {
                let text = "the leases of enforcement points could not be read";
                tracing::error!(error = %fault, "{text}");
                Some(SETTLE_RETRY)
            }
        }
    }

    /// Deletes the enforcement points that were silent for as long as they stated.
    async fn forget_silent_points(&self) -> Result<(), Fault> {
        let store = &self.environment.store;
        let now = self.environment.now();
        if self.is_in_grace(now)
            || store
                .next_forgotten_point()
                .await?
                .is_none_or(|on| on > now)
        {
            return Ok(());
        }
        for point in store.forget_silent_points(now, FORGET_BATCH).await? {
            tracing::info!(
                enforcement_point = %point.id, account = %point.account, name = point.name,
                forget_seconds = point.forget_seconds,
                "an enforcement point was silent for longer than its forget_seconds: it is deleted"
            );
        }
        Ok(())
    }

    fn is_in_grace(&self, now: Timestamp) -> bool {
        self.begun.until(now).is_within(FORGET_GRACE_SECONDS)
    }

    async fn until_next_is_forgotten(&self, now: Timestamp) -> Option<Duration> {
        match self.environment.store.next_forgotten_point().await {
            Ok(on) => {
                let grace_ends = self.begun.plus_seconds(FORGET_GRACE_SECONDS);
                let on = if self.is_in_grace(now) {
                    on?.max(grace_ends)
                } else {
                    on?
                };
                Some(self.environment.now().until(on).duration().max(LEASE_LOOK))
            }
            Err(error) => {
                tracing::error!(%error, "the enforcement points to forget could not be read");
                Some(SETTLE_RETRY)
            }
        }
    }

    /// Logs each enforcement point once that is silent, and returns the next end of the lease of a
    /// lagging one.
    async fn look_at_leases(&self, now: Timestamp) -> Result<Option<Timestamp>, Fault> {
        let lagging = self.environment.store.lagging_enforcement_points().await?;
        let (live, silent): (Vec<_>, Vec<_>) =
            lagging.iter().partition(|point| point.is_waited_for(now));
        measures::lagging(live.len(), silent.len());
        let mut logged = lock(&self.silent_points);
        for point in &silent {
            if logged.insert(point.id) {
                tracing::warn!(
                    enforcement_point = %point.id, account = %point.account, name = point.name,
                    acknowledged_epoch = point.acknowledged_epoch,
                    "an enforcement point was silent for longer than its lease: changes settle \
                     without it"
                );
            }
        }
        let silent: HashSet<_> = silent.iter().map(|point| point.id).collect();
        logged.retain(|id| silent.contains(id));
        Ok(live.iter().map(|point| point.lease_until()).min())
    }

    fn longest(&self, on_shared_store: Duration, otherwise: Duration) -> Duration {
        match self.environment.store.is_shared() {
            true => on_shared_store,
            false => otherwise,
        }
    }
}
