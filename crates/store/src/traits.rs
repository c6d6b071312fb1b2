//! The traits of the store, by noun: for each a reading half and the writes.
//!
//! A write takes [`By`]: the transaction that makes the change also adds it to the audit log of the
//! account or user, unless nothing changes.

use std::sync::Arc;

use async_trait::async_trait;
use certgate_model::{
    AccountAuthority, AccountChange, AccountFilter, AccountId, AccountRecord, AuditEntry,
    AuditOwner, AuditQuery, AuthorityId, AuthorityRecord, AuthorityRequestRecord, Backlog, By,
    CertificateId, CertificateQuery, CertificateRecord, CertificateSearch, Condition, CrlKind,
    CrlRecord, DestinationRecord, Direction, EnforcedCertificate, EnforcedConfiguration,
    Enforcement, EnforcementPointId, EnforcementPointRecord, Event, EventPlace,
    ExpiringCertificate, ExpiryPlace, FollowedChange, HistoryEntry, Indexed, Installation,
    InstallationSummary, InviteId, InviteRecord, MtlsCertificateId, MtlsCertificateRecord,
    NotificationKind, Page, PendingEvent, ReportedState, SearchOutcome, SerialNumber, Slice,
    StoredRules, Timestamp, TokenHash, TokenId, TokenRecord, Totals, UndeliveredEvent, UserChange,
    UserId, UserRecord, ZoneChange, ZoneFilter, ZoneId, ZoneRecord, ZoneSummary,
};
use tokio::sync::oneshot;

#[cfg(feature = "conformance")]
use crate::SearchLimits;
use crate::{
    AccountChanged, AccountDeleted, AccountRecorded, Acknowledged, Adopted, Adoption, AgedCrls,
    AuthorityActivated, AuthorityPrepared, AuthorityReplaced, AuthorityRequested, AuthorityRetired,
    BackgroundJob, Basis, CertificateRecorded, Confirmation, CrlContent, CrlState, Earlier,
    EnforcementPointDeleted, EnforcementPointRegistered, FirstRecords, HostnamesReplaced,
    IndexStep, IndexWork, InviteRecorded, Issued, LastEpochs, LeaseHolder, MtlsCertificateDeleted,
    MtlsCertificateRecorded, Neighbours, RecordedAnswer, RecordingLimits, Renewal, RenewalRefused,
    ReplacedCertificate, RevokedPosition, Settled, StatusChange, StoreError, ZoneDeleted,
    ZoneRecorded,
};

/// Reads the installation, its user, accounts, zones and tokens.
#[async_trait]
pub trait ReadTenants: Send + Sync {
    /// Returns the installation, if the store has been initialised.
    async fn installation(&self) -> Result<Option<Installation>, StoreError>;
    /// Returns the base address of the public responder that new CAs get: the stored one, or that
    /// of the latest CA; `None` before the first start.
    async fn public_url(&self) -> Result<Option<String>, StoreError>;
    /// Returns the user of the installation.
    async fn user(&self) -> Result<Option<UserRecord>, StoreError>;
    /// Returns the user whose API key has this hash.
    async fn user_by_api_key(&self, hash: TokenHash) -> Result<Option<UserRecord>, StoreError>;
    /// Returns one account.
    async fn account(&self, id: AccountId) -> Result<Option<AccountRecord>, StoreError>;
    /// Returns a page of accounts.
    async fn accounts(
        &self,
        filter: &AccountFilter,
        slice: Slice,
    ) -> Result<Page<AccountRecord>, StoreError>;
    /// Returns one zone.
    async fn zone(&self, id: ZoneId) -> Result<Option<ZoneRecord>, StoreError>;
    /// Returns the zone of a name, in any letter case.
    async fn zone_by_name(&self, name: &str) -> Result<Option<ZoneRecord>, StoreError>;
    /// Returns a page of zones.
    async fn zones(
        &self,
        filter: &ZoneFilter,
        slice: Slice,
    ) -> Result<Page<ZoneRecord>, StoreError>;
    /// Returns one token.
    async fn token(&self, id: TokenId) -> Result<Option<TokenRecord>, StoreError>;
    /// Returns the token whose value has this hash.
    async fn token_by_hash(&self, hash: TokenHash) -> Result<Option<TokenRecord>, StoreError>;
    /// Returns a page of the tokens of an account, or (`None`) of the user, by creation.
    async fn tokens(
        &self,
        account: Option<AccountId>,
        direction: Direction,
        slice: Slice,
    ) -> Result<Page<TokenRecord>, StoreError>;
}

