//! The place at which a search stopped, in octets that clients send back.
//!
//! The octets are a version, the kind of the index, the number of matches that the page still
//! skips (4 octets), a position (8 octets), and the key. They only name a place in the order of an
//! index. The search that continues has its own zone and conditions, so that other octets lead to
//! another place among the same certificates.

use certgate_model::{Continuation, Direction, INDEXED_NAME_MAX};

use super::entry::{Entry, Key};
use super::source::{Index, Source};

/// The version of the octets.
const VERSION: u8 = 1;

/// The octets before the key.
const HEAD_OCTETS: usize = 14;

/// The first entry that is not examined yet, and the matches to skip.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Place {
    kind: u8,
    pub(super) skip: u32,
    pub(super) position: i64,
    pub(super) key: Key,
}

/// Returns the number of an index, whatever its CA or status.
fn kind(index: Index) -> u8 {
    match index {
        Index::Names => 1,
        Index::Expiries => 2,
        Index::IssueDates => 3,
        Index::Revocations => 4,
        Index::Authority(_) => 5,
        Index::Status(_) => 6,
        Index::Ids => 7,
        Index::Replaced => 8,
        Index::All => 9,
    }
}

impl Place {
    pub(super) fn new(index: Index, (key, position): (Key, i64), skip: u32) -> Self {
        Self {
            kind: kind(index),
            skip,
            position,
            key,
        }
    }

    /// The place after an entry.
    pub(super) fn after(index: Index, direction: Direction, last: &Entry) -> Self {
        Self::new(index, resume(index, direction, last), 0)
    }

    /// Reads the octets of a client; `None` if they are malformed.
    pub(super) fn read(continuation: &Continuation) -> Option<Self> {
        let (head, key) = continuation.0.split_first_chunk::<HEAD_OCTETS>()?;
        let [version, kind, skip @ .., _, _, _, _, _, _, _, _] = head;
        let skip: &[u8; 4] = skip;
        let position = head.last_chunk::<8>()?;
        if *version != VERSION {
            return None;
        }
        let key = match kind {
            1 => {
                let text = str::from_utf8(key).ok()?;
                if text.chars().count() > INDEXED_NAME_MAX {
                    return None;
                }
                Key::Text(text.to_owned())
            }
            2..=4 => Key::Integer(i64::from_be_bytes(key.try_into().ok()?)),
            5 | 6 | 8 | 9 if key.is_empty() => Key::None,
            7 => Key::Id(key.try_into().ok()?),
            _ => return None,
        };
        Some(Self {
            kind: *kind,
            skip: u32::from_be_bytes(*skip),
            position: i64::from_be_bytes(*position),
            key,
        })
    }

    /// Returns the octets.
    pub(super) fn write(&self) -> Continuation {
        let mut octets = vec![VERSION, self.kind];
        octets.extend_from_slice(&self.skip.to_be_bytes());
        octets.extend_from_slice(&self.position.to_be_bytes());
        match &self.key {
            Key::None => {}
            Key::Integer(number) => octets.extend_from_slice(&number.to_be_bytes()),
            Key::Text(text) => octets.extend_from_slice(text.as_bytes()),
            Key::Id(id) => octets.extend_from_slice(id),
        }
        Continuation(octets)
    }

    /// Returns true if it is a place in the index of a source.
    pub(super) fn is_in(&self, source: &Source) -> bool {
        self.kind == kind(source.index)
    }

    /// Returns true if it is a place in the index of names.
    pub(super) fn is_in_names(&self) -> bool {
        self.kind == kind(Index::Names)
    }
}

/// Returns the first place after an entry.
pub(super) fn resume(index: Index, direction: Direction, last: &Entry) -> (Key, i64) {
    let step = match direction {
        Direction::Ascending => 1,
        Direction::Descending => -1,
    };
    match (&last.key, index) {
        (Key::Id(id), Index::Ids) => {
            let id = u128::from_be_bytes(*id).saturating_add_signed(step.into());
            (Key::Id(id.to_be_bytes()), 0)
        }
        (key, _) => (key.clone(), last.position.saturating_add(step)),
    }
}

#[cfg(test)]
mod tests {
    use certgate_model::Status;

    use super::*;

    #[test]
    fn places_are_read_back_and_other_octets_are_refused() {
        for (index, key) in [
            (Index::Names, Key::Text("köln\0".into())),
            (Index::Expiries, Key::Integer(-7)),
            (Index::IssueDates, Key::Integer(i64::MAX)),
            (Index::Revocations, Key::Integer(0)),
            (Index::Authority(3), Key::None),
            (Index::Status(Status::Revoked), Key::None),
            (Index::Ids, Key::Id([9; 16])),
            (Index::Replaced, Key::None),
            (Index::All, Key::None),
        ] {
            let place = Place::new(index, (key, i64::MIN), 4_711);
            let written = place.write();
            assert_eq!(Place::read(&written), Some(place));
            // Each shorter form, and one octet more; of a name they may be a place.
            for length in 0..written.0.len() {
                let cut = Continuation(written.0[..length].to_vec());
                assert!(Place::read(&cut).is_none() || index == Index::Names);
            }
            let mut longer = written.clone();
            longer.0.push(0xff);
            assert_eq!(Place::read(&longer), None);
            let mut other = written;
            other.0[0] = 2;
            assert_eq!(Place::read(&other), None);
            other.0[..2].copy_from_slice(&[VERSION, 10]);
            assert_eq!(Place::read(&other), None);
        }
        let long = "ä".repeat(INDEXED_NAME_MAX + 1);
        let place = Place::new(Index::Names, (Key::Text(long), 0), 0);
        assert_eq!(Place::read(&place.write()), None);
    }
}
