//! The verbs. A missing row is an `Option`, a refused change is an outcome, an `Err` is trouble.

use async_trait::async_trait;
use certgate_model::{
    AccountFilter, AccountId, AccountRecord, AuthorityId, AuthorityRecord, CertificateId, CertificateQuery,
    CertificateRecord, Event, Installation, Page, Slice, Timestamp, TokenHash, TokenId, TokenRecord, Totals,
    UserRecord, ZoneFilter, ZoneId, ZoneRecord,
};

/// Trouble with the store, named by what the caller can do about it. The text is for the operator, not for the client.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The change contradicts what is stored, such as a second token with the same hash.
    #[error("the store refused the change: {0}")]
    Conflict(String),
    /// Not now: full queue, full disk, database away. Nothing was changed; trying again later can help.
    #[error("the store is unavailable: {0}")]
    Unavailable(String),
    /// What is stored is damaged or was not written by this version.
    #[error("the store is damaged: {0}")]
    Corrupt(String),
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
}

/// The reading half.
#[async_trait]
pub trait ReadStore: Send + Sync {
    /// The installation, if the store has been initialised.
    async fn installation(&self) -> Result<Option<Installation>, StoreError>;
    /// The user of the installation.
    async fn user(&self) -> Result<Option<UserRecord>, StoreError>;

    /// One account.
    async fn account(&self, id: AccountId) -> Result<Option<AccountRecord>, StoreError>;
    /// A page of accounts.
    async fn accounts(&self, filter: &AccountFilter, slice: Slice)
    -> Result<Page<AccountRecord>, StoreError>;

    /// One zone.
    async fn zone(&self, id: ZoneId) -> Result<Option<ZoneRecord>, StoreError>;
    /// A page of zones.
    async fn zones(&self, filter: &ZoneFilter, slice: Slice) -> Result<Page<ZoneRecord>, StoreError>;

    /// One token.
    async fn token(&self, id: TokenId) -> Result<Option<TokenRecord>, StoreError>;
    /// The token whose value has this hash.
    async fn token_by_hash(&self, hash: TokenHash) -> Result<Option<TokenRecord>, StoreError>;
    /// A page of tokens, oldest first.
    async fn tokens(&self, slice: Slice) -> Result<Page<TokenRecord>, StoreError>;

    /// One authority.
    async fn authority(&self, id: AuthorityId) -> Result<Option<AuthorityRecord>, StoreError>;
    /// The managed authority of an account that is in force, if there is one.
    async fn managed_authority(&self, account: AccountId) -> Result<Option<AuthorityRecord>, StoreError>;
    /// Every authority that is or was in force in an account: the one that is first, then the latest of the others.
    async fn managed_authorities(&self, account: AccountId) -> Result<Vec<AuthorityRecord>, StoreError>;

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

    /// Whether the store answers and takes writes now.
    async fn ready(&self) -> Result<(), StoreError>;
    /// Reads everything and returns what is wrong with it, a line each: the database's own integrity check, and every
    /// counter against a full count. For the operator; takes time that grows with the store.
    async fn check(&self) -> Result<Vec<String>, StoreError>;
}

/// The whole store.
#[async_trait]
pub trait Store: ReadStore {
    /// Writes the records of a new installation; `false` if there is one already, which stays as it is.
    async fn initialise(&self, records: FirstRecords) -> Result<bool, StoreError>;

    /// Stores a new account.
    async fn record_account(&self, account: AccountRecord) -> Result<AccountRecorded, StoreError>;
    /// Deletes an account that owns no zone.
    async fn delete_account(&self, id: AccountId, at: Timestamp) -> Result<AccountDeleted, StoreError>;

    /// Stores a new zone (`account_name` is ignored).
    async fn record_zone(&self, zone: ZoneRecord) -> Result<ZoneRecorded, StoreError>;
    /// Deletes a zone that has no certificate but revoked ones.
    async fn delete_zone(&self, id: ZoneId, at: Timestamp) -> Result<ZoneDeleted, StoreError>;

    /// Stores a new token.
    async fn record_token(&self, token: TokenRecord) -> Result<(), StoreError>;
    /// Replaces a token's record, value hash included, if it still is `old`; `false` if it is not, or is gone.
    async fn replace_token(&self, old: TokenRecord, new: TokenRecord) -> Result<bool, StoreError>;
    /// Deletes a token; `false` if there is no such token.
    async fn delete_token(&self, id: TokenId) -> Result<bool, StoreError>;

    /// Makes this authority the account's managed one, unless it has one already; the one that is in force afterwards
    /// (`None`: no such account).
    async fn record_managed_authority(
        &self,
        authority: AuthorityRecord,
    ) -> Result<Option<AuthorityRecord>, StoreError>;

    /// Stores an authority and puts it in force in its account, if the one that is in force (`None`: none) is still
    /// `expected`, which stays stored.
    async fn replace_managed_authority(
        &self,
        expected: Option<AuthorityId>,
        authority: AuthorityRecord,
    ) -> Result<AuthorityReplaced, StoreError>;

    /// Stores a new certificate, its status included, unless the zone has `quota` certificates or another authority than
    /// the certificate's is in force.
    async fn record_certificate(
        &self,
        certificate: CertificateRecord,
        quota: Option<u64>,
    ) -> Result<CertificateRecorded, StoreError>;
    /// Applies an event to a certificate's status; `None` if the zone has no such certificate. A revocation is dated
    /// `at`; a reactivation clears the date.
    async fn change_status(
        &self,
        zone: ZoneId,
        id: CertificateId,
        event: Event,
        at: Timestamp,
    ) -> Result<Option<StatusChange>, StoreError>;
    /// Settles the oldest pending certificates, at most `limit`, in one transaction. Less than `limit` in sum means that
    /// none was left.
    async fn settle_pending(&self, limit: u32) -> Result<Settled, StoreError>;

    /// Lets the accepted writes finish and closes; later writes are refused as unavailable.
    async fn close(&self);
}
