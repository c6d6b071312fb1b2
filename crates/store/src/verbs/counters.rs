//! The counters that find a certificate at any depth of a list.
//!
//! The **position** of a certificate is `zone number × 2^36 + sequence number`: one integer that
//! sorts by zone and then by the order of commits. Because it is the primary key, a page of a list
//! is one stretch of the table. Sequence numbers of a zone are dense, because certificates are
//! never deleted, so the n-th newest of all is arithmetic.
//!
//! For one status it is not. Therefore `blocks` counts, for each status, the certificates of each
//! block of 512 positions, and `upper_blocks` those of each 2^18. Both change in the transaction
//! that changes the certificate. The n-th newest of a status is found by going through the few
//! upper counters of the zone, then at most 512 lower ones, and then skipping at most 511 entries
//! of the index on the status. Totals are sums of upper counters.

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use certgate_model::{Status, Totals};
use futures_util::future::try_join;

use crate::StoreError;
use crate::db::{Db, Row, Values, values};
use crate::error::corrupt;
use crate::position::{Layout, Level, Place, Position, SEQUENCE_BITS};

macro_rules! update {
    ($table:literal) => {
        concat!(
            "UPDATE ",
            $table,
            " SET active = active + ?2, pending_reactivation = pending_reactivation + ?3, \
             pending_revocation = pending_revocation + ?4, revoked = revoked + ?5 WHERE block = ?1"
        )
    };
}

/// Changes of counts that are made together.
#[derive(Default)]
pub(crate) struct Shifts(BTreeMap<(Level, i64), [i64; 4]>);

impl Shifts {
    /// Counts a new certificate.
    pub(crate) fn add(&mut self, layout: Layout, at: Position, status: Status) {
        self.count(layout, at, status, 1);
    }

    /// Counts a certificate in another status than before.
    pub(crate) fn shift(&mut self, layout: Layout, at: Position, from: Status, to: Status) {
        self.count(layout, at, from, -1);
        self.count(layout, at, to, 1);
    }

    fn count(&mut self, layout: Layout, at: Position, status: Status, by: i64) {
        for level in Level::BOTH {
            let counts = self.0.entry((level, at.block(layout, level))).or_default();
            counts[usize::from(status.code())] += by;
        }
    }

    /// Makes the changes, both levels at once.
    pub(crate) async fn make<D: Db>(self, db: &D) -> Result<(), StoreError> {
        let of = |level| {
            let changes = self
                .0
                .iter()
                .filter(move |((of, _), by)| *of == level && **by != [0; 4]);
            let cells = |((_, block), by): (&(Level, i64), &[i64; 4])| {
                values![*block, by[0], by[1], by[2], by[3]].to_vec()
            };
            changes.map(cells).collect::<Vec<Values<'_>>>()
        };
        let lower = change(db, Level::Lower, of(Level::Lower));
        let upper = change(db, Level::Upper, of(Level::Upper));
        try_join(lower, upper).await?;
        Ok(())
    }
}

/// Adds to the counters of blocks. A counter begins with its block's first certificate.
async fn change<D: Db>(db: &D, level: Level, cells: Vec<Values<'_>>) -> Result<(), StoreError> {
    let update = match level {
        Level::Lower => update!("blocks"),
        Level::Upper => update!("upper_blocks"),
    };
    let changed = db.execute_each(update, &cells).await?;
    let new = cells
        .into_iter()
        .zip(changed)
        .filter(|(_, changed)| *changed == 0);
    let new: Vec<_> = new.flat_map(|(cells, _)| cells).collect();
    match new.is_empty() {
        true => Ok(()),
        false => db.insert(level.table(), &new).await,
    }
}

