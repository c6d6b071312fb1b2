//! The traits of the store, implemented for any engine.

use std::future::Future;
use std::sync::Arc;

use async_trait::async_trait;
use certgate_model::{
    AccountAuthority, AccountChange, AccountFilter, AccountId, AccountRecord, AuditEntry,
    AuditOwner, AuditQuery, AuthorityId, AuthorityRecord, AuthorityRequestRecord, By,
    CertificateId, CertificateRecord, CertificateSearch, CrlKind, CrlRecord, Direction,
    EnforcedCertificate, EnforcedConfiguration, Enforcement, EnforcementPointId,
    EnforcementPointRecord, Event, FollowedChange, HistoryEntry, Indexed, Installation,
    InstallationSummary, InviteId, InviteRecord, MtlsCertificateId, MtlsCertificateRecord, Page,
    SearchOutcome, SerialNumber, Slice, StoredRules, Timestamp, TokenHash, TokenId, TokenRecord,
    Totals, UserChange, UserId, UserRecord, ZoneChange, ZoneFilter, ZoneId, ZoneRecord,
    ZoneSummary,
};
#[cfg(feature = "conformance")]
use tokio::sync::OwnedSemaphorePermit;
use tokio::sync::{Semaphore, oneshot};

use crate::db::Transaction;
use crate::index_work::Built;
use crate::traits::{
    Authorities, Certificates, EnforcementPoints, Invites, Leases, ReadAudit, ReadAuthorities,
    ReadCertificates, ReadEnforcementPoints, ReadInvites, ReadRevocations, ReadStore, ReadTenants,
    Revocations, Store, Tenants,
};
use crate::verbs::changes::RequestedChange;
use crate::verbs::recording::{Circumstances, New};
use crate::verbs::search::Asked as AskedSearch;
use crate::verbs::{
    adopting, audit, authorities, authority_requests, authority_states, certificates,
    configuration, crl, deleting, enforcement, history, hostnames, invites, leases,
    mtls_certificates, probes, public_url, replacements, revocations, search, settling, summary,
    tenant_changes, tenants, tokens,
};
use crate::writes::{Answer, Asked, Call, Verb, Write};
use crate::{
    AccountChanged, AccountDeleted, AccountRecorded, Acknowledged, Adopted, Adoption, AgedCrls,
    AuthorityActivated, AuthorityPrepared, AuthorityReplaced, AuthorityRequested, AuthorityRetired,
    BackgroundJob, Basis, CertificatesPart, Confirmation, CrlContent, CrlState, Earlier,
    EnforcementPointDeleted, EnforcementPointRegistered, FirstRecords, HostnamesReplaced,
    InviteRecorded, Issued, LeaseHolder, MtlsCertificateDeleted, MtlsCertificateRecorded,
    Neighbours, RecordedAnswer, RecordingLimits, Renewal, RenewalRefused, ReplacedCertificate,
    RevokedPosition, SearchLimits, Settled, StatusChange, StoreError, ZoneDeleted, ZoneRecorded,
};

/// The instants that a read sees.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum View {
    /// One for each statement.
    Statement,
    /// One for all statements.
    Snapshot,
    /// The same, for a search: PostgreSQL must walk an index in its order, whatever it expects.
    Search,
}

/// A database with its connections: everything but the verbs.
pub(crate) trait Engine: Send + Sync + 'static {
    type Db: Transaction + Send + 'static;

    /// True if other processes may change the database.
    const IS_SHARED: bool;

    /// Runs a reading verb, possibly more than once.
    fn read<A, T>(
        &self,
        view: View,
        args: A,
        verb: Verb<Self::Db, A, T>,
    ) -> impl Future<Output = Result<T, StoreError>> + Send
    where
        A: Send + Sync + 'static,
        T: Send + 'static;

    /// Queues a write, or answers it with a refusal.
    fn push(&self, write: Write<Self::Db>);

    /// Waits until the writing thread has ended although nothing has closed it.
    fn writer_lost(&self) -> impl Future<Output = ()> + Send;

    /// Builds the first missing index of the search, if the database builds indexes by itself. This
    /// can take minutes.
    fn build_index(&self) -> impl Future<Output = Result<Built, StoreError>> + Send;

    /// Lets the accepted writes finish and closes the connections.
    fn close(&self) -> impl Future<Output = ()> + Send;
}

/// The store in a database.
pub struct SqlStore<E> {
    pub(crate) engine: E,
    /// One permit: for the search inside names that runs.
    names: Arc<Semaphore>,
}

impl<E> SqlStore<E> {
    pub(crate) fn new(engine: E) -> Self {
        Self {
            engine,
            names: Arc::new(Semaphore::new(1)),
        }
    }
}

