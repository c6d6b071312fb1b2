//! The hash chain of an audit log, the same in every database.

use aws_lc_rs::digest::{Context, SHA256};
use certgate_model::{
    AuditAction, AuditEntry, AuditOwner, By, ResourceType, RevocationReason, Timestamp, ZoneId,
};

/// Returns the hash of an entry that follows one with the hash `previous`.
pub(crate) fn hash(previous: &[u8; 32], entry: &AuditEntry) -> [u8; 32] {
    let mut context = Context::new(&SHA256);
    context.update(previous);
    context.update(entry.hashed_text().as_bytes());
    let mut hash = [0; 32];
    hash.copy_from_slice(context.finish().as_ref());
    hash
}

/// The longest detail of an audit entry, in octets. A longer one, such as a list of many hostnames,
/// is cut.
const DETAIL_BYTES_MAX: usize = 2_000;

/// The end of a chain.
pub(crate) struct ChainEnd {
    pub(crate) chain: i64,
    pub(crate) entries: u64,
    /// The time in the last entry.
    pub(crate) last_at: Timestamp,
    pub(crate) hash: [u8; 32],
}

impl ChainEnd {
    /// The end of a chain without entries.
    pub(crate) fn empty(chain: i64) -> Self {
        Self {
            chain,
            entries: 0,
            last_at: Timestamp::EARLIEST,
            hash: AuditEntry::FIRST_PREVIOUS,
        }
    }

    /// The end after this entry was appended.
    pub(crate) fn after(&self, entry: &AuditEntry) -> Self {
        Self {
            chain: self.chain,
            entries: entry.number,
            last_at: entry.by.at,
            hash: entry.hash,
        }
    }
}

/// The greatest difference, in seconds, between requests that overtake each other. An entry that is
/// earlier than the previous one by at most this much gets the time of the previous one. An entry
/// with a greater difference was written after the clock was set back, and keeps its time.
pub(crate) const OVERTAKEN_SECONDS: i64 = 60;

/// An action on a resource, before it is an entry of a log.
pub(crate) struct AuditEvent {
    pub(crate) action: AuditAction,
    pub(crate) resource_type: ResourceType,
    pub(crate) resource: [u8; 16],
    pub(crate) zone: Option<ZoneId>,
    pub(crate) fingerprint_sha256: Option<[u8; 32]>,
    pub(crate) detail: String,
}

impl AuditEvent {
    /// Returns the event of a resource that is not a certificate and not in a zone.
    pub(crate) fn new(
        action: AuditAction,
        resource_type: ResourceType,
        resource: &[u8; 16],
        detail: String,
    ) -> Self {
        Self {
            action,
            resource_type,
            resource: *resource,
            zone: None,
            fingerprint_sha256: None,
            detail,
        }
    }

    pub(crate) fn in_zone(self, zone: ZoneId) -> Self {
        Self {
            zone: Some(zone),
            ..self
        }
    }

    pub(crate) fn of_certificate(self, fingerprint_sha256: [u8; 32]) -> Self {
        Self {
            fingerprint_sha256: Some(fingerprint_sha256),
            ..self
        }
    }

    /// Returns the entry of this event at the end of a chain.
    pub(crate) fn entry(self, owner: AuditOwner, end: &ChainEnd, by: &By) -> AuditEntry {
        let Self {
            action,
            resource_type,
            resource,
            zone,
            fingerprint_sha256,
            mut detail,
        } = self;
        if detail.len() > DETAIL_BYTES_MAX {
            let cut = (0..=DETAIL_BYTES_MAX)
                .rev()
                .find(|cut| detail.is_char_boundary(*cut))
                .unwrap_or(0);
            detail.truncate(cut);
            detail.push('…');
        }
        // A client that continues from the time of the last entry then misses no entry.
        let overtaken = by.at..=by.at.plus_seconds(OVERTAKEN_SECONDS);
        let at = if overtaken.contains(&end.last_at) {
            end.last_at
        } else {
            by.at
        };
        let mut entry = AuditEntry {
            owner,
            number: end.entries + 1,
            by: By { at, ..*by },
            action,
            resource_type,
            resource,
            zone,
            fingerprint_sha256,
            detail,
            hash: [0; 32],
        };
        entry.hash = hash(&end.hash, &entry);
        entry
    }
}

/// Returns the part of a detail that names the reason of a revocation.
pub(crate) fn reason_text(reason: RevocationReason) -> String {
    format!("reason={} ", reason.name())
}

/// The result of reading a whole log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditVerdict {
    /// The owner of the log.
    pub owner: AuditOwner,
    /// The number of its entries.
    pub entries: u64,
    /// The hash of the last entry. A copy of it elsewhere proves later that no earlier entry was
    /// changed.
    pub head: [u8; 32],
    /// The problems, a line each.
    pub faults: Vec<String>,
}

/// The number of faults after which the rest of an audit log is not read: the log is corrupt, and
/// more lines do not help the operator.
const FAULTS_MAX: usize = 20;

/// Reads a log in the order of its numbers, and finds entries that were changed, removed, added or
/// put in another order.
pub(crate) struct ChainCheck {
    owner: AuditOwner,
    entries: u64,
    last: [u8; 32],
    faults: Vec<String>,
}

