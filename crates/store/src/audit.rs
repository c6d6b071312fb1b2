//! The chain of hashes over what was done, whatever it is stored in.

use aws_lc_rs::digest::{Context, SHA256};
use certgate_model::{
    AuditAction, AuditEntry, AuditOwner, By, ResourceType, RevocationReason, Timestamp, ZoneId,
};

/// The hash of an entry that follows one with the hash `previous`.
pub(crate) fn hash(previous: &[u8; 32], entry: &AuditEntry) -> [u8; 32] {
    let mut context = Context::new(&SHA256);
    context.update(previous);
    context.update(entry.hashed_text().as_bytes());
    let mut hash = [0; 32];
    hash.copy_from_slice(context.finish().as_ref());
    hash
}

/// Longest detail of an entry, in octets: what is longer, such as a list of many hostnames, is cut.
const DETAIL_BYTES_MAX: usize = 2_000;

/// Where a chain ends.
pub(crate) struct ChainEnd {
    pub(crate) chain: i64,
    pub(crate) entries: u64,
    /// When the last entry says to be made.
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

/// How much earlier than the entry before it an entry may say to be and is not believed, in seconds: requests overtake each other. What is
/// earlier still was written after the clock was put back.
const OVERTAKEN_SECONDS: i64 = 60;

/// What was done to what.
pub(crate) struct Deed {
    pub(crate) action: AuditAction,
    pub(crate) resource_type: ResourceType,
    pub(crate) resource: [u8; 16],
    pub(crate) zone: Option<ZoneId>,
    pub(crate) fingerprint_sha256: Option<[u8; 32]>,
    pub(crate) detail: String,
}

impl Deed {
    /// Something that is no certificate and not in a zone.
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

    /// The entry that it makes at the end of a chain.
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
        // Whoever reads on from the last entry misses none that way.
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

/// How the detail of a deed names the reason of a revocation.
pub(crate) fn reason_text(reason: RevocationReason) -> String {
    format!("reason={} ", reason.name())
}

/// What reading a whole log found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditVerdict {
    /// Whose log.
    pub owner: AuditOwner,
    /// How many entries it has.
    pub entries: u64,
    /// The hash of the last one: noted elsewhere, it proves later that nothing before it was changed.
    pub head: [u8; 32],
    /// What is wrong with it, a line each.
    pub faults: Vec<String>,
}

/// After so many faults of one log nobody reads on.
const FAULTS_MAX: usize = 20;

/// Reads a log in the order of its numbers and finds what was changed, taken away, added or put in another order.
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

    /// Whether reading on tells anybody anything.
    pub(crate) fn is_enough(&self) -> bool {
        self.faults.len() >= FAULTS_MAX
    }

    /// Takes the next entry in the order of numbers.
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
        // What came before a gap is not known, so that this one cannot be judged: the next one can.
        let follows = number == expected;
        if follows && hash(&self.last, entry) != entry.hash {
            self.fault(format!(
                "entry {number} is not what was recorded, or was put in another place"
            ));
        }
        self.entries = number;
        self.last = entry.hash;
    }

    /// What cannot be read as an entry.
    pub(crate) fn fault(&mut self, text: String) {
        self.faults.push(format!("{}: {text}", self.owner));
    }

    /// Compares with what the end is said to be.
    pub(crate) fn end(mut self, entries: u64, head: [u8; 32]) -> AuditVerdict {
        if !self.is_enough() {
            if self.entries < entries {
                self.fault(format!(
                    "the log ends with entry {}, but {entries} were recorded: the last ones are missing",
                    self.entries
                ));
            } else if self.entries > entries {
                self.fault(format!(
                    "entry {entries} is recorded as the last one, but there are later ones"
                ));
            } else if self.last != head {
                self.fault(format!(
                    "entry {entries}, the last one, is not what was recorded"
                ));
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
        let whole = log(6);
        let mut check = ChainCheck::new(whole[0].owner);
        entries.iter().for_each(|entry| check.next(entry));
        let verdict = check.end(6, whole[5].hash);
        verdict
            .faults
            .into_iter()
            .map(|line| line.split_once(": ").unwrap().1.to_owned())
            .collect()
    }

    #[test]
    fn a_log_that_is_whole_has_no_faults() {
        assert_eq!(faults(&log(6)), Vec::<String>::new());
    }

    #[test]
    fn every_kind_of_tampering_is_found() {
        let mut changed = log(6);
        changed[2].detail.push('!');
        assert_eq!(
            faults(&changed),
            ["entry 3 is not what was recorded, or was put in another place"]
        );

        let mut missing = log(6);
        missing.remove(2);
        assert_eq!(faults(&missing), ["entry 3 is missing"]);
        assert_eq!(faults(&log(6)[3..]), ["entries 1 to 3 are missing"]);

        let mut swapped = log(6);
        swapped.swap(1, 2);
        (swapped[1].number, swapped[2].number) = (2, 3);
        assert!(
            faults(&swapped)[0].starts_with("entry 2 is not what was recorded"),
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
        assert_eq!(
            faults(&last),
            ["entry 6 is not what was recorded, or was put in another place"]
        );

        let mut rehashed = log(6);
        rehashed[5].by.at = Timestamp::from_unix(99);
        rehashed[5].hash = hash(&rehashed[4].hash.clone(), &rehashed[5]);
        assert_eq!(
            faults(&rehashed),
            ["entry 6, the last one, is not what was recorded"]
        );

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
