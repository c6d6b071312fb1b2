//! The store in one SQLite file.
//!
//! - [`open`] decides whose file it is and how connections behave; [`schema`] has the tables.
//! - [`writer`] is the one thread that writes: group commit and checkpoints; [`queue`](crate::queue) is what waits for it. [`readers`] are a few connections that read.
//! - [`counters`] says where a certificate stands and finds it at any depth; [`certificates`], [`tenants`], [`authorities`],
//!   [`mtls_certificates`], [`hostnames`], [`tokens`], [`revocations`], [`enforcement_points`], [`audit`] and [`duties`] are the
//!   verbs as plain functions on a connection, inside a transaction that the writer or the reader has begun.
//! - [`journal`] is the file beside the database, [`replay`] what is done with it after a restore.
//! - [`inspector`] looks into a database that a server has open; [`check`] reads everything; [`source`] reads it to move it elsewhere.
//!
//! What a maintainer has to keep: an operation of the writer reads before it writes and can be run twice; a read that
//! needs more than one statement is a snapshot; no verb but `check` does work that grows with the certificates.

mod audit;
mod authorities;
mod certificates;
mod check;
mod counters;
mod duties;
mod enforcement_points;
mod error;
mod hostnames;
mod inspector;
mod journal;
mod mtls_certificates;
mod open;
mod readers;
mod replay;
mod revocations;
mod row;
mod schema;
mod source;
mod tenants;
mod tokens;
mod writer;

use std::fs::File;
use std::path::Path;
use std::sync::Arc;

use async_trait::async_trait;
use certgate_model::{
    AccountFilter, AccountId, AccountRecord, AuditEntry, AuditOwner, AuditQuery, AuthorityId,
    AuthorityRecord, By, CertificateId, CertificateQuery, CertificateRecord, CrlKind, CrlRecord,
    EnforcedCertificate, Enforcement, EnforcementPointId, EnforcementPointRecord, Event,
    Installation, MtlsCertificateId, MtlsCertificateRecord, Page, RevocationChange, SerialNumber,
    Slice, Timestamp, TokenHash, TokenId, TokenRecord, Totals, UserId, UserRecord, ZoneFilter,
    ZoneId, ZoneRecord,
};

use self::counters::Layout;
pub use self::inspector::{Copied, JournalTells, SqliteInspector, lock_database, prepare_restored};
use self::journal::Journal;
use self::open::Opened;
pub use self::open::{OpenError, SqliteOptions};
use self::readers::Readers;
pub use self::replay::Restored;
pub(crate) use self::source::Source;
use self::writer::Writer;
use crate::{
    AccountDeleted, AccountRecorded, Acknowledged, AuthorityReplaced, CrlContent, CrlState, Duty,
    EnforcementPointRegistered, FirstRecords, Holder, HostnamesReplaced, Issued,
    MtlsCertificateDeleted, MtlsCertificateRecorded, ReadStore, RecordedAnswer, RevokedPosition,
    Settled, StatusChange, Store, StoreError, ZoneDeleted, ZoneRecorded,
};

/// The store in one SQLite file (with its log and its lock file beside it).
pub struct SqliteStore {
    writer: Writer,
    readers: Readers,
    layout: Layout,
    /// Held, not read: see [`open`].
    _lock: File,
}

/// How a journal begins to be written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum JournalBegun {
    /// It knows what the database knows.
    Follows,
    /// There was none; what was changed up to this epoch is not in it.
    Made {
        /// The database's last epoch.
        after: u64,
    },
    /// The database was restored from a backup: what is known of the time after that was done again.
    Restored(Restored),
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, StoreError> + Send + 'static,
) -> Result<T, StoreError> {
    tokio::task::spawn_blocking(work).await.unwrap_or_else(|_| {
        Err(StoreError::Unavailable(
            "the work on the journal did not finish".into(),
        ))
    })
}

/// What the writing thread has done since the start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SqliteStatistics {
    /// Transactions committed.
    pub commits: u64,
    /// Writes they held.
    pub writes: u64,
}

