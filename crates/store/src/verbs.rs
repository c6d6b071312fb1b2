//! The verbs. A missing row is an `Option`, a refused change is an outcome, an `Err` is trouble.

use std::sync::Arc;

use async_trait::async_trait;
use certgate_model::{
    AccountFilter, AccountId, AccountRecord, AuditEntry, AuditOwner, AuditQuery, AuthorityId,
    AuthorityRecord, By, CertificateId, CertificateQuery, CertificateRecord, CrlKind, CrlRecord,
    EnforcedCertificate, Enforcement, EnforcementPointId, EnforcementPointRecord, Event,
    Installation, MtlsCertificateId, MtlsCertificateRecord, Page, Revocation, RevocationChange,
    SerialNumber, Slice, Status, Timestamp, TokenHash, TokenId, TokenRecord, Totals, UserId,
    UserRecord, ZoneFilter, ZoneId, ZoneRecord,
};
use tokio::sync::oneshot;

/// Trouble with the store, named by what the caller can do about it. The text is for the operator, not for the client.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The change contradicts what is stored, such as a second token with the same hash.
    #[error("the store refused the change: {0}")]
    Conflict(String),
    /// Not now: full queue, full disk, database away. Nothing was changed, and trying again later can help.
    #[error("the store is unavailable: {0}")]
    Unavailable(String),
    /// The connection to the database ended during the commit, and there is no way to it: the change may have been made.
    #[error("the change may have been made: {0}")]
    InDoubt(String),
    /// What is stored is damaged or was not written by this version.
    #[error("the store is damaged: {0}")]
    Corrupt(String),
}

impl StoreError {
    /// The text alone.
    pub fn into_detail(self) -> String {
        match self {
            Self::Conflict(text)
            | Self::Unavailable(text)
            | Self::InDoubt(text)
            | Self::Corrupt(text) => text,
        }
    }
}

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
    /// The token that may do everything.
    pub token: TokenRecord,
}

/// What became of a new certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CertificateRecorded {
    /// It is stored.
    Recorded,
    /// Its zone does not exist any more.
    NoZone,
    /// The zone has as many certificates (of any status) as the quota allows.
    QuotaReached,
    /// The authority that signed it is not the one in force in the zone's account (any more).
    AuthorityNotInForce,
    /// A certificate has its id already. Not looked for if the id is time-ordered, which is as good as random.
    Exists,
}

/// What became of an authority that was to take the place of another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AuthorityReplaced {
    /// It is stored and in force.
    Replaced,
    /// Its account does not exist.
    NoAccount,
    /// Another authority is in force than the one it was to replace.
    NotExpected,
}

/// Takes the news of what became of a new certificate.
pub type RecordedAnswer = Box<dyn FnOnce(Result<CertificateRecorded, StoreError>) + Send>;

/// What became of a change of status.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StatusChange {
    /// The certificate as it is after the change.
    Changed(CertificateRecord),
    /// The certificate, which the event does not change.
    Unchanged(CertificateRecord),
    /// The event is refused in the certificate's status.
    Refused,
}

/// What one round of settling did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Settled {
    /// How many certificates went from `pending_reactivation` to `active`.
    pub reactivated: u64,
    /// How many certificates went from `pending_revocation` to `revoked`.
    pub revoked: u64,
}

/// What an authority says of a certificate that it issued.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Issued {
    /// Its status.
    pub status: Status,
    /// The epoch of its last change; 0 if it has never changed.
    pub epoch: u64,
    /// Since when and why, while it is revoked.
    pub revocation: Option<Revocation>,
}

/// What became of an enforcement point to register.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EnforcementPointRegistered {
    /// As it is now.
    Registered(EnforcementPointRecord),
    /// There is no such account.
    NoAccount,
    /// The account has as many as it may.
    TooMany,
}

