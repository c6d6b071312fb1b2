//! Values out of rows that SQL's types do not check.

use certgate_model::{KeyAlgorithm, RevocationReason, SignatureAlgorithm, Status, Timestamp};
use rusqlite::Row;

use super::error::corrupt;
use crate::StoreError;

/// The instant in a column.
pub(super) fn timestamp(row: &Row<'_>, column: usize) -> Result<Timestamp, StoreError> {
    checked(row.get(column)?)
}

/// The instant in a column that may be empty.
pub(super) fn optional_timestamp(
    row: &Row<'_>,
    column: usize,
) -> Result<Option<Timestamp>, StoreError> {
    row.get::<_, Option<i64>>(column)?.map(checked).transpose()
}

fn checked(microseconds: i64) -> Result<Timestamp, StoreError> {
    let instant = Timestamp::from_unix_microseconds(microseconds);
    if (Timestamp::EARLIEST..=Timestamp::LATEST).contains(&instant) {
        Ok(instant)
    } else {
        Err(corrupt(format!(
            "an instant is outside the years 1 to 9999: {microseconds}"
        )))
    }
}

/// The status in a column.
pub(super) fn status(row: &Row<'_>, column: usize) -> Result<Status, StoreError> {
    let code = row.get(column)?;
    Status::from_code(code).ok_or_else(|| corrupt(format!("no status has the code {code}")))
}

/// The reason of a revocation in a column that may be empty.
pub(super) fn optional_reason(
    row: &Row<'_>,
    column: usize,
) -> Result<Option<RevocationReason>, StoreError> {
    row.get::<_, Option<u8>>(column)?
        .map(known_reason)
        .transpose()
}

/// The reason of a revocation in a column.
pub(super) fn reason(row: &Row<'_>, column: usize) -> Result<RevocationReason, StoreError> {
    known_reason(row.get(column)?)
}

fn known_reason(code: u8) -> Result<RevocationReason, StoreError> {
    RevocationReason::from_code(code)
        .ok_or_else(|| corrupt(format!("no reason of a revocation has the code {code}")))
}

/// A number that is never negative.
pub(super) fn unsigned(row: &Row<'_>, column: usize) -> Result<u64, StoreError> {
    let number: i64 = row.get(column)?;
    u64::try_from(number).map_err(|_| corrupt(format!("a number is negative: {number}")))
}

/// The signature algorithm in a column.
pub(super) fn signature(row: &Row<'_>, column: usize) -> Result<SignatureAlgorithm, StoreError> {
    let name = row
        .get_ref(column)?
        .as_str()
        .map_err(|error| corrupt(error.to_string()))?;
    SignatureAlgorithm::from_name(name)
        .ok_or_else(|| corrupt(format!("unknown signature algorithm {name:?}")))
}

/// The key algorithm in a column.
pub(super) fn key_algorithm(row: &Row<'_>, column: usize) -> Result<KeyAlgorithm, StoreError> {
    let name = row
        .get_ref(column)?
        .as_str()
        .map_err(|error| corrupt(error.to_string()))?;
    KeyAlgorithm::from_name(name).map_err(|error| corrupt(error.to_string()))
}

/// What a query is asked to skip; more than any list has is as good as the largest.
pub(super) fn offset(first: u64) -> i64 {
    i64::try_from(first).unwrap_or(i64::MAX)
}