#[expect(private_bounds, reason = "no other crate makes engines")]
impl<E: Engine> SqlStore<E> {
    pub(crate) async fn read<A, T>(
        &self,
        view: View,
        args: A,
        verb: Verb<E::Db, A, T>,
    ) -> Result<T, StoreError>
    where
        A: Send + Sync + 'static,
        T: Send + 'static,
    {
        self.engine.read(view, args, verb).await
    }

    /// Takes the turn of a search inside names: for tests.
    #[cfg(feature = "conformance")]
    pub fn hold_search_inside_names(&self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.names).try_acquire_owned().ok()
    }

    async fn searched(
        &self,
        zone: ZoneId,
        search: CertificateSearch,
        limits: SearchLimits,
    ) -> Result<SearchOutcome, StoreError> {
        let asked = AskedSearch {
            zone,
            search,
            limits,
            names: Arc::clone(&self.names),
        };
        self.read(View::Search, asked, |db, asked| {
            Box::pin(search::search(db, asked))
        })
        .await
    }

    /// Runs a writing verb in the next transaction; returns its result once that is durable.
    pub(crate) async fn write<A, T>(
        &self,
        args: A,
        verb: Verb<E::Db, A, T>,
    ) -> Result<T, StoreError>
    where
        A: Send + Sync + 'static,
        T: Send + 'static,
    {
        let write = |answer| Write::Other(Box::new(Asked::new(Call { args, verb }, answer)));
        self.answered(write).await
    }

    async fn answered<T: Send + 'static>(
        &self,
        write: impl FnOnce(Answer<T>) -> Write<E::Db>,
    ) -> Result<T, StoreError> {
        let (sender, answer) = oneshot::channel();
        self.engine.push(write(Box::new(|outcome| {
            // The caller may have stopped waiting; the write is still made.
            let _ = sender.send(outcome);
        })));
        let ended = || StoreError::Unavailable("the writing thread has ended".into());
        answer.await.unwrap_or_else(|_| Err(ended()))
    }
}

use View::{Snapshot, Statement};

#[async_trait]
impl<E: Engine> ReadTenants for SqlStore<E> {
    async fn installation(&self) -> Result<Option<Installation>, StoreError> {
        self.read(Statement, (), |db, ()| Box::pin(tenants::installation(db)))
            .await
    }

    async fn public_url(&self) -> Result<Option<String>, StoreError> {
        self.read(Statement, (), |db, ()| Box::pin(public_url::read(db)))
            .await
    }

    async fn user(&self) -> Result<Option<UserRecord>, StoreError> {
        self.read(Statement, (), |db, ()| Box::pin(tenants::user(db)))
            .await
    }

    async fn user_by_api_key(&self, hash: TokenHash) -> Result<Option<UserRecord>, StoreError> {
        self.read(Statement, hash, |db, hash| {
            Box::pin(tenants::user_by_api_key(db, *hash))
        })
        .await
    }

    async fn account(&self, id: AccountId) -> Result<Option<AccountRecord>, StoreError> {
        self.read(Statement, id, |db, id| Box::pin(tenants::account(db, *id)))
            .await
    }

    async fn accounts(
        &self,
        filter: &AccountFilter,
        slice: Slice,
    ) -> Result<Page<AccountRecord>, StoreError> {
        self.read(Snapshot, (filter.clone(), slice), |db, (filter, slice)| {
            Box::pin(tenants::accounts(db, filter, *slice))
        })
        .await
    }

    async fn zone(&self, id: ZoneId) -> Result<Option<ZoneRecord>, StoreError> {
        self.read(Statement, id, |db, id| Box::pin(tenants::zone(db, *id)))
            .await
    }

    async fn zone_by_name(&self, name: &str) -> Result<Option<ZoneRecord>, StoreError> {
        self.read(Statement, name.to_owned(), |db, name| {
            Box::pin(tenants::zone_by_name(db, name))
        })
        .await
    }

    async fn zones(
        &self,
        filter: &ZoneFilter,
        slice: Slice,
    ) -> Result<Page<ZoneRecord>, StoreError> {
        self.read(Snapshot, (filter.clone(), slice), |db, (filter, slice)| {
            Box::pin(tenants::zones(db, filter, *slice))
        })
        .await
    }

    async fn token(&self, id: TokenId) -> Result<Option<TokenRecord>, StoreError> {
        self.read(Statement, id, |db, id| Box::pin(tokens::token(db, *id)))
            .await
    }

    async fn token_by_hash(&self, hash: TokenHash) -> Result<Option<TokenRecord>, StoreError> {
        self.read(Statement, hash, |db, hash| {
            Box::pin(tokens::by_hash(db, *hash))
        })
        .await
    }

    async fn tokens(
        &self,
        account: Option<AccountId>,
        direction: Direction,
        slice: Slice,
    ) -> Result<Page<TokenRecord>, StoreError> {
        let asked = (account, direction, slice);
        self.read(Snapshot, asked, |db, (account, direction, slice)| {
            Box::pin(tokens::page(db, *account, *direction, *slice))
        })
        .await
    }
}

