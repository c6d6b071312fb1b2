//! Events as destinations get them, and the interface of a destination.

use std::time::Duration;

use certgate_model::{
    AccountId, Actor, AuthorityId, CertificateId, CertificateRecord, EnforcementPointId,
    NotificationId, NotificationKind, Timestamp, ZoneId,
};
use futures_util::future::BoxFuture;

/// The names of all destinations that there can be.
pub const DESTINATIONS: [&str; 2] = ["webhook", "email"];

/// A destination outside of certgate, such as a webhook.
pub trait Outlet: Send + Sync {
    /// Its name: the key of its stored state.
    fn name(&self) -> &'static str;
    /// Its address, without a secret.
    fn address(&self) -> &str;
    /// The kinds of events that it gets.
    fn kinds(&self) -> &[NotificationKind];
    /// The most events of one message.
    fn events_max(&self) -> u32;
    /// The shortest time between two messages.
    fn interval(&self) -> Duration;
    /// Delivers one message with these events, within a limit of time.
    fn deliver<'a>(&'a self, events: &'a [Notification])
    -> BoxFuture<'a, Result<(), NotDelivered>>;
}

/// The reason why a message was not delivered. It has no secret.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text}")]
pub struct NotDelivered {
    /// The reason.
    pub text: String,
    /// The pause that the receiver asked for.
    pub retry_after: Option<Duration>,
    /// True if the receiver refuses this event, and not every one: a repetition will fail too.
    pub is_permanent: bool,
}

impl NotDelivered {
    /// A failure without a wanted pause.
    pub fn new(text: impl Into<String>) -> Self {
        Self {
            text: text.into(),
            retry_after: None,
            is_permanent: false,
        }
    }
}

/// One event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notification {
    /// Its ID, the same in each attempt.
    pub id: NotificationId,
    /// The time of the change, or at which the condition was found.
    pub at: Timestamp,
    /// The account; [`None`] for a test.
    pub account: Option<AccountId>,
    /// The content.
    pub subject: Subject,
}

/// The content of an event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Subject {
    /// A change of a certificate.
    Certificate {
        /// The kind of the change.
        kind: NotificationKind,
        /// The actor of the change.
        actor: Actor,
        /// The reason of a revocation.
        reason: Option<String>,
        /// The zone.
        zone: NotifiedZone,
        /// The certificate.
        certificate: NotifiedCertificate,
    },
    /// Certificates of a zone that expire soon.
    Expiring {
        /// The zone.
        zone: NotifiedZone,
        /// Their number.
        count: u64,
        /// The first of them.
        certificates: Vec<NotifiedCertificate>,
    },
    /// A CA that expires soon.
    Authority {
        /// Its ID.
        id: AuthorityId,
        /// Its name.
        name: String,
        /// Its end.
        expires_on: Timestamp,
    },
    /// A CRL that was not renewed in time.
    Crl {
        /// The ID of the CA.
        authority: AuthorityId,
        /// The name of the CA.
        name: String,
        /// The end of the list.
        next_update: Timestamp,
    },
    /// An enforcement point whose lease has ended.
    Point {
        /// Its ID.
        id: EnforcementPointId,
        /// Its name.
        name: String,
        /// The end of its lease.
        lease_ended_on: Timestamp,
    },
    /// A test by an operator.
    Test,
}

/// A zone in an event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NotifiedZone {
    /// Its ID.
    pub id: ZoneId,
    /// Its name; [`None`] if the zone was deleted.
    pub name: Option<String>,
}

/// A certificate in an event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NotifiedCertificate {
    /// Its ID.
    pub id: CertificateId,
    /// Its record as it is now; [`None`] if it does not exist any more.
    pub record: Option<Box<CertificateRecord>>,
}

impl Notification {
    /// The name of the type.
    pub const fn name(&self) -> &'static str {
        match &self.subject {
            Subject::Certificate { kind, .. } => kind.name(),
            Subject::Expiring { .. } => NotificationKind::Expiring.name(),
            Subject::Authority { .. } => NotificationKind::AuthorityExpiring.name(),
            Subject::Crl { .. } => NotificationKind::CrlOverdue.name(),
            Subject::Point { .. } => NotificationKind::PointSilent.name(),
            Subject::Test => "test",
        }
    }
}
