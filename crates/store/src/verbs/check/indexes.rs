//! The search index and the counters of the summary, compared with the certificates.
//!
//! The rows of an index are compared by their number and the sum of their hashes: the index has
//! another order than the certificates, and neither fits into memory.

use std::collections::{BTreeMap, BTreeSet};
use std::hash::{DefaultHasher, Hasher as _};
use std::ops::ControlFlow;

use certgate_model::{CertificateRecord, FoldedName, Timestamp};

use super::reading::everything;
use crate::StoreError;
use crate::db::{Db, Dialect, Row};
use crate::position::Position;
use crate::verbs::indexing::{folded_column, prefix};
use crate::verbs::tallies::{Counted, Counts, Standing, Tallies};

/// A table of the search index, in the order of [`TABLES`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Table {
    Names,
    Fingerprints,
    Expiries,
    IssueDates,
    Authorities,
    Revocations,
}

/// The tables, and the statements that read them: the position, and the other columns.
const TABLES: [(Table, &str, &str); 6] = [
    (
        Table::Names,
        "certificate_names",
        "SELECT position, name FROM certificate_names",
    ),
    (
        Table::Fingerprints,
        "certificate_fingerprints",
        "SELECT position, prefix FROM certificate_fingerprints",
    ),
    (
        Table::Expiries,
        "certificate_expiries",
        "SELECT position, zone, expires_on FROM certificate_expiries",
    ),
    (
        Table::IssueDates,
        "certificate_issue_dates",
        "SELECT position, zone, issued_on FROM certificate_issue_dates",
    ),
    (
        Table::Authorities,
        "certificate_authorities",
        "SELECT position, authority FROM certificate_authorities",
    ),
    (
        Table::Revocations,
        "certificate_revocations",
        "SELECT position, zone, revoked_on FROM certificate_revocations",
    ),
];

/// The number of some rows, and the sum of their hashes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Sum {
    rows: u64,
    hash: u64,
}

impl Sum {
    fn add(&mut self, row: impl std::hash::Hash) {
        let mut hasher = DefaultHasher::new();
        row.hash(&mut hasher);
        self.rows += 1;
        self.hash = self.hash.wrapping_add(hasher.finish());
    }
}

/// The content that the certificates give, zone by zone.
#[derive(Default)]
pub(super) struct Search {
    /// The positions from which on a zone is indexed, and counted.
    unfinished: BTreeMap<i64, (i64, i64)>,
    /// The positions from which on replaced certificates of a zone are counted as such.
    replaced_below: BTreeMap<i64, i64>,
    sums: BTreeMap<i64, [Sum; TABLES.len()]>,
    tallies: Tallies,
}

impl Search {
    pub(super) async fn begin<D: Db>(db: &D) -> Result<Self, StoreError> {
        let select = "SELECT zone, below, counted_below FROM indexing";
        let unfinished = everything(db, select, |row| {
            Ok((row.get(0)?, (row.get(1)?, row.get(2)?)))
        });
        let select = "SELECT zone, below FROM replacement_counting";
        let replaced_below = everything(db, select, |row| Ok((row.get(0)?, row.get(1)?)));
        Ok(Self {
            unfinished: unfinished.await?.into_iter().collect(),
            replaced_below: replaced_below.await?.into_iter().collect(),
            ..Self::default()
        })
    }

    pub(super) fn add<D: Db>(&mut self, at: Position, authority: i64, record: &CertificateRecord) {
        let (indexed, counted) = self.is_finished(at);
        if counted {
            let of = Counted {
                position: at,
                authority,
                expires_on: record.expires_on,
            };
            let is_replaced = record.lineage.replaced_by.is_some() && self.has_replaced(at);
            let standing = Standing::of(record, is_replaced);
            self.tallies.count(of, record.issued_on, standing);
        }
        if D::DIALECT == Dialect::Postgres {
            return;
        }
        let zone = at.zone();
        let sums = self.sums.entry(zone).or_default();
        if indexed {
            let name = FoldedName::new(&record.subject.common_name);
            sums[Table::Names as usize].add((at.0, name.indexed()));
            sums[Table::Fingerprints as usize].add((at.0, prefix(&record.fingerprint_sha256)));
            sums[Table::Expiries as usize].add((at.0, zone, record.expires_on));
            sums[Table::IssueDates as usize].add((at.0, zone, record.issued_on));
            sums[Table::Authorities as usize].add((at.0, authority));
        }
        if let Some(revoked_on) = record.revoked_on.filter(|_| counted) {
            sums[Table::Revocations as usize].add((at.0, zone, revoked_on));
        }
    }

    /// Returns true if `folded_name` is that of the common name, or is not written yet.
    pub(super) fn has_folded_name(
        &self,
        at: Position,
        record: &CertificateRecord,
        stored: Option<&str>,
    ) -> bool {
        let (_, is_counted) = self.is_finished(at);
        let name = &record.subject.common_name;
        let folded = FoldedName::new(name);
        let expected = folded_column(name, &folded);
        stored == expected || stored.is_none() && !is_counted
    }

