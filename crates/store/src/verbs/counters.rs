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

use certgate_model::{LinePlace, Status, Totals};
use futures_util::future::try_join;

use crate::StoreError;
use crate::db::{Db, Row, Values, values};
use crate::error::corrupt;
use crate::position::{Layout, Level, Place, Position, SEQUENCE_BITS};

macro_rules! update {
    ($table:literal, $also:literal) => {
        concat!(
            "UPDATE ",
            $table,
            " SET active = active + ?2, pending_reactivation = pending_reactivation + ?3, \
             pending_revocation = pending_revocation + ?4, revoked = revoked + ?5",
            $also,
            " WHERE block = ?1"
        )
    };
}

/// The counters of replaced certificates, for [`update`].
macro_rules! update_replaced {
    ($table:literal) => {
        update!(
            $table,
            ", replaced_active = replaced_active + ?6, \
             replaced_pending_reactivation = replaced_pending_reactivation + ?7, \
             replaced_pending_revocation = replaced_pending_revocation + ?8, \
             replaced_revoked = replaced_revoked + ?9"
        )
    };
}

/// The counts of a block: all its certificates by status, and the replaced ones among them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct BlockCounts<N> {
    pub(crate) all: [N; 4],
    pub(crate) replaced: [N; 4],
}

/// Changes of counts that are made together.
#[derive(Default)]
pub(crate) struct Shifts(BTreeMap<(Level, i64), BlockCounts<i64>>);

impl Shifts {
    /// Counts a new certificate.
    pub(crate) fn add(&mut self, layout: Layout, at: Position, status: Status) {
        self.count(layout, at, |counts| {
            counts.all[usize::from(status.code())] += 1;
        });
    }

    /// Counts a certificate in another status than before.
    pub(crate) fn shift(
        &mut self,
        layout: Layout,
        at: Position,
        from: Status,
        to: Status,
        is_replaced: bool,
    ) {
        self.count(layout, at, |counts| {
            counts.all[usize::from(from.code())] -= 1;
            counts.all[usize::from(to.code())] += 1;
            if is_replaced {
                counts.replaced[usize::from(from.code())] -= 1;
                counts.replaced[usize::from(to.code())] += 1;
            }
        });
    }

    /// Counts a certificate, counted before, as replaced.
    pub(crate) fn replace(&mut self, layout: Layout, at: Position, status: Status) {
        self.count(layout, at, |counts| {
            counts.replaced[usize::from(status.code())] += 1;
        });
    }

    fn count(&mut self, layout: Layout, at: Position, change: impl Fn(&mut BlockCounts<i64>)) {
        for level in Level::BOTH {
            change(self.0.entry((level, at.block(layout, level))).or_default());
        }
    }

    /// Makes the changes, both levels at once.
    pub(crate) async fn make<D: Db>(self, db: &D) -> Result<(), StoreError> {
        let of = |level| {
            let changes = self.0.iter();
            let changes =
                changes.filter(move |((of, _), by)| *of == level && **by != BlockCounts::default());
            let block = |((_, block), by): (&(Level, i64), &BlockCounts<i64>)| (*block, *by);
            changes.map(block).collect::<Vec<_>>()
        };
        let lower = change(db, Level::Lower, of(Level::Lower));
        let upper = change(db, Level::Upper, of(Level::Upper));
        try_join(lower, upper).await?;
        Ok(())
    }
}

