//! Values of rows: each has the expected type and range, or the row is corrupt.

use std::borrow::Cow;

use certgate_model::{
    AccountId, AuthorityId, CertificateId, CrlKind, EnforcementPointId, InviteId, KeyAlgorithm,
    MtlsCertificateId, RevocationReason, SerialNumber, SignatureAlgorithm, Status, Timestamp,
    TokenHash, TokenId, UserId, ZoneId,
};

use crate::StoreError;
use crate::error::corrupt;

/// One value as the database's driver hands it out, without a copy.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Cell<'r> {
    Null,
    Integer(i64),
    Flag(bool),
    Text(&'r str),
    /// Text in which U+0000 is escaped: see [`escaped`].
    Escaped(&'r str),
    Octets(&'r [u8]),
}

/// One row of an answer.
pub(crate) trait Row {
    /// The value of a column, counted from 0.
    fn cell(&self, column: usize) -> Result<Cell<'_>, StoreError>;
}

impl dyn Row + '_ {
    /// Reads a column.
    pub(crate) fn get<T: FromCell>(&self, column: usize) -> Result<T, StoreError> {
        T::from_cell(self.cell(column)?)
    }
}

/// The types that a column can be read as.
pub(crate) trait FromCell: Sized {
    fn from_cell(cell: Cell<'_>) -> Result<Self, StoreError>;
}

impl<T: FromCell> FromCell for Option<T> {
    fn from_cell(cell: Cell<'_>) -> Result<Self, StoreError> {
        match cell {
            Cell::Null => Ok(None),
            cell => T::from_cell(cell).map(Some),
        }
    }
}

impl FromCell for i64 {
    fn from_cell(cell: Cell<'_>) -> Result<Self, StoreError> {
        match cell {
            Cell::Integer(number) => Ok(number),
            other => Err(wrong("an integer", other)),
        }
    }
}

macro_rules! small {
    ($($type:ty),*) => {
        $(impl FromCell for $type {
            fn from_cell(cell: Cell<'_>) -> Result<Self, StoreError> {
                let number = i64::from_cell(cell)?;
                Self::try_from(number)
                    .map_err(|_| corrupt(format!("a number is out of range: {number}")))
            }
        })*
    };
}
small!(u8, u32, u64);

/// SQLite stores flags as 0 and 1.
impl FromCell for bool {
    fn from_cell(cell: Cell<'_>) -> Result<Self, StoreError> {
        match cell {
            Cell::Flag(flag) => Ok(flag),
            Cell::Integer(0) => Ok(false),
            Cell::Integer(1) => Ok(true),
            other => Err(wrong("a flag", other)),
        }
    }
}

impl FromCell for String {
    fn from_cell(cell: Cell<'_>) -> Result<Self, StoreError> {
        match cell {
            Cell::Text(text) => Ok(text.to_owned()),
            Cell::Escaped(text) => unescaped(text)
                .ok_or_else(|| corrupt("a text has an escape sequence without a meaning")),
            other => Err(wrong("text", other)),
        }
    }
}

impl FromCell for Vec<u8> {
    fn from_cell(cell: Cell<'_>) -> Result<Self, StoreError> {
        octets(cell).map(<[u8]>::to_vec)
    }
}

impl<const N: usize> FromCell for [u8; N] {
    fn from_cell(cell: Cell<'_>) -> Result<Self, StoreError> {
        let octets = octets(cell)?;
        octets
            .try_into()
            .map_err(|_| corrupt(format!("a value has {} octets, not {N}", octets.len())))
    }
}

macro_rules! from_octets {
    ($($type:ty),*) => {
        $(impl FromCell for $type {
            fn from_cell(cell: Cell<'_>) -> Result<Self, StoreError> {
                FromCell::from_cell(cell).map(Self::from_bytes)
            }
        })*
    };
}
from_octets!(
    AccountId,
    AuthorityId,
    CertificateId,
    EnforcementPointId,
    InviteId,
    MtlsCertificateId,
    SerialNumber,
    TokenId,
    UserId,
    ZoneId
);

impl FromCell for TokenHash {
    fn from_cell(cell: Cell<'_>) -> Result<Self, StoreError> {
        FromCell::from_cell(cell).map(Self)
    }
}

impl FromCell for Timestamp {
    fn from_cell(cell: Cell<'_>) -> Result<Self, StoreError> {
        let microseconds = i64::from_cell(cell)?;
        let instant = Self::from_unix_microseconds(microseconds);
        if (Self::EARLIEST..=Self::LATEST).contains(&instant) {
            Ok(instant)
        } else {
            Err(corrupt(format!(
                "an instant is outside the years 1 to 9999: {microseconds}"
            )))
        }
    }
}

impl FromCell for Status {
    fn from_cell(cell: Cell<'_>) -> Result<Self, StoreError> {
        let code = u8::from_cell(cell)?;
        Self::from_code(code).ok_or_else(|| corrupt(format!("no status has the code {code}")))
    }
}

impl FromCell for RevocationReason {
    fn from_cell(cell: Cell<'_>) -> Result<Self, StoreError> {
        let code = u8::from_cell(cell)?;
        Self::from_code(code)
            .ok_or_else(|| corrupt(format!("no revocation reason has the code {code}")))
    }
}

impl FromCell for CrlKind {
    fn from_cell(cell: Cell<'_>) -> Result<Self, StoreError> {
        let code = u8::from_cell(cell)?;
        Self::from_code(code).ok_or_else(|| corrupt(format!("no CRL has the number {code}")))
    }
}

impl FromCell for SignatureAlgorithm {
    fn from_cell(cell: Cell<'_>) -> Result<Self, StoreError> {
        let name = name(cell)?;
        Self::from_name(name)
            .ok_or_else(|| corrupt(format!("unknown signature algorithm {name:?}")))
    }
}

impl FromCell for KeyAlgorithm {
    fn from_cell(cell: Cell<'_>) -> Result<Self, StoreError> {
        Self::from_name(name(cell)?).map_err(|error| corrupt(error.to_string()))
    }
}

fn name(cell: Cell<'_>) -> Result<&str, StoreError> {
    match cell {
        Cell::Text(text) | Cell::Escaped(text) => Ok(text),
        other => Err(wrong("text", other)),
    }
}

fn octets(cell: Cell<'_>) -> Result<&[u8], StoreError> {
    match cell {
        Cell::Octets(octets) => Ok(octets),
        other => Err(wrong("octets", other)),
    }
}

fn wrong(expected: &str, found: Cell<'_>) -> StoreError {
    let found = match found {
        Cell::Null => "nothing",
        Cell::Integer(_) => "an integer",
        Cell::Flag(_) => "a flag",
        Cell::Text(_) | Cell::Escaped(_) => "text",
        Cell::Octets(_) => "octets",
    };
    corrupt(format!("a column has {found} instead of {expected}"))
}

/// Writes U+0000 as U+0001 U+0002 and U+0001 as U+0001 U+0003. PostgreSQL's text cannot contain
/// U+0000, but the subject of a certificate can.
pub(crate) fn escaped(text: &str) -> Cow<'_, str> {
    if !text.contains(['\0', '\u{1}']) {
        return Cow::Borrowed(text);
    }
    let mut escaped = String::with_capacity(text.len() + 8);
    for character in text.chars() {
        match character {
            '\0' => escaped.push_str("\u{1}\u{2}"),
            '\u{1}' => escaped.push_str("\u{1}\u{3}"),
            other => escaped.push(other),
        }
    }
    Cow::Owned(escaped)
}

/// Returns the text that was [`escaped`]; `None` if no text escapes to this one.
fn unescaped(text: &str) -> Option<String> {
    let mut characters = text.chars();
    let mut unescaped = String::with_capacity(text.len());
    while let Some(character) = characters.next() {
        unescaped.push(match character {
            '\u{1}' => match characters.next()? {
                '\u{2}' => '\0',
                '\u{3}' => '\u{1}',
                _ => return None,
            },
            other => other,
        });
    }
    Some(unescaped)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_text_is_read_back() {
        for text in [
            "",
            "Köln",
            "a\0b",
            "\u{1}",
            "\u{1}\u{2}",
            "\0\0\u{1}\u{3}\u{2}",
        ] {
            let escaped = escaped(text);
            assert!(!escaped.contains('\0'), "{text:?}");
            let read = String::from_cell(Cell::Escaped(&escaped)).unwrap();
            assert_eq!(read, text);
        }
        for malformed in ["\u{1}", "\u{1}x"] {
            assert!(String::from_cell(Cell::Escaped(malformed)).is_err());
        }
    }

    #[test]
    fn a_value_of_another_type_or_range_is_corrupt() {
        assert!(i64::from_cell(Cell::Null).is_err());
        assert!(u8::from_cell(Cell::Integer(256)).is_err());
        assert!(u64::from_cell(Cell::Integer(-1)).is_err());
        assert!(bool::from_cell(Cell::Integer(2)).is_err());
        assert!(<[u8; 2]>::from_cell(Cell::Octets(b"abc")).is_err());
        assert!(Status::from_cell(Cell::Integer(4)).is_err());
        assert!(Timestamp::from_cell(Cell::Integer(i64::MAX)).is_err());
        assert_eq!(Option::<i64>::from_cell(Cell::Null).unwrap(), None);
    }
}