    /// Returns true if a replaced certificate must be counted as replaced.
    pub(super) fn has_replaced(&self, at: Position) -> bool {
        let below = self.replaced_below.get(&at.zone());
        below.is_none_or(|below| at.0 >= *below)
    }

    /// Returns whether a certificate must be in the index, and in the counters.
    fn is_finished(&self, at: Position) -> (bool, bool) {
        match self.unfinished.get(&at.zone()) {
            Some((below, counted_below)) => (at.0 >= *below, at.0 >= *counted_below),
            None => (true, true),
        }
    }

    /// Compares the certificates with the index and the counters.
    pub(super) async fn compare<D: Db>(
        self,
        db: &D,
        lines: &mut Vec<String>,
    ) -> Result<(), StoreError> {
        if D::DIALECT == Dialect::Sqlite {
            for (table, name, select) in TABLES {
                let stored = self.stored(db, table, select).await?;
                for zone in stored
                    .keys()
                    .chain(self.sums.keys())
                    .collect::<BTreeSet<_>>()
                {
                    let stored = stored.get(zone).copied().unwrap_or_default();
                    let given = self.sums.get(zone).map(|sums| sums[table as usize]);
                    let given = given.unwrap_or_default();
                    if stored != given {
                        lines.push(format!(
                            "\"{name}\": {} rows of zone {zone} differ from the {} that its \
                             certificates give",
                            stored.rows, given.rows
                        ));
                    }
                }
            }
        }
        counters(db, self.tallies.into_counts(), lines).await
    }

    async fn stored<D: Db>(
        &self,
        db: &D,
        table: Table,
        select: &str,
    ) -> Result<BTreeMap<i64, Sum>, StoreError> {
        let mut sums: BTreeMap<i64, Sum> = BTreeMap::new();
        let mut visit = |row: &dyn Row| {
            let at = Position(row.get(0)?);
            let (indexed, counted) = self.is_finished(at);
            let is_expected = match table {
                Table::Revocations => counted,
                _ => indexed,
            };
            if !is_expected {
                return Ok(ControlFlow::Continue(()));
            }
            let sum = sums.entry(at.zone()).or_default();
            match table {
                Table::Names => sum.add((at.0, row.get::<String>(1)?.as_str())),
                Table::Fingerprints => sum.add((at.0, row.get::<[u8; 8]>(1)?)),
                Table::Authorities => sum.add((at.0, row.get::<i64>(1)?)),
                Table::Expiries | Table::IssueDates | Table::Revocations => {
                    let (zone, date): (i64, Timestamp) = (row.get(1)?, row.get(2)?);
                    sum.add((at.0, zone, date));
                }
            }
            Ok(ControlFlow::Continue(()))
        };
        db.stream(select, &[], &mut visit).await?;
        Ok(sums)
    }
}

/// Compares the counters with those that the certificates give.
async fn counters<D: Db>(db: &D, given: Counts, lines: &mut Vec<String>) -> Result<(), StoreError> {
    let select = "SELECT zone, authority, active, pending_reactivation, pending_revocation, \
                  revoked FROM authority_counters";
    let authorities = everything(db, select, |row| {
        let counts = [row.get(2)?, row.get(3)?, row.get(4)?, row.get(5)?];
        Ok(((row.get(0)?, row.get(1)?), counts))
    });
    let days = everything(
        db,
        "SELECT zone, kind, day, count FROM day_counters",
        |row| Ok(((row.get(0)?, row.get(1)?, row.get(2)?), row.get(3)?)),
    );
    let stored = Counts {
        authorities: authorities.await?.into_iter().collect(),
        days: days.await?.into_iter().collect(),
    };
    for (key, stored, given) in differences(&stored.authorities, &given.authorities) {
        let (zone, authority) = key;
        lines.push(format!(
            "\"authority_counters\": zone {zone} and CA {authority} have {stored:?}, but the \
             certificates give {given:?}"
        ));
    }
    for (key, stored, given) in differences(&stored.days, &given.days) {
        let (zone, kind, day) = key;
        lines.push(format!(
            "\"day_counters\": zone {zone}, kind {kind} and day {day} have {stored}, but the \
             certificates give {given}"
        ));
    }
    Ok(())
}

/// Returns the entries that differ, with both values; a missing one is zero.
fn differences<K: Ord + Copy, V: PartialEq + Copy + Default>(
    stored: &BTreeMap<K, V>,
    given: &BTreeMap<K, V>,
) -> Vec<(K, V, V)> {
    let keys: BTreeSet<_> = stored.keys().chain(given.keys()).collect();
    let value = |map: &BTreeMap<K, V>, key| map.get(key).copied().unwrap_or_default();
    keys.into_iter()
        .map(|key| (*key, value(stored, key), value(given, key)))
        .filter(|(_, stored, given)| stored != given)
        .collect()
}
