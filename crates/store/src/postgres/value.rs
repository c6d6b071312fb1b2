//! Values on their way into a statement.
//!
//! The driver wants each to be of exactly the type that the statement says; here an integer goes into any column of
//! integers that it fits into. Text has no character U+0000 in PostgreSQL, but subjects of certificates can: see [`escaped`].

use std::borrow::Cow;
use std::error::Error;
use std::fmt;

use tokio_postgres::types::private::BytesMut;
use tokio_postgres::types::{IsNull, Kind, ToSql, Type, to_sql_checked};

/// One value.
#[derive(Clone)]
pub(super) enum Value<'v> {
    Null,
    Integer(i64),
    Flag(bool),
    Text(Cow<'v, str>),
    Octets(Cow<'v, [u8]>),
    /// A column of several rows.
    List(Vec<Value<'v>>),
}

/// The driver logs the values of every statement for whoever asks for that much. Text and octets are requests, hashes of tokens
/// and sealed keys: only how long they are is shown.
impl fmt::Debug for Value<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Null => f.write_str("NULL"),
            Self::Integer(number) => number.fmt(f),
            Self::Flag(flag) => flag.fmt(f),
            Self::Text(text) => write!(f, "text of {} octets", text.len()),
            Self::Octets(octets) => write!(f, "{} octets", octets.len()),
            Self::List(values) => f.debug_list().entries(values).finish(),
        }
    }
}

impl<'v> Value<'v> {
    /// What a column has in several rows.
    pub(super) fn list<T: Into<Value<'v>>>(values: impl IntoIterator<Item = T>) -> Self {
        Self::List(values.into_iter().map(Into::into).collect())
    }
}

/// The values of a statement in the order of their numbers.
macro_rules! values {
    ($($value:expr),* $(,)?) => { &[$($crate::postgres::value::Value::from($value)),*] };
}
pub(super) use values;

impl ToSql for Value<'_> {
    fn to_sql(
        &self,
        column: &Type,
        out: &mut BytesMut,
    ) -> Result<IsNull, Box<dyn Error + Sync + Send>> {
        match (self, column) {
            (Self::Null, _) => Ok(IsNull::Yes),
            (Self::Integer(number), &Type::INT8) => number.to_sql(column, out),
            (Self::Integer(number), &Type::INT4) => i32::try_from(*number)?.to_sql(column, out),
            (Self::Integer(number), &Type::INT2) => i16::try_from(*number)?.to_sql(column, out),
            (Self::Flag(flag), &Type::BOOL) => flag.to_sql(column, out),
            (Self::Text(text), &Type::TEXT) => escaped(text).to_sql(column, out),
            (Self::Octets(octets), &Type::BYTEA) => octets.as_ref().to_sql(column, out),
            (Self::List(values), _) if matches!(column.kind(), Kind::Array(_)) => {
                values.to_sql(column, out)
            }
            _ => Err(format!("a value does not fit into a column of type {column}").into()),
        }
    }

    fn accepts(_: &Type) -> bool {
        true
    }

    to_sql_checked!();
}

/// U+0000 as U+0001 U+0002, and U+0001 as U+0001 U+0003, so that it can be read back.
pub(super) fn escaped(text: &str) -> Cow<'_, str> {
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

/// The text that was [`escaped`]; `None` if this is not such a text.
pub(super) fn unescaped(text: String) -> Option<String> {
    if !text.contains('\u{1}') {
        return Some(text);
    }
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

macro_rules! from_integers {
    ($($integer:ty),*) => {
        $(impl From<$integer> for Value<'_> {
            fn from(number: $integer) -> Self {
                Self::Integer(i64::from(number))
            }
        })*
    };
}
from_integers!(u8, i16, u32, i64);

impl From<bool> for Value<'_> {
    fn from(flag: bool) -> Self {
        Self::Flag(flag)
    }
}

impl<'v> From<&'v str> for Value<'v> {
    fn from(text: &'v str) -> Self {
        Self::Text(text.into())
    }
}

impl<'v> From<&'v String> for Value<'v> {
    fn from(text: &'v String) -> Self {
        Self::Text(text.into())
    }
}

impl From<String> for Value<'_> {
    fn from(text: String) -> Self {
        Self::Text(text.into())
    }
}

impl<'v> From<&'v [u8]> for Value<'v> {
    fn from(octets: &'v [u8]) -> Self {
        Self::Octets(octets.into())
    }
}

impl<'v> From<&'v Vec<u8>> for Value<'v> {
    fn from(octets: &'v Vec<u8>) -> Self {
        Self::Octets(octets.into())
    }
}

impl<'v, const N: usize> From<&'v [u8; N]> for Value<'v> {
    fn from(octets: &'v [u8; N]) -> Self {
        Self::Octets(octets.as_slice().into())
    }
}

impl<const N: usize> From<[u8; N]> for Value<'_> {
    fn from(octets: [u8; N]) -> Self {
        Self::Octets(octets.to_vec().into())
    }
}

impl<'v, T> From<Option<T>> for Value<'v>
where
    T: Into<Value<'v>>,
{
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Null, Into::into)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_text_and_no_octets_are_shown() {
        let values = values!["s3cret", b"s3cret", 7_i64, true, None::<i64>];
        let shown = "[text of 6 octets, 6 octets, 7, true, NULL]";
        assert_eq!(format!("{values:?}"), shown);
        assert_eq!(format!("{:?}", Value::List(values.to_vec())), shown);
    }

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
            let escaped = escaped(text).into_owned();
            assert!(!escaped.contains('\0'), "{text:?}");
            assert_eq!(unescaped(escaped).as_deref(), Some(text));
        }
        assert_eq!(unescaped("\u{1}".into()), None);
        assert_eq!(unescaped("\u{1}x".into()), None);
    }
}