/// Adds to the counters of blocks. A counter begins with its block's first certificate.
async fn change<D: Db>(
    db: &D,
    level: Level,
    blocks: Vec<(i64, BlockCounts<i64>)>,
) -> Result<(), StoreError> {
    let (update, update_replaced) = match level {
        Level::Lower => (update!("blocks", ""), update_replaced!("blocks")),
        Level::Upper => (
            update!("upper_blocks", ""),
            update_replaced!("upper_blocks"),
        ),
    };
    // Most blocks have no replaced certificate that changes.
    let (replaced, others): (Vec<_>, Vec<_>) = blocks
        .into_iter()
        .partition(|(_, by)| by.replaced != [0; 4]);
    let cells = |(block, by): &(i64, BlockCounts<i64>)| {
        let by = by.all;
        values![*block, by[0], by[1], by[2], by[3]].to_vec()
    };
    let narrow: Vec<Values<'_>> = others.iter().map(cells).collect();
    let wide: Vec<Values<'_>> = replaced.iter().map(row).collect();
    let (changed, changed_wide) = try_join(
        db.execute_each(update, &narrow),
        db.execute_each(update_replaced, &wide),
    )
    .await?;
    let all = others.iter().zip(changed);
    let all = all.chain(replaced.iter().zip(changed_wide));
    let new = all.filter(|(_, changed)| *changed == 0);
    let new: Vec<_> = new.flat_map(|(block, _)| row(block)).collect();
    match new.is_empty() {
        true => Ok(()),
        false => db.insert(level.table(), &new).await,
    }
}

/// The values of a row.
fn row((block, by): &(i64, BlockCounts<i64>)) -> Values<'static> {
    let (all, of) = (by.all, by.replaced);
    values![
        *block, all[0], all[1], all[2], all[3], of[0], of[1], of[2], of[3]
    ]
    .to_vec()
}

/// Returns the number of a zone's certificates in each status, and that of the replaced ones.
pub(crate) async fn totals<D: Db>(db: &D, zone: i64) -> Result<(Totals, Totals), StoreError> {
    let select = "SELECT block, active, pending_reactivation, pending_revocation, revoked, \
                  replaced_active, replaced_pending_reactivation, replaced_pending_revocation, \
                  replaced_revoked FROM upper_blocks WHERE block BETWEEN ?1 AND ?2";
    let (oldest, newest) = (Position::first_of(zone), Position::last_of(zone));
    let block = |at: Position| at.block(db.layout(), Level::Upper);
    let mut sums = BlockCounts::<u64>::default();
    let mut add = |row: &dyn Row| {
        let (_, counts) = block_row(row)?;
        for place in 0..4 {
            sums.all[place] += counts.all[place];
            sums.replaced[place] += counts.replaced[place];
        }
        Ok(ControlFlow::Continue(()))
    };
    db.each(select, &values![block(oldest), block(newest)], &mut add)
        .await?;
    Ok((Totals::new(sums.all), Totals::new(sums.replaced)))
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
    let count = status.to_string();
    let visit = |block, count| {
        if upper.is_none() && first - total < count {
            upper = Some((block, first - total, count));
        }
        total += count;
        ControlFlow::Continue(())
    };
    walk(db, Level::Upper, &count, whole_zone, End::Newest, visit).await?;
    let Some((upper_block, newer, of_block)) = upper else {
        return Ok((None, total));
    };

    // Start from the nearer end: at most half of the lower blocks.
    let older = of_block - 1 - newer;
    let (from, mut skip) = match newer <= older {
        true => (End::Newest, newer),
        false => (End::Oldest, older),
    };
    let range = layout.range(Level::Upper, upper_block);
    let mut lower = None;
    let visit = |block, count| {
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
    };
    walk(db, Level::Lower, &count, range, from, visit).await?;
    let (block, skip) = lower.ok_or_else(|| {
        corrupt(format!(
            "the counters below upper block {upper_block} do not add up"
        ))
    })?;
    let newest = layout.range(Level::Lower, block).1;
    Ok((Some(Place { newest, skip }), total))
}

/// The certificates in a place of their lines, all or those in a status.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct LineSet {
    pub(crate) place: LinePlace,
    pub(crate) status: Option<Status>,
}

impl LineSet {
    /// Returns the number among those of a zone.
    pub(crate) fn of(self, (all, replaced): (Totals, Totals)) -> u64 {
        let of = |totals: Totals| self.status.map_or(totals.all(), |status| totals.of(status));
        match self.place {
            LinePlace::Replaced => of(replaced),
            LinePlace::Newest => of(all).saturating_sub(of(replaced)),
        }
    }

