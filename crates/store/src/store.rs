//! The traits of the store, implemented for any engine: each noun has a file.

mod authorities;
mod certificates;
mod enforcement_points;
mod invites;
mod notifications;
mod revocations;
mod tenants;

use std::future::Future;
use std::sync::Arc;

use async_trait::async_trait;
use certgate_model::{
    AuditEntry, AuditOwner, AuditQuery, CertificateId, CertificateSearch, HistoryEntry, Indexed,
    SearchOutcome, Timestamp, ZoneId,
};
#[cfg(feature = "conformance")]
use tokio::sync::OwnedSemaphorePermit;
use tokio::sync::{Semaphore, oneshot};

use crate::db::Transaction;
use crate::index_work::Built;
use crate::traits::{Leases, ReadAudit, ReadStore, Store};
use crate::verbs::search::Asked as AskedSearch;
use crate::verbs::{audit, history, leases, probes, search};
use crate::writes::{Answer, Asked, Call, Verb, Write};
use crate::{BackgroundJob, LeaseHolder, SearchLimits, StoreError};

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
    search_limits: SearchLimits,
}

impl<E> SqlStore<E> {
    pub(crate) fn new(engine: E) -> Self {
        Self {
            engine,
            names: Arc::new(Semaphore::new(1)),
            search_limits: SearchLimits::DEFAULT,
        }
    }

    /// Gives searches other limits: for tests.
    #[cfg(feature = "conformance")]
    pub fn with_search_limits(self, search_limits: SearchLimits) -> Self {
        Self {
            search_limits,
            ..self
        }
    }

    pub(crate) fn search_limits(&self) -> SearchLimits {
        self.search_limits
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
