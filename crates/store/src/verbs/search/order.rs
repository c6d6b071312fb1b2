//! Orders of an answer, and the keys by which entries are sorted.

use certgate_model::{
    CertificateOrder, CertificateRecord, CertificateSearch, Direction, FoldedName, NameMatch,
    TimeRange,
};

use super::entry::{Entry, Key, Need, Row};

/// The order of an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Order {
    /// The order of issuing.
    Position,
    Id,
    Name,
    IssuedOn,
    ExpiresOn,
    RevokedOn,
}

impl Order {
    /// Returns the order and the direction of a search.
    pub(super) fn of(search: &CertificateSearch) -> (Self, Direction) {
        let filter = &search.filter;
        let is_given = |range: TimeRange| !range.is_unlimited();
        let order = match search.order {
            Some(CertificateOrder::IssuedOn) if is_given(filter.issued_on) => Self::IssuedOn,
            Some(CertificateOrder::IssuedOn) => Self::Position,
            Some(CertificateOrder::ExpiresOn) => Self::ExpiresOn,
            Some(CertificateOrder::CommonName) => Self::Name,
            Some(CertificateOrder::RevokedOn) => Self::RevokedOn,
            None if is_given(filter.expires_on) => Self::ExpiresOn,
            None if is_given(filter.revoked_on) => Self::RevokedOn,
            None if is_given(filter.issued_on) => Self::IssuedOn,
            None => match filter.common_name {
                Some(NameMatch::StartsWith(_) | NameMatch::Contains(_)) => Self::Name,
                _ if filter.ids.is_some() => Self::Id,
                _ => Self::Position,
            },
        };
        let direction = search.direction.unwrap_or(match order {
            Self::Position | Self::Id | Self::IssuedOn => Direction::Descending,
            Self::Name | Self::ExpiresOn | Self::RevokedOn => Direction::Ascending,
        });
        (order, direction)
    }

    /// Returns the columns that the key needs.
    pub(super) fn need(self) -> Need {
        match self {
            Self::Position => Need::ENTRIES,
            Self::RevokedOn => Need {
                states: true,
                ..Need::ENTRIES
            },
            Self::Id | Self::Name | Self::IssuedOn | Self::ExpiresOn => Need {
                certificates: true,
                ..Need::ENTRIES
            },
        }
    }

    /// Returns the key of an entry with these columns.
    pub(super) fn key(self, entry: &Entry) -> Key {
        let Some(row) = &entry.details else {
            return Key::None;
        };
        let Row {
            state, certificate, ..
        } = row;
        let integer = |date| Key::date(date, 0);
        match (self, certificate) {
            (Self::RevokedOn, _) => {
                let revoked_on = state.as_ref().and_then(|state| state.revoked_on);
                revoked_on.map_or(Key::None, integer)
            }
            (Self::Id, Some(certificate)) => Key::Id(*certificate.id.as_bytes()),
            (Self::Name, Some(certificate)) => name(&certificate.common_name),
            (Self::IssuedOn, Some(certificate)) => integer(certificate.issued_on),
            (Self::ExpiresOn, Some(certificate)) => integer(certificate.expires_on),
            (Self::Position, _) | (_, None) => Key::None,
        }
    }

    /// Returns the key of a certificate.
    pub(super) fn key_of(self, record: &CertificateRecord) -> Key {
        let integer = |date| Key::date(date, 0);
        match self {
            Self::Position => Key::None,
            Self::Id => Key::Id(*record.id.as_bytes()),
            Self::Name => name(&record.subject.common_name),
            Self::IssuedOn => integer(record.issued_on),
            Self::ExpiresOn => integer(record.expires_on),
            Self::RevokedOn => record.revoked_on.map_or(Key::None, integer),
        }
    }
}

/// Names are in the order of their indexed parts.
fn name(common_name: &str) -> Key {
    Key::Text(FoldedName::new(common_name).indexed().to_owned())
}
