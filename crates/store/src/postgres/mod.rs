//! The store in a PostgreSQL database, which several processes may share.
//!
//! - [`connect`] reads the URL and says how connections behave, [`hosts`] makes them, [`tls`] what is verified and shown; [`schema`]
//!   has the tables; [`db`] is one connection; [`open_error`] says why a database cannot be used.
//! - [`writer`] is the one thread of this process that writes, and says how processes take turns; [`writes`] is what waits for it; [`readers`]
//!   are a few connections that read.
//! - [`counters`], [`certificates`], [`issue`], [`changes`], [`statuses`], [`tenants`], [`authorities`], [`hostnames`], [`tokens`], [`revocations`] and the
//!   others are the verbs as plain functions on a connection, inside a transaction that the writer or the reader has begun.
//! - [`check`] reads everything, for [`inspector`]s too; [`destination`] takes in an embedded database that is moved here.
//!
//! What a maintainer has to keep: an operation of the writer reads before it writes and can be run twice; a read that
//! needs more than one statement is a snapshot; nothing but [`check`] does work that grows with the certificates; nothing here is
//! remembered between two transactions, because another process may have changed it.
//!
//! Statements are plain SQL that other databases with PostgreSQL's protocol understand: no advisory locks, no LISTEN, no extension.
//! They are prepared once a connection, so that between this program and the database there can be a pooler of sessions, not one of
//! transactions.

mod audit;
mod authorities;
mod certificates;
mod changes;
mod check;
mod condition;
mod connect;
mod counters;
mod db;
mod destination;
mod duties;
mod enforcement_points;
mod error;
mod hostnames;
mod hosts;
mod inspector;
mod issue;
mod mtls_certificates;
mod open_error;
mod readers;
mod revocations;
mod row;
mod schema;
mod statuses;
mod tenants;
mod tls;
mod tokens;
mod value;
mod writer;
mod writes;

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

use self::changes::Change;
use self::connect::Address;
pub use self::connect::PostgresUrl;
use self::counters::Layout;
use self::db::Db;
pub(crate) use self::destination::Destination;
pub use self::destination::MigrationBegun;
pub use self::inspector::PostgresInspector;
use self::issue::New;
pub use self::open_error::PostgresError;
use self::readers::Readers;
use self::value::values;
use self::writer::Writer;
use crate::{
    AccountDeleted, AccountRecorded, Acknowledged, AuthorityReplaced, CrlContent, CrlState, Duty,
    EnforcementPointRegistered, FirstRecords, Holder, HostnamesReplaced, Issued,
    MtlsCertificateDeleted, MtlsCertificateRecorded, ReadStore, RecordedAnswer, RevokedPosition,
    Settled, StatusChange, Store, StoreError, ZoneDeleted, ZoneRecorded,
};

/// The store in a PostgreSQL database.
pub struct PostgresStore {
    writer: Writer,
    readers: Readers,
    layout: Layout,
}

/// How a [`PostgresStore`] works.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PostgresOptions {
    /// How many writes may wait; one more is refused as unavailable. Default 1,024, as in the embedded store.
    pub queue: usize,
    /// How many writes share a transaction at the most. Default 256: other processes wait until it has ended.
    pub batch: usize,
    /// How many reads run at a time. Default 8: they wait for the network more than for a processor.
    pub readers: usize,
}

impl Default for PostgresOptions {
    fn default() -> Self {
        Self {
            queue: 1_024,
            batch: 256,
            readers: 8,
        }
    }
}

/// Connects to a database in which every text can be stored.
async fn connect_checked(address: &Address) -> Result<Db, PostgresError> {
    let db = address
        .connect()
        .await
        .map_err(|error| PostgresError::from(error).at(address))?;
    let encoding = db
        .one("SELECT current_setting('server_encoding')", values![])
        .await?
        .get::<String>(0)?;
    match encoding.as_str() {
        "UTF8" => Ok(db),
        _ => Err(PostgresError::Encoding(encoding)),
    }
}

impl PostgresStore {
    /// Connects to the database at `url` (`postgres://user:password@host:port/name?sslmode=…`); makes the tables if there are
    /// none, migrates them if an earlier version wrote them. Takes the same time whatever is stored.
    ///
    /// Without `sslmode`, or with `require`, `verify-ca` or `verify-full`, nothing is sent in clear text, and the server's
    /// certificate and name are verified, against the file `sslrootcert` or what the system trusts. `prefer` goes on in clear text with
    /// a server that has no TLS, `disable` always does. A Unix socket (`postgres://user@%2Frun%2Fpostgresql/name`) has no TLS.
    pub async fn open(url: &str, options: PostgresOptions) -> Result<Self, PostgresError> {
        Self::open_with(url, &options, Layout::DEFAULT).await
    }