#[async_trait]
impl<E: Engine> Tenants for SqlStore<E> {
    async fn initialise(&self, records: FirstRecords) -> Result<bool, StoreError> {
        self.write(records, |db, records| {
            Box::pin(tenants::initialise(db, records))
        })
        .await
    }

    async fn record_serial_key(&self, sealed: Vec<u8>) -> Result<Option<Vec<u8>>, StoreError> {
        self.write(sealed, |db, sealed| {
            Box::pin(revocations::record_serial_key(db, sealed))
        })
        .await
    }

    async fn record_public_url(
        &self,
        url: String,
        earlier: Earlier,
    ) -> Result<Option<String>, StoreError> {
        self.write((url, earlier), |db, (url, earlier)| {
            Box::pin(public_url::record(db, url, *earlier))
        })
        .await
    }

    async fn record_account(
        &self,
        account: AccountRecord,
        by: By,
    ) -> Result<AccountRecorded, StoreError> {
        self.write((account, by), |db, (account, by)| {
            Box::pin(tenants::record_account(db, account, by))
        })
        .await
    }

    async fn change_account(
        &self,
        id: AccountId,
        change: AccountChange,
        by: By,
    ) -> Result<AccountChanged, StoreError> {
        self.write((id, change, by), |db, (id, change, by)| {
            Box::pin(tenant_changes::change_account(db, *id, change, by))
        })
        .await
    }

    async fn delete_account(&self, id: AccountId, by: By) -> Result<AccountDeleted, StoreError> {
        self.write((id, by), |db, (id, by)| {
            Box::pin(deleting::delete_account(db, *id, by))
        })
        .await
    }

    async fn record_zone(
        &self,
        zone: ZoneRecord,
        neighbours: Neighbours,
        by: By,
    ) -> Result<ZoneRecorded, StoreError> {
        self.write((zone, neighbours, by), |db, (zone, neighbours, by)| {
            Box::pin(tenants::record_zone(db, zone, neighbours, by))
        })
        .await
    }

    async fn change_zone(
        &self,
        id: ZoneId,
        change: ZoneChange,
        by: By,
    ) -> Result<Option<ZoneRecord>, StoreError> {
        self.write((id, change, by), |db, (id, change, by)| {
            Box::pin(tenant_changes::change_zone(db, *id, change, by))
        })
        .await
    }

    async fn replace_issuance_rules(
        &self,
        id: ZoneId,
        rules: StoredRules,
        by: By,
    ) -> Result<Option<ZoneRecord>, StoreError> {
        self.write((id, rules, by), |db, (id, rules, by)| {
            Box::pin(tenant_changes::replace_issuance_rules(db, *id, rules, by))
        })
        .await
    }

    async fn change_user(
        &self,
        id: UserId,
        change: UserChange,
        by: By,
    ) -> Result<Option<UserRecord>, StoreError> {
        self.write((id, change, by), |db, (id, change, by)| {
            Box::pin(tenant_changes::change_user(db, *id, change, by))
        })
        .await
    }

    async fn delete_zone(&self, id: ZoneId, by: By) -> Result<ZoneDeleted, StoreError> {
        self.write((id, by), |db, (id, by)| {
            Box::pin(deleting::delete_zone(db, *id, by))
        })
        .await
    }

    async fn record_token(&self, token: TokenRecord, by: By) -> Result<(), StoreError> {
        self.write((token, by), |db, (token, by)| {
            Box::pin(tokens::record(db, token, by))
        })
        .await
    }

    async fn replace_token(
        &self,
        old: TokenRecord,
        new: TokenRecord,
        by: By,
    ) -> Result<bool, StoreError> {
        self.write((old, new, by), |db, (old, new, by)| {
            Box::pin(tokens::replace(db, old, new, by))
        })
        .await
    }

    async fn delete_token(&self, id: TokenId, by: By) -> Result<bool, StoreError> {
        self.write((id, by), |db, (id, by)| {
            Box::pin(tokens::delete(db, *id, by))
        })
        .await
    }

    async fn record_token_uses(&self, uses: Vec<(TokenId, Timestamp)>) -> Result<(), StoreError> {
        self.write(uses, |db, uses| Box::pin(tokens::record_uses(db, uses)))
            .await
    }

    async fn replace_api_key(
        &self,
        user: UserId,
        hash: Option<TokenHash>,
        by: By,
    ) -> Result<bool, StoreError> {
        self.write((user, hash, by), |db, (user, hash, by)| {
            Box::pin(tenants::replace_api_key(db, *user, hash.as_ref(), by))
        })
        .await
    }
}

#[async_trait]
impl<E: Engine> ReadAuthorities for SqlStore<E> {
    async fn authority(&self, id: AuthorityId) -> Result<Option<AuthorityRecord>, StoreError> {
        self.read(Statement, id, |db, id| {
            Box::pin(authorities::authority(db, *id))
        })
        .await
    }

