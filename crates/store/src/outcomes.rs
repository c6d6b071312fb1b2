//! The records that verbs take and return. A missing row is an `Option`, a refused change an
//! outcome, a failure a [`StoreError`](crate::StoreError).

use std::sync::Arc;

use certgate_model::{
    AccountId, AccountRecord, AuthorityId, CertificateId, CertificateRecord, CrlKind,
    EnforcementPointRecord, Installation, InviteId, InviteState, MtlsCertificateId,
    MtlsCertificateRecord, Revocation, RevocationReason, Status, Timestamp, TokenRecord, Totals,
    UserRecord, ZoneId, ZoneRecord,
};

use crate::StoreError;

/// The records of a new installation, written in one transaction.
#[derive(Debug, Clone)]
pub struct FirstRecords {
    /// The installation.
    pub installation: Installation,
    /// Its user.
    pub user: UserRecord,
    /// Its first account.
    pub account: AccountRecord,
    /// Its first zone.
    pub zone: ZoneRecord,
    /// A token with every permission.
    pub token: TokenRecord,
}

/// The treatment of a value that is stored already.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Earlier {
    /// It stays.
    Stays,
    /// The new one replaces it.
    IsReplaced,
}

/// The limits that a certificate must not exceed when it is recorded.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RecordingLimits {
    /// Maximum number of certificates of the zone, of any status.
    pub quota: Option<u64>,
    /// The limits of issuance rules, if there are any.
    pub counted: Option<Box<CountedLimits>>,
}

impl From<Option<u64>> for RecordingLimits {
    fn from(quota: Option<u64>) -> Self {
        Self {
            quota,
            counted: None,
        }
    }
}

/// The limits of issuance rules that count certificates.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CountedLimits {
    /// The day, in UTC: the number of days since the Unix epoch.
    pub day: i64,
    /// Maximum numbers of certificates of the day.
    pub per_day: Vec<DayLimit>,
    /// Maximum number of active certificates of the name in the zone.
    pub active_per_name: Option<u64>,
}

/// A maximum number of certificates of a day.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DayLimit {
    /// The ID of the zone or the token whose certificates are counted.
    pub owner: [u8; 16],
    /// The number.
    pub max: u64,
}

/// The right by which a certificate is issued.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Basis {
    /// A permission of the caller.
    Permission,
    /// The possession of the certificate that it replaces.
    Renewal(Renewal),
    /// The possession of the secret of an invite. The certificate is one of its uses.
    Invite(InviteId),
}

/// The replacement of a certificate with a newer one of its line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Renewal {
    /// The certificate to replace.
    pub replaced: CertificateId,
    /// The least time between two renewals of a line, in seconds.
    pub interval_seconds: i64,
    /// Maximum number of renewals of a line on a day in UTC.
    pub per_day_max: u64,
    /// The time after which the replaced certificate is to be revoked; `None`: never.
    pub revoke_on: Option<Timestamp>,
}

/// The reason why a certificate cannot be replaced.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RenewalRefused {
    /// The zone has no such certificate.
    NotFound,
    /// It is revoked.
    Revoked(RevocationReason),
    /// It was replaced before.
    Replaced {
        /// The certificate that replaced it.
        by: CertificateId,
        /// The time.
        on: Timestamp,
    },
    /// The line was renewed a moment ago.
    TooSoon {
        /// The time from which on it may be renewed.
        until: Timestamp,
    },
    /// The line was renewed as often today as it may.
    TooOften,
}

/// The reason why a certificate cannot be issued for an invite.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum InviteRefused {
    /// The zone has no such invite.
    NotFound,
    /// It is in this state.
    NotOpen(InviteState),
}

/// The outcome for a new invite.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum InviteRecorded {
    /// It is stored.
    Recorded,
    /// Its zone does not exist any more.
    NoZone,
    /// The zone has as many invites as it may, and none has expired.
    TooMany,
}

/// A replaced certificate that is to be revoked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReplacedCertificate {
    /// Its zone.
    pub zone: ZoneId,
    /// Its account.
    pub account: AccountId,
    /// Its ID.
    pub id: CertificateId,
}

/// The outcome for a new certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CertificateRecorded {
    /// It is stored.
    Recorded,
    /// Its zone does not exist any more.
    NoZone,
    /// The zone has as many certificates, of any status, as the quota allows.
    QuotaReached,
    /// The zone or token with this ID has issued as many certificates today as a rule allows.
    DayLimitReached {
        /// The ID.
        owner: [u8; 16],
    },
    /// The zone has as many active certificates of the name as a rule allows.
    NameLimitReached,
    /// The zone has too many certificates of the name to count the active ones.
    NameNotCountable,
    /// The zone's names are still being indexed, so that those of its name cannot be counted.
    NamesNotIndexed,
    /// The CA that signed it is not the active one of the zone's account, or not any more.
    AuthorityNotActive,
    /// The certificate that it was to replace cannot be replaced.
    NotReplaced(RenewalRefused),
    /// The invite for which it was to be issued does not permit it.
    NotInvited(InviteRefused),
    /// A certificate with its ID exists. Only checked for IDs that are not time-ordered:
    /// time-ordered ones are random, so they do not repeat.
    Exists,
}

