//! Reading whole tables.

use std::ops::ControlFlow;

use crate::StoreError;
use crate::db::{Cell, Db, FromCell, Row};

/// The check of one part ends after so many problems.
pub(super) const LINES_MAX: usize = 100;

/// Goes on until a part has enough problems.
pub(super) fn until_enough(lines: &[String]) -> ControlFlow<()> {
    match lines.len() < LINES_MAX {
        true => ControlFlow::Continue(()),
        false => ControlFlow::Break(()),
    }
}

/// Reads all rows of a statement that reads a whole table.
pub(super) async fn everything<D: Db, T: Send>(
    db: &D,
    select: &str,
    read: impl Fn(&dyn Row) -> Result<T, StoreError> + Send + Sync,
) -> Result<Vec<T>, StoreError> {
    let mut rows = Vec::new();
    let mut visit = |row: &dyn Row| {
        rows.push(read(row)?);
        Ok(ControlFlow::Continue(()))
    };
    db.stream(select, &[], &mut visit).await?;
    Ok(rows)
}

/// Reads the first column of the first row.
pub(super) async fn single<D: Db, T: FromCell + Send>(
    db: &D,
    select: &str,
) -> Result<T, StoreError> {
    let first = everything(db, select, |row| row.get(0))
        .await?
        .into_iter()
        .next();
    match first {
        Some(value) => Ok(value),
        None => T::from_cell(Cell::Null),
    }
}