    async fn managed_authority(
        &self,
        account: AccountId,
    ) -> Result<Option<AuthorityRecord>, StoreError> {
        self.read(Statement, account, |db, account| {
            Box::pin(authorities::managed(db, *account))
        })
        .await
    }

    async fn managed_authorities(
        &self,
        account: AccountId,
    ) -> Result<Vec<AccountAuthority>, StoreError> {
        self.read(Statement, account, |db, account| {
            Box::pin(authorities::managed_all(db, *account))
        })
        .await
    }

    async fn authority_requests(
        &self,
        account: AccountId,
    ) -> Result<Vec<AuthorityRequestRecord>, StoreError> {
        self.read(Statement, account, |db, account| {
            Box::pin(authority_requests::all(db, *account))
        })
        .await
    }

    async fn latest_managed_authorities(
        &self,
        account: AccountId,
        limit: u32,
    ) -> Result<Vec<AuthorityId>, StoreError> {
        self.read(Statement, (account, limit), |db, (account, limit)| {
            Box::pin(authorities::latest(db, *account, *limit))
        })
        .await
    }

    async fn authority_certificates(&self) -> Result<Vec<(AuthorityId, Vec<u8>)>, StoreError> {
        self.read(Statement, (), |db, ()| {
            Box::pin(authorities::certificates(db))
        })
        .await
    }

    async fn mtls_certificate(
        &self,
        account: AccountId,
        id: MtlsCertificateId,
    ) -> Result<Option<MtlsCertificateRecord>, StoreError> {
        self.read(Statement, (account, id), |db, (account, id)| {
            Box::pin(mtls_certificates::mtls_certificate(db, *account, *id))
        })
        .await
    }

    async fn mtls_certificates(
        &self,
        account: AccountId,
    ) -> Result<Vec<MtlsCertificateRecord>, StoreError> {
        self.read(Statement, account, |db, account| {
            Box::pin(mtls_certificates::all(db, *account))
        })
        .await
    }

    async fn mtls_certificate_used_by(
        &self,
        account: AccountId,
        id: MtlsCertificateId,
    ) -> Result<Option<u64>, StoreError> {
        self.read(Snapshot, (account, id), |db, (account, id)| {
            Box::pin(mtls_certificates::used_by(db, *account, *id))
        })
        .await
    }

    async fn hostname_associations(
        &self,
        zone: ZoneId,
        authority: Option<MtlsCertificateId>,
    ) -> Result<Option<Vec<String>>, StoreError> {
        self.read(Snapshot, (zone, authority), |db, (zone, authority)| {
            Box::pin(hostnames::list(db, *zone, *authority))
        })
        .await
    }

    async fn enforcement(&self, hostname: &str) -> Result<Option<Enforcement>, StoreError> {
        self.read(Snapshot, hostname.to_owned(), |db, hostname| {
            Box::pin(hostnames::enforcement(db, hostname))
        })
        .await
    }

    async fn enforced_configuration(
        &self,
        account: AccountId,
    ) -> Result<EnforcedConfiguration, StoreError> {
        self.read(Snapshot, account, |db, account| {
            Box::pin(configuration::read(db, *account))
        })
        .await
    }
}

#[async_trait]
impl<E: Engine> Authorities for SqlStore<E> {
    async fn record_managed_authority(
        &self,
        authority: AuthorityRecord,
        by: By,
    ) -> Result<Option<AuthorityRecord>, StoreError> {
        self.write((authority, by), |db, (authority, by)| {
            Box::pin(authorities::record_managed(db, authority, by))
        })
        .await
    }

    async fn replace_managed_authority(
        &self,
        expected: Option<AuthorityId>,
        authority: AuthorityRecord,
        max: u64,
        by: By,
    ) -> Result<AuthorityReplaced, StoreError> {
        self.write(
            (expected, authority, max, by),
            |db, (expected, authority, max, by)| {
                Box::pin(authorities::replace_managed(
                    db, *expected, authority, *max, by,
                ))
            },
        )
        .await
    }

    async fn prepare_managed_authority(
        &self,
        authority: AuthorityRecord,
        is_requested: bool,
        max: u64,
        by: By,
    ) -> Result<AuthorityPrepared, StoreError> {
        self.write(
            (authority, is_requested, max, by),
            |db, (authority, is_requested, max, by)| {
                let prepared = authority_states::prepare(db, authority, *is_requested, *max, by);
                Box::pin(prepared)
            },
        )
        .await
    }

    async fn activate_managed_authority(
        &self,
        account: AccountId,
        id: AuthorityId,
        confirmation: Confirmation,
        by: By,
    ) -> Result<AuthorityActivated, StoreError> {
        self.write(
            (account, id, confirmation, by),
            |db, (account, id, confirmation, by)| {
                let activated = authority_states::activate(db, *account, *id, *confirmation, by);
                Box::pin(activated)
            },
        )
        .await
    }

