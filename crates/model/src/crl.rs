use crate::{AuthorityId, RevocationReason, SerialNumber, Timestamp};

/// Number of shards of a CA's CRL. It never changes, because issued certificates contain the
/// addresses of the shards.
pub const CRL_SHARDS: u8 = 128;

/// The stored number of the full list.
const FULL: u8 = CRL_SHARDS + 1;

/// The kinds of revocation lists that a CA publishes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum CrlKind {
    /// The client certificates whose serial number has these low 7 bits.
    Shard(u8),
    /// CA certificates. This list is always empty, but verifiers that check whole chains reject all
    /// certificates without it.
    AuthorityCertificates,
    /// All certificates in one list, unless it is too long.
    Full,
}

impl CrlKind {
    /// Iterates over all lists of a CA.
    pub fn all() -> impl Iterator<Item = Self> {
        (0..CRL_SHARDS)
            .map(Self::Shard)
            .chain([Self::AuthorityCertificates, Self::Full])
    }

    /// The stored number.
    pub const fn code(self) -> u8 {
        match self {
            Self::Shard(shard) => shard,
            Self::AuthorityCertificates => CRL_SHARDS,
            Self::Full => FULL,
        }
    }

    /// Returns the kind with this stored number.
    pub fn from_code(code: u8) -> Option<Self> {
        match code {
            0..CRL_SHARDS => Some(Self::Shard(code)),
            CRL_SHARDS => Some(Self::AuthorityCertificates),
            FULL => Some(Self::Full),
            _ => None,
        }
    }
}

/// Time by which every date of a CRL or OCSP response is early, in seconds.
///
/// A verifier refuses a list from the future, and clocks differ by minutes. The dates of
/// revocations are as early as `thisUpdate`, so that no list has a revocation from its own future.
const BACKDATE_SECONDS: i64 = 300;

/// Returns the `thisUpdate` of a CRL or OCSP response that is signed now.
pub fn this_update(now: Timestamp) -> Timestamp {
    now.plus_seconds(-BACKDATE_SECONDS)
}

/// Returns the date of a revocation for a CRL or OCSP response with this `thisUpdate`. It is
/// `thisUpdate` if the clock was set back since the revocation.
pub fn revocation_date(revoked_on: Timestamp, this_update: Timestamp) -> Timestamp {
    revoked_on.plus_seconds(-BACKDATE_SECONDS).min(this_update)
}

/// An entry of a revocation list (RFC 5280 §5.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Revocation {
    /// The serial number of the revoked certificate.
    pub serial: SerialNumber,
    /// The time of the revocation.
    pub revoked_on: Timestamp,
    /// The reason. A list omits `unspecified`.
    pub reason: RevocationReason,
}

/// A list as it was signed. Its times are whole seconds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignedCrl {
    /// Its number; 0 if that does not fit.
    pub number: u64,
    /// The time of its issue.
    pub this_update: Timestamp,
    /// The time by which the CA issues the next list.
    pub next_update: Timestamp,
    /// The entries, in their order.
    pub entries: Vec<Revocation>,
}

/// A published list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CrlRecord {
    /// The CA that publishes it.
    pub authority: AuthorityId,
    /// The kind of the list.
    pub kind: CrlKind,
    /// Its number, greater than those of all earlier lists of the same CA and kind (RFC 5280
    /// §5.2.3).
    pub number: u64,
    /// The list includes every change of a status up to this epoch.
    pub epoch: u64,
    /// The time of its issue.
    pub this_update: Timestamp,
    /// The time by which the CA issues the next list.
    pub next_update: Timestamp,
    /// The list, DER; `None` for a full list that would be too long.
    pub der: Option<Vec<u8>>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_list_has_a_revocation_from_its_own_future() {
        let now = Timestamp::from_unix(1_785_542_400);
        for seconds in [-86_400, -301, -300, -1, 0, 1, 300, 86_400] {
            let date = revocation_date(now.plus_seconds(seconds), this_update(now));
            assert!(date <= this_update(now), "{seconds}");
            // A date never depends on the list, unless the clock was wrong.
            let later = revocation_date(
                now.plus_seconds(seconds),
                this_update(now.plus_seconds(86_400)),
            );
            assert_eq!(date == later, seconds <= 0, "{seconds}");
        }
    }

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
