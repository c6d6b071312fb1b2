//! The search of certificates: filters, their order, and the limits of an answer.

use crate::{
    AuthorityId, CertificateId, CertificateRecord, Direction, SerialNumber, Slice, Status,
    Timestamp,
};

/// The most certificates that a filtered list counts exactly and that its pages reach.
pub const MATCHES_MAX: u64 = 10_000;

/// The shortest text that a search inside names accepts, in characters.
pub const CONTAINS_MIN: usize = 3;

/// The shortest beginning of an ID that a search accepts, in hexadecimal digits.
pub const ID_PREFIX_MIN: usize = 6;

/// The longest part of a name that is indexed, in characters. Longer names are compared whole
/// after the index has found them.
pub const INDEXED_NAME_MAX: usize = 256;

/// A name in the form in which names are compared: in lower case (Unicode `Lowercase_Mapping`).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FoldedName(String);

impl FoldedName {
    /// Folds a name.
    pub fn new(name: &str) -> Self {
        // Character by character: the lower case of a text depends on the neighbours of a sigma.
        Self(name.chars().flat_map(char::to_lowercase).collect())
    }

    /// The folded name.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The part of the folded name that is indexed: its first [`INDEXED_NAME_MAX`] characters.
    pub fn indexed(&self) -> &str {
        match self.0.char_indices().nth(INDEXED_NAME_MAX) {
            Some((end, _)) => &self.0[..end],
            None => &self.0,
        }
    }
}

/// A condition on a common name. It ignores letter case.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NameMatch {
    /// The name is this one.
    Equal(FoldedName),
    /// The name begins with this text.
    StartsWith(FoldedName),
    /// The name contains this text.
    Contains(FoldedName),
}

impl NameMatch {
    /// Returns true for a name that meets the condition.
    pub fn matches(&self, name: &str) -> bool {
        let name = FoldedName::new(name);
        match self {
            Self::Equal(text) => name == *text,
            Self::StartsWith(text) => name.0.starts_with(&text.0),
            Self::Contains(text) => name.0.contains(&text.0),
        }
    }
}

/// A stretch of time. Both ends are exclusive, as the parameters `after` and `before` are.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct TimeRange {
    /// The instant after which it begins; `None`: no such limit.
    pub after: Option<Timestamp>,
    /// The instant before which it ends; `None`: no such limit.
    pub before: Option<Timestamp>,
}

impl TimeRange {
    /// Returns true if no limit is set.
    pub fn is_unlimited(self) -> bool {
        self == Self::default()
    }

    /// Returns true for an instant between the limits.
    pub fn contains(self, at: Timestamp) -> bool {
        self.after.is_none_or(|after| after < at) && self.before.is_none_or(|before| at < before)
    }
}

/// The first and the last ID that begin with some hexadecimal digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct IdRange {
    /// The first ID.
    pub first: CertificateId,
    /// The last ID.
    pub last: CertificateId,
}

impl IdRange {
    /// Returns the IDs that begin with these digits, in any letter case; `None` if they are not
    /// [`ID_PREFIX_MIN`] to 32 hexadecimal digits.
    pub fn of_prefix(digits: &str) -> Option<Self> {
        let fits = (ID_PREFIX_MIN..=32).contains(&digits.len())
            && digits.bytes().all(|digit| digit.is_ascii_hexdigit());
        if !fits {
            return None;
        }
        let filled = |with: &str| format!("{digits}{}", with.repeat(32 - digits.len())).parse();
        Some(Self {
            first: filled("0").ok()?,
            last: filled("f").ok()?,
        })
    }
}

/// The conditions of a search. All of them must hold.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CertificateFilter {
    /// The status; `None` means any status.
    pub status: Option<Status>,
    /// A condition on the common name.
    pub common_name: Option<NameMatch>,
    /// The serial numbers that the text of the caller can mean, each with the ID that it leads to
    /// if certgate issued the certificate. One of them must be the certificate's.
    pub serials: Option<Vec<(SerialNumber, Option<CertificateId>)>>,
    /// SHA-256 of the certificate's DER.
    pub fingerprint_sha256: Option<[u8; 32]>,
    /// A range of IDs.
    pub ids: Option<IdRange>,
    /// The CA that signed it.
    pub authority: Option<AuthorityId>,
    /// A range of `notBefore`.
    pub issued_on: TimeRange,
    /// A range of `notAfter`.
    pub expires_on: TimeRange,
    /// A range of the date of revocation. Certificates that are not revoked have none.
    pub revoked_on: TimeRange,
    /// The place in its line.
    pub place: Option<LinePlace>,
}

/// The place of a certificate in its line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LinePlace {
    /// No certificate has replaced it.
    Newest,
    /// Another certificate has replaced it.
    Replaced,
}