/// What became of an acknowledgement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Acknowledged {
    /// The enforcement point as it is now.
    Acknowledged(EnforcementPointRecord),
    /// There has been no such epoch yet; the last one is this.
    Ahead(u64),
    /// The account has no such enforcement point.
    NotFound,
}

/// Where a revoked certificate stands among those of its authority.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RevokedPosition {
    pub(crate) shard: u8,
    pub(crate) expires_on: i64,
    pub(crate) position: i64,
}

/// A list that was published, without the list itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CrlState {
    /// Which of an authority's lists.
    pub kind: CrlKind,
    /// Its number.
    pub number: u64,
    /// When it was made.
    pub this_update: Timestamp,
    /// When the next one is there at the latest.
    pub next_update: Timestamp,
    /// Whether there is a list: a full one that would be too long is not made.
    pub is_made: bool,
}

/// What a revocation list is made of, of one instant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CrlContent {
    /// Every change up to this epoch is in it.
    pub epoch: u64,
    /// The number of the list before; 0 if there is none.
    pub number_before: u64,
    /// What has expired is left out once it has been on a list since.
    pub revocations: Vec<Revocation>,
}

/// What became of a new zone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ZoneRecorded {
    /// It is stored.
    Recorded,
    /// Its account does not exist.
    NoAccount,
    /// There is a zone of that name.
    NameTaken,
}

/// What became of a zone to delete.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ZoneDeleted {
    /// It is gone; its certificates stay stored for revocation data, out of reach of the API.
    Deleted,
    /// There is no such zone.
    NotFound,
    /// It has certificates that are not revoked: revoke them first.
    InUse(Totals),
}

/// What became of a new account.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AccountRecorded {
    /// It is stored.
    Recorded,
    /// There is an account of that name.
    NameTaken,
}

/// What became of an account to delete.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AccountDeleted {
    /// It is gone; its authorities stay stored for revocation data.
    Deleted,
    /// There is no such account.
    NotFound,
    /// It owns this many zones: delete them first.
    HasZones(u64),
    /// It has this many certificates that it brought itself: delete them first.
    HasMtlsCertificates(u64),
}

/// How many hostnames [`MtlsCertificateDeleted::InUse`] names: enough to see which they are, few enough for a message.
pub const MTLS_HOSTNAMES_NAMED_MAX: u32 = 10;

/// What became of a certificate that an account brought itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MtlsCertificateRecorded {
    /// It is stored.
    Recorded,
    /// Its account does not exist.
    NoAccount,
    /// The account has it already, under this id.
    Exists(MtlsCertificateId),
    /// The account has as many as the quota allows.
    QuotaReached,
}

/// What became of a brought certificate to delete.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MtlsCertificateDeleted {
    /// It is gone; what it was.
    Deleted(MtlsCertificateRecord),
    /// The account has no such certificate.
    NotFound,
    /// Hostnames use it: take it off them first.
    InUse {
        /// The first [`MTLS_HOSTNAMES_NAMED_MAX`] of them.
        hostnames: Vec<String>,
        /// How many there are.
        count: u64,
    },
}

/// What became of a list of hostnames to put in the place of another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HostnamesReplaced {
    /// It is the list from now on.
    Replaced,
    /// The zone does not exist any more.
    NoZone,
    /// The zone's account has no such certificate.
    NoCertificate,
    /// The certificate is not one of an authority.
    NotAnAuthority,
    /// Another zone lists one of the hostnames: a hostname is enforced by one zone only, so that no zone lets
    /// its own certificates in where another one decides.
    ListedElsewhere {
        /// Which of the hostnames, from 0.
        index: usize,
    },
}

/// What only one of several processes does at a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Duty {
    /// Publishing lists and settling what is pending.
    Settling,
}

impl Duty {
    /// Its name, as stored.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Settling => "settling",
        }
    }
}

/// A process, as long as it runs.
pub type Holder = [u8; 16];

