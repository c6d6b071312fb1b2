//! The steps that index and count the certificates of earlier versions.
//!
//! Each is short, and can be repeated: a step that was interrupted has written nothing, or rows
//! that the next attempt finds.
//!
//! Properties that never change are indexed first, in chunks of a zone, from its end to its
//! beginning: SQLite writes a page of a tree for each row with a random key, so that a chunk is
//! read, sorted in memory and inserted in the order of each table. Statuses are counted then, a
//! stretch of positions in a transaction, because they change meanwhile. Replaced certificates are
//! counted as such after that. PostgreSQL builds its indexes by itself, after each name has its
//! folded form.

use certgate_model::{FoldedName, Timestamp};

use super::counters::Shifts;
use super::indexing::{Indexed, Uncounted, folded_column, prefix};
use super::tallies::{Counted, Standing, Tallies};
use crate::StoreError;
use crate::db::{Db, Dialect, Row, Values, values};
use crate::position::Position;

/// A stretch of a zone that is being indexed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Stretch {
    pub(crate) zone: i64,
    /// The position after its last one.
    pub(crate) end: i64,
}

/// Returns the rest of the first zone that is not indexed. Only SQLite has any.
pub(crate) async fn next<D: Db>(db: &D) -> Result<Option<Stretch>, StoreError> {
    if D::DIALECT == Dialect::Postgres {
        return Ok(None);
    }
    let select = "SELECT zone, below FROM indexing WHERE zone > 0 AND below > zone << 36 \
                  ORDER BY zone LIMIT 1";
    db.optional(select, &[], |row| {
        Ok(Stretch {
            zone: row.get(0)?,
            end: row.get(1)?,
        })
    })
    .await
}

/// Reads up to `count` certificates at the end of a stretch.
pub(crate) async fn read<D: Db>(
    db: &D,
    stretch: Stretch,
    count: i64,
) -> Result<Vec<Indexed>, StoreError> {
    let select = "SELECT position, authority, common_name, fingerprint_sha256, issued_on, \
                  expires_on FROM certificates WHERE position >= ?1 AND position < ?2 \
                  ORDER BY position DESC";
    let values = values![first(stretch, count), stretch.end];
    db.rows(select, &values, |row| {
        Ok(Indexed {
            position: Position(row.get(0)?),
            authority: row.get(1)?,
            name: FoldedName::new(&row.get::<String>(2)?),
            prefix: prefix(&row.get(3)?),
            issued_on: row.get(4)?,
            expires_on: row.get(5)?,
        })
    })
    .await
}

/// The first of the last `count` positions of a stretch. Positions of a zone have no gap.
pub(crate) fn first(stretch: Stretch, count: i64) -> i64 {
    let first_of_zone = Position::first_of(stretch.zone).0;
    stretch.end.saturating_sub(count).max(first_of_zone)
}

/// The tables that a chunk is inserted into, one after another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Target {
    Names,
    Fingerprints,
    Expiries,
    IssueDates,
    Authorities,
}

impl Target {
    pub(crate) const ALL: [Self; 5] = [
        Self::Names,
        Self::Fingerprints,
        Self::Expiries,
        Self::IssueDates,
        Self::Authorities,
    ];

    /// Sorts rows in the order of the table.
    pub(crate) fn sort(self, rows: &mut [Indexed]) {
        match self {
            Self::Names => rows.sort_unstable_by(|a, b| {
                (a.name.indexed(), a.position).cmp(&(b.name.indexed(), b.position))
            }),
            Self::Fingerprints => rows.sort_unstable_by_key(|row| (row.prefix, row.position)),
            Self::Expiries => rows.sort_unstable_by_key(|row| (row.expires_on, row.position)),
            Self::IssueDates => rows.sort_unstable_by_key(|row| (row.issued_on, row.position)),
            Self::Authorities => rows.sort_unstable_by_key(|row| (row.authority, row.position)),
        }
    }