/// Changes them.
#[async_trait]
pub trait Tenants: ReadTenants {
    /// Writes the records of a new installation; `false` if there is one, which stays as it is.
    async fn initialise(&self, records: FirstRecords) -> Result<bool, StoreError>;
    /// Makes this the sealed key of serial numbers, unless there is one; returns the key that is
    /// used afterwards (`None`: the store is not initialised).
    async fn record_serial_key(&self, sealed: Vec<u8>) -> Result<Option<Vec<u8>>, StoreError>;
    /// Stores the base address of the public responder that new CAs get; returns the one that is
    /// stored afterwards (`None`: the store is not initialised).
    async fn record_public_url(
        &self,
        url: String,
        earlier: Earlier,
    ) -> Result<Option<String>, StoreError>;
    /// Stores a new account.
    async fn record_account(
        &self,
        account: AccountRecord,
        by: By,
    ) -> Result<AccountRecorded, StoreError>;
    /// Changes an account; the new name must be free.
    async fn change_account(
        &self,
        id: AccountId,
        change: AccountChange,
        by: By,
    ) -> Result<AccountChanged, StoreError>;
    /// Deletes an account without zones and without uploaded certificates, and its tokens.
    async fn delete_account(&self, id: AccountId, by: By) -> Result<AccountDeleted, StoreError>;
    /// Stores a new zone (`account_name` is ignored). Above and below it may be zones of its own
    /// account and `neighbours`.
    async fn record_zone(
        &self,
        zone: ZoneRecord,
        neighbours: Neighbours,
        by: By,
    ) -> Result<ZoneRecorded, StoreError>;
    /// Changes a zone; `None` if it does not exist.
    async fn change_zone(
        &self,
        id: ZoneId,
        change: ZoneChange,
        by: By,
    ) -> Result<Option<ZoneRecord>, StoreError>;
    /// Replaces the issuance rules of a zone; `None` if it does not exist.
    async fn replace_issuance_rules(
        &self,
        id: ZoneId,
        rules: StoredRules,
        by: By,
    ) -> Result<Option<ZoneRecord>, StoreError>;
    /// Changes a user; `None` if it does not exist.
    async fn change_user(
        &self,
        id: UserId,
        change: UserChange,
        by: By,
    ) -> Result<Option<UserRecord>, StoreError>;
    /// Deletes a zone whose certificates are all revoked, and its lists of hostnames.
    async fn delete_zone(&self, id: ZoneId, by: By) -> Result<ZoneDeleted, StoreError>;
    /// Stores a new token.
    async fn record_token(&self, token: TokenRecord, by: By) -> Result<(), StoreError>;
    /// Replaces a token's record, value hash included, if it still is `old`; `false` if it is not,
    /// or does not exist. The last use is neither compared nor replaced.
    async fn replace_token(
        &self,
        old: TokenRecord,
        new: TokenRecord,
        by: By,
    ) -> Result<bool, StoreError>;
    /// Deletes a token; `false` if it does not exist.
    async fn delete_token(&self, id: TokenId, by: By) -> Result<bool, StoreError>;
    /// Dates the last use of tokens in one transaction, never back. Tokens that do not exist any
    /// more are ignored.
    async fn record_token_uses(&self, uses: Vec<(TokenId, Timestamp)>) -> Result<(), StoreError>;
    /// Gives a user the API key with this hash instead of any other, or none; `false` if the
    /// user does not exist.
    async fn replace_api_key(
        &self,
        user: UserId,
        hash: Option<TokenHash>,
        by: By,
    ) -> Result<bool, StoreError>;
}

/// Reads invites.
#[async_trait]
pub trait ReadInvites: Send + Sync {
    /// Returns one invite, of any zone.
    async fn invite(&self, id: InviteId) -> Result<Option<InviteRecord>, StoreError>;
    /// Returns a page of the invites of a zone, newest first.
    async fn invites(&self, zone: ZoneId, slice: Slice) -> Result<Page<InviteRecord>, StoreError>;
}

/// Changes them. [`Certificates::hand_over_certificate`] uses them.
#[async_trait]
pub trait Invites: ReadInvites {
    /// Stores a new invite. If its zone has `max`, the one that expired first makes room.
    async fn record_invite(
        &self,
        invite: InviteRecord,
        max: u64,
        by: By,
    ) -> Result<InviteRecorded, StoreError>;
    /// Withdraws an invite of a zone, unless it was used up, withdrawn or expired before; returns
    /// it as it is then. `None`: the zone has no such invite.
    async fn withdraw_invite(
        &self,
        zone: ZoneId,
        id: InviteId,
        by: By,
    ) -> Result<Option<InviteRecord>, StoreError>;
    /// Counts a wrong secret, up to the number that locks an invite.
    async fn note_wrong_secret(&self, id: InviteId) -> Result<(), StoreError>;
}

