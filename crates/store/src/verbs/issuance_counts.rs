//! The counts that issuance rules limit. They are read and written in the transaction that records
//! the certificates, so that requests at the same time cannot exceed a limit together.

use std::collections::BTreeMap;

use certgate_model::{CertificateRecord, FoldedName, Status, Timestamp, ZoneId};

use super::tenants::zone_number;
use crate::db::{Db, values};
use crate::position::Position;
use crate::{CertificateRecorded, CountedLimits, StoreError};

/// The most certificates of a name, active or not, that are read to count the active ones. A name
/// with more certificates exceeds every rule: it would delay the writes of others.
const CERTIFICATES_OF_NAME_MAX: i64 = 10_000;

/// The counts as a batch of certificates changes them.
pub(super) struct Counts<'d, D> {
    db: &'d D,
    days: BTreeMap<[u8; 16], Day>,
    /// The active certificates of a name, without those in the batch.
    names: BTreeMap<(ZoneId, FoldedName), u64>,
}

struct Day {
    day: i64,
    count: u64,
    is_changed: bool,
}

impl<'d, D: Db> Counts<'d, D> {
    pub(super) fn new(db: &'d D) -> Self {
        Self {
            db,
            days: BTreeMap::new(),
            names: BTreeMap::new(),
        }
    }

    /// Returns the refusal of a certificate that would exceed a limit at this time. `before` are
    /// the certificates before it in the batch.
    pub(super) async fn refusal<'n>(
        &mut self,
        counted: &CountedLimits,
        certificate: &CertificateRecord,
        at: Timestamp,
        before: impl Iterator<Item = &'n CertificateRecord>,
    ) -> Result<Option<CertificateRecorded>, StoreError> {
        for limit in &counted.per_day {
            let day = match self.days.get(&limit.owner) {
                Some(day) => day,
                None => {
                    let found = day(self.db, limit.owner, counted.day).await?;
                    self.days.entry(limit.owner).or_insert(found)
                }
            };
            if day.count >= limit.max {
                let owner = limit.owner;
                return Ok(Some(CertificateRecorded::DayLimitReached { owner }));
            }
        }
        let Some(max) = counted.active_per_name else {
            return Ok(None);
        };
        let name = FoldedName::new(&certificate.subject.common_name);
        let in_batch = before.filter(|earlier| {
            earlier.zone == certificate.zone
                && FoldedName::new(&earlier.subject.common_name) == name
        });
        let in_batch = in_batch.count() as u64;
        let key = (certificate.zone, name);
        if !self.is_indexed(certificate.zone).await? {
            return Ok(Some(CertificateRecorded::NamesNotIndexed));
        }
        let stored = match self.names.get(&key) {
            Some(count) => *count,
            None => {
                let count = self.active(&key, at).await?;
                self.names.insert(key, count);
                count
            }
        };
        Ok((stored + in_batch >= max).then_some(CertificateRecorded::NameLimitReached))
    }

    /// Counts a certificate that will be recorded.
    pub(super) fn add(&mut self, counted: &CountedLimits) {
        for limit in &counted.per_day {
            if let Some(day) = self.days.get_mut(&limit.owner) {
                day.count += 1;
                day.is_changed = true;
            }
        }
    }

    /// Writes the counts that have changed.
    pub(super) async fn write(&self) -> Result<(), StoreError> {
        let upsert = "INSERT INTO issuance_counters (owner, day, count) VALUES (?1, ?2, ?3) \
                      ON CONFLICT (owner) DO UPDATE SET day = ?2, count = ?3";
        for (owner, day) in self.days.iter().filter(|(_, day)| day.is_changed) {
            let cells = values![*owner, day.day, day.count];
            self.db.execute(upsert, &cells).await?;
        }
        Ok(())
    }

    /// Returns true if the index of names has every certificate of the zone.
    async fn is_indexed(&self, zone: ZoneId) -> Result<bool, StoreError> {
        let Some(zone) = zone_number(self.db, zone).await? else {
            return Ok(true);
        };
        // A row of zone 0 says that an index of PostgreSQL is not complete.
        let select = "SELECT zone FROM indexing WHERE zone = 0 OR (zone = ?1 AND below > ?2)";
        let values = values![zone, Position::first_of(zone).0];
        let found = self.db.rows(select, &values, |row| row.get::<i64>(0));
        Ok(found.await?.is_empty())
    }

    /// Counts the stored certificates of a name that are active and have not expired.
    async fn active(
        &self,
        (zone, name): &(ZoneId, FoldedName),
        at: Timestamp,
    ) -> Result<u64, StoreError> {
        let Some(zone) = zone_number(self.db, *zone).await? else {
            return Ok(0);
        };
        let select = "SELECT certificates.common_name, statuses.status, certificates.expires_on \
                      FROM (SELECT position FROM certificate_names \
                      WHERE zone = ?1 AND name = ?2 ORDER BY position DESC LIMIT ?3) AS named \
                      JOIN certificates ON certificates.position = named.position \
                      JOIN statuses ON statuses.position = named.position";
        let most = CERTIFICATES_OF_NAME_MAX + 1;
        let values = values![zone, name.indexed(), most];
        let found = self.db.rows(select, &values, |row| {
            // Long names share the part that is indexed.
            let is_named = FoldedName::new(&row.get::<String>(0)?) == *name;
            let status = Status::from_code(row.get(1)?);
            let is_active = matches!(status, Some(Status::Active | Status::PendingReactivation));
            let expires_on = row.get(2)?;
            Ok(is_named && is_active && at < expires_on)
        });
        let found = found.await?;
        if found.len() as i64 >= most {
            return Ok(u64::MAX / 2);
        }
        Ok(found.into_iter().filter(|is_active| *is_active).count() as u64)
    }
}

/// Returns the count of an owner on a day, or on a later day that it has: the clocks of servers
/// differ.
async fn day<D: Db>(db: &D, owner: [u8; 16], today: i64) -> Result<Day, StoreError> {
    let select = "SELECT day, count FROM issuance_counters WHERE owner = ?1";
    let owner = values![owner];
    let found = db.optional(select, &owner, |row| {
        Ok(Day {
            day: row.get(0)?,
            count: row.get(1)?,
            is_changed: false,
        })
    });
    Ok(found.await?.filter(|day| day.day >= today).unwrap_or(Day {
        day: today,
        count: 0,
        is_changed: false,
    }))
}