    /// Inserts rows, unless they exist: an earlier attempt may have inserted some.
    pub(crate) async fn insert<D: Db>(self, db: &D, rows: &[Indexed]) -> Result<(), StoreError> {
        let insert = match self {
            Self::Names => {
                "INSERT INTO certificate_names (zone, name, position) VALUES (?1, ?2, ?3) \
                 ON CONFLICT DO NOTHING"
            }
            Self::Fingerprints => {
                "INSERT INTO certificate_fingerprints (prefix, position) VALUES (?1, ?2) \
                 ON CONFLICT DO NOTHING"
            }
            Self::Expiries => {
                "INSERT INTO certificate_expiries (zone, expires_on, position) \
                 VALUES (?1, ?2, ?3) ON CONFLICT DO NOTHING"
            }
            Self::IssueDates => {
                "INSERT INTO certificate_issue_dates (zone, issued_on, position) \
                 VALUES (?1, ?2, ?3) ON CONFLICT DO NOTHING"
            }
            Self::Authorities => {
                "INSERT INTO certificate_authorities (authority, position) VALUES (?1, ?2) \
                 ON CONFLICT DO NOTHING"
            }
        };
        let cells: Vec<_> = rows.iter().map(|row| self.cells(row)).collect();
        db.execute_each(insert, &cells).await?;
        Ok(())
    }

    fn cells(self, row: &Indexed) -> Values<'_> {
        let (zone, position) = (row.position.zone(), row.position.0);
        match self {
            Self::Names => values![zone, row.name.indexed(), position].to_vec(),
            Self::Fingerprints => values![&row.prefix, position].to_vec(),
            Self::Expiries => values![zone, row.expires_on, position].to_vec(),
            Self::IssueDates => values![zone, row.issued_on, position].to_vec(),
            Self::Authorities => values![row.authority, position].to_vec(),
        }
    }
}

/// Notes that a zone is indexed from a position on.
pub(crate) async fn indexed<D: Db>(db: &D, zone: i64, from: i64) -> Result<(), StoreError> {
    let select = "SELECT below, counted_below FROM indexing WHERE zone = ?1";
    let stored: Option<(i64, i64)> = db
        .optional(select, &values![zone], |row| Ok((row.get(0)?, row.get(1)?)))
        .await?;
    match stored {
        Some((below, counted_below)) => advance(db, zone, below.min(from), counted_below).await,
        None => Ok(()),
    }
}

/// Stores the progress of a zone; a finished zone has no row.
async fn advance<D: Db>(
    db: &D,
    zone: i64,
    below: i64,
    counted_below: i64,
) -> Result<(), StoreError> {
    if below.max(counted_below) <= Position::first_of(zone).0 {
        let delete = "DELETE FROM indexing WHERE zone = ?1";
        db.execute(delete, &values![zone]).await?;
        return Ok(());
    }
    let update = "UPDATE indexing SET below = ?2, counted_below = ?3 WHERE zone = ?1";
    db.execute(update, &values![zone, below, counted_below])
        .await?;
    Ok(())
}

/// A certificate that is being counted.
struct Counting {
    counted: Counted,
    issued_on: Timestamp,
    standing: Standing,
    /// The value that the column `folded_name` lacks.
    folded_name: Option<String>,
}

/// Counts up to `count` certificates of the first zone that is not counted, and gives their names
/// the folded form.
pub(crate) async fn count<D: Db>(db: &D, count: i64) -> Result<(), StoreError> {
    let select = "SELECT zone, below, counted_below FROM indexing \
                  WHERE zone > 0 ORDER BY zone LIMIT 1";
    let next: Option<(i64, i64, i64)> = db
        .optional(select, &[], |row| {
            Ok((row.get(0)?, row.get(1)?, row.get(2)?))
        })
        .await?;
    let Some((zone, below, end)) = next else {
        return Ok(());
    };
    let begin = first(Stretch { zone, end }, count);
    let rows = uncounted(db, zone, begin, end).await?;
    let mut tallies = Tallies::default();
    let mut names = Vec::new();
    for row in rows {
        tallies.add(row.counted, row.issued_on, row.standing);
        let position = row.counted.position.0;
        names.extend(row.folded_name.map(|name| values![name, position].to_vec()));
    }
    let update = "UPDATE certificates SET folded_name = ?1 WHERE position = ?2";
    db.execute_each(update, &names).await?;
    tallies.make(db).await?;
    // PostgreSQL's indexes are those of all zones.
    let below = match D::DIALECT {
        Dialect::Sqlite => below,
        Dialect::Postgres => begin,
    };
    advance(db, zone, below, begin).await
}

