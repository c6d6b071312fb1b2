//! The counts that issuance rules limit. They are read and written in the transaction that records
//! the certificates, so that requests at the same time cannot exceed a limit together.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use certgate_model::{CertificateRecord, FoldedName, Status, Timestamp, ZoneId};

use super::search::{Named, newest_named};
use super::tenants::zone_number;
use crate::db::{Db, values};
use crate::position::Position;
use crate::{CertificateRecorded, CountedLimits, StoreError};

/// Number of certificates of a name that are read at a time, the newest first. Most names have
/// fewer.
const NAMES_READ: u32 = 500;

/// The most certificates of a name, active or not, that are read to count the active ones. More
/// would delay the writes of others.
const CERTIFICATES_OF_NAME_MAX: usize = 10_000;

/// The counts as a batch of certificates changes them.
pub(super) struct Counts<'d, D> {
    db: &'d D,
    days: BTreeMap<[u8; 16], Day>,
    /// The active certificates of a name, without those in the batch, up to a maximum.
    names: BTreeMap<(ZoneId, FoldedName, u64), Active>,
}

/// The active certificates of a name.
#[derive(Clone, Copy)]
enum Active {
    /// Their number, up to the maximum.
    Counted(u64),
    /// There are fewer than the maximum among the certificates that were read, and there are more
    /// certificates.
    NotCountable,
}

struct Day {
    day: i64,
    count: u64,
    is_changed: bool,
}

impl Day {
    /// A day without certificates.
    fn new(day: i64) -> Self {
        Self {
            day,
            count: 0,
            is_changed: false,
        }
    }
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
            let day = match self.days.entry(limit.owner) {
                Entry::Occupied(day) => day.into_mut(),
                Entry::Vacant(place) => place.insert(day(self.db, limit.owner, counted.day).await?),
            };
            // The batch began before midnight.
            if day.day < counted.day {
                *day = Day::new(counted.day);
            }
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
        let key = (certificate.zone, name, max);
        if !self.is_indexed(certificate.zone).await? {
            return Ok(Some(CertificateRecorded::NamesNotIndexed));
        }
        let stored = match self.names.get(&key) {
            Some(active) => *active,
            None => {
                let active = self.active(&key, at).await?;
                self.names.insert(key, active);
                active
            }
        };
        Ok(match stored {
            Active::Counted(stored) => {
                (stored + in_batch >= max).then_some(CertificateRecorded::NameLimitReached)
            }
            Active::NotCountable => Some(CertificateRecorded::NameNotCountable),
        })
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

    /// Counts the stored certificates of a name that are active and have not expired, up to a
    /// maximum.
    async fn active(
        &self,
        (zone, name, max): &(ZoneId, FoldedName, u64),
        at: Timestamp,
    ) -> Result<Active, StoreError> {
        let Some(zone) = zone_number(self.db, *zone).await? else {
            return Ok(Active::Counted(0));
        };
        let is_active = |one: &&Named| {
            // Long names share the part that is indexed.
            FoldedName::new(&one.common_name) == *name
                && matches!(one.status, Status::Active | Status::PendingReactivation)
                && at < one.expires_on
        };
        let (mut active, mut read, mut newest) = (0, 0, i64::MAX);
        while active < *max {
            if read >= CERTIFICATES_OF_NAME_MAX {
                return Ok(Active::NotCountable);
            }
            let found = newest_named(self.db, zone, name, newest, NAMES_READ).await?;
            active += found.iter().filter(is_active).count() as u64;
            read += found.len();
            match found.last() {
                Some(oldest) if found.len() == NAMES_READ as usize => newest = oldest.position - 1,
                _ => break,
            }
        }
        Ok(Active::Counted(active))
    }
}

/// Returns the count of an owner on a day, or on the next day if it has that: the clocks of servers
/// differ. A count of a later day is one of a wrong clock: it would block the owner until then.
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
    let is_valid = |day: &Day| (today..=today + 1).contains(&day.day);
    Ok(found.await?.filter(is_valid).unwrap_or(Day::new(today)))
}
