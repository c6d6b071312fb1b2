//! The history of a certificate.

use crate::{AuditEntry, By, RevocationReason, Timestamp};

/// An event in the life of a certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HistoryEvent {
    /// It was issued.
    Issued,
    /// It was revoked.
    Revoked {
        /// The reason, if the audit log names one.
        reason: Option<RevocationReason>,
    },
    /// It was restored.
    Restored,
    /// All lists and enforcement points had the change before.
    Settled,
}

/// An entry of a certificate's history.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HistoryEntry {
    /// The event.
    pub event: HistoryEvent,
    /// The actor, the address and the time.
    pub by: By,
    /// The number of the entry in the account's audit log; `None` for settling, which has none.
    pub audit_entry: Option<u64>,
    /// The epoch of a revocation or restoration, also of the settled one.
    pub epoch: Option<u64>,
}

/// An answer that needs an index.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Indexed<T> {
    /// The whole answer.
    Complete(T),
    /// The index does not have all records of earlier versions yet.
    NotYet,
}

/// The greatest time by which an entry of the audit log can be later than its event: see
/// `OVERTAKEN_SECONDS` in the store.
const LATE_SECONDS: i64 = 60;

impl HistoryEntry {
    /// Makes the history of a certificate from the entries of the audit log about it, in the order
    /// of their numbers. `settled_on` is the time at which the last change settled that has, and
    /// `is_pending` is true if the last change of all has not.
    pub fn history(
        entries: &[AuditEntry],
        settled_on: Option<Timestamp>,
        is_pending: bool,
    ) -> Vec<Self> {
        let mut history: Vec<_> = entries.iter().map(Self::of).collect();
        if let Some(at) = settled_on {
            // Entries can be later than their changes, so the time alone does not give the place.
            let late = if is_pending { 0 } else { LATE_SECONDS };
            let is_before = |entry: &Self| entry.by.at <= at.plus_seconds(late);
            let place = history.iter().rposition(is_before).map_or(0, |at| at + 1);
            let last = history.len() - usize::from(is_pending && !history.is_empty());
            let place = place.min(last);
            let epoch = history[..place].last().and_then(|entry| entry.epoch);
            let settled = Self {
                event: HistoryEvent::Settled,
                by: By::system(at),
                audit_entry: None,
                epoch,
            };
            history.insert(place, settled);
        }
        history
    }

    fn of(entry: &AuditEntry) -> Self {
        use crate::AuditAction::{Adopt, Create, Delete, Issue, Reactivate, Revoke, Update};
        let word = |name: &str| {
            let mut words = entry.detail.split(' ');
            words.find_map(|word| word.strip_prefix(name))
        };
        let event = match entry.action {
            Revoke => HistoryEvent::Revoked {
                reason: word("reason=").and_then(RevocationReason::from_name),
            },
            Reactivate => HistoryEvent::Restored,
            Issue | Adopt | Create | Update | Delete => HistoryEvent::Issued,
        };
        Self {
            event,
            by: entry.by,
            audit_entry: Some(entry.number),
            epoch: word("epoch=").and_then(|number| number.parse().ok()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{AccountId, Actor, AuditAction, AuditOwner, ResourceType, TokenId};

    fn entry(number: u64, at: i64, action: AuditAction, detail: &str) -> AuditEntry {
        AuditEntry {
            owner: AuditOwner::Account(AccountId::from_bytes([1; 16])),
            number,
            by: By {
                actor: Actor::Token(TokenId::from_bytes([2; 16])),
                address: None,
                at: Timestamp::from_unix(at),
            },
            action,
            resource_type: ResourceType::ClientCertificate,
            resource: [3; 16],
            zone: None,
            fingerprint_sha256: None,
            detail: detail.to_owned(),
            hash: [0; 32],
        }
    }

    fn told(settled_on: Option<i64>, is_pending: bool) -> Vec<String> {
        let entries = [
            entry(4, 100, AuditAction::Issue, ""),
            entry(
                7,
                200,
                AuditAction::Revoke,
                "reason=certificateHold epoch=5",
            ),
            entry(9, 300, AuditAction::Reactivate, "epoch=6"),
        ];
        let settled_on = settled_on.map(Timestamp::from_unix);
        let history = HistoryEntry::history(&entries, settled_on, is_pending);
        let tell = |entry: &HistoryEntry| {
            let epoch = entry.epoch.unwrap_or_default();
            match entry.event {
                HistoryEvent::Issued => "issued".to_owned(),
                HistoryEvent::Revoked { reason } => format!("revoked {epoch} {reason:?}"),
                HistoryEvent::Restored => format!("restored {epoch}"),
                HistoryEvent::Settled => format!("settled {epoch} {}", entry.by.actor),
            }
        };
        history.iter().map(tell).collect()
    }

    #[test]
    fn the_last_settling_has_its_place() {
        let changes = ["issued", "revoked 5 Some(CertificateHold)", "restored 6"];
        assert_eq!(told(None, true), changes);
        let [issued, revoked, restored] = changes;
        assert_eq!(
            told(Some(201), true),
            [issued, revoked, "settled 5 system", restored]
        );
        assert_eq!(
            told(Some(301), false),
            [issued, revoked, restored, "settled 6 system"]
        );
        // The entry got the time of an entry before it, which is later than its own.
        assert_eq!(
            told(Some(270), false),
            [issued, revoked, restored, "settled 6 system"]
        );
        // A server of an earlier version settled without a record.
        assert_eq!(
            told(Some(205), false),
            [issued, revoked, "settled 5 system", restored]
        );
    }
}