async fn uncounted<D: Db>(
    db: &D,
    zone: i64,
    begin: i64,
    end: i64,
) -> Result<Vec<Counting>, StoreError> {
    let below = "SELECT below FROM replacement_counting WHERE zone = ?1";
    let uncounted = Uncounted {
        below: None,
        replaced_below: db.optional(below, &values![zone], |row| row.get(0)).await?,
    };
    // Both tables get the range, as in a page of a list.
    let select = "SELECT certificates.position, certificates.authority, certificates.expires_on, \
                  certificates.issued_on, statuses.status, statuses.revoked_on, \
                  certificates.common_name, certificates.folded_name, \
                  (SELECT replacements.position FROM replacements \
                  WHERE replacements.position = certificates.position) FROM certificates \
                  JOIN statuses ON statuses.position = certificates.position \
                  AND statuses.position >= ?1 AND statuses.position < ?2 \
                  WHERE certificates.position >= ?1 AND certificates.position < ?2";
    db.rows(select, &values![begin, end], |row: &dyn Row| {
        let common_name: String = row.get(6)?;
        let folded = FoldedName::new(&common_name);
        let folded_name = folded_column(&common_name, &folded).map(str::to_owned);
        let stored: Option<String> = row.get(7)?;
        let position = Position(row.get(0)?);
        Ok(Counting {
            counted: Counted {
                position,
                authority: row.get(1)?,
                expires_on: row.get(2)?,
            },
            issued_on: row.get(3)?,
            standing: Standing {
                status: row.get(4)?,
                revoked_on: row.get(5)?,
                is_replaced: row.get::<Option<i64>>(8)?.is_some()
                    && uncounted.has_replaced(position),
            },
            folded_name: folded_name.filter(|_| stored.is_none()),
        })
    })
    .await
}

/// Returns true if replaced certificates of earlier versions are left to be counted.
pub(crate) async fn has_replaced<D: Db>(db: &D) -> Result<bool, StoreError> {
    let select = "SELECT zone FROM replacement_counting LIMIT 1";
    let zone = db.optional(select, &[], |row| row.get::<i64>(0));
    Ok(zone.await?.is_some())
}

/// Counts up to `count` replaced certificates of a zone as replaced, the newest first. The counters
/// of days have all certificates by then.
pub(crate) async fn count_replaced<D: Db>(db: &D, count: u32) -> Result<(), StoreError> {
    let select = "SELECT zone, below FROM replacement_counting ORDER BY zone LIMIT 1";
    let next = db.optional(select, &[], |row| Ok((row.get(0)?, row.get(1)?)));
    let Some((zone, below)): Option<(i64, i64)> = next.await? else {
        return Ok(());
    };
    let select = "SELECT position FROM replacements WHERE position >= ?1 AND position < ?2 \
                  ORDER BY position DESC LIMIT ?3";
    let values = values![Position::first_of(zone).0, below, count];
    let positions = db.rows(select, &values, |row| row.get::<i64>(0)).await?;
    let select = "SELECT certificates.position, certificates.authority, certificates.expires_on, \
                  statuses.status, statuses.revoked_on FROM certificates \
                  JOIN statuses ON statuses.position = certificates.position \
                  WHERE certificates.position = ?1";
    let cells: Vec<_> = positions.iter().map(|at| values![*at].to_vec()).collect();
    let replaced = db.optional_each(select, &cells, |row| {
        let counted = Counted {
            position: Position(row.get(0)?),
            authority: row.get(1)?,
            expires_on: row.get(2)?,
        };
        let standing = Standing {
            status: row.get(3)?,
            revoked_on: row.get(4)?,
            is_replaced: false,
        };
        Ok((counted, standing))
    });
    let (mut shifts, mut tallies) = (Shifts::default(), Tallies::default());
    for (counted, before) in replaced.await?.into_iter().flatten() {
        shifts.replace(db.layout(), counted.position, before.status);
        let after = Standing {
            is_replaced: true,
            ..before
        };
        tallies.change(counted, before, after);
    }
    shifts.make(db).await?;
    tallies.make(db).await?;
    match positions.last() {
        Some(last) => {
            let update = "UPDATE replacement_counting SET below = ?2 WHERE zone = ?1";
            db.execute(update, &values![zone, *last]).await?;
        }
        None => {
            let delete = "DELETE FROM replacement_counting WHERE zone = ?1";
            db.execute(delete, &values![zone]).await?;
        }
    }
    Ok(())
}

/// Returns the number of the last zone that is not indexed and counted; 0 means the indexes that
/// PostgreSQL builds, which come after all zones.
pub(crate) async fn last<D: Db>(db: &D) -> Result<Option<i64>, StoreError> {
    let select = "SELECT zone FROM indexing ORDER BY zone DESC LIMIT 1";
    db.optional(select, &[], |row| row.get(0)).await
}

/// Notes that PostgreSQL's own indexes are complete.
pub(crate) async fn has_indexes<D: Db>(db: &D) -> Result<(), StoreError> {
    let delete = "DELETE FROM indexing WHERE zone = 0";
    db.execute(delete, &[]).await?;
    Ok(())
}