/// Reads CAs, uploaded certificates, and the hostnames that they apply to.
#[async_trait]
pub trait ReadAuthorities: Send + Sync {
    /// Returns one managed or imported CA.
    async fn authority(&self, id: AuthorityId) -> Result<Option<AuthorityRecord>, StoreError>;
    /// Returns the active CA of an account, if there is one.
    async fn managed_authority(
        &self,
        account: AccountId,
    ) -> Result<Option<AuthorityRecord>, StoreError>;
    /// Returns every managed and imported CA of an account: the active one first, then the others,
    /// latest first.
    async fn managed_authorities(
        &self,
        account: AccountId,
    ) -> Result<Vec<AccountAuthority>, StoreError>;
    /// Returns the keys of an account whose certificates another CA is to sign, latest first.
    async fn authority_requests(
        &self,
        account: AccountId,
    ) -> Result<Vec<AuthorityRequestRecord>, StoreError>;
    /// Returns the IDs of the latest CAs that an account got, latest first, also of discarded ones.
    async fn latest_managed_authorities(
        &self,
        account: AccountId,
        limit: u32,
    ) -> Result<Vec<AuthorityId>, StoreError>;
    /// Returns the certificates (DER) of every CA, also of deleted accounts: a CA answers for its
    /// certificates as long as they are valid.
    async fn authority_certificates(&self) -> Result<Vec<(AuthorityId, Vec<u8>)>, StoreError>;
    /// Returns one uploaded certificate of an account.
    async fn mtls_certificate(
        &self,
        account: AccountId,
        id: MtlsCertificateId,
    ) -> Result<Option<MtlsCertificateRecord>, StoreError>;
    /// Returns every uploaded certificate of an account, newest first.
    async fn mtls_certificates(
        &self,
        account: AccountId,
    ) -> Result<Vec<MtlsCertificateRecord>, StoreError>;
    /// Returns the number of hostnames that use an uploaded certificate; `None` if the account has
    /// no such certificate.
    async fn mtls_certificate_used_by(
        &self,
        account: AccountId,
        id: MtlsCertificateId,
    ) -> Result<Option<u64>, StoreError>;
    /// Returns the hostnames of a zone for one CA (`None`: the managed one), in the order and
    /// spelling in which they came; `None` if the zone does not exist, or its account has no such
    /// certificate.
    async fn hostname_associations(
        &self,
        zone: ZoneId,
        authority: Option<MtlsCertificateId>,
    ) -> Result<Option<Vec<String>>, StoreError>;
    /// Returns the CAs that apply to a hostname (in any letter case), all of one instant; `None` if
    /// no zone lists it.
    async fn enforcement(&self, hostname: &str) -> Result<Option<Enforcement>, StoreError>;
    /// Returns the hostnames and CAs of an account, all of one instant. An account that does not
    /// exist has none.
    async fn enforced_configuration(
        &self,
        account: AccountId,
    ) -> Result<EnforcedConfiguration, StoreError>;
}