    async fn retire_managed_authority(
        &self,
        account: AccountId,
        id: AuthorityId,
        confirmation: Confirmation,
        by: By,
    ) -> Result<AuthorityRetired, StoreError> {
        self.write(
            (account, id, confirmation, by),
            |db, (account, id, confirmation, by)| {
                let retired = authority_states::retire(db, *account, *id, *confirmation, by);
                Box::pin(retired)
            },
        )
        .await
    }

    async fn record_authority_request(
        &self,
        request: AuthorityRequestRecord,
        max: u64,
        by: By,
    ) -> Result<AuthorityRequested, StoreError> {
        self.write((request, max, by), |db, (request, max, by)| {
            Box::pin(authority_requests::record(db, request, *max, by))
        })
        .await
    }

    async fn delete_authority_request(
        &self,
        account: AccountId,
        id: AuthorityId,
        by: By,
    ) -> Result<bool, StoreError> {
        self.write((account, id, by), |db, (account, id, by)| {
            Box::pin(authority_requests::delete(db, *account, *id, by))
        })
        .await
    }

    async fn record_mtls_certificate(
        &self,
        certificate: MtlsCertificateRecord,
        quota: Option<u64>,
        by: By,
    ) -> Result<MtlsCertificateRecorded, StoreError> {
        self.write((certificate, quota, by), |db, (certificate, quota, by)| {
            Box::pin(mtls_certificates::record(db, certificate, *quota, by))
        })
        .await
    }

    async fn delete_mtls_certificate(
        &self,
        account: AccountId,
        id: MtlsCertificateId,
        by: By,
    ) -> Result<MtlsCertificateDeleted, StoreError> {
        self.write((account, id, by), |db, (account, id, by)| {
            Box::pin(mtls_certificates::delete(db, *account, *id, by))
        })
        .await
    }

    async fn replace_hostname_associations(
        &self,
        zone: ZoneId,
        authority: Option<MtlsCertificateId>,
        hostnames: Vec<String>,
        by: By,
    ) -> Result<HostnamesReplaced, StoreError> {
        self.write(
            (zone, authority, hostnames, by),
            |db, (zone, authority, hostnames, by)| {
                Box::pin(hostnames::replace(db, *zone, *authority, hostnames, by))
            },
        )
        .await
    }
}

#[async_trait]
impl<E: Engine> ReadCertificates for SqlStore<E> {
    async fn certificate(
        &self,
        zone: ZoneId,
        id: CertificateId,
    ) -> Result<Option<CertificateRecord>, StoreError> {
        self.read(Statement, (zone, id), |db, (zone, id)| {
            Box::pin(certificates::certificate(db, *zone, *id))
        })
        .await
    }

    async fn certificates_part(
        &self,
        zone: ZoneId,
        part: CertificatesPart,
    ) -> Result<Page<CertificateRecord>, StoreError> {
        let view = match part.query.status {
            None => Statement,
            Some(_) => Snapshot,
        };
        self.read(view, (zone, part), |db, (zone, part)| {
            Box::pin(certificates::part(db, *zone, *part))
        })
        .await
    }

    async fn search(
        &self,
        zone: ZoneId,
        search: CertificateSearch,
    ) -> Result<SearchOutcome, StoreError> {
        self.searched(zone, search, SearchLimits::DEFAULT).await
    }

    #[cfg(feature = "conformance")]
    async fn search_within(
        &self,
        zone: ZoneId,
        search: CertificateSearch,
        limits: SearchLimits,
    ) -> Result<SearchOutcome, StoreError> {
        self.searched(zone, search, limits).await
    }

    async fn certificates_by_ids(
        &self,
        zone: ZoneId,
        ids: Vec<CertificateId>,
    ) -> Result<Vec<CertificateRecord>, StoreError> {
        self.read(Snapshot, (zone, ids), |db, (zone, ids)| {
            Box::pin(search::by_ids(db, *zone, ids))
        })
        .await
    }

    async fn totals(&self, zone: ZoneId) -> Result<Totals, StoreError> {
        self.read(Snapshot, zone, |db, zone| {
            Box::pin(certificates::totals(db, *zone))
        })
        .await
    }

    async fn summary(&self, zone: ZoneId, today: i64) -> Result<Option<ZoneSummary>, StoreError> {
        self.read(Snapshot, (zone, today), |db, (zone, today)| {
            Box::pin(summary::of_zone(db, *zone, *today))
        })
        .await
    }

    async fn installation_summary(
        &self,
        today: i64,
        days: i64,
    ) -> Result<InstallationSummary, StoreError> {
        self.read(Snapshot, (today, days), |db, (today, days)| {
            Box::pin(summary::of_all(db, *today, *days))
        })
        .await
    }

