//! Values on their way into a statement.

use std::borrow::Cow;
use std::fmt;

use certgate_model::{
    AccountId, AuthorityId, CertificateId, EnforcementPointId, InviteId, MtlsCertificateId,
    SerialNumber, Timestamp, TokenHash, TokenId, UserId, ZoneId,
};

/// One value.
#[derive(Clone)]
pub(crate) enum Value<'v> {
    Null,
    Integer(i64),
    Flag(bool),
    Text(Cow<'v, str>),
    Octets(Cow<'v, [u8]>),
    /// 16 octets.
    Id([u8; 16]),
}

impl Value<'_> {
    /// Appends the value in a form that no other value has: a zero octet for none; or 1 and the
    /// integer in 8 octets (flags are 0 or 1); or 2 for text (UTF-8), 3 for octets, then their
    /// number in 8 octets and they themselves. Numbers are big-endian.
    pub(crate) fn write(&self, out: &mut Vec<u8>) {
        let integer = |out: &mut Vec<u8>, number: i64| {
            out.push(1);
            out.extend_from_slice(&number.to_be_bytes());
        };
        let counted = |out: &mut Vec<u8>, kind: u8, octets: &[u8]| {
            out.push(kind);
            out.extend_from_slice(&(octets.len() as u64).to_be_bytes());
            out.extend_from_slice(octets);
        };
        match self {
            Self::Null => out.push(0),
            Self::Integer(number) => integer(out, *number),
            Self::Flag(flag) => integer(out, (*flag).into()),
            Self::Text(text) => counted(out, 2, text.as_bytes()),
            Self::Octets(octets) => counted(out, 3, octets),
            Self::Id(octets) => counted(out, 3, octets),
        }
    }
}

/// Drivers log the values of statements at their most verbose level. Text and octets are CSRs,
/// hashes of tokens and sealed keys, so only their lengths are shown.
impl fmt::Debug for Value<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Null => f.write_str("NULL"),
            Self::Integer(number) => number.fmt(f),
            Self::Flag(flag) => flag.fmt(f),
            Self::Text(text) => write!(f, "text of {} octets", text.len()),
            Self::Octets(octets) => write!(f, "{} octets", octets.len()),
            Self::Id(_) => f.write_str("16 octets"),
        }
    }
}

/// The values of a statement in the order of their numbers.
macro_rules! values {
    ($($value:expr),* $(,)?) => { [$($crate::db::Value::from($value)),*] };
}
pub(crate) use values;

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

/// Numbers past the range of the database stand for "more than there can be".
impl From<u64> for Value<'_> {
    fn from(number: u64) -> Self {
        Self::Integer(i64::try_from(number).unwrap_or(i64::MAX))
    }
}

impl From<bool> for Value<'_> {
    fn from(flag: bool) -> Self {
        Self::Flag(flag)
    }
}

/// Microseconds since the Unix epoch.
impl From<Timestamp> for Value<'_> {
    fn from(instant: Timestamp) -> Self {
        Self::Integer(instant.unix_microseconds())
    }
}

macro_rules! from_ids {
    ($($id:ty),*) => {
        $(impl From<$id> for Value<'_> {
            fn from(id: $id) -> Self {
                Self::Id(*id.as_bytes())
            }
        })*
    };
}
from_ids!(
    AccountId,
    AuthorityId,
    CertificateId,
    EnforcementPointId,
    InviteId,
    MtlsCertificateId,
    TokenId,
    UserId,
    ZoneId
);

impl<'v> From<&'v SerialNumber> for Value<'v> {
    fn from(serial: &'v SerialNumber) -> Self {
        Self::Octets(serial.as_bytes().as_slice().into())
    }
}

impl<'v> From<&'v TokenHash> for Value<'v> {
    fn from(hash: &'v TokenHash) -> Self {
        Self::Octets(hash.0.as_slice().into())
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

impl From<[u8; 16]> for Value<'_> {
    fn from(octets: [u8; 16]) -> Self {
        Self::Id(octets)
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
    #[test]
    fn text_and_octets_are_not_shown() {
        let values = values!["s3cret", b"s3cret", 7_i64, true, None::<i64>];
        let shown = "[text of 6 octets, 6 octets, 7, true, NULL]";
        assert_eq!(format!("{values:?}"), shown);
    }
}
