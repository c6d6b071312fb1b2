use crate::audit::named_codes;
use crate::{
    AccountId, AuditAction, AuditEntry, AuditOwner, CertificateId, ResourceType, Timestamp, ZoneId,
};

named_codes!(
    /// The kind of an event that certgate reports to webhooks and by e-mail.
    NotificationKind {
        /// A client certificate was issued.
        Issued = 0, "certificate.issued";
        /// A client certificate was revoked.
        Revoked = 1, "certificate.revoked";
        /// A client certificate was restored.
        Restored = 2, "certificate.restored";
        /// Certificates of a zone expire soon, and no renewal has replaced them.
        Expiring = 3, "certificates.expiring";
        /// The active CA of an account expires soon.
        AuthorityExpiring = 4, "ca.expiring";
        /// A CRL of a CA was not renewed in time.
        CrlOverdue = 5, "crl.overdue";
        /// The lease of an enforcement point has ended.
        PointSilent = 6, "enforcement_point.silent";
    }
);

impl NotificationKind {
    /// Returns the kind with this name.
    pub fn from_name(name: &str) -> Option<Self> {
        let mut kinds = Self::ALL.iter().copied();
        kinds.find(|kind| kind.name() == name)
    }

    /// Returns the kind of an entry of the audit log, if such entries are reported.
    pub fn of_entry(entry: &AuditEntry) -> Option<Self> {
        match (entry.resource_type, entry.action) {
            (ResourceType::ClientCertificate, AuditAction::Issue) => Some(Self::Issued),
            (ResourceType::ClientCertificate, AuditAction::Revoke) => Some(Self::Revoked),
            (ResourceType::ClientCertificate, AuditAction::Reactivate) => Some(Self::Restored),
            _ => None,
        }
    }
}

/// The ID of an event, the same in each attempt to deliver it.
pub type NotificationId = [u8; 16];

/// A state of an object that certgate reports once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Condition {
    /// The ID of the event.
    pub id: NotificationId,
    /// The kind of the event.
    pub kind: NotificationKind,
    /// The ID of the zone, CA or enforcement point.
    pub object: [u8; 16],
    /// The time that identifies the state: the end of a CA, of a CRL or of a lease; for
    /// certificates that expire, the beginning of the day (UTC) of the event.
    pub since: Timestamp,
    /// The account of the object.
    pub account: AccountId,
    /// The time at which the condition was found.
    pub at: Timestamp,
    /// The name of the object.
    pub name: String,
    /// The number of certificates that expire.
    pub count: u64,
    /// The first of these certificates, those that expire first.
    pub certificates: Vec<CertificateId>,
}

/// An event before its delivery.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NotificationEvent {
    /// A change of a certificate.
    Change(AuditEntry),
    /// A condition.
    Condition(Condition),
}

impl NotificationEvent {
    /// The kind; [`None`] for a change that is not reported.
    pub fn kind(&self) -> Option<NotificationKind> {
        match self {
            Self::Change(entry) => NotificationKind::of_entry(entry),
            Self::Condition(condition) => Some(condition.kind),
        }
    }

    /// The ID. That of a change is the beginning of the hash of its entry in the audit log.
    pub fn id(&self) -> NotificationId {
        match self {
            Self::Change(entry) => {
                let mut id = NotificationId::default();
                id.copy_from_slice(&entry.hash[..16]);
                id
            }
            Self::Condition(condition) => condition.id,
        }
    }

    /// The time of the change, or at which the condition was found.
    pub fn at(&self) -> Timestamp {
        match self {
            Self::Change(entry) => entry.by.at,
            Self::Condition(condition) => condition.at,
        }
    }

    /// The ID of the certificate, zone, CA or enforcement point.
    pub fn object(&self) -> [u8; 16] {
        match self {
            Self::Change(entry) => entry.resource,
            Self::Condition(condition) => condition.object,
        }
    }

    /// The account of the object.
    pub fn account(&self) -> Option<AccountId> {
        match self {
            Self::Change(entry) => match entry.owner {
                AuditOwner::Account(account) => Some(account),
                AuditOwner::User(_) => None,
            },
            Self::Condition(condition) => Some(condition.account),
        }
    }

    /// The zone of the object, if it is in one.
    pub fn zone(&self) -> Option<ZoneId> {
        match self {
            Self::Change(entry) => entry.zone,
            Self::Condition(condition) => match condition.kind {
                NotificationKind::Expiring => Some(ZoneId::from_bytes(condition.object)),
                _ => None,
            },
        }
    }
}

/// The place of an event: the number of its log, and its number and time there. Log 0 has the
/// conditions; the others are audit logs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EventPlace {
    /// The number of the log.
    pub log: i64,
    /// The number of the event in the log.
    pub number: u64,
    /// The time.
    pub at: Timestamp,
}

/// An event that a destination does not have yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PendingEvent {
    /// Its place.
    pub place: EventPlace,
    /// The event.
    pub event: NotificationEvent,
}

/// The state of a destination of notifications.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DestinationRecord {
    /// Its name.
    pub name: String,
    /// The time from which on it gets events.
    pub begun_on: Timestamp,
    /// The time of the first failure after the last success.
    pub failing_since: Option<Timestamp>,
    /// The number of attempts that failed since then.
    pub attempts: u64,
    /// The time of the next attempt after a failure.
    pub attempt_on: Option<Timestamp>,
    /// The reason of the last failure.
    pub error: Option<String>,
    /// The number of delivered events.
    pub delivered: u64,
    /// The time of the last delivery.
    pub delivered_on: Option<Timestamp>,
    /// The number of events that were set aside as undelivered and are listed.
    pub undelivered: u64,
}

/// The events that wait for a destination.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Backlog {
    /// The number of entries of logs that are to be gone through: at least the number of events.
    pub entries: u64,
    /// The time of the oldest event among the next entries.
    pub oldest: Option<Timestamp>,
}

/// An event that was not delivered in time and does not hold up later ones.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UndeliveredEvent {
    /// The name of the destination.
    pub destination: String,
    /// The place of the event.
    pub place: EventPlace,
    /// The ID of the event.
    pub id: NotificationId,
    /// Its kind.
    pub kind: NotificationKind,
    /// The ID of the certificate, zone, CA or enforcement point.
    pub object: [u8; 16],
    /// The time at which it was set aside.
    pub set_aside_on: Timestamp,
    /// The reason of the last failure.
    pub error: String,
    /// True if an operator asked for one more attempt, which has not been made yet.
    pub is_retried: bool,
}

/// A state of an object that may be reported.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReportedState {
    /// The ID of the CA or enforcement point.
    pub object: [u8; 16],
    /// Its account.
    pub account: AccountId,
    /// Its name.
    pub name: String,
    /// The time that identifies the state: see [`Condition::since`].
    pub since: Timestamp,
}

/// A place in the order of certificates of a zone by their end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ExpiryPlace {
    /// The end.
    pub expires_on: Timestamp,
    /// The number of the certificate in the store.
    pub position: i64,
}

/// A certificate that is not revoked and not replaced.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ExpiringCertificate {
    /// Its ID.
    pub id: CertificateId,
    /// Its beginning.
    pub issued_on: Timestamp,
    /// Its end.
    pub expires_on: Timestamp,
}