    async fn renewal_refused(
        &self,
        zone: ZoneId,
        renewal: Renewal,
        at: Timestamp,
    ) -> Result<Option<RenewalRefused>, StoreError> {
        self.read(Statement, (zone, renewal, at), |db, (zone, renewal, at)| {
            Box::pin(replacements::refused(db, *zone, *renewal, *at))
        })
        .await
    }

    async fn replaced_due(
        &self,
        at: Timestamp,
        limit: u32,
    ) -> Result<Vec<ReplacedCertificate>, StoreError> {
        self.read(Statement, (at, limit), |db, (at, limit)| {
            Box::pin(replacements::due(db, *at, *limit))
        })
        .await
    }

    async fn next_replaced_due(&self) -> Result<Option<Timestamp>, StoreError> {
        self.read(Statement, (), |db, ()| Box::pin(replacements::next_due(db)))
            .await
    }

    async fn issued(
        &self,
        authority: AuthorityId,
        serial: SerialNumber,
        id: CertificateId,
    ) -> Result<Option<Issued>, StoreError> {
        self.read(
            Statement,
            (authority, serial, id),
            |db, (authority, serial, id)| {
                Box::pin(revocations::issued(db, *authority, *serial, *id))
            },
        )
        .await
    }
}

#[async_trait]
impl<E: Engine> Certificates for SqlStore<E> {
    fn hand_over_certificate(
        &self,
        certificate: Arc<CertificateRecord>,
        limits: RecordingLimits,
        basis: Basis,
        by: By,
        answer: RecordedAnswer,
    ) {
        let new = New {
            certificate,
            limits,
            basis,
            by,
            circumstances: Circumstances::Issued,
        };
        self.engine
            .push(Write::Certificate(Asked::new(new, answer)));
    }

    async fn adopt_certificates(
        &self,
        certificates: Vec<Adoption>,
        quota: Option<u64>,
        by: By,
    ) -> Result<Vec<Adopted>, StoreError> {
        self.write(
            (certificates, quota, by),
            |db, (certificates, quota, by)| Box::pin(adopting::adopt(db, certificates, *quota, by)),
        )
        .await
    }

    async fn change_status(
        &self,
        zone: ZoneId,
        id: CertificateId,
        event: Event,
        by: By,
    ) -> Result<Option<StatusChange>, StoreError> {
        let change = RequestedChange {
            zone,
            id,
            event,
            by,
        };
        self.answered(|answer| Write::Change(Box::new(Asked::new(change, answer))))
            .await
    }

    async fn leave_replaced(&self, certificates: Vec<CertificateId>) -> Result<(), StoreError> {
        self.write(certificates, |db, certificates| {
            Box::pin(replacements::leave(db, certificates))
        })
        .await
    }

    async fn settle_pending(
        &self,
        epoch: u64,
        at: Timestamp,
        except: &[AuthorityId],
        limit: u32,
    ) -> Result<Settled, StoreError> {
        self.write(
            (epoch, at, except.to_vec(), limit),
            |db, (epoch, at, except, limit)| {
                Box::pin(settling::settle(db, *epoch, *at, except, *limit))
            },
        )
        .await
    }
}

#[async_trait]
impl<E: Engine> ReadRevocations for SqlStore<E> {
    async fn is_skipped_epoch(&self, epoch: u64) -> Result<bool, StoreError> {
        self.read(Statement, epoch, |db, epoch| {
            Box::pin(revocations::is_skipped_epoch(db, *epoch))
        })
        .await
    }

    async fn last_epoch(&self) -> Result<u64, StoreError> {
        self.read(Statement, (), |db, ()| {
            Box::pin(revocations::last_epoch(db))
        })
        .await
    }

    async fn crls_changed(&self, at: Timestamp) -> Result<Vec<(AuthorityId, CrlKind)>, StoreError> {
        self.read(Statement, at, |db, at| Box::pin(crl::changed(db, *at)))
            .await
    }

    async fn crls_aged(
        &self,
        at: Timestamp,
        latest: Timestamp,
        limit: u32,
    ) -> Result<AgedCrls, StoreError> {
        self.read(Statement, (at, latest, limit), |db, (at, latest, limit)| {
            Box::pin(crl::aged(db, *at, *latest, *limit))
        })
        .await
    }

    async fn crl_content(
        &self,
        authority: AuthorityId,
        kind: CrlKind,
        at: Timestamp,
        limit: u32,
    ) -> Result<Option<CrlContent>, StoreError> {
        self.read(
            Snapshot,
            (authority, kind, at, limit),
            |db, (authority, kind, at, limit)| {
                Box::pin(crl::content(db, *authority, *kind, *at, *limit))
            },
        )
        .await
    }

    async fn crl_states(&self, authority: AuthorityId) -> Result<Vec<CrlState>, StoreError> {
        self.read(Statement, authority, |db, authority| {
            Box::pin(crl::states(db, *authority))
        })
        .await
    }