    /// Like [`PostgresStore::open`], but a new database counts blocks of 2^`block_bits` and 2^`upper_block_bits`, so that
    /// a test crosses their borders with few rows.
    #[cfg(feature = "conformance")]
    pub async fn open_with_blocks(
        url: &str,
        options: PostgresOptions,
        block_bits: u32,
        upper_block_bits: u32,
    ) -> Result<Self, PostgresError> {
        let layout = Layout::new(block_bits, upper_block_bits).unwrap_or(Layout::DEFAULT);
        Self::open_with(url, &options, layout).await
    }

    async fn open_with(
        url: &str,
        options: &PostgresOptions,
        layout: Layout,
    ) -> Result<Self, PostgresError> {
        let address = Address::parse(url)?;
        let readers = Readers::new(address.pool(options.readers)?);
        let db = connect_checked(&address).await?;
        schema::migrate(&db, layout)
            .await
            .map_err(|error| error.at(&address))?;
        let layout = schema::layout(&db).await?;
        drop(db);
        let writer = Writer::start(address, layout, options.queue, options.batch)?;
        Ok(Self {
            writer,
            readers,
            layout,
        })
    }

    /// Makes the tables as the release with this version of the schema did.
    #[cfg(feature = "conformance")]
    pub async fn make_earlier_tables(url: &str, version: i64) -> Result<(), PostgresError> {
        let db = Address::parse(url)?.connect().await?;
        schema::make_earlier(&db, version).await
    }

    /// Runs a statement as if something else had damaged the database.
    #[cfg(feature = "conformance")]
    pub async fn damage(&self, statement: &'static str) -> Result<(), StoreError> {
        self.writer
            .write(async move |db: &Db| db.run(statement).await)
            .await
    }
}

/// How often a read is tried: connections that ended while nobody used them, as after a restart of the server, are noticed by the
/// first who does.
const READS_MAX: u32 = 3;

/// One statement, or several that need not agree.
macro_rules! one {
    ($store:ident, |$db:ident| $read:expr) => {{
        let mut reads = 1;
        loop {
            let $db = $store.readers.one().await?;
            match $read.await {
                Err(_) if $db.is_passing() && reads < READS_MAX => reads += 1,
                read => break read,
            }
        }
    }};
}

/// Several statements that see the same instant.
macro_rules! snapshot {
    ($store:ident, |$db:ident| $read:expr) => {{
        let mut reads = 1;
        loop {
            let $db = $store.readers.snapshot().await?;
            // One after another on the wire, and what is read does not wait for the answer to BEGIN.
            let (begun, read) = futures_util::future::join($db.begin(), $read).await;
            match begun.and(read) {
                Err(_) if $db.is_passing() && reads < READS_MAX => reads += 1,
                read => break $db.end(read),
            }
        }
    }};
}

#[async_trait]
impl ReadStore for PostgresStore {
    fn is_shared(&self) -> bool {
        true
    }

    async fn installation(&self) -> Result<Option<Installation>, StoreError> {
        one!(self, |db| tenants::installation(&db))
    }

    async fn user(&self) -> Result<Option<UserRecord>, StoreError> {
        one!(self, |db| tenants::user(&db))
    }

    async fn user_by_api_key(&self, hash: TokenHash) -> Result<Option<UserRecord>, StoreError> {
        one!(self, |db| tenants::user_by_api_key(&db, hash))
    }

    async fn account(&self, id: AccountId) -> Result<Option<AccountRecord>, StoreError> {
        one!(self, |db| tenants::account(&db, id))
    }

    async fn accounts(
        &self,
        filter: &AccountFilter,
        slice: Slice,
    ) -> Result<Page<AccountRecord>, StoreError> {
        snapshot!(self, |db| tenants::accounts(&db, filter, slice))
    }

    async fn zone(&self, id: ZoneId) -> Result<Option<ZoneRecord>, StoreError> {
        one!(self, |db| tenants::zone(&db, id))
    }

    async fn zones(
        &self,
        filter: &ZoneFilter,
        slice: Slice,
    ) -> Result<Page<ZoneRecord>, StoreError> {
        snapshot!(self, |db| tenants::zones(&db, filter, slice))
    }