/// Changes them.
#[async_trait]
pub trait Authorities: ReadAuthorities {
    /// Makes this CA the account's active one, unless it has one; returns the CA that is active
    /// afterwards (`None`: no such account).
    async fn record_managed_authority(
        &self,
        authority: AuthorityRecord,
        by: By,
    ) -> Result<Option<AuthorityRecord>, StoreError>;
    /// Stores a CA and makes it active in its account, if the active one (`None`: none) still is
    /// `expected`, which stays stored. If the account has `max` CAs, the oldest that never signed
    /// and is not prepared is discarded: its CRLs, its certificate and its key are deleted, and no
    /// verb returns it.
    async fn replace_managed_authority(
        &self,
        expected: Option<AuthorityId>,
        authority: AuthorityRecord,
        max: u64,
        by: By,
    ) -> Result<AuthorityReplaced, StoreError>;
    /// Stores a CA that does not sign yet; it makes room as above. `is_requested`: its key was
    /// that of the request with its ID, which ends.
    async fn prepare_managed_authority(
        &self,
        authority: AuthorityRecord,
        is_requested: bool,
        max: u64,
        by: By,
    ) -> Result<AuthorityPrepared, StoreError>;
    /// Makes a CA in any state the active one of its account. Without confirmation each
    /// enforcement point of the account must have acknowledged it.
    async fn activate_managed_authority(
        &self,
        account: AccountId,
        id: AuthorityId,
        confirmation: Confirmation,
        by: By,
    ) -> Result<AuthorityActivated, StoreError>;
    /// Retires a CA that is not active: enforcement points do not accept its certificates any
    /// more. Without confirmation it must have expired, or never signed.
    async fn retire_managed_authority(
        &self,
        account: AccountId,
        id: AuthorityId,
        confirmation: Confirmation,
        by: By,
    ) -> Result<AuthorityRetired, StoreError>;
    /// Stores a key whose certificate another CA is to sign, unless the account has `max`.
    async fn record_authority_request(
        &self,
        request: AuthorityRequestRecord,
        max: u64,
        by: By,
    ) -> Result<AuthorityRequested, StoreError>;
    /// Deletes such a key; `false` if the account has none with this ID.
    async fn delete_authority_request(
        &self,
        account: AccountId,
        id: AuthorityId,
        by: By,
    ) -> Result<bool, StoreError>;
    /// Stores an uploaded certificate, unless the account has it or has `quota` of them.
    async fn record_mtls_certificate(
        &self,
        certificate: MtlsCertificateRecord,
        quota: Option<u64>,
        by: By,
    ) -> Result<MtlsCertificateRecorded, StoreError>;
    /// Deletes an uploaded certificate that no hostname uses.
    async fn delete_mtls_certificate(
        &self,
        account: AccountId,
        id: MtlsCertificateId,
        by: By,
    ) -> Result<MtlsCertificateDeleted, StoreError>;
    /// Replaces the hostnames of a zone for one CA. A hostname that was in the list, in any letter
    /// case, keeps its time of deployment; a new one is deployed now. No two hostnames may differ
    /// only in letter case.
    async fn replace_hostname_associations(
        &self,
        zone: ZoneId,
        authority: Option<MtlsCertificateId>,
        hostnames: Vec<String>,
        by: By,
    ) -> Result<HostnamesReplaced, StoreError>;
}

/// The octets of certificates and requests at which a part of a page ends: about 120 usual
/// certificates, 300 kB of JSON.
pub const PART_OCTETS: usize = 128 * 1024;

/// The most certificates of a page that are read at once. A usual part is not larger.
pub const PART_RECORDS_MAX: u32 = 128;

/// A part of a page of certificates.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CertificatesPart {
    /// The page, or the size of its rest.
    pub query: CertificateQuery,
    /// The last record of the part before. Without it, the part is the beginning of the page.
    pub after: Option<CertificateId>,
    /// The octets of certificates and requests at which the part ends.
    pub octets_max: usize,
}

/// Reads certificates.
#[async_trait]
pub trait ReadCertificates: Send + Sync {
    /// Returns one certificate of a zone.
    async fn certificate(
        &self,
        zone: ZoneId,
        id: CertificateId,
    ) -> Result<Option<CertificateRecord>, StoreError>;
    /// Returns a whole page of any size: for tests.
    #[cfg(feature = "conformance")]
    async fn certificates(
        &self,
        zone: ZoneId,
        query: CertificateQuery,
    ) -> Result<Page<CertificateRecord>, StoreError> {
        let part = CertificatesPart {
            query,
            after: None,
            octets_max: usize::MAX,
        };
        self.certificates_part(zone, part).await
    }
    /// Returns the next records of a page of a zone's certificates, newest first, with the exact
    /// number that match, both of one instant. Costs the same at any depth. Returns at least one
    /// record if there is one, so that no more than a part of a large page is in memory.
    async fn certificates_part(
        &self,
        zone: ZoneId,
        part: CertificatesPart,
    ) -> Result<Page<CertificateRecord>, StoreError>;
    /// Searches in a zone. Lists of a status in the order of issuing are exact at any depth.
    async fn search(
        &self,
        zone: ZoneId,
        search: CertificateSearch,
    ) -> Result<SearchOutcome, StoreError>;
    /// Does the same with other limits than those of a server: for tests.
    #[cfg(feature = "conformance")]
    async fn search_within(
        &self,
        zone: ZoneId,
        search: CertificateSearch,
        limits: SearchLimits,
    ) -> Result<SearchOutcome, StoreError>;
    /// Returns the certificates of a zone that have these IDs, in this order, until their octets
    /// reach the limit of a part: at least one, if there is one. IDs that the zone does not have
    /// are ignored.
    async fn certificates_by_ids(
        &self,
        zone: ZoneId,
        ids: Vec<CertificateId>,
    ) -> Result<Vec<CertificateRecord>, StoreError>;
    /// Returns the number of a zone's certificates in each status.
    async fn totals(&self, zone: ZoneId) -> Result<Totals, StoreError>;
    /// Returns the summary of a zone, all of one instant, with `today` in days since the Unix
    /// epoch; `None` if the zone does not exist. It reads counters, and replaced certificates up to
    /// the most that a search counts.
    async fn summary(&self, zone: ZoneId, today: i64) -> Result<Option<ZoneSummary>, StoreError>;
    /// Returns the summary of all zones, with the certificates that expire within `days`. It reads
    /// counters only.
    async fn installation_summary(
        &self,
        today: i64,
        days: i64,
    ) -> Result<InstallationSummary, StoreError>;
    /// Returns the status of the certificate with this serial number, if this CA issued it. `id`
    /// is the ID that the serial number leads to.
    async fn issued(
        &self,
        authority: AuthorityId,
        serial: SerialNumber,
        id: CertificateId,
    ) -> Result<Option<Issued>, StoreError>;
    /// Returns the reason why this renewal would be refused now, if there is one.
    async fn renewal_refused(
        &self,
        zone: ZoneId,
        renewal: Renewal,
        at: Timestamp,
    ) -> Result<Option<RenewalRefused>, StoreError>;
    /// Returns replaced certificates that are to be revoked by now, those that wait longest first.
    async fn replaced_due(
        &self,
        at: Timestamp,
        limit: u32,
    ) -> Result<Vec<ReplacedCertificate>, StoreError>;
    /// Returns the time at which the next replaced certificate is to be revoked.
    async fn next_replaced_due(&self) -> Result<Option<Timestamp>, StoreError>;
}