impl SqliteStore {
    /// Opens the database at `path`; makes it (mode 0600) if there is none, migrates it if an earlier version wrote it.
    /// The directory must exist. Takes the same time whatever is stored.
    pub fn open(path: &Path, options: SqliteOptions) -> Result<Self, OpenError> {
        Self::open_with(path, &options, Layout::DEFAULT)
    }

    /// Like [`SqliteStore::open`], but a new database counts blocks of 2^`block_bits` and 2^`upper_block_bits`, so that
    /// a test crosses their borders with few rows.
    #[cfg(feature = "conformance")]
    pub fn open_with_blocks(
        path: &Path,
        options: SqliteOptions,
        block_bits: u32,
        upper_block_bits: u32,
    ) -> Result<Self, OpenError> {
        let layout = Layout::new(block_bits, upper_block_bits).unwrap_or(Layout::DEFAULT);
        Self::open_with(path, &options, layout)
    }

    fn open_with(path: &Path, options: &SqliteOptions, layout: Layout) -> Result<Self, OpenError> {
        let Opened {
            writer,
            readers,
            layout,
            lock,
        } = open::open(path, options, layout)?;
        let writer =
            Writer::start(writer, options.queue, options.batch).map_err(|error| OpenError::Io {
                path: path.to_owned(),
                detail: error.to_string(),
            })?;
        Ok(Self {
            writer,
            readers: Readers::new(readers),
            layout,
            _lock: lock,
        })
    }

    /// Begins to write every change of a certificate's status into the journal at `path` before it is answered. What the journal
    /// knows and the database does not, because that was restored from a backup, is done again first.
    pub async fn begin_journal(
        &self,
        path: &Path,
        at: Timestamp,
    ) -> Result<JournalBegun, StoreError> {
        let (installation, known, restored) = self
            .readers
            .snapshot(|c| {
                let installation = tenants::installation(c)?;
                let installation = installation.ok_or_else(|| {
                    StoreError::Conflict("the store holds no installation".into())
                })?;
                Ok((
                    journal::installation_name(&installation),
                    revocations::last_epoch(c)?,
                    replay::is_restored(c)?,
                ))
            })
            .await?;
        let (path, layout) = (path.to_owned(), self.layout);
        let (journal, told) = blocking({
            let (path, installation) = (path.clone(), installation.clone());
            move || Journal::read(&path, &installation, known)
        })
        .await?;
        let is_behind = restored || told.to_epoch > known;
        let (journal, begun) = match journal {
            Some(journal) if !is_behind => (journal, JournalBegun::Follows),
            None if !is_behind => {
                let made = blocking(move || Journal::create(&path, &installation, known)).await?;
                (made, JournalBegun::Made { after: known })
            }
            journal => {
                let (now, name, place) = (told.to_skip(known), installation.clone(), path.clone());
                // Before it is done, so that a start which is cut off in between does the same again. One that ends before the
                // backup does not go on: it would seem to tell all later.
                let kept = blocking(move || match journal {
                    Some(mut journal) if journal.epoch() >= known => {
                        journal.skip(now).map(|()| Some(journal))
                    }
                    Some(journal) => journal.move_aside(at).map(|()| None),
                    None => Ok(None),
                })
                .await?;
                let done = self
                    .writer
                    .write(move |c| replay::replay(c, layout, &told, at))
                    .await?;
                let journal = match kept {
                    Some(journal) => journal,
                    None => blocking(move || Journal::create(&place, &name, now.until)).await?,
                };
                (journal, JournalBegun::Restored(done))
            }
        };
        self.writer.keep_journal(journal);
        // What it has missed is written after the next commit: this one.
        self.ready().await?;
        Ok(begun)
    }

    /// What the writing thread has done.
    pub fn statistics(&self) -> SqliteStatistics {
        let (commits, writes) = self.writer.counts();
        SqliteStatistics { commits, writes }
    }

    /// Lets the file grow to so many pages more and no further, as a full disk would; `None` lifts the limit.
    #[cfg(feature = "conformance")]
    pub async fn limit_growth(&self, pages: Option<i64>) -> Result<(), StoreError> {
        self.writer
            .write(move |connection| {
                let count: i64 = connection.query_row("PRAGMA page_count", (), |row| row.get(0))?;
                let max = pages.map_or(i64::from(u32::MAX - 1), |pages| count + pages);
                connection.pragma_update_and_check(None, "max_page_count", max, |_| Ok(()))?;
                Ok(())
            })
            .await
    }