    /// The expression of the count in a row of counters, whose columns have the names of statuses.
    fn count(self) -> String {
        let of = |status: Status| match self.place {
            LinePlace::Replaced => format!("replaced_{status}"),
            LinePlace::Newest => format!("{status} - replaced_{status}"),
        };
        let statuses = Status::ALL.into_iter();
        let wanted = statuses.filter(|one| self.status.is_none_or(|status| status == *one));
        let terms: Vec<_> = wanted.map(of).collect();
        format!("({})", terms.join(" + "))
    }
}

/// The blocks that have a page.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Pages {
    /// Stretches of whole blocks that each have one of the certificates, the newest first.
    pub(crate) stretches: Vec<(Position, Position)>,
    /// The certificates to skip from their newest end; fewer than a block has.
    pub(crate) skip: u64,
}

/// Finds the blocks of a zone that have the `size` certificates after the `first` newer ones.
pub(crate) async fn pages<D: Db>(
    db: &D,
    zone: i64,
    set: LineSet,
    first: u64,
    size: u64,
) -> Result<Pages, StoreError> {
    let (layout, count) = (db.layout(), set.count());
    let whole_zone = (Position::first_of(zone), Position::last_of(zone));
    let (mut before, mut upper, mut skip) = (0, Vec::new(), 0);
    let end = first.saturating_add(size);
    let visit = |block, count| {
        if before + count > first && before < end {
            if upper.is_empty() {
                skip = first - before;
            }
            upper.push(block);
        }
        before += count;
        ControlFlow::Continue(())
    };
    walk(db, Level::Upper, &count, whole_zone, End::Newest, visit).await?;
    let mut pages = Pages::default();
    let mut left = size;
    for block in upper {
        let visit = |block, count| {
            if pages.stretches.is_empty() && skip >= count {
                skip -= count;
                return ControlFlow::Continue(());
            }
            let of_page = match pages.stretches.is_empty() {
                true => count - skip,
                false => count,
            };
            left = left.saturating_sub(of_page);
            let (oldest, newest) = layout.range(Level::Lower, block);
            match pages.stretches.last_mut() {
                Some((begin, _)) if begin.0 - 1 == newest.0 => *begin = oldest,
                _ => pages.stretches.push((oldest, newest)),
            }
            match left {
                0 => ControlFlow::Break(()),
                _ => ControlFlow::Continue(()),
            }
        };
        let range = layout.range(Level::Upper, block);
        walk(db, Level::Lower, &count, range, End::Newest, visit).await?;
        if left == 0 {
            break;
        }
    }
    pages.skip = skip;
    Ok(pages)
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    Newest,
    Oldest,
}

/// Visits the counts that one level has in a range of positions, without those that are 0.
async fn walk<D: Db>(
    db: &D,
    level: Level,
    count: &str,
    (oldest, newest): (Position, Position),
    from: End,
    mut visit: impl FnMut(i64, u64) -> ControlFlow<()> + Send,
) -> Result<(), StoreError> {
    let table = level.table().name;
    let direction = match from {
        End::Newest => "DESC",
        End::Oldest => "ASC",
    };
    let select = format!(
        "SELECT block, {count} FROM {table} WHERE block BETWEEN ?1 AND ?2 AND {count} > 0 \
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
pub(crate) fn block_row(row: &dyn Row) -> Result<(i64, BlockCounts<u64>), StoreError> {
    let block = row.get(0)?;
    let mut counts = BlockCounts {
        all: [row.get(1)?, row.get(2)?, row.get(3)?, row.get(4)?],
        replaced: [row.get(5)?, row.get(6)?, row.get(7)?, row.get(8)?],
    };
    for count in counts.all.iter_mut().chain(&mut counts.replaced) {
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