    async fn token(&self, id: TokenId) -> Result<Option<TokenRecord>, StoreError> {
        one!(self, |db| tokens::token(&db, id))
    }

    async fn token_by_hash(&self, hash: TokenHash) -> Result<Option<TokenRecord>, StoreError> {
        one!(self, |db| tokens::by_hash(&db, hash))
    }

    async fn tokens(&self, slice: Slice) -> Result<Page<TokenRecord>, StoreError> {
        snapshot!(self, |db| tokens::page(&db, slice))
    }

    async fn authority(&self, id: AuthorityId) -> Result<Option<AuthorityRecord>, StoreError> {
        one!(self, |db| authorities::authority(&db, id))
    }

    async fn managed_authority(
        &self,
        account: AccountId,
    ) -> Result<Option<AuthorityRecord>, StoreError> {
        one!(self, |db| authorities::managed(&db, account))
    }

    async fn mtls_certificate(
        &self,
        account: AccountId,
        id: MtlsCertificateId,
    ) -> Result<Option<MtlsCertificateRecord>, StoreError> {
        one!(self, |db| mtls_certificates::mtls_certificate(
            &db, account, id
        ))
    }

    async fn mtls_certificates(
        &self,
        account: AccountId,
    ) -> Result<Vec<MtlsCertificateRecord>, StoreError> {
        one!(self, |db| mtls_certificates::all(&db, account))
    }

    async fn mtls_certificate_used_by(
        &self,
        account: AccountId,
        id: MtlsCertificateId,
    ) -> Result<Option<u64>, StoreError> {
        snapshot!(self, |db| mtls_certificates::used_by(&db, account, id))
    }

    async fn managed_authorities(
        &self,
        account: AccountId,
    ) -> Result<Vec<AuthorityRecord>, StoreError> {
        one!(self, |db| authorities::managed_all(&db, account))
    }

    async fn certificate(
        &self,
        zone: ZoneId,
        id: CertificateId,
    ) -> Result<Option<CertificateRecord>, StoreError> {
        one!(self, |db| certificates::certificate(&db, zone, id))
    }

    async fn certificates(
        &self,
        zone: ZoneId,
        query: CertificateQuery,
    ) -> Result<Page<CertificateRecord>, StoreError> {
        match query.status {
            None => one!(self, |db| certificates::page_of_all(&db, zone, query.slice)),
            Some(status) => {
                snapshot!(self, |db| certificates::page_of_status(
                    &db,
                    self.layout,
                    zone,
                    status,
                    query.slice
                ))
            }
        }
    }

    async fn totals(&self, zone: ZoneId) -> Result<Totals, StoreError> {
        snapshot!(self, |db| certificates::totals(&db, self.layout, zone))
    }

    async fn issued(
        &self,
        authority: AuthorityId,
        serial: SerialNumber,
        id: CertificateId,
    ) -> Result<Option<Issued>, StoreError> {
        one!(self, |db| revocations::issued(&db, authority, serial, id))
    }

    async fn authority_certificates(&self) -> Result<Vec<(AuthorityId, Vec<u8>)>, StoreError> {
        one!(self, |db| authorities::certificates(&db))
    }

    async fn is_skipped_epoch(&self, epoch: u64) -> Result<bool, StoreError> {
        one!(self, |db| revocations::is_skipped_epoch(&db, epoch))
    }

    async fn last_epoch(&self) -> Result<u64, StoreError> {
        one!(self, |db| revocations::last_epoch(&db))
    }

    async fn crls_changed(&self) -> Result<Vec<(AuthorityId, CrlKind)>, StoreError> {
        one!(self, |db| revocations::changed(&db))
    }

    async fn crls_aged(
        &self,
        at: Timestamp,
        latest: Timestamp,
        limit: u32,
    ) -> Result<Vec<(AuthorityId, CrlKind)>, StoreError> {
        one!(self, |db| revocations::aged(&db, at, latest, limit))
    }

    async fn crl_content(
        &self,
        authority: AuthorityId,
        part: CrlKind,
        at: Timestamp,
        limit: u32,
    ) -> Result<Option<CrlContent>, StoreError> {
        snapshot!(self, |db| revocations::content(
            &db, authority, part, at, limit
        ))
    }

    async fn crl_states(&self, authority: AuthorityId) -> Result<Vec<CrlState>, StoreError> {
        one!(self, |db| revocations::states(&db, authority))
    }