/// The reading half.
#[async_trait]
pub trait ReadStore: Send + Sync {
    /// Whether other processes may change what is stored. Of what they do nobody here is told.
    fn is_shared(&self) -> bool {
        false
    }

    /// The installation, if the store has been initialised.
    async fn installation(&self) -> Result<Option<Installation>, StoreError>;
    /// The user of the installation.
    async fn user(&self) -> Result<Option<UserRecord>, StoreError>;
    /// The user whose API key has this hash.
    async fn user_by_api_key(&self, hash: TokenHash) -> Result<Option<UserRecord>, StoreError>;

    /// One account.
    async fn account(&self, id: AccountId) -> Result<Option<AccountRecord>, StoreError>;
    /// A page of accounts.
    async fn accounts(
        &self,
        filter: &AccountFilter,
        slice: Slice,
    ) -> Result<Page<AccountRecord>, StoreError>;

    /// One zone.
    async fn zone(&self, id: ZoneId) -> Result<Option<ZoneRecord>, StoreError>;
    /// A page of zones.
    async fn zones(
        &self,
        filter: &ZoneFilter,
        slice: Slice,
    ) -> Result<Page<ZoneRecord>, StoreError>;

    /// One token.
    async fn token(&self, id: TokenId) -> Result<Option<TokenRecord>, StoreError>;
    /// The token whose value has this hash.
    async fn token_by_hash(&self, hash: TokenHash) -> Result<Option<TokenRecord>, StoreError>;
    /// A page of tokens, oldest first.
    async fn tokens(&self, slice: Slice) -> Result<Page<TokenRecord>, StoreError>;

    /// One authority.
    async fn authority(&self, id: AuthorityId) -> Result<Option<AuthorityRecord>, StoreError>;
    /// The managed authority of an account that is in force, if there is one.
    async fn managed_authority(
        &self,
        account: AccountId,
    ) -> Result<Option<AuthorityRecord>, StoreError>;
    /// Every authority that is or was in force in an account: the one that is first, then the latest of the others.
    async fn managed_authorities(
        &self,
        account: AccountId,
    ) -> Result<Vec<AuthorityRecord>, StoreError>;

    /// One certificate that an account brought itself.
    async fn mtls_certificate(
        &self,
        account: AccountId,
        id: MtlsCertificateId,
    ) -> Result<Option<MtlsCertificateRecord>, StoreError>;
    /// Every certificate that an account brought itself, newest first.
    async fn mtls_certificates(
        &self,
        account: AccountId,
    ) -> Result<Vec<MtlsCertificateRecord>, StoreError>;
    /// How many hostnames use a certificate that an account brought itself; `None` if it has no such certificate.
    async fn mtls_certificate_used_by(
        &self,
        account: AccountId,
        id: MtlsCertificateId,
    ) -> Result<Option<u64>, StoreError>;

    /// One certificate of a zone.
    async fn certificate(
        &self,
        zone: ZoneId,
        id: CertificateId,
    ) -> Result<Option<CertificateRecord>, StoreError>;
    /// A page of a zone's certificates, newest first, with the exact total of those that match, both of one instant.
    /// Costs the same at any depth.
    async fn certificates(
        &self,
        zone: ZoneId,
        query: CertificateQuery,
    ) -> Result<Page<CertificateRecord>, StoreError>;
    /// How many certificates a zone has in each status.
    async fn totals(&self, zone: ZoneId) -> Result<Totals, StoreError>;

    /// What became of the certificate with this serial number, if this authority issued it. `id` is what the serial number
    /// leads to; certificates from before that was so are found by the serial number alone.
    async fn issued(
        &self,
        authority: AuthorityId,
        serial: SerialNumber,
        id: CertificateId,
    ) -> Result<Option<Issued>, StoreError>;
    /// The certificates (DER) of every authority, also of deleted accounts: they answer for theirs as long as those live.
    async fn authority_certificates(&self) -> Result<Vec<(AuthorityId, Vec<u8>)>, StoreError>;

