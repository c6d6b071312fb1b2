//! The counters that find a certificate at any depth: the same as in SQLite (`sqlite/counters.rs` says how they work), with
//! the same blocks.
//!
//! Here the answers come over a wire, so that a level is read in one answer of at most 512 rows rather than row by row.

use std::collections::BTreeMap;

use certgate_model::{Status, Totals};
use futures_util::future::try_join_all;

use super::db::Db;
use super::error::corrupt;
use super::row::Row;
use super::value::values;
use crate::StoreError;
pub(super) use crate::position::{Layout, Level, Place, Position, SEQUENCE_BITS};

/// Adds to the counters of a block, which begin with it if there are none.
fn add_to(level: Level) -> &'static str {
    match level {
        Level::Lower => {
            "UPDATE blocks SET active = active + $2, pending_reactivation = pending_reactivation + $3, \
             pending_revocation = pending_revocation + $4, revoked = revoked + $5 WHERE block = $1"
        }
        Level::Upper => {
            "UPDATE upper_blocks SET active = active + $2, pending_reactivation = pending_reactivation + $3, \
             pending_revocation = pending_revocation + $4, revoked = revoked + $5 WHERE block = $1"
        }
    }
}

fn insert(level: Level) -> &'static str {
    match level {
        Level::Lower => {
            "INSERT INTO blocks (block, active, pending_reactivation, pending_revocation, revoked) \
             VALUES ($1, $2, $3, $4, $5)"
        }
        Level::Upper => {
            "INSERT INTO upper_blocks (block, active, pending_reactivation, pending_revocation, revoked) \
             VALUES ($1, $2, $3, $4, $5)"
        }
    }
}

/// Every counter of a level: block, then the counts in the order of the status codes.
pub(super) fn everything(level: Level) -> &'static str {
    match level {
        Level::Lower => {
            "SELECT block, active, pending_reactivation, pending_revocation, revoked FROM blocks ORDER BY block"
        }
        Level::Upper => {
            "SELECT block, active, pending_reactivation, pending_revocation, revoked FROM upper_blocks \
             ORDER BY block"
        }
    }
}

/// Changes of counts that are made at once.
#[derive(Default)]
pub(super) struct Shifts(BTreeMap<(Level, i64), [i64; 4]>);

impl Shifts {
    /// Counts a new certificate.
    pub(super) fn add(&mut self, layout: Layout, at: Position, status: Status) {
        self.count(layout, at, status, 1);
    }

    /// Counts a certificate in another status than before.
    pub(super) fn shift(&mut self, layout: Layout, at: Position, from: Status, to: Status) {
        self.count(layout, at, from, -1);
        self.count(layout, at, to, 1);
    }

    fn count(&mut self, layout: Layout, at: Position, status: Status, by: i64) {
        for level in Level::BOTH {
            let counts = self.0.entry((level, at.block(layout, level))).or_default();
            counts[usize::from(status.code())] += by;
        }
    }

    /// Makes the changes.
    pub(super) async fn make(self, db: &Db) -> Result<(), StoreError> {
        let changes = self.0.into_iter().filter(|(_, by)| *by != [0; 4]);
        try_join_all(changes.map(|((level, block), by)| change(db, level, block, by))).await?;
        Ok(())
    }
}

/// Changes the counts of a block.
async fn change(db: &Db, level: Level, block: i64, change: [i64; 4]) -> Result<(), StoreError> {
    let values = values![block, change[0], change[1], change[2], change[3]];
    if db.execute(add_to(level), values).await? == 0 {
        db.execute(insert(level), values).await?;
    }
    Ok(())
}

/// How many certificates a zone has in each status.
pub(super) async fn totals(db: &Db, layout: Layout, zone: i64) -> Result<Totals, StoreError> {
    let (oldest, newest) = (Position::first_of(zone), Position::last_of(zone));
    let rows = db
        .rows(
            "SELECT block, active, pending_reactivation, pending_revocation, revoked FROM upper_blocks \
             WHERE block BETWEEN $1 AND $2",
            values![oldest.block(layout, Level::Upper), newest.block(layout, Level::Upper)],
        )
        .await?;
    let mut sums = [0_u64; 4];
    for row in rows {
        let (_, counts) = block_row(&row)?;
        for (sum, count) in sums.iter_mut().zip(counts) {
            *sum += count;
        }
    }
    Ok(Totals::new(sums))
}

/// The place of the certificate of a zone that has `first` newer ones in `status`, if there are so many, and how many
/// there are in all.
pub(super) async fn locate(
    db: &Db,
    layout: Layout,
    zone: i64,
    status: Status,
    first: u64,
) -> Result<(Option<Place>, u64), StoreError> {
    let (mut total, mut upper) = (0, None);
    let whole_zone = (Position::first_of(zone), Position::last_of(zone));
    for (block, count) in counts(db, layout, Level::Upper, status, whole_zone).await? {
        if upper.is_none() && first - total < count {
            upper = Some((block, first - total));
        }
        total += count;
    }
    let Some((upper_block, mut skip)) = upper else {
        return Ok((None, total));
    };
    let range = layout.range(Level::Upper, upper_block);
    for (block, count) in counts(db, layout, Level::Lower, status, range).await? {
        if skip < count {
            return Ok((
                Some(Place {
                    newest: layout.range(Level::Lower, block).1,
                    skip,
                }),
                total,
            ));
        }
        skip -= count;
    }
    Err(corrupt(format!(
        "the counters below upper block {upper_block} do not add up"
    )))
}

/// The counts that one level has of one status, from the newest block to the oldest.
async fn counts(
    db: &Db,
    layout: Layout,
    level: Level,
    status: Status,
    (oldest, newest): (Position, Position),
) -> Result<Vec<(i64, u64)>, StoreError> {
    // The columns are named like the statuses.
    let select = format!(
        "SELECT block, {status} FROM {} WHERE block BETWEEN $1 AND $2 AND {status} > 0 ORDER BY block DESC",
        level.table()
    );
    let rows = db
        .rows(
            &select,
            values![oldest.block(layout, level), newest.block(layout, level)],
        )
        .await?;
    let count = |row: &Row| {
        let block = row.get(0)?;
        Ok((block, bounded(block, row.get(1)?)?))
    };
    rows.iter().map(count).collect()
}

/// A block and its counts.
pub(super) fn block_row(row: &Row) -> Result<(i64, [u64; 4]), StoreError> {
    let block = row.get(0)?;
    let mut counts = [row.get(1)?, row.get(2)?, row.get(3)?, row.get(4)?];
    for count in &mut counts {
        *count = bounded(block, *count)?;
    }
    Ok((block, counts))
}

/// A count that is not larger than a zone, so that sums of counts do not overflow.
fn bounded(block: i64, count: u64) -> Result<u64, StoreError> {
    if count > 1 << SEQUENCE_BITS {
        return Err(corrupt(format!(
            "block {block} counts more certificates than a zone can have"
        )));
    }
    Ok(count)
}