    async fn crl_state(
        &self,
        authority: AuthorityId,
        part: CrlKind,
    ) -> Result<Option<CrlState>, StoreError> {
        one!(self, |db| revocations::state(&db, authority, part))
    }

    async fn crl(
        &self,
        authority: AuthorityId,
        part: CrlKind,
    ) -> Result<Option<CrlRecord>, StoreError> {
        one!(self, |db| revocations::crl(&db, authority, part))
    }

    async fn hostname_associations(
        &self,
        zone: ZoneId,
        authority: Option<MtlsCertificateId>,
    ) -> Result<Option<Vec<String>>, StoreError> {
        snapshot!(self, |db| hostnames::list(&db, zone, authority))
    }

    async fn enforcement(&self, hostname: &str) -> Result<Option<Enforcement>, StoreError> {
        snapshot!(self, |db| hostnames::enforcement(&db, hostname))
    }

    async fn enforcement_points(
        &self,
        account: AccountId,
    ) -> Result<Vec<EnforcementPointRecord>, StoreError> {
        one!(self, |db| enforcement_points::all(&db, account))
    }

    async fn account_epoch(&self, account: AccountId) -> Result<u64, StoreError> {
        one!(self, |db| enforcement_points::account_epoch(&db, account))
    }

    async fn lagging_enforcement_points(&self) -> Result<Vec<EnforcementPointRecord>, StoreError> {
        one!(self, |db| enforcement_points::lagging(&db))
    }

    async fn revoked_certificates(
        &self,
        authority: AuthorityId,
        at: Timestamp,
        after: Option<RevokedPosition>,
        limit: u32,
    ) -> Result<Vec<(RevokedPosition, EnforcedCertificate)>, StoreError> {
        snapshot!(self, |db| enforcement_points::revoked(
            &db, authority, at, after, limit
        ))
    }

    async fn revocation_changes(
        &self,
        account: AccountId,
        after: u64,
        limit: u32,
    ) -> Result<Vec<RevocationChange>, StoreError> {
        snapshot!(self, |db| enforcement_points::changes(
            &db, account, after, limit
        ))
    }

    async fn audit_entries(
        &self,
        owner: AuditOwner,
        query: AuditQuery,
    ) -> Result<Vec<AuditEntry>, StoreError> {
        snapshot!(self, |db| audit::entries(&db, owner, &query))
    }

    async fn ready(&self) -> Result<(), StoreError> {
        one!(self, |db| db.one(
            "SELECT probes FROM store WHERE \"only\" = 1",
            values![]
        ))?;
        // A real write: only that shows a full disk, or a server that has become one of reading only.
        self.writer
            .write(async |db: &Db| {
                db.execute(
                    "UPDATE store SET probes = probes + 1 WHERE \"only\" = 1",
                    values![],
                )
                .await?;
                Ok(())
            })
            .await
    }

    async fn check(&self) -> Result<Vec<String>, StoreError> {
        snapshot!(self, |db| check::all(&db, self.layout))
    }
}

#[async_trait]
impl Store for PostgresStore {
    async fn initialise(&self, records: FirstRecords) -> Result<bool, StoreError> {
        self.writer
            .write(async move |db: &Db| tenants::initialise(db, &records).await)
            .await
    }

    async fn record_account(
        &self,
        account: AccountRecord,
        by: By,
    ) -> Result<AccountRecorded, StoreError> {
        self.writer
            .write(async move |db: &Db| tenants::record_account(db, &account, &by).await)
            .await
    }

    async fn delete_account(&self, id: AccountId, by: By) -> Result<AccountDeleted, StoreError> {
        self.writer
            .write(async move |db: &Db| tenants::delete_account(db, id, &by).await)
            .await
    }

    async fn record_zone(&self, zone: ZoneRecord, by: By) -> Result<ZoneRecorded, StoreError> {
        self.writer
            .write(async move |db: &Db| tenants::record_zone(db, &zone, &by).await)
            .await
    }

    async fn delete_zone(&self, id: ZoneId, by: By) -> Result<ZoneDeleted, StoreError> {
        let layout = self.layout;
        self.writer
            .write(async move |db: &Db| tenants::delete_zone(db, layout, id, &by).await)
            .await
    }

    async fn record_token(&self, token: TokenRecord, by: By) -> Result<(), StoreError> {
        self.writer
            .write(async move |db: &Db| tokens::record(db, &token, &by).await)
            .await
    }

