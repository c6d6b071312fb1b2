//! The digests of rows: they reveal a row that the disk has changed. They do not
//! protect against people.

use aws_lc_rs::digest::{SHA256, digest};
use certgate_model::Hex;

use crate::StoreError;
use crate::db::{Db, Row, Value};
use crate::migration::rows::value;
use crate::schema::Table;

/// Inserts new rows of a table whose rows have digests. `cells` has the other values of one row
/// after another, in the order of the table's columns.
pub(crate) async fn insert<D: Db>(
    db: &D,
    table: &'static Table,
    cells: &[Value<'_>],
) -> Result<(), StoreError> {
    let width = table.columns.len() - 1;
    let mut sealed = Vec::with_capacity(cells.len() / width * (width + 1));
    for row in cells.chunks(width) {
        sealed.extend_from_slice(row);
        sealed.push(of(table, row).into());
    }
    db.insert(table, &sealed).await
}

/// Returns the digest of a row: the beginning of the SHA-256 over the table's name and the values
/// that nothing changes.
pub(crate) fn of(table: &Table, row: &[Value<'_>]) -> i64 {
    let mut text = table.name.as_bytes().to_vec();
    for (value, column) in row.iter().zip(table.columns) {
        if column.is_sealed {
            value.write(&mut text);
        }
    }
    first_of_digest(&text)
}

/// Compares a row, which begins with the columns of the table, with its digest at column `place`.
/// A row that only a test wrote has none.
pub(crate) fn is_intact(table: &Table, row: &dyn Row, place: usize) -> Result<bool, StoreError> {
    let Some(stored) = row.get::<Option<i64>>(place)? else {
        return Ok(true);
    };
    let mut text = table.name.as_bytes().to_vec();
    for (place, column) in table.columns.iter().enumerate() {
        if column.is_sealed {
            value(row.cell(place)?, column.kind)?.write(&mut text);
        }
    }
    Ok(stored == first_of_digest(&text))
}

/// Returns the beginning of the SHA-256 over a text, in hexadecimal digits.
pub(crate) fn short_digest(text: &[u8]) -> String {
    Hex(&first_of_digest(text).to_be_bytes()).to_string()
}

fn first_of_digest(text: &[u8]) -> i64 {
    let digest = digest(&SHA256, text);
    let (first, _) = digest.as_ref().split_at(8);
    first
        .iter()
        .fold(0, |sum, octet| sum << 8 | i64::from(*octet))
}
