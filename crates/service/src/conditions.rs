//! Finds the states of objects that notifications report: certificates that expire, CAs and CRLs
//! near their end, and silent enforcement points. Each state is reported once.

use std::collections::HashSet;
use std::sync::{Arc, Mutex};

use certgate_model::{
    Condition, Direction, ExpiringCertificate, ExpiryPlace, Join, NotificationId, NotificationKind,
    Random, ReportedState, SECONDS_PER_DAY, Slice, Timestamp, Visible, ZoneFilter, ZoneId,
    ZoneOrder, ZoneRecord, lock,
};
use certgate_store::Store;

use crate::error::Fault;

/// The time before the end of an active CA at which it is reported, in days: enough to prepare the
/// next one, and to let enforcement points and servers trust it.
const AUTHORITY_DAYS: u32 = 90;

/// The time after which a CRL is reported that was not renewed, in seconds: one day of the four
/// between its renewal and its end.
const CRL_LATE_SECONDS: i64 = SECONDS_PER_DAY;

/// The most silent enforcement points that are reported at once: those that became silent last.
const POINTS_MAX: u32 = 1_000;

/// The most expiring certificates that an event names.
const NAMED_MAX: usize = 100;

/// The most reported states that are remembered, so that a look writes nothing for them.
const KNOWN_STATES: usize = 10_000;

/// Number of entries that one read of the index of expiry returns.
const READ_BATCH: u32 = 500;

/// Number of zones that one read returns.
const ZONES_BATCH: u32 = 100;

/// The time for which conditions and undelivered events are stored, in days.
const KEPT_DAYS: i64 = 90;

/// The search for conditions.
pub(crate) struct Conditions {
    store: Arc<dyn Store>,
    random: Arc<dyn Random>,
    expiring_days: u32,
    /// The zones that have an event of this day (in days since the Unix epoch).
    reported: Mutex<(i64, HashSet<ZoneId>)>,
    /// States that are stored, by kind, object and time: the store need not be asked.
    known: Mutex<HashSet<(u8, [u8; 16], Timestamp)>>,
}

impl Conditions {
    pub(crate) fn new(store: Arc<dyn Store>, random: Arc<dyn Random>, expiring_days: u32) -> Self {
        Self {
            store,
            random,
            expiring_days,
            reported: Mutex::default(),
            known: Mutex::default(),
        }
    }

    /// Reports CAs near their end, late CRLs, and silent enforcement points.
    pub(crate) async fn find_states(&self, now: Timestamp) -> Result<(), Fault> {
        let store = &self.store;
        let ending = store.authorities_ending(now.plus_days(AUTHORITY_DAYS));
        for state in ending.await? {
            self.report(NotificationKind::AuthorityExpiring, state, now)
                .await?;
        }
        let late = store.crls_overdue(now.plus_seconds(-CRL_LATE_SECONDS), now);
        for state in late.await? {
            self.report(NotificationKind::CrlOverdue, state, now)
                .await?;
        }
        for state in store.points_silent(now, POINTS_MAX).await? {
            self.report(NotificationKind::PointSilent, state, now)
                .await?;
        }
        Ok(())
    }

    async fn report(
        &self,
        kind: NotificationKind,
        state: ReportedState,
        now: Timestamp,
    ) -> Result<(), Fault> {
        let key = (kind.code(), state.object, state.since);
        if lock(&self.known).contains(&key) {
            return Ok(());
        }
        let condition = Condition {
            id: self.new_id(),
            kind,
            object: state.object,
            since: state.since,
            account: state.account,
            at: now,
            name: state.name,
            count: 0,
            certificates: Vec::new(),
        };
        self.store.record_condition(condition).await?;
        let mut known = lock(&self.known);
        if known.len() >= KNOWN_STATES {
            known.clear();
        }
        known.insert(key);
        Ok(())
    }

    fn new_id(&self) -> NotificationId {
        let mut id = NotificationId::default();
        self.random.fill(&mut id);
        id
    }

    /// Reports the certificates that expire soon, once for each zone and day (UTC).
    pub(crate) async fn find_expiring(&self, now: Timestamp) -> Result<(), Fault> {
        if !self.store.is_indexed().await? {
            return Ok(());
        }
        let day = now.unix_day();
        {
            let mut reported = lock(&self.reported);
            if reported.0 != day {
                *reported = (day, HashSet::new());
            }
        }
        let mut first = 0;
        loop {
            let slice = Slice {
                first,
                size: ZONES_BATCH,
            };
            let page = self.store.zones(&every_zone(), slice).await?;
            for zone in &page.items {
                if !lock(&self.reported).1.contains(&zone.id) {
                    self.find_expiring_of(zone, now, day).await?;
                }
            }
            first += u64::from(ZONES_BATCH);
            if first >= page.total {
                return Ok(());
            }
        }
    }

    async fn find_expiring_of(
        &self,
        zone: &ZoneRecord,
        now: Timestamp,
        day: i64,
    ) -> Result<(), Fault> {
        let until = now.plus_days(self.expiring_days);
        let mut place = ExpiryPlace {
            expires_on: now,
            position: i64::MIN,
        };
        let (mut count, mut certificates) = (0, Vec::new());
        loop {
            let read = self
                .store
                .expiring(zone.id, place, until, READ_BATCH)
                .await?;
            let (found, next) = read;
            for certificate in found.iter().filter(|one| is_near(one, now)) {
                count += 1;
                if certificates.len() < NAMED_MAX {
                    certificates.push(certificate.id);
                }
            }
            match next {
                Some(next) => place = next,
                None => break,
            }
        }
        if count == 0 {
            return Ok(());
        }
        let condition = Condition {
            id: self.new_id(),
            kind: NotificationKind::Expiring,
            object: *zone.id.as_bytes(),
            since: Timestamp::from_unix(day * SECONDS_PER_DAY),
            account: zone.account,
            at: now,
            name: zone.name.clone(),
            count,
            certificates,
        };
        self.store.record_condition(condition).await?;
        lock(&self.reported).1.insert(zone.id);
        Ok(())
    }

    /// Deletes old conditions and undelivered events.
    pub(crate) async fn forget(&self, now: Timestamp) -> Result<(), Fault> {
        let before = now.plus_seconds(-KEPT_DAYS * SECONDS_PER_DAY);
        Ok(self.store.forget_notifications(before).await?)
    }
}

/// Returns true in the last third of a lifetime: clients renew a certificate when two thirds of it
/// have passed.
fn is_near(certificate: &ExpiringCertificate, now: Timestamp) -> bool {
    let lifetime = certificate.issued_on.until(certificate.expires_on);
    let left = now.until(certificate.expires_on);
    left.microseconds() <= lifetime.microseconds() / 3
}

fn every_zone() -> ZoneFilter {
    ZoneFilter {
        visible: Visible {
            all: true,
            ..Visible::default()
        },
        name: None,
        account: None,
        account_name: None,
        join: Join::All,
        order: ZoneOrder::CreatedOn,
        direction: Direction::Ascending,
    }
}