    async fn replace_token(
        &self,
        old: TokenRecord,
        new: TokenRecord,
        by: By,
    ) -> Result<bool, StoreError> {
        self.writer
            .write(async move |db: &Db| tokens::replace(db, &old, &new, &by).await)
            .await
    }

    async fn delete_token(&self, id: TokenId, by: By) -> Result<bool, StoreError> {
        self.writer
            .write(async move |db: &Db| tokens::delete(db, id, &by).await)
            .await
    }

    async fn record_token_uses(&self, uses: Vec<(TokenId, Timestamp)>) -> Result<(), StoreError> {
        self.writer
            .write(async move |db: &Db| tokens::record_uses(db, &uses).await)
            .await
    }

    async fn replace_api_key(
        &self,
        user: UserId,
        hash: Option<TokenHash>,
        by: By,
    ) -> Result<bool, StoreError> {
        self.writer
            .write(async move |db: &Db| tenants::replace_api_key(db, user, hash, &by).await)
            .await
    }

    async fn record_managed_authority(
        &self,
        authority: AuthorityRecord,
        by: By,
    ) -> Result<Option<AuthorityRecord>, StoreError> {
        self.writer
            .write(async move |db: &Db| authorities::record_managed(db, &authority, &by).await)
            .await
    }

    async fn record_mtls_certificate(
        &self,
        certificate: MtlsCertificateRecord,
        quota: Option<u64>,
        by: By,
    ) -> Result<MtlsCertificateRecorded, StoreError> {
        self.writer
            .write(async move |db: &Db| {
                mtls_certificates::record(db, &certificate, quota, &by).await
            })
            .await
    }

    async fn delete_mtls_certificate(
        &self,
        account: AccountId,
        id: MtlsCertificateId,
        by: By,
    ) -> Result<MtlsCertificateDeleted, StoreError> {
        self.writer
            .write(async move |db: &Db| mtls_certificates::delete(db, account, id, &by).await)
            .await
    }

    async fn replace_managed_authority(
        &self,
        expected: Option<AuthorityId>,
        authority: AuthorityRecord,
        by: By,
    ) -> Result<AuthorityReplaced, StoreError> {
        self.writer
            .write(async move |db: &Db| {
                authorities::replace_managed(db, expected, &authority, &by).await
            })
            .await
    }

    fn hand_over_certificate(
        &self,
        certificate: Arc<CertificateRecord>,
        quota: Option<u64>,
        by: By,
        answer: RecordedAnswer,
    ) {
        self.writer.hand_over_certificate(
            New {
                certificate,
                quota,
                by,
            },
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
        self.writer
            .change(Change {
                zone,
                id,
                event,
                by,
            })
            .await
    }

    async fn record_crl(&self, crl: CrlRecord, renew_on: Timestamp) -> Result<bool, StoreError> {
        self.writer
            .write(async move |db: &Db| revocations::record(db, &crl, renew_on).await)
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
            .write(async move |db: &Db| {
                statuses::settle(db, layout, epoch, at, &except, limit).await
            })
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
            .write(async move |db: &Db| duties::hold(db, duty, holder, at, until).await)
            .await
    }

    async fn leave_duty(&self, duty: Duty, holder: Holder) -> Result<(), StoreError> {
        self.writer
            .write(async move |db: &Db| duties::leave(db, duty, holder).await)
            .await
    }

    async fn register_enforcement_point(
        &self,
        point: EnforcementPointRecord,
        max: u64,
        by: By,
    ) -> Result<EnforcementPointRegistered, StoreError> {
        self.writer
            .write(async move |db: &Db| enforcement_points::register(db, &point, max, &by).await)
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
            .write(async move |db: &Db| {
                enforcement_points::acknowledge(db, account, id, epoch, at).await
            })
            .await
    }

    async fn delete_enforcement_point(
        &self,
        account: AccountId,
        id: EnforcementPointId,
        by: By,
    ) -> Result<bool, StoreError> {
        self.writer
            .write(async move |db: &Db| enforcement_points::delete(db, account, id, &by).await)
            .await
    }

    async fn record_serial_key(&self, sealed: Vec<u8>) -> Result<Option<Vec<u8>>, StoreError> {
        self.writer
            .write(async move |db: &Db| revocations::record_serial_key(db, &sealed).await)
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
            .write(async move |db: &Db| {
                hostnames::replace(db, zone, authority, &hostnames, &by).await
            })
            .await
    }

    async fn close(&self) {
        self.readers.close();
        self.writer.close().await;
    }
}
