//! The search index: its rows for new and changed certificates, and its progress after a migration.
//!
//! SQLite has a table for each way to search, with the rows in its primary key. PostgreSQL has
//! views of the same names and maintains indexes of its own, so that nothing is written here,
//! except the folded name where PostgreSQL's `lower` does not make it.

use certgate_model::{FoldedName, Timestamp};
use futures_util::future::try_join;

use crate::StoreError;
use crate::db::{Db, Dialect, Value, values};
use crate::position::Position;
use crate::schema::{
    CERTIFICATE_AUTHORITIES, CERTIFICATE_EXPIRIES, CERTIFICATE_FINGERPRINTS,
    CERTIFICATE_ISSUE_DATES, CERTIFICATE_NAMES,
};

/// The octets of a fingerprint that are indexed: with ten million certificates, two with the same
/// ones are improbable.
pub(crate) const PREFIX_OCTETS: usize = 8;

/// The indexed properties of a certificate that never change.
#[derive(Debug, Clone)]
pub(crate) struct Indexed {
    pub(crate) position: Position,
    /// The number of its CA.
    pub(crate) authority: i64,
    pub(crate) name: FoldedName,
    pub(crate) prefix: [u8; PREFIX_OCTETS],
    pub(crate) issued_on: Timestamp,
    pub(crate) expires_on: Timestamp,
}

/// Returns the first octets of a fingerprint.
pub(crate) fn prefix(fingerprint: &[u8; 32]) -> [u8; PREFIX_OCTETS] {
    let mut prefix = [0; PREFIX_OCTETS];
    prefix.copy_from_slice(&fingerprint[..PREFIX_OCTETS]);
    prefix
}

/// Returns the value of the column `folded_name`: `None` if the indexed name is the common name
/// with its ASCII letters in lower case, which PostgreSQL's `lower` makes.
pub(crate) fn folded_column<'n>(common_name: &str, folded: &'n FoldedName) -> Option<&'n str> {
    let indexed = folded.indexed();
    let is_lowered = indexed.len() == common_name.len()
        && common_name
            .bytes()
            .map(|octet| octet.to_ascii_lowercase())
            .eq(indexed.bytes());
    (!is_lowered).then_some(indexed)
}

/// Adds new certificates to the search index.
pub(crate) async fn insert<D: Db>(db: &D, rows: &[Indexed]) -> Result<(), StoreError> {
    if D::DIALECT == Dialect::Postgres {
        return Ok(());
    }
    let cells = |row: fn(&Indexed) -> [Value<'_>; 3]| rows.iter().flat_map(row).collect::<Vec<_>>();
    let names = cells(|row| values![row.position.zone(), row.name.indexed(), row.position.0]);
    db.insert(&CERTIFICATE_NAMES, &names).await?;
    let expiries = cells(|row| values![row.position.zone(), row.expires_on, row.position.0]);
    db.insert(&CERTIFICATE_EXPIRIES, &expiries).await?;
    let issued = cells(|row| values![row.position.zone(), row.issued_on, row.position.0]);
    db.insert(&CERTIFICATE_ISSUE_DATES, &issued).await?;
    let pairs = |row: fn(&Indexed) -> [Value<'_>; 2]| rows.iter().flat_map(row).collect::<Vec<_>>();
    let prefixes = pairs(|row| values![&row.prefix, row.position.0]);
    db.insert(&CERTIFICATE_FINGERPRINTS, &prefixes).await?;
    let authorities = pairs(|row| values![row.authority, row.position.0]);
    db.insert(&CERTIFICATE_AUTHORITIES, &authorities).await
}

/// The certificates of a zone that the counters do not have yet after a migration: those below
/// these positions.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Uncounted {
    /// Certificates, in the counters of CAs and days.
    pub(crate) below: Option<i64>,
    /// Replaced ones, which are counted as the newest of their lines.
    pub(crate) replaced_below: Option<i64>,
}

impl Uncounted {
    /// Returns true if the counters of CAs and days have the certificate at this position.
    pub(crate) fn has(self, at: Position) -> bool {
        self.below.is_none_or(|below| at.0 >= below)
    }

    /// Returns true if the certificate at this position, if replaced, is counted as replaced.
    pub(crate) fn has_replaced(self, at: Position) -> bool {
        self.replaced_below.is_none_or(|below| at.0 >= below)
    }
}

/// A zone that is not indexed and counted completely.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Unfinished {
    /// The certificates that are not in the index, or not all by PostgreSQL's own.
    pub(crate) unindexed: u64,
    /// The certificates that are not in the counters.
    pub(crate) uncounted: u64,
}

