//! IDs, digests, times and numbers: values that are one text or number in JSON.

use std::borrow::Cow;
use std::fmt;

use certgate_model::{
    AccountId, AuthorityId, CertificateId, EnforcementPointId, Hex, InviteId, MtlsCertificateId,
    SECONDS_PER_DAY, SerialNumber, Timestamp, TokenId, UserId, ZoneId, read_hex,
};
use serde::de::{self, Deserializer, Unexpected, Visitor};
use serde::{Deserialize, Serialize, Serializer};
use utoipa::openapi::schema::{KnownFormat, Object, ObjectBuilder, SchemaFormat, Type};
use utoipa::openapi::{RefOr, Schema};
use utoipa::{PartialSchema, ToSchema};

/// Reads a text that `parse` understands; the error names what was expected and the text.
pub(crate) fn read_text<'de, D: Deserializer<'de>, T>(
    deserializer: D,
    expected: &str,
    parse: impl FnOnce(&str) -> Option<T>,
) -> Result<T, D::Error> {
    struct Text<'a, F>(&'a str, F);
    impl<T, F: FnOnce(&str) -> Option<T>> Visitor<'_> for Text<'_, F> {
        type Value = T;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str(self.0)
        }

        fn visit_str<E: de::Error>(self, text: &str) -> Result<T, E> {
            let wrong = |expected: &str| E::invalid_value(Unexpected::Str(text), &expected);
            (self.1)(text).ok_or_else(|| wrong(self.0))
        }
    }
    deserializer.deserialize_str(Text(expected, parse))
}

/// Describes a text in the OpenAPI document.
pub(crate) fn text_schema(description: &str) -> ObjectBuilder {
    Object::builder()
        .schema_type(Type::String)
        .description(Some(description))
}

/// Makes a displayed type a text in JSON, with a schema of its own name.
macro_rules! text {
    ($name:ident, $schema:expr) => {
        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl PartialSchema for $name {
            fn schema() -> RefOr<Schema> {
                $schema.into()
            }
        }

        impl ToSchema for $name {
            fn name() -> Cow<'static, str> {
                Cow::Borrowed(stringify!($name))
            }
        }
    };
}

/// Makes a type of a fixed number of octets that JSON has as hexadecimal digits.
macro_rules! octets {
    ($(#[$doc:meta])* $name:ident, $count:literal, $expected:literal, $pattern:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name(pub [u8; $count]);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                Hex(&self.0).fmt(f)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                read_text(deserializer, $expected, |text| read_hex(text).map(Self))
            }
        }

        text!(
            $name,
            text_schema(concat!($expected, ", lower-case in answers.")).pattern(Some($pattern))
        );
    };
}

octets!(
    /// The ID of an account, a zone, a client certificate, a token, an enforcement point or a user.
    Id, 16, "32 hexadecimal digits", "^[0-9A-Fa-f]{32}$"
);
octets!(
    /// A SHA-256 digest.
    Sha256, 32, "64 hexadecimal digits", "^[0-9A-Fa-f]{64}$"
);
octets!(
    /// A serial number or a subject key identifier.
    Octets20, 20, "40 hexadecimal digits", "^[0-9A-Fa-f]{40}$"
);

impl From<SerialNumber> for Octets20 {
    fn from(serial: SerialNumber) -> Self {
        Self(*serial.as_bytes())
    }
}

/// Makes the conversions between an ID of JSON and those of the model.
macro_rules! converts {
    ($wire:ident: $($model:ident),+) => {
        $(
            impl From<$model> for $wire {
                fn from(id: $model) -> Self {
                    Self(*id.as_bytes())
                }
            }

            impl From<$wire> for $model {
                fn from(id: $wire) -> Self {
                    Self::from_bytes(id.0)
                }
            }
        )+
    };
}

converts!(Id: AccountId, CertificateId, EnforcementPointId, InviteId, TokenId, UserId, ZoneId);
converts!(Uuid: AuthorityId, MtlsCertificateId);

/// The ID of a managed CA or of an mTLS certificate: a UUID of 36 characters.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Uuid(pub [u8; 16]);

impl fmt::Display for Uuid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        AuthorityId::from(*self).fmt(f)
    }
}

impl<'de> Deserialize<'de> for Uuid {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let parse = |text: &str| text.parse::<AuthorityId>().ok().map(Self::from);
        read_text(deserializer, "a UUID of 36 characters", parse)
    }
}

text!(
    Uuid,
    text_schema("UUID of 36 characters, lower-case in answers.")
        .pattern(Some("^[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}$"))
);