    /// Runs a statement as if something else had damaged the database.
    #[cfg(feature = "conformance")]
    pub async fn damage(&self, statement: &'static str) -> Result<(), StoreError> {
        self.writer
            .write(move |connection| Ok(connection.execute_batch(statement)?))
            .await
    }
}

#[async_trait]
impl ReadStore for SqliteStore {
    async fn installation(&self) -> Result<Option<Installation>, StoreError> {
        self.readers.read(tenants::installation).await
    }

    async fn user(&self) -> Result<Option<UserRecord>, StoreError> {
        self.readers.read(tenants::user).await
    }

    async fn user_by_api_key(&self, hash: TokenHash) -> Result<Option<UserRecord>, StoreError> {
        self.readers
            .read(move |c| tenants::user_by_api_key(c, hash))
            .await
    }

    async fn account(&self, id: AccountId) -> Result<Option<AccountRecord>, StoreError> {
        self.readers.read(move |c| tenants::account(c, id)).await
    }

    async fn accounts(
        &self,
        filter: &AccountFilter,
        slice: Slice,
    ) -> Result<Page<AccountRecord>, StoreError> {
        let filter = filter.clone();
        self.readers
            .snapshot(move |c| tenants::accounts(c, &filter, slice))
            .await
    }

    async fn zone(&self, id: ZoneId) -> Result<Option<ZoneRecord>, StoreError> {
        self.readers.read(move |c| tenants::zone(c, id)).await
    }

    async fn zones(
        &self,
        filter: &ZoneFilter,
        slice: Slice,
    ) -> Result<Page<ZoneRecord>, StoreError> {
        let filter = filter.clone();
        self.readers
            .snapshot(move |c| tenants::zones(c, &filter, slice))
            .await
    }

    async fn token(&self, id: TokenId) -> Result<Option<TokenRecord>, StoreError> {
        self.readers.read(move |c| tokens::token(c, id)).await
    }

    async fn token_by_hash(&self, hash: TokenHash) -> Result<Option<TokenRecord>, StoreError> {
        self.readers.read(move |c| tokens::by_hash(c, hash)).await
    }

    async fn tokens(&self, slice: Slice) -> Result<Page<TokenRecord>, StoreError> {
        self.readers.snapshot(move |c| tokens::page(c, slice)).await
    }

    async fn authority(&self, id: AuthorityId) -> Result<Option<AuthorityRecord>, StoreError> {
        self.readers
            .read(move |c| authorities::authority(c, id))
            .await
    }

    async fn managed_authority(
        &self,
        account: AccountId,
    ) -> Result<Option<AuthorityRecord>, StoreError> {
        self.readers
            .read(move |c| authorities::managed(c, account))
            .await
    }

    async fn mtls_certificate(
        &self,
        account: AccountId,
        id: MtlsCertificateId,
    ) -> Result<Option<MtlsCertificateRecord>, StoreError> {
        self.readers
            .read(move |c| mtls_certificates::mtls_certificate(c, account, id))
            .await
    }

    async fn mtls_certificates(
        &self,
        account: AccountId,
    ) -> Result<Vec<MtlsCertificateRecord>, StoreError> {
        self.readers
            .read(move |c| mtls_certificates::all(c, account))
            .await
    }

    async fn mtls_certificate_used_by(
        &self,
        account: AccountId,
        id: MtlsCertificateId,
    ) -> Result<Option<u64>, StoreError> {
        self.readers
            .snapshot(move |c| mtls_certificates::used_by(c, account, id))
            .await
    }

    async fn managed_authorities(
        &self,
        account: AccountId,
    ) -> Result<Vec<AuthorityRecord>, StoreError> {
        self.readers
            .read(move |c| authorities::managed_all(c, account))
            .await
    }

