//! IDs, records, the status machine, the clock and the page: the types that all crates share.
//!
//! This crate performs no I/O, reads no clock and draws no random numbers.

mod audit;
mod authority;
mod certificate;
mod crl;
mod enforcement;
mod enforcement_point;
mod hex;
mod history;
mod id;
mod invite;
mod issuance_rules;
mod lifetime;
mod lock;
mod mtls_certificate;
mod notification;
mod page;
mod policies;
mod random;
mod reason;
mod role;
mod search;
mod status;
mod summary;
mod tenant;
mod time;
mod token;

pub use audit::{Actor, AuditAction, AuditEntry, AuditOwner, AuditQuery, By, ResourceType};
pub use authority::{
    AccountAuthority, AuthorityRecord, AuthorityRequestRecord, AuthorityState, KeyAlgorithm,
    SignatureAlgorithm, UnknownName,
};
pub use certificate::{
    AuthorityRef, CertificateRecord, CertificateState, Lineage, SerialInteger, SerialNumber,
    SubjectFields, Totals,
};
pub use crl::{
    CRL_SHARDS, CrlKind, CrlRecord, Revocation, SignedCrl, revocation_date, this_update,
};
pub use enforcement::{
    EnforcedAuthority, EnforcedConfiguration, EnforcedHostname, EnforcedManagedAuthority,
    EnforcedUploadedAuthority, Enforcement,
};
pub use enforcement_point::{
    Coverage, EnforcedCertificate, EnforcementPointRecord, FollowedChange, RevocationChange,
    WhenStale,
};
pub use hex::{Hex, read_hex};
pub use history::{HistoryEntry, HistoryEvent, Indexed};
pub use id::{
    AccountId, AuthorityId, CertificateId, EnforcementPointId, InviteId, MtlsCertificateId,
    ParseIdError, TokenId, UserId, ZoneId,
};
pub use invite::{Device, InviteRecord, InviteState, UnknownDevice};
pub use issuance_rules::{
    AlternativeName, AlternativeNameRules, BeyondRules, BrokenRule, Counted, EnrolmentRules,
    IssuanceRules, KeyType, NamePattern, PATTERN_CHARS_MAX, PatternError, RequestedCertificate,
    RuleName, StoredRules, SubjectAttribute, UnknownKeyType, UnknownSubjectAttribute,
};
pub use lifetime::{Lifetime, NotALifetime};
pub use lock::lock;
pub use mtls_certificate::MtlsCertificateRecord;
pub use notification::{
    Backlog, Condition, DestinationRecord, EventPlace, ExpiringCertificate, ExpiryPlace,
    NotificationEvent, NotificationId, NotificationKind, PendingEvent, ReportedState,
    UndeliveredEvent,
};
pub use page::{
    AccountFilter, CertificateQuery, Direction, Join, Page, Slice, TextMatch, Visible, ZoneFilter,
    ZoneOrder,
};
pub use policies::{Place, allow_grant, allows, visible};
pub use random::Random;
pub use reason::RevocationReason;
pub use role::Role;
pub use search::{
    CONTAINS_MIN, CertificateFilter, CertificateOrder, CertificateSearch, Continuation, FoldedName,
    ID_PREFIX_MIN, INDEXED_NAME_MAX, IdRange, LinePlace, MATCHES_MAX, MatchCount, NameMatch,
    SearchOutcome, TimeRange,
};
pub use status::{Event, Status, Transition};
pub use summary::{InstallationSummary, SUMMARY_EXPIRING_DAYS, SUMMARY_PAST_DAYS, ZoneSummary};
pub use tenant::{
    AccountChange, AccountRecord, AccountSettings, AccountType, Installation, UserChange,
    UserProfile, UserRecord, ZoneChange, ZoneProperties, ZoneRecord, ZoneType,
};
pub use time::{Clock, ParseTimestampError, SECONDS_PER_DAY, Span, Timestamp};
pub use token::{
    AddressBlock, Effect, PermissionGroup, Policy, Resource, Scope, TokenHash, TokenRecord,
    TokenState, UnknownPermissionGroup, UnknownResource,
};
