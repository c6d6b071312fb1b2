use crate::{AuthorityId, RevocationReason, SerialNumber, Timestamp};

/// Into how many shards the revoked certificates of an authority are divided; frozen with the addresses in certificates.
pub const CRL_SHARDS: u8 = 128;

/// The number that the full list is stored as.
const FULL: u8 = CRL_SHARDS + 1;

/// One of the lists that an authority publishes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum CrlKind {
    /// Client certificates whose serial number has these low 7 bits.
    Shard(u8),
    /// Certificates of authorities: always empty, but without it programs that check whole chains trust nobody.
    AuthorityCertificates,
    /// Everything in one list, while that is small.
    Full,
}

impl CrlKind {
    /// Every list of an authority.
    pub fn all() -> impl Iterator<Item = Self> {
        (0..CRL_SHARDS)
            .map(Self::Shard)
            .chain([Self::AuthorityCertificates, Self::Full])
    }

    /// The number it is stored as.
    pub const fn code(self) -> u8 {
        match self {
            Self::Shard(shard) => shard,
            Self::AuthorityCertificates => CRL_SHARDS,
            Self::Full => FULL,
        }
    }

    /// The list stored as this number.
    pub fn from_code(code: u8) -> Option<Self> {
        match code {
            0..CRL_SHARDS => Some(Self::Shard(code)),
            CRL_SHARDS => Some(Self::AuthorityCertificates),
            FULL => Some(Self::Full),
            _ => None,
        }
    }
}

/// A certificate that has to be on a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Revocation {
    /// Its serial number.
    pub serial: SerialNumber,
    /// Since when it is revoked.
    pub revoked_on: Timestamp,
    /// Why.
    pub reason: RevocationReason,
}

/// A list as it is published.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CrlRecord {
    /// Whose list it is.
    pub authority: AuthorityId,
    /// Which of its lists.
    pub kind: CrlKind,
    /// Its number; greater than those of all earlier lists of the same CA and kind (RFC 5280 §5.2.3).
    pub number: u64,
    /// Every change of a status up to this epoch is in it.
    pub epoch: u64,
    /// When it was made.
    pub this_update: Timestamp,
    /// When the next one is there at the latest.
    pub next_update: Timestamp,
    /// The list, DER; `None` for the full list when it would be too long to be of use.
    pub der: Option<Vec<u8>>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_have_numbers() {
        let codes: Vec<_> = CrlKind::all().map(CrlKind::code).collect();
        assert_eq!(codes, (0..130).collect::<Vec<_>>());
        for kind in CrlKind::all() {
            assert_eq!(CrlKind::from_code(kind.code()), Some(kind));
        }
        assert_eq!(CrlKind::from_code(130), None);
    }
}