/// Records and changes them.
#[async_trait]
pub trait Certificates: ReadCertificates {
    /// Stores a new certificate, its status included, unless the zone has `quota` certificates or
    /// another CA than the certificate's is active.
    async fn record_certificate(
        &self,
        certificate: CertificateRecord,
        quota: Option<u64>,
        by: By,
    ) -> Result<CertificateRecorded, StoreError> {
        let (sender, answer) = oneshot::channel();
        self.hand_over_certificate(
            Arc::new(certificate),
            quota.into(),
            Basis::Permission,
            by,
            Box::new(|recorded| {
                // The caller may have stopped waiting.
                let _ = sender.send(recorded);
            }),
        );
        answer
            .await
            .unwrap_or_else(|_| Err(StoreError::Unavailable("it has ended".into())))
    }
    /// Does the same for a thread that has no time to wait: returns immediately and calls `answer`
    /// when the certificate is durable, or will not be. `answer` must not block. If the store ends
    /// first, `answer` is dropped.
    fn hand_over_certificate(
        &self,
        certificate: Arc<CertificateRecord>,
        limits: RecordingLimits,
        basis: Basis,
        by: By,
        answer: RecordedAnswer,
    );
    /// Stores certificates that CAs issued elsewhere, in one transaction, each with its own
    /// outcome.
    async fn adopt_certificates(
        &self,
        certificates: Vec<Adoption>,
        quota: Option<u64>,
        by: By,
    ) -> Result<Vec<Adopted>, StoreError>;
    /// Notes that these replaced certificates need not be revoked any more.
    async fn leave_replaced(&self, certificates: Vec<CertificateId>) -> Result<(), StoreError>;
    /// Applies an event to a certificate's status; `None` if the zone has no such certificate. A
    /// revocation is dated `by.at`.
    async fn change_status(
        &self,
        zone: ZoneId,
        id: CertificateId,
        event: Event,
        by: By,
    ) -> Result<Option<StatusChange>, StoreError>;
    /// Settles pending certificates whose change has an epoch up to `epoch`, of each CA the
    /// earliest changes first. CAs in `except` wait, and so do those with a live enforcement point
    /// that has not acknowledged. At most `limit`, in one transaction: less than `limit` in sum
    /// means that none was left.
    async fn settle_pending(
        &self,
        epoch: u64,
        at: Timestamp,
        except: &[AuthorityId],
        limit: u32,
    ) -> Result<Settled, StoreError>;
}