/// A certificate that a CA issued elsewhere, to record.
#[derive(Debug, Clone)]
pub struct Adoption {
    /// The certificate.
    pub certificate: Arc<CertificateRecord>,
    /// The CA of the certificate, and others with the same name and key.
    pub same_issuer: Vec<AuthorityId>,
    /// The ID that the serial number leads to, if it is one of certgate.
    pub own_id: CertificateId,
}

/// The outcome for such a certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Adopted {
    /// It is stored.
    Recorded,
    /// It was stored before. Nothing was changed.
    Known,
    /// Its issuer has another certificate with the serial number, or it is in another zone.
    SerialTaken,
    /// The zone has as many certificates, of any status, as the quota allows.
    QuotaReached,
    /// Its zone does not exist any more.
    NoZone,
    /// Its CA was discarded.
    NoAuthority,
}

/// The outcome for a CA that was to replace another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AuthorityReplaced {
    /// It is stored and active.
    Replaced {
        /// The CA that made room for it.
        discarded: Option<AuthorityId>,
    },
    /// Its account does not exist.
    NoAccount,
    /// Another CA is active than the one it was to replace.
    NotExpected,
    /// The account has as many CAs as it may, and each of them has signed.
    TooMany,
}

/// The confirmation of a change that can reject clients.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Confirmation {
    /// The caller confirmed the change.
    Given,
    /// A change that can reject clients is refused.
    Missing,
}

/// The outcome for a CA to prepare.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AuthorityPrepared {
    /// It is stored.
    Prepared {
        /// The CA that made room for it.
        discarded: Option<AuthorityId>,
    },
    /// Its account does not exist.
    NoAccount,
    /// The account has a CA with its certificate.
    Known(AuthorityId),
    /// The request with its key does not exist any more.
    NoRequest,
    /// The account has as many CAs as it may, and each of them has signed or is prepared.
    TooMany,
}

/// The outcome for a CA to activate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AuthorityActivated {
    /// It is active.
    Activated {
        /// The CA that was active before.
        replaced: Option<AuthorityId>,
    },
    /// It was active before.
    Unchanged,
    /// These enforcement points have not acknowledged it. Nothing was changed.
    Late(Vec<EnforcementPointRecord>),
    /// The account has no such CA.
    NotFound,
}

/// The outcome for a CA to retire.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AuthorityRetired {
    /// It is retired.
    Retired,
    /// It was retired before.
    Unchanged,
    /// It is the active one.
    Active,
    /// It has signed certificates and has not expired, and the change was not confirmed.
    HasSigned,
    /// The account has no such CA.
    NotFound,
}

/// The outcome for a key whose certificate another CA is to sign.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AuthorityRequested {
    /// It is stored.
    Requested,
    /// Its account does not exist.
    NoAccount,
    /// The account has as many as it may.
    TooMany,
}

/// The CRLs that are due for renewal.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct AgedCrls {
    /// The CRLs.
    pub due: Vec<(AuthorityId, CrlKind)>,
    /// The expired CAs of CRLs that would be due: nothing renews these, so that they are to be set
    /// aside.
    pub expired: Vec<AuthorityId>,
}

/// Receives the outcome for a new certificate.
pub type RecordedAnswer = Box<dyn FnOnce(Result<CertificateRecorded, StoreError>) + Send>;

/// The outcome of a change of status.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StatusChange {
    /// The certificate after the change.
    Changed(CertificateRecord),
    /// The certificate, which the event does not change.
    Unchanged(CertificateRecord),
    /// The certificate's state refuses the event.
    Refused,
}

/// The result of one round of settling.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Settled {
    /// The number of certificates that went from `pending_reactivation` to `active`.
    pub reactivated: u64,
    /// The number of certificates that went from `pending_revocation` to `revoked`.
    pub revoked: u64,
}

/// The status of a certificate that a CA issued.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Issued {
    /// Its status.
    pub status: Status,
    /// The epoch of its last change; 0 if it never changed.
    pub epoch: u64,
    /// The time and reason of its revocation, while it is revoked.
    pub revocation: Option<Revocation>,
}

/// The outcome of registering an enforcement point.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EnforcementPointRegistered {
    /// The point as it is now.
    Registered(EnforcementPointRecord),
    /// The account does not exist.
    NoAccount,
    /// The account has as many points as it may.
    TooMany,
    /// Another token registered the point.
    OfAnotherToken,
}

/// The outcome of an acknowledgement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Acknowledged {
    /// The enforcement point as it is now.
    Acknowledged(EnforcementPointRecord),
    /// The epoch has not happened yet; this is the last one.
    Ahead(u64),
    /// The account has no such enforcement point.
    NotFound,
    /// Another token registered it.
    OfAnotherToken,
}