    async fn certificate(
        &self,
        zone: ZoneId,
        id: CertificateId,
    ) -> Result<Option<CertificateRecord>, StoreError> {
        self.readers
            .snapshot(move |c| certificates::certificate(c, zone, id))
            .await
    }

    async fn certificates(
        &self,
        zone: ZoneId,
        query: CertificateQuery,
    ) -> Result<Page<CertificateRecord>, StoreError> {
        let layout = self.layout;
        self.readers
            .snapshot(move |c| certificates::page(c, layout, zone, query))
            .await
    }

    async fn totals(&self, zone: ZoneId) -> Result<Totals, StoreError> {
        let layout = self.layout;
        self.readers
            .snapshot(move |c| certificates::totals(c, layout, zone))
            .await
    }

    async fn issued(
        &self,
        authority: AuthorityId,
        serial: SerialNumber,
        id: CertificateId,
    ) -> Result<Option<Issued>, StoreError> {
        self.readers
            .snapshot(move |c| revocations::issued(c, authority, serial, id))
            .await
    }

    async fn authority_certificates(&self) -> Result<Vec<(AuthorityId, Vec<u8>)>, StoreError> {
        self.readers.read(authorities::certificates).await
    }

    async fn is_skipped_epoch(&self, epoch: u64) -> Result<bool, StoreError> {
        self.readers
            .read(move |c| replay::is_skipped(c, epoch))
            .await
    }

    async fn last_epoch(&self) -> Result<u64, StoreError> {
        self.readers.read(revocations::last_epoch).await
    }

    async fn crls_changed(&self) -> Result<Vec<(AuthorityId, CrlKind)>, StoreError> {
        self.readers.read(revocations::changed).await
    }

    async fn crls_aged(
        &self,
        at: Timestamp,
        latest: Timestamp,
        limit: u32,
    ) -> Result<Vec<(AuthorityId, CrlKind)>, StoreError> {
        self.readers
            .read(move |c| revocations::aged(c, at, latest, limit))
            .await
    }

    async fn crl_content(
        &self,
        authority: AuthorityId,
        part: CrlKind,
        at: Timestamp,
        limit: u32,
    ) -> Result<Option<CrlContent>, StoreError> {
        self.readers
            .snapshot(move |c| revocations::content(c, authority, part, at, limit))
            .await
    }

    async fn crl_states(&self, authority: AuthorityId) -> Result<Vec<CrlState>, StoreError> {
        self.readers
            .snapshot(move |c| revocations::states(c, authority))
            .await
    }

    async fn crl_state(
        &self,
        authority: AuthorityId,
        part: CrlKind,
    ) -> Result<Option<CrlState>, StoreError> {
        self.readers
            .snapshot(move |c| revocations::state(c, authority, part))
            .await
    }

    async fn crl(
        &self,
        authority: AuthorityId,
        part: CrlKind,
    ) -> Result<Option<CrlRecord>, StoreError> {
        self.readers
            .snapshot(move |c| revocations::crl(c, authority, part))
            .await
    }

    async fn hostname_associations(
        &self,
        zone: ZoneId,
        authority: Option<MtlsCertificateId>,
    ) -> Result<Option<Vec<String>>, StoreError> {
        self.readers
            .snapshot(move |c| hostnames::list(c, zone, authority))
            .await
    }

    async fn enforcement(&self, hostname: &str) -> Result<Option<Enforcement>, StoreError> {
        let hostname = hostname.to_owned();
        self.readers
            .snapshot(move |c| hostnames::enforcement(c, &hostname))
            .await
    }

    async fn enforcement_points(
        &self,
        account: AccountId,
    ) -> Result<Vec<EnforcementPointRecord>, StoreError> {
        self.readers
            .read(move |c| enforcement_points::all(c, account))
            .await
    }

    async fn account_epoch(&self, account: AccountId) -> Result<u64, StoreError> {
        self.readers
            .read(move |c| enforcement_points::account_epoch(c, account))
            .await
    }

    async fn lagging_enforcement_points(&self) -> Result<Vec<EnforcementPointRecord>, StoreError> {
        self.readers.read(enforcement_points::lagging).await
    }