/// Reads CRLs and epochs.
#[async_trait]
pub trait ReadRevocations: Send + Sync {
    /// Returns whether an epoch was skipped after a restore: a client that knows it knows something
    /// that the store does not.
    async fn is_skipped_epoch(&self, epoch: u64) -> Result<bool, StoreError>;
    /// Returns the epoch of the last accepted change: of a status, or of hostnames or CAs.
    async fn last_epoch(&self) -> Result<u64, StoreError>;
    /// Returns the CRLs that a change has made old.
    async fn crls_changed(&self, at: Timestamp) -> Result<Vec<(AuthorityId, CrlKind)>, StoreError>;
    /// Returns CRLs that must be renewed by `at`, or only after `latest`, which a wrong clock must
    /// have caused; at most `limit`.
    async fn crls_aged(
        &self,
        at: Timestamp,
        latest: Timestamp,
        limit: u32,
    ) -> Result<AgedCrls, StoreError>;
    /// Returns the content of a CRL at `at`: at most `limit` revocations, and one more if there
    /// are too many.
    async fn crl_content(
        &self,
        authority: AuthorityId,
        kind: CrlKind,
        at: Timestamp,
        limit: u32,
    ) -> Result<Option<CrlContent>, StoreError>;
    /// Returns the states of a CA's published CRLs.
    async fn crl_states(&self, authority: AuthorityId) -> Result<Vec<CrlState>, StoreError>;
    /// Returns one of them.
    async fn crl_state(
        &self,
        authority: AuthorityId,
        kind: CrlKind,
    ) -> Result<Option<CrlState>, StoreError>;
    /// Returns a CRL as it was published last.
    async fn crl(
        &self,
        authority: AuthorityId,
        kind: CrlKind,
    ) -> Result<Option<CrlRecord>, StoreError>;
}

/// Stores CRLs.
#[async_trait]
pub trait Revocations: ReadRevocations {
    /// Takes the CRLs of expired CAs out of the order of renewal, where each look would read them.
    /// They are due again if the clock is set to a time at which their CA is valid.
    async fn set_crls_aside(&self, expired: Vec<AuthorityId>) -> Result<(), StoreError>;
    /// Stores a CRL, which must be renewed by `renew_on`; `false` if one with a number as high is
    /// stored.
    async fn record_crl(&self, crl: CrlRecord, renew_on: Timestamp) -> Result<bool, StoreError>;
}

/// Reads enforcement points and the changes that they follow.
#[async_trait]
pub trait ReadEnforcementPoints: Send + Sync {
    /// Returns the enforcement points of an account, by name.
    async fn enforcement_points(
        &self,
        account: AccountId,
    ) -> Result<Vec<EnforcementPointRecord>, StoreError>;
    /// Returns the account's number of the last change of its certificates, hostnames or CAs; 0
    /// before there is one.
    async fn account_epoch(&self, account: AccountId) -> Result<u64, StoreError>;
    /// Returns every enforcement point that has not acknowledged the last change of its account's
    /// certificates, hostnames or CAs.
    async fn lagging_enforcement_points(&self) -> Result<Vec<EnforcementPointRecord>, StoreError>;
    /// Returns the earliest time at which an enforcement point is to be forgotten.
    async fn next_forgotten_point(&self) -> Result<Option<Timestamp>, StoreError>;
    /// Returns certificates of one CA that are revoked and have not expired at `at`, in a fixed
    /// order, after `after` (the position that an earlier page ended with); at most `limit`.
    async fn revoked_certificates(
        &self,
        authority: AuthorityId,
        at: Timestamp,
        after: Option<RevokedPosition>,
        limit: u32,
    ) -> Result<Vec<(RevokedPosition, EnforcedCertificate)>, StoreError>;
    /// Returns the serial numbers of such certificates, in the same order.
    async fn revoked_serials(
        &self,
        authority: AuthorityId,
        at: Timestamp,
        after: Option<RevokedPosition>,
        limit: u32,
    ) -> Result<Vec<(RevokedPosition, SerialNumber)>, StoreError>;
    /// Returns the last epoch of the store, and the last number of an account.
    async fn last_epochs(&self, account: AccountId) -> Result<LastEpochs, StoreError>;
    /// Returns the epoch up to which a client knows an account, if it knows it up to the change
    /// with this number. `None`: the account has no such change, or lost it in a restore.
    async fn known_epoch(&self, account: AccountId, number: u64)
    -> Result<Option<u64>, StoreError>;
    /// Returns the certificates of an account whose last change came after the epoch `after`, and
    /// the last change of its hostnames or CAs if that did, in the order of those changes, with the
    /// numbers that the account has for them; at most `limit`. A reader that knew everything up to
    /// `after` then knows everything up to the last one's number.
    async fn revocation_changes(
        &self,
        account: AccountId,
        after: u64,
        limit: u32,
    ) -> Result<Vec<FollowedChange>, StoreError>;
}