impl ChainCheck {
    pub(crate) fn new(owner: AuditOwner) -> Self {
        Self {
            owner,
            entries: 0,
            last: AuditEntry::FIRST_PREVIOUS,
            faults: Vec::new(),
        }
    }

    /// Returns true if there are so many faults that the rest of the log need not be read.
    pub(crate) fn is_enough(&self) -> bool {
        self.faults.len() >= FAULTS_MAX
    }

    /// Checks the next entry in the order of numbers.
    pub(crate) fn next(&mut self, entry: &AuditEntry) {
        let expected = self.entries + 1;
        let number = entry.number;
        if number == expected + 1 {
            self.fault(format!("entry {expected} is missing"));
        } else if number > expected {
            self.fault(format!("entries {expected} to {} are missing", number - 1));
        } else if number < expected {
            self.fault(format!("there are several entries {number}"));
        }
        // An entry after a gap cannot be checked, because the hash before it is unknown. The next
        // entry can.
        let follows = number == expected;
        if follows && hash(&self.last, entry) != entry.hash {
            self.fault(format!("entry {number} was changed or moved"));
        }
        self.entries = number;
        self.last = entry.hash;
    }

    /// Adds a fault, such as a row that is not an entry.
    pub(crate) fn fault(&mut self, text: String) {
        self.faults.push(format!("{}: {text}", self.owner));
    }

    /// Compares the last entry with the recorded end.
    pub(crate) fn end(mut self, entries: u64, head: [u8; 32]) -> AuditVerdict {
        if !self.is_enough() {
            if self.entries < entries {
                self.fault(format!(
                    "the log ends with entry {}, but {entries} were recorded: the last ones are \
                     missing",
                    self.entries
                ));
            } else if self.entries > entries {
                self.fault(format!(
                    "entry {entries} is recorded as the last one, but there are later ones"
                ));
            } else if self.last != head {
                self.fault(format!("entry {entries}, the last one, was changed"));
            }
        }
        AuditVerdict {
            owner: self.owner,
            entries: self.entries,
            head: self.last,
            faults: self.faults,
        }
    }
}

#[cfg(test)]
mod tests {
    use certgate_model::{Actor, AuditAction, By, ResourceType, Timestamp, TokenId, UserId};

    use super::*;

    fn log(count: u64) -> Vec<AuditEntry> {
        let mut previous = AuditEntry::FIRST_PREVIOUS;
        let entry = |number| AuditEntry {
            owner: AuditOwner::User(UserId::from_bytes([9; 16])),
            number,
            by: By {
                actor: Actor::Token(TokenId::from_bytes([1; 16])),
                address: None,
                at: Timestamp::from_unix(number as i64),
            },
            action: AuditAction::Create,
            resource_type: ResourceType::Token,
            resource: [number as u8; 16],
            zone: None,
            fingerprint_sha256: None,
            detail: format!("name=token {number}"),
            hash: [0; 32],
        };
        let chained = |number| {
            let mut entry = entry(number);
            entry.hash = hash(&previous, &entry);
            previous = entry.hash;
            entry
        };
        (1..=count).map(chained).collect()
    }

    fn faults(entries: &[AuditEntry]) -> Vec<String> {
        let intact = log(6);
        let mut check = ChainCheck::new(intact[0].owner);
        entries.iter().for_each(|entry| check.next(entry));
        let verdict = check.end(6, intact[5].hash);
        verdict
            .faults
            .into_iter()
            .map(|line| line.split_once(": ").unwrap().1.to_owned())
            .collect()
    }

    #[test]
    fn an_intact_log_has_no_faults() {
        assert_eq!(faults(&log(6)), Vec::<String>::new());
    }

    #[test]
    fn every_kind_of_tampering_is_found() {
        let mut changed = log(6);
        changed[2].detail.push('!');
        assert_eq!(faults(&changed), ["entry 3 was changed or moved"]);

        let mut missing = log(6);
        missing.remove(2);
        assert_eq!(faults(&missing), ["entry 3 is missing"]);
        assert_eq!(faults(&log(6)[3..]), ["entries 1 to 3 are missing"]);

        let mut swapped = log(6);
        swapped.swap(1, 2);
        (swapped[1].number, swapped[2].number) = (2, 3);
        assert!(
            faults(&swapped)[0].starts_with("entry 2 was changed"),
            "{:?}",
            faults(&swapped)
        );

        let truncated = faults(&log(6)[..5]);
        assert_eq!(
            truncated,
            ["the log ends with entry 5, but 6 were recorded: the last ones are missing"]
        );

        let mut last = log(6);
        last[5].by.at = Timestamp::from_unix(99);
        assert_eq!(faults(&last), ["entry 6 was changed or moved"]);

        let mut rehashed = log(6);
        rehashed[5].by.at = Timestamp::from_unix(99);
        rehashed[5].hash = hash(&rehashed[4].hash.clone(), &rehashed[5]);
        assert_eq!(faults(&rehashed), ["entry 6, the last one, was changed"]);

        let added = log(7);
        assert_eq!(
            faults(&added),
            ["entry 6 is recorded as the last one, but there are later ones"]
        );
        let mut twice = log(6);
        twice.insert(3, twice[2].clone());
        assert_eq!(faults(&twice)[0], "there are several entries 3");
    }
}
