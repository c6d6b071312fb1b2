//! Values out of rows: of the right type, or the row is damaged.

use certgate_model::{KeyAlgorithm, RevocationReason, SignatureAlgorithm, Status, Timestamp};

use super::error::{corrupt, text};
use super::value::unescaped;
use crate::StoreError;

/// One row of an answer. Reading a column never panics.
pub(super) struct Row(pub(super) tokio_postgres::Row);

impl Row {
    /// The value of a column.
    pub(super) fn get<T: Column>(&self, column: usize) -> Result<T, StoreError> {
        T::read(&self.0, column)
    }
}

/// What a column can be read as.
pub(super) trait Column: Sized {
    fn read(row: &tokio_postgres::Row, column: usize) -> Result<Self, StoreError>;
}

macro_rules! as_is {
    ($($type:ty),*) => {
        $(impl Column for $type {
            fn read(row: &tokio_postgres::Row, column: usize) -> Result<Self, StoreError> {
                row.try_get(column).map_err(|error| corrupt(text(&error)))
            }
        })*
    };
}
as_is!(
    i64,
    Option<i64>,
    i16,
    Option<i16>,
    bool,
    Option<bool>,
    Vec<u8>,
    Option<Vec<u8>>
);

macro_rules! small {
    ($($type:ty: $stored:ty),*) => {
        $(impl Column for $type {
            fn read(row: &tokio_postgres::Row, column: usize) -> Result<Self, StoreError> {
                let number = <$stored>::read(row, column)?;
                Self::try_from(number).map_err(|_| corrupt(format!("a number is out of range: {number}")))
            }
        })*
    };
}
small!(u8: i16, u32: i64, u64: i64);

impl Column for Option<u8> {
    fn read(row: &tokio_postgres::Row, column: usize) -> Result<Self, StoreError> {
        Option::<i16>::read(row, column)?
            .map(|number| {
                u8::try_from(number)
                    .map_err(|_| corrupt(format!("a number is out of range: {number}")))
            })
            .transpose()
    }
}

impl Column for Option<u64> {
    fn read(row: &tokio_postgres::Row, column: usize) -> Result<Self, StoreError> {
        Option::<i64>::read(row, column)?
            .map(|number| {
                u64::try_from(number)
                    .map_err(|_| corrupt(format!("a number is negative: {number}")))
            })
            .transpose()
    }
}

impl Column for Option<String> {
    fn read(row: &tokio_postgres::Row, column: usize) -> Result<Self, StoreError> {
        let stored: Option<String> = row.try_get(column).map_err(|error| corrupt(text(&error)))?;
        stored
            .map(|text| {
                unescaped(text)
                    .ok_or_else(|| corrupt("a text has a sequence that stands for nothing"))
            })
            .transpose()
    }
}

impl Column for String {
    fn read(row: &tokio_postgres::Row, column: usize) -> Result<Self, StoreError> {
        Option::<Self>::read(row, column)?.ok_or_else(|| corrupt("a text is missing"))
    }
}

impl<const N: usize> Column for Option<[u8; N]> {
    fn read(row: &tokio_postgres::Row, column: usize) -> Result<Self, StoreError> {
        let stored: Option<&[u8]> = row.try_get(column).map_err(|error| corrupt(text(&error)))?;
        stored
            .map(|octets| {
                octets
                    .try_into()
                    .map_err(|_| corrupt(format!("{} octets, not {N}", octets.len())))
            })
            .transpose()
    }
}

impl<const N: usize> Column for [u8; N] {
    fn read(row: &tokio_postgres::Row, column: usize) -> Result<Self, StoreError> {
        Option::<Self>::read(row, column)?.ok_or_else(|| corrupt("octets are missing"))
    }
}

/// The instant in a column.
pub(super) fn timestamp(row: &Row, column: usize) -> Result<Timestamp, StoreError> {
    checked(row.get(column)?)
}

/// The instant in a column that may be empty.
pub(super) fn optional_timestamp(
    row: &Row,
    column: usize,
) -> Result<Option<Timestamp>, StoreError> {
    row.get::<Option<i64>>(column)?.map(checked).transpose()
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
pub(super) fn status(row: &Row, column: usize) -> Result<Status, StoreError> {
    let code = row.get(column)?;
    Status::from_code(code).ok_or_else(|| corrupt(format!("no status has the code {code}")))
}

/// The reason of a revocation in a column that may be empty.
pub(super) fn optional_reason(
    row: &Row,
    column: usize,
) -> Result<Option<RevocationReason>, StoreError> {
    row.get::<Option<u8>>(column)?.map(known_reason).transpose()
}

/// The reason of a revocation in a column.
pub(super) fn reason(row: &Row, column: usize) -> Result<RevocationReason, StoreError> {
    known_reason(row.get(column)?)
}

fn known_reason(code: u8) -> Result<RevocationReason, StoreError> {
    RevocationReason::from_code(code)
        .ok_or_else(|| corrupt(format!("no reason of a revocation has the code {code}")))
}

/// A number that is never negative.
pub(super) fn unsigned(row: &Row, column: usize) -> Result<u64, StoreError> {
    row.get(column)
}

/// The signature algorithm in a column.
pub(super) fn signature(row: &Row, column: usize) -> Result<SignatureAlgorithm, StoreError> {
    let name: String = row.get(column)?;
    SignatureAlgorithm::from_name(&name)
        .ok_or_else(|| corrupt(format!("unknown signature algorithm {name:?}")))
}

/// The key algorithm in a column.
pub(super) fn key_algorithm(row: &Row, column: usize) -> Result<KeyAlgorithm, StoreError> {
    let name: String = row.get(column)?;
    KeyAlgorithm::from_name(&name).map_err(|error| corrupt(error.to_string()))
}

/// What a query is asked to skip; more than any list has is as good as the largest.
pub(super) fn offset(first: u64) -> i64 {
    i64::try_from(first).unwrap_or(i64::MAX)
}