    /// Whether an epoch was skipped after a restore: whoever knows of it knows something that the store does not.
    async fn is_skipped_epoch(&self, epoch: u64) -> Result<bool, StoreError>;
    /// The epoch of the last accepted change of a status.
    async fn last_epoch(&self) -> Result<u64, StoreError>;
    /// The revocation lists that a change has made old.
    async fn crls_changed(&self) -> Result<Vec<(AuthorityId, CrlKind)>, StoreError>;
    /// Lists that are to be made again by `at`, or not until after `latest`, which only a clock that was wrong can have said;
    /// at most `limit`.
    async fn crls_aged(
        &self,
        at: Timestamp,
        latest: Timestamp,
        limit: u32,
    ) -> Result<Vec<(AuthorityId, CrlKind)>, StoreError>;
    /// What has to be on a list at `at`; at most `limit` revocations and one more, which tells that there are too many.
    async fn crl_content(
        &self,
        authority: AuthorityId,
        kind: CrlKind,
        at: Timestamp,
        limit: u32,
    ) -> Result<Option<CrlContent>, StoreError>;
    /// The lists of an authority that have been published, as they were last, without the lists themselves.
    async fn crl_states(&self, authority: AuthorityId) -> Result<Vec<CrlState>, StoreError>;
    /// One of them.
    async fn crl_state(
        &self,
        authority: AuthorityId,
        kind: CrlKind,
    ) -> Result<Option<CrlState>, StoreError>;
    /// A list as it was published last.
    async fn crl(
        &self,
        authority: AuthorityId,
        kind: CrlKind,
    ) -> Result<Option<CrlRecord>, StoreError>;
    /// The hostnames of a zone for which certificates of one authority are asked (`None`: the managed one), in the order
    /// and spelling in which they came; `None` if there is no such zone, or its account has no such certificate.
    async fn hostname_associations(
        &self,
        zone: ZoneId,
        authority: Option<MtlsCertificateId>,
    ) -> Result<Option<Vec<String>>, StoreError>;
    /// The authorities that apply to a hostname (in any letter case), all of one instant; `None` if no zone lists it.
    async fn enforcement(&self, hostname: &str) -> Result<Option<Enforcement>, StoreError>;

    /// The enforcement points of an account, by name.
    async fn enforcement_points(
        &self,
        account: AccountId,
    ) -> Result<Vec<EnforcementPointRecord>, StoreError>;
    /// The epoch of the last change of an account's certificates; 0 before there is one.
    async fn account_epoch(&self, account: AccountId) -> Result<u64, StoreError>;
    /// Every enforcement point that has not acknowledged the last change of its account's certificates.
    async fn lagging_enforcement_points(&self) -> Result<Vec<EnforcementPointRecord>, StoreError>;
    /// Certificates of one authority that are revoked and have not expired at `at`, in a fixed order, after `after` (a position
    /// that an earlier page ended with), at most `limit`.
    async fn revoked_certificates(
        &self,
        authority: AuthorityId,
        at: Timestamp,
        after: Option<RevokedPosition>,
        limit: u32,
    ) -> Result<Vec<(RevokedPosition, EnforcedCertificate)>, StoreError>;
    /// The certificates of an account whose last change came after `after`, in the order of those changes, at most `limit`.
    /// Whoever knew everything up to `after` knows everything up to the last one's epoch then.
    async fn revocation_changes(
        &self,
        account: AccountId,
        after: u64,
        limit: u32,
    ) -> Result<Vec<RevocationChange>, StoreError>;

    /// Some entries of a log of what was done.
    async fn audit_entries(
        &self,
        owner: AuditOwner,
        query: AuditQuery,
    ) -> Result<Vec<AuditEntry>, StoreError>;