/// Changes enforcement points.
#[async_trait]
pub trait EnforcementPoints: ReadEnforcementPoints {
    /// Registers an enforcement point under its name, or renews the lease, with the given length,
    /// of the one that has the name and the token; that one keeps its ID and its acknowledgement. A
    /// new one is refused if the account has `max`.
    async fn register_enforcement_point(
        &self,
        point: EnforcementPointRecord,
        max: u64,
        by: By,
    ) -> Result<EnforcementPointRegistered, StoreError>;
    /// Stores that an enforcement point of this token enforces the changes of its account up to the
    /// one with the number `epoch`, and renews its lease.
    async fn acknowledge(
        &self,
        account: AccountId,
        id: EnforcementPointId,
        token: TokenId,
        epoch: u64,
        at: Timestamp,
    ) -> Result<Acknowledged, StoreError>;
    /// Deletes an enforcement point of this token, or of any (`None`).
    async fn delete_enforcement_point(
        &self,
        account: AccountId,
        id: EnforcementPointId,
        token: Option<TokenId>,
        by: By,
    ) -> Result<EnforcementPointDeleted, StoreError>;
    /// Deletes the enforcement points that were silent until `at` for as long as they stated, at
    /// most `limit`, and returns them.
    async fn forget_silent_points(
        &self,
        at: Timestamp,
        limit: u32,
    ) -> Result<Vec<EnforcementPointRecord>, StoreError>;
}

/// Gives leases of background jobs to one of several processes.
#[async_trait]
pub trait Leases: Send + Sync {
    /// Takes a lease from `at` to `until`, or renews it; `false` while another process holds it. A
    /// lease of more than twice that length comes from a wrong clock and is ignored.
    async fn hold_lease(
        &self,
        job: BackgroundJob,
        holder: LeaseHolder,
        at: Timestamp,
        until: Timestamp,
    ) -> Result<bool, StoreError>;
    /// Gives a lease up, if this process holds it.
    async fn release_lease(
        &self,
        job: BackgroundJob,
        holder: LeaseHolder,
    ) -> Result<(), StoreError>;
}

/// Indexes and counts the certificates of earlier versions, for the search and the summary.
#[async_trait]
pub trait SearchIndexes: Send + Sync {
    /// Returns whether every certificate is indexed and counted.
    async fn is_indexed(&self) -> Result<bool, StoreError>;
    /// Does the next short step. Several processes must not do this at the same time: it would cost
    /// twice, and do no harm.
    async fn index_next(&self, work: &mut IndexWork) -> Result<IndexStep, StoreError>;
    /// Brings the database into the state after a migration from an earlier version: for tests.
    #[cfg(feature = "conformance")]
    async fn forget_indexes(&self) -> Result<(), StoreError>;
}

/// Reads the audit logs.
#[async_trait]
pub trait ReadAudit: Send + Sync {
    /// Returns a stretch of an audit log.
    async fn audit_entries(
        &self,
        owner: AuditOwner,
        query: AuditQuery,
    ) -> Result<Vec<AuditEntry>, StoreError>;
    /// Returns a stretch of the entries of an audit log that are about these certificates. The cost
    /// grows with their number.
    async fn certificate_entries(
        &self,
        owner: AuditOwner,
        certificates: Vec<CertificateId>,
        query: AuditQuery,
    ) -> Result<Indexed<Vec<AuditEntry>>, StoreError>;
    /// Returns the history of a certificate, oldest first; `None` if the zone has no such
    /// certificate.
    async fn history(
        &self,
        zone: ZoneId,
        id: CertificateId,
    ) -> Result<Option<Indexed<Vec<HistoryEntry>>>, StoreError>;
}

