//! The counters of the summary: certificates by CA and status, and by day.
//!
//! They change in the transaction of the certificates, once for each batch, and do not cover the
//! certificates of earlier versions that the background job has not counted yet.

use std::collections::BTreeMap;

use certgate_model::{CertificateRecord, Status, Timestamp};
use futures_util::future::try_join;

use super::indexing::Revoked;
use crate::StoreError;
use crate::db::{Db, values};
use crate::position::Position;

/// The counters of days.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum DayKind {
    /// Certificates that are not revoked and not replaced, by the day on which they expire.
    Expiring,
    /// Every certificate, by the day on which it was issued.
    Issued,
    /// Certificates that are revoked, pending or not, by the day of the revocation.
    Revoked,
}

impl DayKind {
    /// Its stored number.
    pub(crate) const fn code(self) -> u8 {
        match self {
            Self::Expiring => 0,
            Self::Issued => 1,
            Self::Revoked => 2,
        }
    }
}

/// The number of the sums over all zones; a zone's number is at least 1.
pub(crate) const ALL_ZONES: i64 = 0;

/// Returns the number of days from the Unix epoch to the day (UTC) of an instant.
pub(crate) fn day(at: Timestamp) -> i64 {
    at.unix_day()
}

/// Returns true for a status of certificates that clients may use.
fn is_valid(status: Status) -> bool {
    matches!(status, Status::Active | Status::PendingReactivation)
}

/// The properties of a certificate that the counters look at.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Counted {
    pub(crate) position: Position,
    /// The number of its CA.
    pub(crate) authority: i64,
    pub(crate) expires_on: Timestamp,
}

/// The part of a certificate's state that they look at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Standing {
    pub(crate) status: Status,
    pub(crate) revoked_on: Option<Timestamp>,
    /// True if a renewal replaced it, and it is counted as replaced.
    pub(crate) is_replaced: bool,
}

impl Standing {
    pub(crate) fn of(certificate: &CertificateRecord, is_replaced: bool) -> Self {
        Self {
            status: certificate.status,
            revoked_on: certificate.revoked_on,
            is_replaced,
        }
    }
}

/// Changes of the counters, and of the index of revocations, that are made together.
#[derive(Default)]
pub(crate) struct Tallies {
    /// By zone and CA.
    authorities: BTreeMap<(i64, i64), [i64; 4]>,
    /// By zone, kind and day.
    days: BTreeMap<(i64, u8, i64), i64>,
    revoked: Revoked,
}

impl Tallies {
    /// Counts a certificate that was not counted before, and indexes its revocation.
    pub(crate) fn add(&mut self, of: Counted, issued_on: Timestamp, now: Standing) {
        self.count(of, issued_on, now);
        self.revoked.change(of.position, None, now.revoked_on);
    }

    /// Counts a certificate that was not counted before.
    pub(crate) fn count(&mut self, of: Counted, issued_on: Timestamp, now: Standing) {
        let zone = of.position.zone();
        self.of_authority(of, now.status, 1);
        self.of_day(zone, DayKind::Issued, issued_on, 1);
        self.of_state(of, now, 1);
    }

    /// Counts a certificate in another state than before.
    pub(crate) fn change(&mut self, of: Counted, before: Standing, after: Standing) {
        self.of_authority(of, before.status, -1);
        self.of_authority(of, after.status, 1);
        self.of_state(of, before, -1);
        self.of_state(of, after, 1);
        self.revoked
            .change(of.position, before.revoked_on, after.revoked_on);
    }

    /// Counts a settled certificate: the status alone differs, and not in the days.
    pub(crate) fn settle(&mut self, at: Position, authority: i64, from: Status, to: Status) {
        let counts = self.authorities.entry((at.zone(), authority)).or_default();
        counts[usize::from(from.code())] -= 1;
        counts[usize::from(to.code())] += 1;
    }

    fn of_authority(&mut self, of: Counted, status: Status, by: i64) {
        let key = (of.position.zone(), of.authority);
        self.authorities.entry(key).or_default()[usize::from(status.code())] += by;
    }

    fn of_state(&mut self, of: Counted, state: Standing, by: i64) {
        let zone = of.position.zone();
        if is_valid(state.status) && !state.is_replaced {
            self.of_day(zone, DayKind::Expiring, of.expires_on, by);
            self.of_day(ALL_ZONES, DayKind::Expiring, of.expires_on, by);
        }
        if let Some(at) = state.revoked_on {
            self.of_day(zone, DayKind::Revoked, at, by);
        }
    }

    fn of_day(&mut self, zone: i64, kind: DayKind, at: Timestamp, by: i64) {
        *self.days.entry((zone, kind.code(), day(at))).or_default() += by;
    }

    /// Writes the changes.
    pub(crate) async fn make<D: Db>(self, db: &D) -> Result<(), StoreError> {
        let authorities = "INSERT INTO authority_counters AS stored (zone, authority, active, \
             pending_reactivation, pending_revocation, revoked) VALUES (?1, ?2, ?3, ?4, ?5, ?6) \
             ON CONFLICT (zone, authority) DO UPDATE SET active = stored.active + excluded.active, \
             pending_reactivation = stored.pending_reactivation + excluded.pending_reactivation, \
             pending_revocation = stored.pending_revocation + excluded.pending_revocation, \
             revoked = stored.revoked + excluded.revoked";
        let days = "INSERT INTO day_counters AS stored (zone, kind, day, count) \
                    VALUES (?1, ?2, ?3, ?4) ON CONFLICT (zone, kind, day) \
                    DO UPDATE SET count = stored.count + excluded.count";
        let of_authorities: Vec<_> = self
            .authorities
            .into_iter()
            .filter(|(_, by)| *by != [0; 4])
            .map(|((zone, authority), by)| {
                values![zone, authority, by[0], by[1], by[2], by[3]].to_vec()
            })
            .collect();
        let of_days: Vec<_> = self
            .days
            .into_iter()
            .filter(|(_, by)| *by != 0)
            .map(|((zone, kind, day), by)| values![zone, kind, day, by].to_vec())
            .collect();
        let counters = try_join(
            db.execute_each(authorities, &of_authorities),
            db.execute_each(days, &of_days),
        );
        try_join(counters, self.revoked.write(db)).await?;
        Ok(())
    }

    /// The counts, for the check.
    pub(crate) fn into_counts(self) -> Counts {
        Counts {
            authorities: self.authorities,
            days: self.days,
        }
    }
}

/// Every counter that is not zero.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    /// By zone and CA.
    pub(crate) authorities: BTreeMap<(i64, i64), [i64; 4]>,
    /// By zone, kind and day.
    pub(crate) days: BTreeMap<(i64, u8, i64), i64>,
}
