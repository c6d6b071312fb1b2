//! IDs of 16 bytes. [`AuthorityId`] and [`MtlsCertificateId`] are written as UUIDs, all others as
//! 32 lower-case hex digits.

use std::fmt;
use std::str::FromStr;

use crate::hex::{Hex, read_hex, write_hex};
use crate::{Random, Timestamp};

/// The error for a text that is not an ID of the expected form.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not an ID: expected {expected}")]
pub struct ParseIdError {
    expected: &'static str,
}

macro_rules! id {
    ($(#[$doc:meta])* $name:ident, $write:ident, $read:ident, $expected:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name([u8; 16]);

        impl $name {
            /// Makes an ID from its 16 bytes.
            pub const fn from_bytes(bytes: [u8; 16]) -> Self {
                Self(bytes)
            }

            /// The 16 bytes, as stored.
            pub const fn as_bytes(&self) -> &[u8; 16] {
                &self.0
            }

            /// Makes a new ID that sorts after those of earlier milliseconds (UUIDv7 layout, RFC
            /// 9562 §5.7), so that an index on it grows at its end.
            pub fn time_ordered(now: Timestamp, random: &dyn Random) -> Self {
                Self(uuid_v7(now, random))
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                $write(f, &self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({})"), self)
            }
        }

        impl FromStr for $name {
            type Err = ParseIdError;

            fn from_str(text: &str) -> Result<Self, ParseIdError> {
                $read(text).map(Self).ok_or(ParseIdError { expected: $expected })
            }
        }
    };
}

macro_rules! hex_id {
    ($(#[$doc:meta])* $name:ident) => {
        id!($(#[$doc])* $name, write_hex, read_hex, "32 hexadecimal digits");
    };
}

macro_rules! uuid_id {
    ($(#[$doc:meta])* $name:ident) => {
        id!($(#[$doc])* $name, write_uuid, read_uuid, "a UUID of 36 characters");
    };
}

hex_id!(
    /// The ID of a zone.
    ZoneId
);
hex_id!(
    /// The ID of an account.
    AccountId
);
hex_id!(
    /// The ID of a client certificate.
    CertificateId
);
hex_id!(
    /// The ID of an API token, which is not its secret value.
    TokenId
);
hex_id!(
    /// The ID of an enforcement point.
    EnforcementPointId
);
hex_id!(
    /// The ID of a user.
    UserId
);
hex_id!(
    /// The ID of an invite, which is not its secret.
    InviteId
);

uuid_id!(
    /// The ID of a managed or imported CA, written as a UUID of 36 characters.
    AuthorityId
);
uuid_id!(
    /// The ID of an uploaded certificate (`mtls_certificates`), written as a UUID of 36 characters.
    MtlsCertificateId
);

/// Returns the time in an ID that is ordered by time, in whole milliseconds.
fn time_of(id: &[u8; 16]) -> Timestamp {
    let mut milliseconds = [0; 8];
    milliseconds[2..].copy_from_slice(&id[..6]);
    Timestamp::from_unix_microseconds(i64::from_be_bytes(milliseconds) * 1000)
}

impl AuthorityId {
    /// The time in an ID from [`AuthorityId::time_ordered`], in whole milliseconds.
    pub fn time(&self) -> Timestamp {
        time_of(&self.0)
    }

    /// The 32 hex digits without hyphens, as in the common name of a managed CA.
    pub fn simple(&self) -> impl fmt::Display + '_ {
        Hex(&self.0)
    }
}

fn write_uuid(f: &mut fmt::Formatter<'_>, id: &[u8; 16]) -> fmt::Result {
    for (index, part) in [&id[..4], &id[4..6], &id[6..8], &id[8..10], &id[10..]]
        .into_iter()
        .enumerate()
    {
        if index > 0 {
            f.write_str("-")?;
        }
        write_hex(f, part)?;
    }
    Ok(())
}

fn read_uuid(text: &str) -> Option<[u8; 16]> {
    let hyphens = text.len() == 36
        && [8, 13, 18, 23]
            .iter()
            .all(|&at| text.as_bytes()[at] == b'-');
    if !hyphens {
        return None;
    }
    let digits: String = text.split('-').collect();
    read_hex(&digits)
}

impl CertificateId {
    /// Makes an ID from a digest (UUIDv8 layout, RFC 9562 §5.8). The same digest gives the same ID.
    pub fn named(mut digest: [u8; 16]) -> Self {
        digest[6] = digest[6] & 0x0f | 0x80; // version 8
        digest[8] = digest[8] & 0x3f | 0x80; // variant
        Self(digest)
    }

    /// Returns true for an ID from [`CertificateId::time_ordered`], which never occurs again
    /// because it is random.
    pub fn is_time_ordered(&self) -> bool {
        self.0[6] >> 4 == 7
    }

    /// The time in an ID from [`CertificateId::time_ordered`], in whole milliseconds; `None` for
    /// any other ID.
    pub fn time(&self) -> Option<Timestamp> {
        self.is_time_ordered().then(|| time_of(&self.0))
    }
}

fn uuid_v7(now: Timestamp, random: &dyn Random) -> [u8; 16] {
    let mut bytes = [0; 16];
    random.fill(&mut bytes[6..]);
    let milliseconds = now.unix_milliseconds();
    bytes[..6].copy_from_slice(&milliseconds.to_be_bytes()[2..]);
    bytes[6] = bytes[6] & 0x0f | 0x70; // version 7
    bytes[8] = bytes[8] & 0x3f | 0x80; // variant
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Sevens;
    impl Random for Sevens {
        fn fill(&self, bytes: &mut [u8]) {
            bytes.fill(0x77);
        }
    }

    #[test]
    fn ids_round_trip_and_reject_all_other_text() {
        let id: ZoneId = "023e105f4ecef8ad9ca31a8372d0c353".parse().unwrap();
        assert_eq!(id.to_string(), "023e105f4ecef8ad9ca31a8372d0c353");
        assert_eq!("023E105F4ECEF8AD9CA31A8372D0C353".parse(), Ok(id));
        for bad in [
            "",
            "023e",
            "023e105f4ecef8ad9ca31a8372d0c35g",
            "+23e105f4ecef8ad9ca31a8372d0c353",
            "é23e105f4ecef8ad9ca31a8372d0c35",
        ] {
            assert!(bad.parse::<ZoneId>().is_err(), "{bad}");
        }
    }

    #[test]
    fn authority_ids_are_uuids() {
        let text = "b2134436-2555-4acf-be5b-26c48136575e";
        let id: AuthorityId = text.parse().unwrap();
        assert_eq!(id.to_string(), text);
        assert_eq!(id.simple().to_string(), "b213443625554acfbe5b26c48136575e");
        assert!(
            "b213443625554acfbe5b26c48136575e"
                .parse::<AuthorityId>()
                .is_err()
        );
        assert!(
            "b2134436-2555-4acf-be5b+26c48136575e"
                .parse::<AuthorityId>()
                .is_err()
        );
        assert!(
            "b2134436-2555-4acf-be5b-26c48136-75e"
                .parse::<AuthorityId>()
                .is_err()
        );
    }

    #[test]
    fn time_ordered_ids_sort_by_their_millisecond() {
        let earlier = CertificateId::time_ordered(Timestamp::from_unix(1_700_000_000), &Sevens);
        let later = CertificateId::time_ordered(Timestamp::from_unix(1_700_000_001), &Sevens);
        assert!(earlier < later);
        assert_eq!(earlier.to_string(), "018bcfe568007777b777777777777777");
        assert!(earlier.is_time_ordered());
        assert_eq!(earlier.time(), Some(Timestamp::from_unix(1_700_000_000)));
        let named = CertificateId::named([0x77; 16]);
        assert_eq!(
            (named.to_string().as_str(), named.is_time_ordered()),
            ("7777777777778777b777777777777777", false)
        );
    }
}
