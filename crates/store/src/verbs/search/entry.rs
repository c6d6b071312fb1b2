//! Entries of an index, with the columns of certificates that a search needs.

use certgate_model::{CertificateId, Direction, Status, Timestamp};

use crate::StoreError;
use crate::db::{self, Cell, FromCell, Value};

/// The value by which an entry is sorted, before its position.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Key {
    /// None: the position alone decides.
    None,
    /// An instant in microseconds since the Unix epoch.
    Integer(i64),
    /// An indexed name.
    Text(String),
    /// An ID.
    Id([u8; 16]),
}

impl FromCell for Key {
    fn from_cell(cell: Cell<'_>) -> Result<Self, StoreError> {
        Ok(match cell {
            Cell::Null => Self::None,
            Cell::Integer(number) => Self::Integer(number),
            Cell::Octets(_) => Self::Id(FromCell::from_cell(cell)?),
            other => Self::Text(FromCell::from_cell(other)?),
        })
    }
}

impl<'k> From<&'k Key> for Value<'k> {
    fn from(key: &'k Key) -> Self {
        match key {
            Key::None => Self::Null,
            Key::Integer(number) => Self::Integer(*number),
            Key::Text(text) => text.into(),
            Key::Id(octets) => Self::Id(*octets),
        }
    }
}

impl Key {
    /// The key of an instant, and so many microseconds later.
    pub(super) fn date(at: Timestamp, microseconds: i64) -> Self {
        Self::Integer(at.unix_microseconds().saturating_add(microseconds))
    }
}

/// An entry of an index.
#[derive(Debug, Clone)]
pub(super) struct Entry {
    pub(super) key: Key,
    pub(super) position: i64,
    /// The columns that the search needs besides.
    pub(super) details: Option<Row>,
}

/// Columns of a certificate: those of a [`Need`].
#[derive(Debug, Clone)]
pub(super) struct Row {
    pub(super) state: Option<State>,
    pub(super) is_replaced: Option<bool>,
    pub(super) certificate: Option<Certificate>,
}

/// The part of a certificate that changes.
#[derive(Debug, Clone)]
pub(super) struct State {
    pub(super) status: Status,
    pub(super) revoked_on: Option<Timestamp>,
    /// The number of its CA, which stands beside the status.
    pub(super) authority: i64,
}

/// The part of a certificate that never changes.
#[derive(Debug, Clone)]
pub(super) struct Certificate {
    pub(super) id: CertificateId,
    pub(super) common_name: String,
    pub(super) issued_on: Timestamp,
    pub(super) expires_on: Timestamp,
}

/// The columns that are read for each entry besides those of its index. Each of them is a look-up in
/// a table that does not fit into the cache of a large store.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Need {
    pub(super) states: bool,
    pub(super) places: bool,
    pub(super) certificates: bool,
}

impl Need {
    /// Only the columns of the index.
    pub(super) const ENTRIES: Self = Self {
        states: false,
        places: false,
        certificates: false,
    };

    /// Also the columns that another one needs.
    pub(super) fn and(self, other: Self) -> Self {
        Self {
            states: self.states || other.states,
            places: self.places || other.places,
            certificates: self.certificates || other.certificates,
        }
    }
}

impl Entry {
    /// Reads an entry with the columns that are needed.
    pub(super) fn read(row: &dyn db::Row, need: Need) -> Result<Self, StoreError> {
        let mut entry = Self {
            key: row.get(0)?,
            position: row.get(1)?,
            details: None,
        };
        if need == Need::ENTRIES {
            return Ok(entry);
        }
        let mut column = 2;
        let mut details = Row {
            state: None,
            is_replaced: None,
            certificate: None,
        };
        if need.states {
            details.state = Some(State {
                status: row.get(column)?,
                revoked_on: row.get(column + 1)?,
                authority: row.get(column + 2)?,
            });
            column += 3;
        }
        if need.places {
            details.is_replaced = Some(row.get(column)?);
            column += 1;
        }
        if need.certificates {
            details.certificate = Some(Certificate {
                id: row.get(column)?,
                common_name: row.get(column + 1)?,
                issued_on: row.get(column + 2)?,
                expires_on: row.get(column + 3)?,
            });
        }
        entry.details = Some(details);
        Ok(entry)
    }
}

/// Sorts entries by key and position.
pub(super) fn sort(entries: &mut [Entry], direction: Direction) {
    entries.sort_unstable_by(|one, other| {
        let order = (&one.key, one.position).cmp(&(&other.key, other.position));
        match direction {
            Direction::Ascending => order,
            Direction::Descending => order.reverse(),
        }
    });
}