/// Reads the state of notifications.
#[async_trait]
pub trait ReadNotifications: Send + Sync {
    /// Returns a destination, if it exists.
    async fn destination(&self, name: &str) -> Result<Option<DestinationRecord>, StoreError>;
    /// Returns the backlog of a destination; the oldest event is one of these kinds.
    async fn backlog(
        &self,
        destination: &str,
        kinds: Vec<NotificationKind>,
    ) -> Result<Backlog, StoreError>;
    /// Returns undelivered events of every destination, those that were set aside last first.
    async fn undelivered_events(&self, slice: Slice) -> Result<Page<UndeliveredEvent>, StoreError>;
    /// Returns the next events of a destination, in the order of each log, and entries of the audit
    /// log that are not reported.
    async fn pending_events(
        &self,
        destination: &str,
        limit: u32,
    ) -> Result<Vec<PendingEvent>, StoreError>;
    /// Returns undelivered events that are to be tried once more, in the order of each log. The
    /// second part is `None` if the event is not in its log any more.
    async fn retried_events(
        &self,
        destination: &str,
        limit: u32,
    ) -> Result<Vec<(UndeliveredEvent, Option<PendingEvent>)>, StoreError>;
    /// Returns the active CAs that end after `at` and before another time.
    async fn authorities_ending(
        &self,
        at: Timestamp,
        before: Timestamp,
    ) -> Result<Vec<ReportedState>, StoreError>;
    /// Returns the CAs, not expired at `at`, with a CRL whose renewal was due before a time, and
    /// the earliest end of such a CRL.
    async fn crls_overdue(
        &self,
        due_before: Timestamp,
        at: Timestamp,
    ) -> Result<Vec<ReportedState>, StoreError>;
    /// Returns enforcement points whose lease ended before a time, those that ended last first.
    async fn points_silent(
        &self,
        before: Timestamp,
        limit: u32,
    ) -> Result<Vec<ReportedState>, StoreError>;
    /// Returns certificates of a zone that are not revoked and not replaced, by their end, and the
    /// place at which the next call continues; `None` at the end. Reads `limit` entries of the
    /// index.
    async fn expiring(
        &self,
        zone: ZoneId,
        after: ExpiryPlace,
        until: Timestamp,
        limit: u32,
    ) -> Result<(Vec<ExpiringCertificate>, Option<ExpiryPlace>), StoreError>;
}

/// Changes it.
#[async_trait]
pub trait Notifications: ReadNotifications {
    /// Makes a destination that gets the events from now on, unless it exists.
    async fn begin_destination(&self, name: &str, at: Timestamp) -> Result<(), StoreError>;
    /// Notes the last events of logs that a destination has or does not need, and how many were
    /// delivered.
    async fn advance_destination(
        &self,
        name: &str,
        places: Vec<EventPlace>,
        delivered: u64,
        at: Timestamp,
    ) -> Result<(), StoreError>;
    /// Notes a failed attempt.
    async fn note_failed_attempt(
        &self,
        name: &str,
        error: String,
        at: Timestamp,
        attempt_on: Timestamp,
    ) -> Result<(), StoreError>;
    /// Sets the next events of a destination aside as undelivered. If it has more than `max`, the
    /// oldest are deleted.
    async fn set_events_aside(
        &self,
        name: &str,
        events: Vec<UndeliveredEvent>,
        max: u64,
    ) -> Result<(), StoreError>;
    /// Marks every undelivered event for one more attempt; returns their number.
    async fn retry_undelivered(&self) -> Result<u64, StoreError>;
    /// Notes the outcome of that attempt.
    async fn note_retried(
        &self,
        name: &str,
        events: Vec<UndeliveredEvent>,
        error: Option<String>,
        at: Timestamp,
    ) -> Result<(), StoreError>;
    /// Stores a condition, unless this state of the object was stored before; returns whether it
    /// is new.
    async fn record_condition(&self, condition: Condition) -> Result<bool, StoreError>;
    /// Deletes conditions and undelivered events from before a time.
    async fn forget_notifications(&self, before: Timestamp) -> Result<(), StoreError>;
}

/// The reading half of the store.
#[async_trait]
pub trait ReadStore:
    ReadTenants
    + ReadAuthorities
    + ReadCertificates
    + ReadRevocations
    + ReadEnforcementPoints
    + ReadInvites
    + ReadNotifications
    + ReadAudit
{
    /// Returns whether other processes may change the database. Nothing reports their changes here.
    fn is_shared(&self) -> bool;
    /// Returns whether the store answers and accepts writes now.
    async fn ready(&self) -> Result<(), StoreError>;
    /// Reads everything but DER and returns the problems, one line each: for tests.
    #[cfg(feature = "conformance")]
    async fn check(&self) -> Result<Vec<String>, StoreError>;
}

/// The whole store. One verb is one transaction, and its result is durable.
#[async_trait]
pub trait Store:
    ReadStore
    + Tenants
    + Authorities
    + Certificates
    + Revocations
    + EnforcementPoints
    + Invites
    + Notifications
    + Leases
    + SearchIndexes
{
    /// Waits until the writing thread has ended although nothing has closed it, by a defect. The
    /// store then refuses every write, and only a new process can make another thread.
    async fn writer_lost(&self);
    /// Lets the accepted writes finish and closes. Later writes are refused as unavailable.
    async fn close(&self);
}