/// The outcome of deleting an enforcement point.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EnforcementPointDeleted {
    /// It is deleted.
    Deleted,
    /// The account has no such enforcement point.
    NotFound,
    /// Another token registered it.
    OfAnotherToken,
}

/// The last change of all accounts, and that of one account.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LastEpochs {
    /// The epoch of the last change of any account.
    pub of_store: u64,
    /// The account's number of its own last change; 0 before there is one.
    pub of_account: u64,
}

/// The place of a revoked certificate among those of its CA.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RevokedPosition {
    pub(crate) shard: u8,
    pub(crate) expires_on: Timestamp,
    pub(crate) position: i64,
}

/// A published CRL, without the CRL itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CrlState {
    /// Its kind among the CRLs of a CA.
    pub kind: CrlKind,
    /// Its number (RFC 5280 §5.2.3).
    pub number: u64,
    /// The time at which it was made.
    pub this_update: Timestamp,
    /// The time at which the next one exists at the latest.
    pub next_update: Timestamp,
    /// True if the CRL exists: a full list that would be too long is not made.
    pub is_made: bool,
}

/// The content of a CRL, of one instant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CrlContent {
    /// Every change up to this epoch is in it.
    pub epoch: u64,
    /// The number of the CRL before; 0 if there is none.
    pub number_before: u64,
    /// The revocations. Expired certificates are left out once they have been on a CRL since.
    pub revocations: Vec<Revocation>,
}

/// The most zones below a new zone that [`ZoneRecorded::Neighbours`] names.
pub const NEIGHBOURS_MAX: u32 = 100;

/// The zones of other accounts above or below which a new zone may be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Neighbours {
    /// Every zone.
    Every,
    /// These zones.
    Only(Vec<ZoneId>),
}

/// The outcome for a new zone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ZoneRecorded {
    /// It is stored.
    Recorded,
    /// Its account does not exist.
    NoAccount,
    /// A zone of that name exists.
    NameTaken,
    /// It would be above or below these zones of other accounts.
    Neighbours(Vec<(ZoneId, AccountId)>),
}

/// The outcome of deleting a zone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ZoneDeleted {
    /// It is deleted. Its certificates stay stored for revocation data, out of reach of the API.
    Deleted,
    /// The zone does not exist.
    NotFound,
    /// It has certificates that are not revoked.
    InUse(Totals),
}

/// The outcome for a new account.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AccountRecorded {
    /// It is stored.
    Recorded,
    /// An account of that name exists.
    NameTaken,
}

/// The outcome of changing an account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AccountChanged {
    /// The account after the change.
    Changed(AccountRecord),
    /// Another account has the new name.
    NameTaken,
    /// It does not exist.
    NotFound,
}

/// The outcome of deleting an account.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AccountDeleted {
    /// It is deleted. Its CAs stay stored for revocation data.
    Deleted,
    /// The account does not exist.
    NotFound,
    /// It owns this number of zones.
    HasZones(u64),
    /// It has this number of uploaded certificates.
    HasMtlsCertificates(u64),
}

/// The most hostnames that [`MtlsCertificateDeleted::InUse`] names: enough to recognise them, few
/// enough for a message.
pub const MTLS_HOSTNAMES_NAMED_MAX: u32 = 10;

/// The outcome for an uploaded certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MtlsCertificateRecorded {
    /// It is stored.
    Recorded,
    /// Its account does not exist.
    NoAccount,
    /// The account has it already, under this ID.
    Exists(MtlsCertificateId),
    /// The account has as many as the quota allows.
    QuotaReached,
}

/// The outcome of deleting an uploaded certificate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MtlsCertificateDeleted {
    /// It is deleted; this is its record.
    Deleted(MtlsCertificateRecord),
    /// The account has no such certificate.
    NotFound,
    /// Hostnames use it.
    InUse {
        /// The first [`MTLS_HOSTNAMES_NAMED_MAX`] of them.
        hostnames: Vec<String>,
        /// Their number.
        count: u64,
    },
}

/// The outcome of replacing a list of hostnames.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HostnamesReplaced {
    /// The list is replaced.
    Replaced,
    /// The zone does not exist any more.
    NoZone,
    /// The zone's account has no such certificate.
    NoCertificate,
    /// The certificate is not a CA certificate.
    NotAnAuthority,
    /// Another zone lists one of the hostnames. Only one zone may enforce a hostname, so that no
    /// zone admits its own certificates where another zone decides.
    ListedElsewhere {
        /// The index of the hostname, from 0.
        index: usize,
    },
}

/// A job that one of several processes runs at a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BackgroundJob {
    /// Publishing CRLs and settling pending changes.
    Settling,
    /// Indexing the certificates of earlier versions.
    Indexing,
    /// Delivering notifications.
    Notifying,
}

impl BackgroundJob {
    /// Its name, as stored.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Settling => "settling",
            Self::Indexing => "indexing",
            Self::Notifying => "notifying",
        }
    }
}

/// A process, for the time that it runs: a random value.
pub type LeaseHolder = [u8; 16];
