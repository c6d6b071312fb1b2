//! Finds the states of objects that notifications report: certificates that expire, CAs and CRLs
//! near their end, and silent enforcement points. Each state is reported once.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex};

use aws_lc_rs::digest::{SHA256, digest};
use certgate_model::{
    Condition, Direction, ExpiringCertificate, ExpiryPlace, Hex, Join, NotificationId,
    NotificationKind, ReportedState, SECONDS_PER_DAY, Slice, Timestamp, Visible, ZoneFilter,
    ZoneId, ZoneOrder, ZoneRecord, lock,
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

/// The longest time until a zone without certificates to report is looked at again, in seconds.
const LOOK_SECONDS: i64 = 3_600;

/// Number of zones that one read returns.
const ZONES_BATCH: u32 = 100;

/// The time for which conditions and undelivered events are stored, in days.
const KEPT_DAYS: i64 = 90;

/// The search for conditions.
pub(crate) struct Conditions {
    store: Arc<dyn Store>,
    expiring_days: u32,
    /// The zones that have an event of this day (in days since the Unix epoch).
    reported: Mutex<(i64, HashSet<ZoneId>)>,
    /// States that are stored, by kind, object and time: the store need not be asked.
    known: Mutex<HashSet<(u8, [u8; 16], Timestamp)>>,
    /// The last and the next look at the certificates of a zone that has none to report.
    next_looks: Mutex<HashMap<ZoneId, (Timestamp, Timestamp)>>,
}

impl Conditions {
    pub(crate) fn new(store: Arc<dyn Store>, expiring_days: u32) -> Self {
        Self {
            store,
            expiring_days,
            reported: Mutex::default(),
            known: Mutex::default(),
            next_looks: Mutex::default(),
        }
    }

    /// Reports CAs near their end, late CRLs, and silent enforcement points.
    pub(crate) async fn find_states(&self, now: Timestamp) -> Result<(), Fault> {
        let store = &self.store;
        let ending = store.authorities_ending(now, now.plus_days(AUTHORITY_DAYS));
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
            id: id_of(kind, state.object, state.since),
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
                let is_reported = lock(&self.reported).1.contains(&zone.id);
                let next = lock(&self.next_looks).get(&zone.id).copied();
                let is_early = next.is_some_and(|(looked, next)| looked <= now && now < next);
                if !is_reported && !is_early {
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
        // One event has those of the whole day.
        let midnight = Timestamp::from_unix((day + 1) * SECONDS_PER_DAY);
        let mut next_look = now.plus_seconds(LOOK_SECONDS);
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
            for certificate in &found {
                let near_on = near_on(certificate);
                if near_on > midnight {
                    next_look = next_look.min(near_on);
                    continue;
                }
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
            let next = (now, next_look.max(now));
            lock(&self.next_looks).insert(zone.id, next);
            return Ok(());
        }
        let (kind, object) = (NotificationKind::Expiring, *zone.id.as_bytes());
        let since = Timestamp::from_unix(day * SECONDS_PER_DAY);
        let condition = Condition {
            id: id_of(kind, object, since),
            kind,
            object,
            since,
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

/// Returns the beginning of the last third of a lifetime: clients renew a certificate before it.
fn near_on(certificate: &ExpiringCertificate) -> Timestamp {
    let lifetime = certificate.issued_on.until(certificate.expires_on);
    let third = lifetime.microseconds() / 3;
    certificate.expires_on.plus_microseconds(-third)
}

/// Returns the ID of a condition: the same if it is stored again after a restore.
fn id_of(kind: NotificationKind, object: [u8; 16], since: Timestamp) -> NotificationId {
    let text = format!("{}\n{}\n{since}", kind.name(), Hex(&object));
    let digest = digest(&SHA256, text.as_bytes());
    let mut id = NotificationId::default();
    id.copy_from_slice(&digest.as_ref()[..16]);
    id
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

#[cfg(test)]
mod tests {
    use certgate_model::CertificateId;

    use super::*;

    #[test]
    fn a_certificate_is_near_in_its_last_third() {
        let at = Timestamp::from_unix;
        let certificate = ExpiringCertificate {
            id: CertificateId::from_bytes([1; 16]),
            issued_on: at(1_000),
            expires_on: at(1_300),
        };
        assert_eq!(near_on(&certificate), at(1_200));
    }

    #[test]
    fn a_condition_keeps_its_id_and_another_state_has_another() {
        let (kind, at) = (NotificationKind::PointSilent, Timestamp::from_unix);
        let id = id_of(kind, [1; 16], at(1));
        assert_eq!(id, id_of(kind, [1; 16], at(1)));
        assert_ne!(id, id_of(kind, [2; 16], at(1)));
        assert_ne!(id, id_of(kind, [1; 16], at(2)));
        assert_ne!(id, id_of(NotificationKind::CrlOverdue, [1; 16], at(1)));
    }
}