    /// Whether the store answers and takes writes now.
    async fn ready(&self) -> Result<(), StoreError>;
    /// Reads everything and returns what is wrong with it, a line each: the database's own integrity check, and every
    /// counter against a full count. For the operator; takes time that grows with the store.
    async fn check(&self) -> Result<Vec<String>, StoreError>;
}

/// The whole store. What changes something takes by whom that is done: the same transaction puts it in the log of the account
/// or user, if anything is changed.
#[async_trait]
pub trait Store: ReadStore {
    /// Writes the records of a new installation; `false` if there is one already, which stays as it is.
    async fn initialise(&self, records: FirstRecords) -> Result<bool, StoreError>;

    /// Stores a new account.
    async fn record_account(
        &self,
        account: AccountRecord,
        by: By,
    ) -> Result<AccountRecorded, StoreError>;
    /// Deletes an account that owns no zone and no certificate that it brought itself.
    async fn delete_account(&self, id: AccountId, by: By) -> Result<AccountDeleted, StoreError>;

    /// Stores a new zone (`account_name` is ignored).
    async fn record_zone(&self, zone: ZoneRecord, by: By) -> Result<ZoneRecorded, StoreError>;
    /// Deletes a zone that has no certificate but revoked ones, and its lists of hostnames.
    async fn delete_zone(&self, id: ZoneId, by: By) -> Result<ZoneDeleted, StoreError>;

    /// Stores a new token.
    async fn record_token(&self, token: TokenRecord, by: By) -> Result<(), StoreError>;
    /// Replaces a token's record, value hash included, if it still is `old`; `false` if it is not, or is gone. The last
    /// use is neither compared nor replaced.
    async fn replace_token(
        &self,
        old: TokenRecord,
        new: TokenRecord,
        by: By,
    ) -> Result<bool, StoreError>;
    /// Deletes a token; `false` if there is no such token.
    async fn delete_token(&self, id: TokenId, by: By) -> Result<bool, StoreError>;
    /// Dates the last use of tokens, in one transaction; never back, and without a word about those that are gone.
    async fn record_token_uses(&self, uses: Vec<(TokenId, Timestamp)>) -> Result<(), StoreError>;

    /// Gives a user the API key with this hash, in place of any other, or none; `false` if there is no such user.
    async fn replace_api_key(
        &self,
        user: UserId,
        hash: Option<TokenHash>,
        by: By,
    ) -> Result<bool, StoreError>;

    /// Makes this authority the account's managed one, unless it has one already; the one that is in force afterwards
    /// (`None`: no such account).
    async fn record_managed_authority(
        &self,
        authority: AuthorityRecord,
        by: By,
    ) -> Result<Option<AuthorityRecord>, StoreError>;

    /// Stores a certificate that an account brought itself, unless the account has it already or has `quota` of them.
    async fn record_mtls_certificate(
        &self,
        certificate: MtlsCertificateRecord,
        quota: Option<u64>,
        by: By,
    ) -> Result<MtlsCertificateRecorded, StoreError>;
    /// Deletes a certificate that an account brought itself and that no hostname uses.
    async fn delete_mtls_certificate(
        &self,
        account: AccountId,
        id: MtlsCertificateId,
        by: By,
    ) -> Result<MtlsCertificateDeleted, StoreError>;

    /// Stores an authority and puts it in force in its account, if the one that is in force (`None`: none) is still
    /// `expected`, which stays stored.
    async fn replace_managed_authority(
        &self,
        expected: Option<AuthorityId>,
        authority: AuthorityRecord,
        by: By,
    ) -> Result<AuthorityReplaced, StoreError>;