    async fn crl_state(
        &self,
        authority: AuthorityId,
        kind: CrlKind,
    ) -> Result<Option<CrlState>, StoreError> {
        self.read(Statement, (authority, kind), |db, (authority, kind)| {
            Box::pin(crl::state(db, *authority, *kind))
        })
        .await
    }

    async fn crl(
        &self,
        authority: AuthorityId,
        kind: CrlKind,
    ) -> Result<Option<CrlRecord>, StoreError> {
        self.read(Statement, (authority, kind), |db, (authority, kind)| {
            Box::pin(crl::crl(db, *authority, *kind))
        })
        .await
    }
}

#[async_trait]
impl<E: Engine> Revocations for SqlStore<E> {
    async fn set_crls_aside(&self, expired: Vec<AuthorityId>) -> Result<(), StoreError> {
        self.write(expired, |db, expired| Box::pin(crl::set_aside(db, expired)))
            .await
    }

    async fn record_crl(&self, crl: CrlRecord, renew_on: Timestamp) -> Result<bool, StoreError> {
        self.write((crl, renew_on), |db, (crl, renew_on)| {
            Box::pin(crl::record(db, crl, *renew_on))
        })
        .await
    }
}

#[async_trait]
impl<E: Engine> ReadEnforcementPoints for SqlStore<E> {
    async fn enforcement_points(
        &self,
        account: AccountId,
    ) -> Result<Vec<EnforcementPointRecord>, StoreError> {
        self.read(Statement, account, |db, account| {
            Box::pin(enforcement::all(db, *account))
        })
        .await
    }

    async fn account_epoch(&self, account: AccountId) -> Result<u64, StoreError> {
        self.read(Statement, account, |db, account| {
            Box::pin(enforcement::account_epoch(db, *account))
        })
        .await
    }

    async fn lagging_enforcement_points(&self) -> Result<Vec<EnforcementPointRecord>, StoreError> {
        self.read(Statement, (), |db, ()| Box::pin(enforcement::lagging(db)))
            .await
    }

    async fn next_forgotten_point(&self) -> Result<Option<Timestamp>, StoreError> {
        self.read(Statement, (), |db, ()| {
            Box::pin(enforcement::next_forgotten(db))
        })
        .await
    }

    async fn revoked_certificates(
        &self,
        authority: AuthorityId,
        at: Timestamp,
        after: Option<RevokedPosition>,
        limit: u32,
    ) -> Result<Vec<(RevokedPosition, EnforcedCertificate)>, StoreError> {
        self.read(
            Snapshot,
            (authority, at, after, limit),
            |db, (authority, at, after, limit)| {
                Box::pin(enforcement::revoked(db, *authority, *at, *after, *limit))
            },
        )
        .await
    }

    async fn revoked_serials(
        &self,
        authority: AuthorityId,
        at: Timestamp,
        after: Option<RevokedPosition>,
        limit: u32,
    ) -> Result<Vec<(RevokedPosition, SerialNumber)>, StoreError> {
        self.read(
            Snapshot,
            (authority, at, after, limit),
            |db, (authority, at, after, limit)| {
                Box::pin(enforcement::revoked_serials(
                    db, *authority, *at, *after, *limit,
                ))
            },
        )
        .await
    }

    async fn revocation_changes(
        &self,
        account: AccountId,
        after: u64,
        limit: u32,
    ) -> Result<Vec<FollowedChange>, StoreError> {
        self.read(
            Snapshot,
            (account, after, limit),
            |db, (account, after, limit)| {
                Box::pin(enforcement::changes(db, *account, *after, *limit))
            },
        )
        .await
    }
}

#[async_trait]
impl<E: Engine> EnforcementPoints for SqlStore<E> {
    async fn register_enforcement_point(
        &self,
        point: EnforcementPointRecord,
        max: u64,
        by: By,
    ) -> Result<EnforcementPointRegistered, StoreError> {
        self.write((point, max, by), |db, (point, max, by)| {
            Box::pin(enforcement::register(db, point, *max, by))
        })
        .await
    }

    async fn acknowledge(
        &self,
        account: AccountId,
        id: EnforcementPointId,
        token: TokenId,
        epoch: u64,
        at: Timestamp,
    ) -> Result<Acknowledged, StoreError> {
        self.write(
            (account, id, token, epoch, at),
            |db, (account, id, token, epoch, at)| {
                Box::pin(enforcement::acknowledge(
                    db, *account, *id, *token, *epoch, *at,
                ))
            },
        )
        .await
    }

    async fn delete_enforcement_point(
        &self,
        account: AccountId,
        id: EnforcementPointId,
        token: Option<TokenId>,
        by: By,
    ) -> Result<EnforcementPointDeleted, StoreError> {
        self.write((account, id, token, by), |db, (account, id, token, by)| {
            Box::pin(enforcement::delete(db, *account, *id, *token, by))
        })
        .await
    }

