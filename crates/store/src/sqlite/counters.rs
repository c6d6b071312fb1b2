//! Where a certificate stands, and the counters that find it again at any depth.
//!
//! The **position** of a certificate is `zone number × 2^36 + sequence number`: one integer that sorts by zone and then
//! by the order of commits. It is the primary key, so the table itself is the index on (zone, sequence number), a page
//! of a list is one stretch of it, and every other index ends in it. Sequence numbers of a zone are dense, because
//! certificates are never deleted; "the n-th newest of all" is therefore arithmetic.
//!
//! For one status it is not, so `blocks` counts, per status, the certificates of each block of 512 positions, and
//! `upper_blocks` those of each 2^18. Both change in the transaction that changes the certificate. The n-th newest of a
//! status is found by going through the few upper counters of the zone, then at most 512 lower ones, and then skipping
//! at most 511 entries of the index on the status. Totals are sums of upper counters.

use std::ops::ControlFlow;

use certgate_model::{Status, Totals};
use rusqlite::{Connection, OptionalExtension, Row};

use super::error::corrupt;
use crate::StoreError;
pub(super) use crate::position::{Layout, Level, Place, Position, SEQUENCE_BITS};

/// The layout that the database was made with.
pub(super) fn load(connection: &Connection) -> Result<Layout, StoreError> {
    let (block_bits, upper_block_bits) = connection
        .query_row(
            "SELECT block_bits, upper_block_bits FROM store WHERE only = 1",
            (),
            |row| Ok((row.get(0)?, row.get(1)?)),
        )
        .optional()?
        .ok_or_else(|| corrupt("the table \"store\" has no row"))?;
    Layout::new(block_bits, upper_block_bits).ok_or_else(|| {
        corrupt(format!(
            "impossible block sizes: {block_bits}, {upper_block_bits} bits"
        ))
    })
}

fn update(level: Level) -> &'static str {
    match level {
        Level::Lower => {
            "UPDATE blocks SET active = active + ?2, pending_reactivation = pending_reactivation + ?3, \
             pending_revocation = pending_revocation + ?4, revoked = revoked + ?5 WHERE block = ?1"
        }
        Level::Upper => {
            "UPDATE upper_blocks SET active = active + ?2, pending_reactivation = pending_reactivation + ?3, \
             pending_revocation = pending_revocation + ?4, revoked = revoked + ?5 WHERE block = ?1"
        }
    }
}

fn insert(level: Level) -> &'static str {
    match level {
        Level::Lower => {
            "INSERT INTO blocks (block, active, pending_reactivation, pending_revocation, revoked) \
             VALUES (?1, ?2, ?3, ?4, ?5)"
        }
        Level::Upper => {
            "INSERT INTO upper_blocks (block, active, pending_reactivation, pending_revocation, revoked) \
             VALUES (?1, ?2, ?3, ?4, ?5)"
        }
    }
}

/// Every counter of the level: block, then the counts in the order of the status codes.
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

/// Counts a new certificate.
pub(super) fn add(
    connection: &Connection,
    layout: Layout,
    at: Position,
    status: Status,
) -> Result<(), StoreError> {
    let mut change = [0; 4];
    change[usize::from(status.code())] = 1;
    for level in Level::BOTH {
        count(connection, level, at.block(layout, level), change)?;
    }
    Ok(())
}

/// Counts a certificate in another status than before.
pub(super) fn shift(
    connection: &Connection,
    layout: Layout,
    at: Position,
    from: Status,
    to: Status,
) -> Result<(), StoreError> {
    let mut change = [0; 4];
    change[usize::from(from.code())] -= 1;
    change[usize::from(to.code())] += 1;
    for level in Level::BOTH {
        count(connection, level, at.block(layout, level), change)?;
    }
    Ok(())
}

fn count(
    connection: &Connection,
    level: Level,
    block: i64,
    change: [i64; 4],
) -> Result<(), StoreError> {
    let parameters = (block, change[0], change[1], change[2], change[3]);
    if connection
        .prepare_cached(update(level))?
        .execute(parameters)?
        == 0
    {
        connection
            .prepare_cached(insert(level))?
            .execute(parameters)?;
    }
    Ok(())
}