/// Returns the number of a zone's certificates in each status.
pub(crate) async fn totals<D: Db>(db: &D, zone: i64) -> Result<Totals, StoreError> {
    let select = "SELECT block, active, pending_reactivation, pending_revocation, revoked \
                  FROM upper_blocks WHERE block BETWEEN ?1 AND ?2";
    let (oldest, newest) = (Position::first_of(zone), Position::last_of(zone));
    let block = |at: Position| at.block(db.layout(), Level::Upper);
    let mut sums = [0_u64; 4];
    let mut add = |row: &dyn Row| {
        let (_, counts) = block_row(row)?;
        for (sum, count) in sums.iter_mut().zip(counts) {
            *sum += count;
        }
        Ok(ControlFlow::Continue(()))
    };
    db.each(select, &values![block(oldest), block(newest)], &mut add)
        .await?;
    Ok(Totals::new(sums))
}

/// Finds the certificate of a zone that has `first` newer ones in `status`. Returns its place, if
/// there are so many, and the number of certificates in the status.
pub(crate) async fn locate<D: Db>(
    db: &D,
    zone: i64,
    status: Status,
    first: u64,
) -> Result<(Option<Place>, u64), StoreError> {
    let layout = db.layout();
    let (mut total, mut upper) = (0, None);
    let whole_zone = (Position::first_of(zone), Position::last_of(zone));
    walk(
        db,
        Level::Upper,
        status,
        whole_zone,
        End::Newest,
        |block, count| {
            if upper.is_none() && first - total < count {
                upper = Some((block, first - total, count));
            }
            total += count;
            ControlFlow::Continue(())
        },
    )
    .await?;
    let Some((upper_block, newer, count)) = upper else {
        return Ok((None, total));
    };

    // Start from the nearer end: at most half of the lower blocks.
    let older = count - 1 - newer;
    let (from, mut skip) = match newer <= older {
        true => (End::Newest, newer),
        false => (End::Oldest, older),
    };
    let range = layout.range(Level::Upper, upper_block);
    let mut lower = None;
    walk(db, Level::Lower, status, range, from, |block, count| {
        if skip < count {
            let newer = match from {
                End::Newest => skip,
                End::Oldest => count - 1 - skip,
            };
            lower = Some((block, newer));
            return ControlFlow::Break(());
        }
        skip -= count;
        ControlFlow::Continue(())
    })
    .await?;
    let (block, skip) = lower.ok_or_else(|| {
        corrupt(format!(
            "the counters below upper block {upper_block} do not add up"
        ))
    })?;
    let newest = layout.range(Level::Lower, block).1;
    Ok((Some(Place { newest, skip }), total))
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    Newest,
    Oldest,
}

/// Visits the counts that one level has of one status in a range of positions.
async fn walk<D: Db>(
    db: &D,
    level: Level,
    status: Status,
    (oldest, newest): (Position, Position),
    from: End,
    mut visit: impl FnMut(i64, u64) -> ControlFlow<()> + Send,
) -> Result<(), StoreError> {
    let table = level.table().name;
    let direction = match from {
        End::Newest => "DESC",
        End::Oldest => "ASC",
    };
    // The columns have the names of the statuses.
    let select = format!(
        "SELECT block, {status} FROM {table} WHERE block BETWEEN ?1 AND ?2 AND {status} > 0 \
         ORDER BY block {direction}"
    );
    let mut row = |row: &dyn Row| {
        let block = row.get(0)?;
        Ok(visit(block, bounded(block, row.get(1)?)?))
    };
    let block = |at: Position| at.block(db.layout(), level);
    db.each(&select, &values![block(oldest), block(newest)], &mut row)
        .await
}

/// Reads a block and its counts.
pub(crate) fn block_row(row: &dyn Row) -> Result<(i64, [u64; 4]), StoreError> {
    let block = row.get(0)?;
    let mut counts = [row.get(1)?, row.get(2)?, row.get(3)?, row.get(4)?];
    for count in &mut counts {
        *count = bounded(block, *count)?;
    }
    Ok((block, counts))
}

/// Returns a count that is not larger than a zone, so that sums of counts do not overflow.
fn bounded(block: i64, count: u64) -> Result<u64, StoreError> {
    match count <= 1 << SEQUENCE_BITS {
        true => Ok(count),
        false => Err(corrupt(format!(
            "block {block} counts more certificates than a zone can have"
        ))),
    }
}