    async fn revoked_certificates(
        &self,
        authority: AuthorityId,
        at: Timestamp,
        after: Option<RevokedPosition>,
        limit: u32,
    ) -> Result<Vec<(RevokedPosition, EnforcedCertificate)>, StoreError> {
        self.readers
            .snapshot(move |c| enforcement_points::revoked(c, authority, at, after, limit))
            .await
    }

    async fn revocation_changes(
        &self,
        account: AccountId,
        after: u64,
        limit: u32,
    ) -> Result<Vec<RevocationChange>, StoreError> {
        self.readers
            .snapshot(move |c| enforcement_points::changes(c, account, after, limit))
            .await
    }

    async fn audit_entries(
        &self,
        owner: AuditOwner,
        query: AuditQuery,
    ) -> Result<Vec<AuditEntry>, StoreError> {
        self.readers
            .snapshot(move |c| audit::entries(c, owner, &query))
            .await
    }

    async fn ready(&self) -> Result<(), StoreError> {
        self.readers
            .read(|c| {
                Ok(c.prepare_cached("SELECT probes FROM store")?
                    .query_row((), |_| Ok(()))?)
            })
            .await?;
        // A real write: only that shows a full disk.
        self.writer
            .write(|c| {
                c.prepare_cached("UPDATE store SET probes = probes + 1 WHERE only = 1")?
                    .execute(())?;
                Ok(())
            })
            .await
    }

    async fn check(&self) -> Result<Vec<String>, StoreError> {
        let layout = self.layout;
        self.readers.snapshot(move |c| check::all(c, layout)).await
    }
}

#[async_trait]
impl Store for SqliteStore {
    async fn initialise(&self, records: FirstRecords) -> Result<bool, StoreError> {
        self.writer
            .write(move |c| tenants::initialise(c, &records))
            .await
    }

    async fn record_account(
        &self,
        account: AccountRecord,
        by: By,
    ) -> Result<AccountRecorded, StoreError> {
        self.writer
            .write(move |c| tenants::record_account(c, &account, &by))
            .await
    }

    async fn delete_account(&self, id: AccountId, by: By) -> Result<AccountDeleted, StoreError> {
        self.writer
            .write(move |c| tenants::delete_account(c, id, &by))
            .await
    }

    async fn record_zone(&self, zone: ZoneRecord, by: By) -> Result<ZoneRecorded, StoreError> {
        self.writer
            .write(move |c| tenants::record_zone(c, &zone, &by))
            .await
    }

    async fn delete_zone(&self, id: ZoneId, by: By) -> Result<ZoneDeleted, StoreError> {
        let layout = self.layout;
        self.writer
            .write(move |c| tenants::delete_zone(c, layout, id, &by))
            .await
    }

    async fn record_token(&self, token: TokenRecord, by: By) -> Result<(), StoreError> {
        self.writer
            .write(move |c| tokens::record(c, &token, &by))
            .await
    }

    async fn replace_token(
        &self,
        old: TokenRecord,
        new: TokenRecord,
        by: By,
    ) -> Result<bool, StoreError> {
        self.writer
            .write(move |c| tokens::replace(c, &old, &new, &by))
            .await
    }

    async fn delete_token(&self, id: TokenId, by: By) -> Result<bool, StoreError> {
        self.writer.write(move |c| tokens::delete(c, id, &by)).await
    }

    async fn record_token_uses(&self, uses: Vec<(TokenId, Timestamp)>) -> Result<(), StoreError> {
        self.writer
            .write(move |c| tokens::record_uses(c, &uses))
            .await
    }

    async fn replace_api_key(
        &self,
        user: UserId,
        hash: Option<TokenHash>,
        by: By,
    ) -> Result<bool, StoreError> {
        self.writer
            .write(move |c| tenants::replace_api_key(c, user, hash, &by))
            .await
    }

    async fn record_managed_authority(
        &self,
        authority: AuthorityRecord,
        by: By,
    ) -> Result<Option<AuthorityRecord>, StoreError> {
        self.writer
            .write(move |c| authorities::record_managed(c, &authority, &by))
            .await
    }