/// An instant: RFC 3339 in UTC with `Z`.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Time(pub Timestamp);

impl fmt::Display for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl<'de> Deserialize<'de> for Time {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let expected = "an RFC 3339 time such as 2033-02-20T23:18:00Z";
        read_text(deserializer, expected, |text| text.parse().ok().map(Self))
    }
}

text!(
    Time,
    text_schema("RFC 3339 time, in answers in UTC with `Z`.")
        .format(Some(SchemaFormat::KnownFormat(KnownFormat::DateTime)))
);

/// A day in UTC: days since 1970-01-01, as `2033-02-20`.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Date(pub i64);

impl Date {
    /// Returns the first instant of the day.
    pub fn begin(self) -> Timestamp {
        Timestamp::from_unix(0).plus_seconds(self.0.saturating_mul(SECONDS_PER_DAY))
    }
}

impl fmt::Display for Date {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = self.begin().to_string();
        f.write_str(text.split('T').next().unwrap_or_default())
    }
}

impl<'de> Deserialize<'de> for Date {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let parse = |text: &str| {
            let begin: Timestamp = format!("{text}T00:00:00Z").parse().ok()?;
            Some(Self(begin.unix_day()))
        };
        read_text(deserializer, "a date such as 2033-02-20", parse)
    }
}

text!(
    Date,
    text_schema("Day in UTC.").format(Some(SchemaFormat::KnownFormat(KnownFormat::Date)))
);

/// A whole number in a request. `1.0` is a whole number too. A number too large for 64 bits becomes
/// the largest one, which every rule refuses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct WholeNumber(pub i64);

impl<'de> Deserialize<'de> for WholeNumber {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Number;
        impl Visitor<'_> for Number {
            type Value = WholeNumber;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a whole number")
            }

            fn visit_i64<E: de::Error>(self, number: i64) -> Result<WholeNumber, E> {
                Ok(WholeNumber(number))
            }

            fn visit_u64<E: de::Error>(self, number: u64) -> Result<WholeNumber, E> {
                Ok(WholeNumber(i64::try_from(number).unwrap_or(i64::MAX)))
            }

            fn visit_f64<E: de::Error>(self, number: f64) -> Result<WholeNumber, E> {
                match number.fract() == 0.0 {
                    true => Ok(WholeNumber(number as i64)),
                    false => Err(E::invalid_value(Unexpected::Float(number), &self)),
                }
            }
        }
        deserializer.deserialize_i64(Number)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_written_as_they_are_read() {
        for text in [
            r#""023e105f4ecef8ad9ca31a8372d0c353""#,
            r#""b2134436-2555-4acf-be5b-26c48136575e""#,
            r#""2033-02-20T23:18:00Z""#,
        ] {
            let written = match text.len() {
                34 => serde_json::to_string(&serde_json::from_str::<Id>(text).unwrap()),
                38 => serde_json::to_string(&serde_json::from_str::<Uuid>(text).unwrap()),
                _ => serde_json::to_string(&serde_json::from_str::<Time>(text).unwrap()),
            };
            assert_eq!(written.unwrap(), text);
        }
    }

    #[test]
    fn dates_are_days_since_1970() {
        for (days, text) in [
            (0, r#""1970-01-01""#),
            (23_061, r#""2033-02-20""#),
            (-1, r#""1969-12-31""#),
        ] {
            assert_eq!(serde_json::to_string(&Date(days)).unwrap(), text);
            assert_eq!(serde_json::from_str::<Date>(text).unwrap(), Date(days));
        }
        assert!(serde_json::from_str::<Date>(r#""2033-02-30""#).is_err());
        assert_eq!(Date(i64::MAX).to_string(), "9999-12-31");
    }

    #[test]
    fn a_malformed_id_is_shown_with_what_is_expected() {
        let error = serde_json::from_str::<Id>(r#""7""#)
            .unwrap_err()
            .to_string();
        assert!(error.contains("expected 32 hexadecimal digits"), "{error}");
    }

    #[test]
    fn whole_numbers_may_have_a_fraction_of_zero() {
        let read = |text| serde_json::from_str::<WholeNumber>(text).map(|number| number.0);
        assert_eq!(read("365").unwrap(), 365);
        assert_eq!(read("365.0").unwrap(), 365);
        assert_eq!(read("-1").unwrap(), -1);
        assert_eq!(read("18446744073709551615").unwrap(), i64::MAX);
        assert_eq!(read("1e300").unwrap(), i64::MAX);
        for bad in ["1.5", "true", "\"1\"", "[]"] {
            assert!(read(bad).is_err(), "{bad}");
        }
    }
}