    /// Stores a new certificate, its status included, unless the zone has `quota` certificates or another authority than
    /// the certificate's is in force.
    async fn record_certificate(
        &self,
        certificate: CertificateRecord,
        quota: Option<u64>,
        by: By,
    ) -> Result<CertificateRecorded, StoreError> {
        let (sender, answer) = oneshot::channel();
        self.hand_over_certificate(
            Arc::new(certificate),
            quota,
            by,
            Box::new(|recorded| {
                // Whoever asked may have gone away.
                let _ = sender.send(recorded);
            }),
        );
        answer
            .await
            .unwrap_or_else(|_| Err(StoreError::Unavailable("it has ended".into())))
    }
    /// Like [`Store::record_certificate`], for a thread that has no time to wait: returns at once, and `answer` is called
    /// when the certificate is durable, or will not be. It must not block. If the store ends first, it is dropped uncalled.
    fn hand_over_certificate(
        &self,
        certificate: Arc<CertificateRecord>,
        quota: Option<u64>,
        by: By,
        answer: RecordedAnswer,
    );
    /// Applies an event to a certificate's status; `None` if the zone has no such certificate. A revocation is dated
    /// `by.at`; a reactivation clears the date.
    async fn change_status(
        &self,
        zone: ZoneId,
        id: CertificateId,
        event: Event,
        by: By,
    ) -> Result<Option<StatusChange>, StoreError>;
    /// Stores a list, which is to be made again by `renew_on`; `false` if one with a number as high is there.
    async fn record_crl(&self, crl: CrlRecord, renew_on: Timestamp) -> Result<bool, StoreError>;
    /// Settles pending certificates whose change has an epoch up to `epoch`, of each authority the oldest changes first, but
    /// none of the authorities `except` and none for which an enforcement point of its account is waited for at `at`; at
    /// most `limit`, in one transaction. Less than `limit` in sum means that none was left.
    async fn settle_pending(
        &self,
        epoch: u64,
        at: Timestamp,
        except: &[AuthorityId],
        limit: u32,
    ) -> Result<Settled, StoreError>;

    /// Takes a duty from `at` to `until`, or keeps it until then; `false` while another process has it. One that is said to have
    /// it for more than twice as long from `at` on has a clock that is, or was, wrong, and loses it.
    async fn hold_duty(
        &self,
        duty: Duty,
        holder: Holder,
        at: Timestamp,
        until: Timestamp,
    ) -> Result<bool, StoreError>;
    /// Leaves a duty to others, if this process has it.
    async fn leave_duty(&self, duty: Duty, holder: Holder) -> Result<(), StoreError>;

    /// Registers an enforcement point under its name, or renews the lease and its length of the one that has it, which
    /// keeps its id and what it has acknowledged. A new one is refused if the account has `max`.
    async fn register_enforcement_point(
        &self,
        point: EnforcementPointRecord,
        max: u64,
        by: By,
    ) -> Result<EnforcementPointRegistered, StoreError>;
    /// Notes that changes up to `epoch` are in force at an enforcement point, and renews its lease.
    async fn acknowledge(
        &self,
        account: AccountId,
        id: EnforcementPointId,
        epoch: u64,
        at: Timestamp,
    ) -> Result<Acknowledged, StoreError>;
    /// Deletes an enforcement point; `false` if the account has no such one.
    async fn delete_enforcement_point(
        &self,
        account: AccountId,
        id: EnforcementPointId,
        by: By,
    ) -> Result<bool, StoreError>;
    /// Makes this the sealed key of serial numbers, unless there is one; the one in force afterwards (`None`: the store is
    /// not initialised).
    async fn record_serial_key(&self, sealed: Vec<u8>) -> Result<Option<Vec<u8>>, StoreError>;

    /// Replaces the hostnames of a zone for one authority. A hostname that was in the list, in any letter case, stays
    /// deployed when it was; one that was not is deployed now. No two may be equal but for letter case.
    async fn replace_hostname_associations(
        &self,
        zone: ZoneId,
        authority: Option<MtlsCertificateId>,
        hostnames: Vec<String>,
        by: By,
    ) -> Result<HostnamesReplaced, StoreError>;

    /// Lets the accepted writes finish and closes; later writes are refused as unavailable.
    async fn close(&self);
}