impl CertificateFilter {
    /// Returns true for a certificate that meets every condition.
    pub fn matches(&self, certificate: &CertificateRecord) -> bool {
        let is_one_of = |serials: &Vec<(SerialNumber, Option<CertificateId>)>| {
            let mut serials = serials.iter();
            serials.any(|(serial, _)| *serial == certificate.serial)
        };
        let in_range = |ids: IdRange| {
            let id = certificate.id.as_bytes();
            (ids.first.as_bytes()..=ids.last.as_bytes()).contains(&id)
        };
        let name = &certificate.subject.common_name;
        self.status
            .is_none_or(|status| status == certificate.status)
            && self
                .common_name
                .as_ref()
                .is_none_or(|wanted| wanted.matches(name))
            && self.serials.as_ref().is_none_or(is_one_of)
            && self
                .fingerprint_sha256
                .is_none_or(|wanted| wanted == certificate.fingerprint_sha256)
            && self.ids.is_none_or(in_range)
            && self
                .authority
                .is_none_or(|wanted| wanted == certificate.authority.id)
            && self.issued_on.contains(certificate.issued_on)
            && self.expires_on.contains(certificate.expires_on)
            && self.is_in_place(certificate.lineage.replaced_by.is_some())
            && (self.revoked_on.is_unlimited()
                || certificate
                    .revoked_on
                    .is_some_and(|at| self.revoked_on.contains(at)))
    }

    /// Returns true if a certificate may have this place in its line.
    pub fn is_in_place(&self, is_replaced: bool) -> bool {
        let place = match is_replaced {
            true => LinePlace::Replaced,
            false => LinePlace::Newest,
        };
        self.place.is_none_or(|wanted| wanted == place)
    }

    /// Returns true if it has no condition but the status, whose lists are exact at any depth.
    pub fn is_status_only(&self) -> bool {
        let status_only = Self {
            status: self.status,
            ..Self::default()
        };
        *self == status_only
    }

    /// Returns true if it has no condition but the status and the place in the line: counters make
    /// its lists exact at any depth.
    pub fn is_counted(&self) -> bool {
        let rest = Self {
            place: None,
            ..self.clone()
        };
        rest.is_status_only()
    }
}

/// The order of a filtered list. Equal certificates are in the order in which they were issued, or
/// in the reverse order if the direction is descending.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CertificateOrder {
    /// In the order in which they were issued; with a range of `issued_on`, by that date first.
    IssuedOn,
    /// By `notAfter`.
    ExpiresOn,
    /// By the indexed part of the folded common name.
    CommonName,
    /// By the date of revocation. Certificates without one come first.
    RevokedOn,
}

/// The place at which a search stopped, opaque to clients: the API sends it as text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Continuation(pub Vec<u8>);

/// A search in a zone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CertificateSearch {
    /// The conditions.
    pub filter: CertificateFilter,
    /// The order. `None`: that of the first filter among ranges of `expires_on`, `revoked_on` and
    /// `issued_on`, the beginning of or a text inside names, and a range of IDs; otherwise the
    /// order of issuing. A search inside names that stops early is in the order of names.
    pub order: Option<CertificateOrder>,
    /// The direction. `None`: newest first in the order of issuing, of `issued_on` and of IDs, and
    /// ascending in other orders.
    pub direction: Option<Direction>,
    /// The page. An answer has at most 1,000 certificates.
    pub slice: Slice,
    /// The place at which an earlier answer to the same search stopped. Then the page begins
    /// there, and `slice.first` is ignored.
    pub after: Option<Continuation>,
}

/// The number of matches of a search.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MatchCount {
    /// Exactly so many.
    Exact(u64),
    /// More than so many: [`MATCHES_MAX`], which pages reach.
    MoreThan(u64),
    /// So many in a part of the matches: the search stopped early, or continued another one.
    AtLeast(u64),
}

/// The answer to a search.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SearchOutcome {
    /// The certificates of the page.
    Found {
        /// The certificates of the page, in order, up to the limit for the memory of a part.
        items: Vec<CertificateRecord>,
        /// The IDs of the page's other certificates, in order, to be read in parts.
        rest: Vec<CertificateId>,
        /// The number of all matches.
        count: MatchCount,
        /// The place after the last one of the page, or after the last one that was examined, if
        /// the search stopped early or more than [`MATCHES_MAX`] match. Then `items` has at least
        /// one.
        next: Option<Continuation>,
    },
    /// The search stopped early and found nothing: repeat it from here.
    NothingYet(Continuation),
    /// The page begins beyond [`MATCHES_MAX`].
    BeyondMatches,
    /// More than [`MATCHES_MAX`] certificates match, too many for another order than that of the
    /// range filter.
    TooManyToOrder,
    /// The search inside names stopped early, before it knew all matches, and cannot order them.
    StoppedBeforeOrder,
    /// The continuation is malformed, or of a search with other conditions.
    InvalidContinuation,
    /// Another search inside names runs on this server.
    Busy,
    /// The index of the zone is not complete yet after a migration: so many certificates of so
    /// many are in it.
    NotIndexed {
        /// The certificates in the index.
        done: u64,
        /// The certificates of the zone.
        total: u64,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_folded_character_by_character() {
        assert_eq!(
            FoldedName::new("MÜLLER-ΣΑΣ İ").as_str(),
            "müller-σασ i\u{307}"
        );
        let long = FoldedName::new(&"Ä".repeat(300));
        assert_eq!(long.indexed().chars().count(), INDEXED_NAME_MAX);
    }

    #[test]
    fn prefixes_of_ids_are_ranges() {
        let range = IdRange::of_prefix("0192A").map(|_| ());
        assert_eq!(range, None);
        let range = IdRange::of_prefix("0192Ab").unwrap();
        assert_eq!(range.first.to_string(), "0192ab00000000000000000000000000");
        assert_eq!(range.last.to_string(), "0192abffffffffffffffffffffffffff");
        assert_eq!(IdRange::of_prefix("0192ag"), None);
        assert_eq!(IdRange::of_prefix(&"0".repeat(33)), None);
    }
}