    async fn record_mtls_certificate(
        &self,
        certificate: MtlsCertificateRecord,
        quota: Option<u64>,
        by: By,
    ) -> Result<MtlsCertificateRecorded, StoreError> {
        self.writer
            .write(move |c| mtls_certificates::record(c, &certificate, quota, &by))
            .await
    }

    async fn delete_mtls_certificate(
        &self,
        account: AccountId,
        id: MtlsCertificateId,
        by: By,
    ) -> Result<MtlsCertificateDeleted, StoreError> {
        self.writer
            .write(move |c| mtls_certificates::delete(c, account, id, &by))
            .await
    }

    async fn replace_managed_authority(
        &self,
        expected: Option<AuthorityId>,
        authority: AuthorityRecord,
        by: By,
    ) -> Result<AuthorityReplaced, StoreError> {
        self.writer
            .write(move |c| authorities::replace_managed(c, expected, &authority, &by))
            .await
    }

    fn hand_over_certificate(
        &self,
        certificate: Arc<CertificateRecord>,
        quota: Option<u64>,
        by: By,
        answer: RecordedAnswer,
    ) {
        let layout = self.layout;
        self.writer.hand_over(
            move |c| certificates::record(c, layout, &certificate, quota, &by),
            answer,
        );
    }

    async fn change_status(
        &self,
        zone: ZoneId,
        id: CertificateId,
        event: Event,
        by: By,
    ) -> Result<Option<StatusChange>, StoreError> {
        let layout = self.layout;
        self.writer
            .write(move |c| certificates::change_status(c, layout, zone, id, event, &by))
            .await
    }

    async fn record_crl(&self, crl: CrlRecord, renew_on: Timestamp) -> Result<bool, StoreError> {
        self.writer
            .write(move |c| revocations::record(c, &crl, renew_on))
            .await
    }

    async fn settle_pending(
        &self,
        epoch: u64,
        at: Timestamp,
        except: &[AuthorityId],
        limit: u32,
    ) -> Result<Settled, StoreError> {
        let (layout, except) = (self.layout, except.to_vec());
        self.writer
            .write(move |c| certificates::settle(c, layout, epoch, at, &except, limit))
            .await
    }

    async fn hold_duty(
        &self,
        duty: Duty,
        holder: Holder,
        at: Timestamp,
        until: Timestamp,
    ) -> Result<bool, StoreError> {
        self.writer
            .write(move |c| duties::hold(c, duty, holder, at, until))
            .await
    }

    async fn leave_duty(&self, duty: Duty, holder: Holder) -> Result<(), StoreError> {
        self.writer
            .write(move |c| duties::leave(c, duty, holder))
            .await
    }

    async fn register_enforcement_point(
        &self,
        point: EnforcementPointRecord,
        max: u64,
        by: By,
    ) -> Result<EnforcementPointRegistered, StoreError> {
        self.writer
            .write(move |c| enforcement_points::register(c, &point, max, &by))
            .await
    }

    async fn acknowledge(
        &self,
        account: AccountId,
        id: EnforcementPointId,
        epoch: u64,
        at: Timestamp,
    ) -> Result<Acknowledged, StoreError> {
        self.writer
            .write(move |c| enforcement_points::acknowledge(c, account, id, epoch, at))
            .await
    }

    async fn delete_enforcement_point(
        &self,
        account: AccountId,
        id: EnforcementPointId,
        by: By,
    ) -> Result<bool, StoreError> {
        self.writer
            .write(move |c| enforcement_points::delete(c, account, id, &by))
            .await
    }

    async fn record_serial_key(&self, sealed: Vec<u8>) -> Result<Option<Vec<u8>>, StoreError> {
        self.writer
            .write(move |c| revocations::record_serial_key(c, &sealed))
            .await
    }

    async fn replace_hostname_associations(
        &self,
        zone: ZoneId,
        authority: Option<MtlsCertificateId>,
        hostnames: Vec<String>,
        by: By,
    ) -> Result<HostnamesReplaced, StoreError> {
        self.writer
            .write(move |c| hostnames::replace(c, zone, authority, &hostnames, &by))
            .await
    }

    async fn close(&self) {
        self.readers.close().await;
        self.writer.close().await;
    }
}