    async fn forget_silent_points(
        &self,
        at: Timestamp,
        limit: u32,
    ) -> Result<Vec<EnforcementPointRecord>, StoreError> {
        self.write((at, limit), |db, (at, limit)| {
            Box::pin(enforcement::forget_silent(db, *at, *limit))
        })
        .await
    }
}

#[async_trait]
impl<E: Engine> ReadInvites for SqlStore<E> {
    async fn invite(&self, id: InviteId) -> Result<Option<InviteRecord>, StoreError> {
        self.read(Snapshot, id, |db, id| Box::pin(invites::invite(db, *id)))
            .await
    }

    async fn invites(&self, zone: ZoneId, slice: Slice) -> Result<Page<InviteRecord>, StoreError> {
        self.read(Snapshot, (zone, slice), |db, (zone, slice)| {
            Box::pin(invites::page(db, *zone, *slice))
        })
        .await
    }
}

#[async_trait]
impl<E: Engine> Invites for SqlStore<E> {
    async fn record_invite(
        &self,
        invite: InviteRecord,
        max: u64,
        by: By,
    ) -> Result<InviteRecorded, StoreError> {
        self.write((invite, max, by), |db, (invite, max, by)| {
            Box::pin(invites::record(db, invite, *max, by))
        })
        .await
    }

    async fn withdraw_invite(
        &self,
        zone: ZoneId,
        id: InviteId,
        by: By,
    ) -> Result<Option<InviteRecord>, StoreError> {
        self.write((zone, id, by), |db, (zone, id, by)| {
            Box::pin(invites::withdraw(db, *zone, *id, by))
        })
        .await
    }

    async fn note_wrong_secret(&self, id: InviteId) -> Result<(), StoreError> {
        self.write(id, |db, id| Box::pin(invites::note_wrong_secret(db, *id)))
            .await
    }
}

#[async_trait]
impl<E: Engine> Leases for SqlStore<E> {
    async fn hold_lease(
        &self,
        job: BackgroundJob,
        holder: LeaseHolder,
        at: Timestamp,
        until: Timestamp,
    ) -> Result<bool, StoreError> {
        self.write((job, holder, at, until), |db, (job, holder, at, until)| {
            Box::pin(leases::hold(db, *job, *holder, *at, *until))
        })
        .await
    }

    async fn release_lease(
        &self,
        job: BackgroundJob,
        holder: LeaseHolder,
    ) -> Result<(), StoreError> {
        self.write((job, holder), |db, (job, holder)| {
            Box::pin(leases::release(db, *job, *holder))
        })
        .await
    }
}

#[async_trait]
impl<E: Engine> ReadAudit for SqlStore<E> {
    async fn audit_entries(
        &self,
        owner: AuditOwner,
        query: AuditQuery,
    ) -> Result<Vec<AuditEntry>, StoreError> {
        self.read(Snapshot, (owner, query), |db, (owner, query)| {
            Box::pin(audit::entries(db, *owner, query))
        })
        .await
    }

    async fn certificate_entries(
        &self,
        owner: AuditOwner,
        certificates: Vec<CertificateId>,
        query: AuditQuery,
    ) -> Result<Indexed<Vec<AuditEntry>>, StoreError> {
        let asked = (owner, certificates, query);
        self.read(Snapshot, asked, |db, (owner, certificates, query)| {
            Box::pin(history::of_certificates(db, *owner, certificates, query))
        })
        .await
    }

    async fn history(
        &self,
        zone: ZoneId,
        id: CertificateId,
    ) -> Result<Option<Indexed<Vec<HistoryEntry>>>, StoreError> {
        self.read(Snapshot, (zone, id), |db, (zone, id)| {
            Box::pin(history::history(db, *zone, *id))
        })
        .await
    }
}

#[async_trait]
impl<E: Engine> ReadStore for SqlStore<E> {
    fn is_shared(&self) -> bool {
        E::IS_SHARED
    }

    async fn ready(&self) -> Result<(), StoreError> {
        self.read(Statement, (), |db, ()| Box::pin(probes::read(db)))
            .await?;
        self.write((), |db, ()| Box::pin(probes::write(db))).await
    }

    #[cfg(feature = "conformance")]
    async fn check(&self) -> Result<Vec<String>, StoreError> {
        self.read(Snapshot, (), |db, ()| {
            let mut judge = crate::NoJudge {
                crl: crate::JudgedCrl::NotRead,
            };
            Box::pin(async move { crate::verbs::check::all(db, &mut judge).await })
        })
        .await
    }
}

#[async_trait]
impl<E: Engine> Store for SqlStore<E> {
    async fn writer_lost(&self) {
        self.engine.writer_lost().await;
    }

    async fn close(&self) {
        self.engine.close().await;
    }
}