/// How many certificates a zone has in each status.
pub(super) fn totals(
    connection: &Connection,
    layout: Layout,
    zone: i64,
) -> Result<Totals, StoreError> {
    let (oldest, newest) = (Position::first_of(zone), Position::last_of(zone));
    let mut statement = connection.prepare_cached(
        "SELECT block, active, pending_reactivation, pending_revocation, revoked FROM upper_blocks \
         WHERE block BETWEEN ?1 AND ?2",
    )?;
    let mut rows = statement.query((
        oldest.block(layout, Level::Upper),
        newest.block(layout, Level::Upper),
    ))?;
    let mut sums = [0_u64; 4];
    while let Some(row) = rows.next()? {
        let (_, counts) = block_row(row)?;
        for (sum, count) in sums.iter_mut().zip(counts) {
            *sum += count;
        }
    }
    Ok(Totals::new(sums))
}

/// The place of the certificate of a zone that has `first` newer ones in `status`, if there are so many, and how many
/// there are in all.
pub(super) fn locate(
    connection: &Connection,
    layout: Layout,
    zone: i64,
    status: Status,
    first: u64,
) -> Result<(Option<Place>, u64), StoreError> {
    let (mut total, mut upper) = (0, None);
    let whole_zone = (Position::first_of(zone), Position::last_of(zone));
    let everything = Walk {
        layout,
        level: Level::Upper,
        status,
        range: whole_zone,
        from: End::Newest,
    };
    everything.visit(connection, |block, count| {
        if upper.is_none() && first - total < count {
            upper = Some((block, first - total, count));
        }
        total += count;
        ControlFlow::Continue(())
    })?;
    let Some((upper_block, newer, count)) = upper else {
        return Ok((None, total));
    };

    // From the end that is nearer: half the blocks at the most instead of all of them.
    let older = count - 1 - newer;
    let (from, mut skip) = if newer <= older {
        (End::Newest, newer)
    } else {
        (End::Oldest, older)
    };
    let range = layout.range(Level::Upper, upper_block);
    let mut lower = None;
    Walk {
        layout,
        level: Level::Lower,
        status,
        range,
        from,
    }
    .visit(connection, |block, count| {
        if skip < count {
            lower = Some((
                block,
                if from == End::Newest {
                    skip
                } else {
                    count - 1 - skip
                },
            ));
            return ControlFlow::Break(());
        }
        skip -= count;
        ControlFlow::Continue(())
    })?;
    let (block, skip) = lower.ok_or_else(|| {
        corrupt(format!(
            "the counters below upper block {upper_block} do not add up"
        ))
    })?;
    Ok((
        Some(Place {
            newest: layout.range(Level::Lower, block).1,
            skip,
        }),
        total,
    ))
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    Newest,
    Oldest,
}

/// A walk along the counters that one level has of one status.
struct Walk {
    layout: Layout,
    level: Level,
    status: Status,
    range: (Position, Position),
    from: End,
}

impl Walk {
    fn visit(
        self,
        connection: &Connection,
        mut visit: impl FnMut(i64, u64) -> ControlFlow<()>,
    ) -> Result<(), StoreError> {
        let Self {
            layout,
            level,
            status,
            range: (oldest, newest),
            from,
        } = self;
        // The columns are named like the statuses.
        let sql = format!(
            "SELECT block, {status} FROM {} WHERE block BETWEEN ?1 AND ?2 ORDER BY block {}",
            level.table(),
            match from {
                End::Newest => "DESC",
                End::Oldest => "ASC",
            }
        );
        let mut statement = connection.prepare_cached(&sql)?;
        let mut rows =
            statement.query((oldest.block(layout, level), newest.block(layout, level)))?;
        while let Some(row) = rows.next()? {
            let block = row.get(0)?;
            if visit(block, bounded(block, row.get(1)?)?).is_break() {
                break;
            }
        }
        Ok(())
    }
}

/// A block and its counts.
pub(super) fn block_row(row: &Row<'_>) -> Result<(i64, [u64; 4]), StoreError> {
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