/// Returns the progress of a zone; `None` if its index and its counters are complete.
pub(crate) async fn unfinished<D: Db>(db: &D, zone: i64) -> Result<Option<Unfinished>, StoreError> {
    // Zone 0: PostgreSQL's own indexes, which search every zone.
    let select = "SELECT zone, below, counted_below FROM indexing WHERE zone IN (0, ?1)";
    let rows: Vec<(i64, i64, i64)> = db
        .rows(select, &values![zone], |row| {
            Ok((row.get(0)?, row.get(1)?, row.get(2)?))
        })
        .await?;
    if rows.is_empty() {
        return Ok(None);
    }
    let of_zone = rows.iter().find(|(of, ..)| *of == zone);
    let before = |position: i64| u64::try_from(position - Position::first_of(zone).0).unwrap_or(0);
    Ok(Some(Unfinished {
        unindexed: of_zone.map_or(0, |(_, below, _)| before(*below)),
        uncounted: of_zone.map_or(0, |(.., below)| before(*below)),
    }))
}

/// Returns true if every replaced certificate of a zone is counted as replaced.
pub(crate) async fn counts_replaced<D: Db>(db: &D, zone: i64) -> Result<bool, StoreError> {
    let select = "SELECT zone FROM replacement_counting WHERE zone = ?1";
    let values = values![zone];
    let found = db.optional(select, &values, |row| row.get::<i64>(0));
    Ok(found.await?.is_none())
}

/// The work that is left of all zones.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Left {
    /// Certificates that are not indexed, and those that are not counted: together.
    halves: u64,
    /// PostgreSQL does not have all its indexes, which search every certificate.
    builds_indexes: bool,
}

impl Left {
    /// Returns the number of certificates of all that are not indexed and counted yet. A
    /// certificate that is only indexed or only counted is half of one.
    pub(crate) fn of(self, all: u64) -> u64 {
        match self.builds_indexes {
            true => (self.halves / 2).saturating_add(all).div_ceil(2),
            false => self.halves.div_ceil(2),
        }
    }
}

/// Returns the work that is left.
pub(crate) async fn left<D: Db>(db: &D) -> Result<Left, StoreError> {
    let select = "SELECT CAST(coalesce(sum(below - (zone << 36) + counted_below - (zone << 36)), \
                  0) AS BIGINT), coalesce(min(zone), 1) = 0 FROM indexing";
    db.one(select, &[], |row| {
        Ok(Left {
            halves: row.get(0)?,
            builds_indexes: row.get(1)?,
        })
    })
    .await
}

/// The zone of a certificate, its date of revocation and its position.
type RevokedRow = (i64, Timestamp, i64);

/// Dates of revocation that come and go.
#[derive(Default)]
pub(crate) struct Revoked {
    added: Vec<RevokedRow>,
    removed: Vec<RevokedRow>,
}

impl Revoked {
    /// Notes a date of revocation before and after a change.
    pub(crate) fn change(
        &mut self,
        at: Position,
        before: Option<Timestamp>,
        after: Option<Timestamp>,
    ) {
        if before == after {
            return;
        }
        let row = |date: Timestamp| (at.zone(), date, at.0);
        self.removed.extend(before.map(row));
        self.added.extend(after.map(row));
    }

    /// Writes the changes.
    pub(crate) async fn write<D: Db>(self, db: &D) -> Result<(), StoreError> {
        if D::DIALECT == Dialect::Postgres {
            return Ok(());
        }
        let delete = "DELETE FROM certificate_revocations \
                      WHERE zone = ?1 AND revoked_on = ?2 AND position = ?3";
        let insert = "INSERT INTO certificate_revocations (zone, revoked_on, position) \
                      VALUES (?1, ?2, ?3) ON CONFLICT DO NOTHING";
        let cells = |rows: Vec<RevokedRow>| {
            let row = |(zone, date, position): RevokedRow| values![zone, date, position].to_vec();
            rows.into_iter().map(row).collect::<Vec<_>>()
        };
        let (removed, added) = (cells(self.removed), cells(self.added));
        try_join(
            db.execute_each(delete, &removed),
            db.execute_each(insert, &added),
        )
        .await?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_column_has_only_names_that_lower_does_not_make() {
        for (name, expected) in [
            ("Laptop-17", None),
            ("", None),
            ("köln", None),
            ("KÖLN", Some("köln")),
            ("İ", Some("i\u{307}")),
        ] {
            assert_eq!(folded_column(name, &FoldedName::new(name)), expected);
        }
        let long = "A".repeat(257);
        let folded = FoldedName::new(&long);
        assert_eq!(folded_column(&long, &folded), Some(&*"a".repeat(256)));
    }
}
