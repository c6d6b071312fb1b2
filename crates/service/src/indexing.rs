//! The background job that indexes and counts the certificates of earlier versions after an
//! upgrade, while the server answers.

use std::time::Duration;

use certgate_model::Timestamp;
use certgate_store::{BackgroundJob, IndexStep, IndexWork, LeaseHolder};
use tokio::time::timeout;

use crate::environment::Environment;
use crate::error::Fault;
use crate::pause::pause;

/// The length of this process's lease, in seconds, which is renewed when half of it has passed.
/// After a crash, another process continues after this time.
const LEASE_SECONDS: i64 = 60;

/// The interval at which a process without the lease, or without work, looks again.
const LOOK: Duration = Duration::from_secs(30);

/// The pause after a failure, such as a full disk, a lost connection, or a user without the right.
const RETRY: Duration = Duration::from_secs(60);

/// The pause after a step is as long as the step, so that half of the writing time is left to
/// requests; at most this long, because building an index of PostgreSQL is one step of minutes.
const PAUSE_MAX: Duration = Duration::from_millis(250);

/// The interval of log lines about the progress.
const REPORT_SECONDS: i64 = 30;

/// The background job of the search index.
pub struct Indexer {
    environment: Environment,
    /// The identity of this process as a lease holder.
    holder: LeaseHolder,
}

impl Indexer {
    pub(crate) fn new(environment: Environment) -> Self {
        let mut holder = LeaseHolder::default();
        environment.random.fill(&mut holder);
        Self {
            environment,
            holder,
        }
    }

    /// Indexes what an upgrade has left, and then rests: a background job that never returns.
    pub async fn index_forever(&self) {
        loop {
            match self.index_all().await {
                Ok(true) => std::future::pending().await,
                Ok(false) => pause(LOOK).await,
                Err(fault) => {
                    tracing::error!(
                        error = %fault,
                        "indexing certificates for the search failed; it is tried again. If a \
                         right is missing, start certgate once as the owner of the tables"
                    );
                    pause(RETRY).await;
                }
            }
        }
    }

    /// Indexes everything; `false` if another process does.
    pub async fn index_all(&self) -> Result<bool, Fault> {
        let store = &self.environment.store;
        if store.is_indexed().await? {
            return Ok(true);
        }
        let mut lease = None;
        if !self.hold_lease(&mut lease).await? {
            return Ok(false);
        }
        let left = self.left().await?;
        tracing::info!(
            left,
            "indexing the certificates of an earlier version for the search and the summary"
        );
        let (mut work, mut reported) = (IndexWork::default(), self.environment.now());
        loop {
            if !self.hold_lease(&mut lease).await? {
                return Ok(false);
            }
            let begun = self.environment.now();
            match self.step(&mut work, &mut lease).await? {
                IndexStep::Finished => break,
                IndexStep::Worked => {
                    let step = begun.until(self.environment.now());
                    pause(step.duration().min(PAUSE_MAX)).await;
                }
                IndexStep::Waits => pause(LOOK).await,
            }
            let now = self.environment.now();
            if !reported.until(now).is_within(REPORT_SECONDS) {
                reported = now;
                let left = self.left().await?;
                tracing::info!(left, "certificates are not indexed for the search yet");
            }
        }
        tracing::info!("every certificate is indexed for the search");
        self.release_lease().await?;
        Ok(true)
    }

    /// Gives up the lease, so that another process need not wait for its end.
    pub async fn release_lease(&self) -> Result<(), Fault> {
        let store = &self.environment.store;
        Ok(store
            .release_lease(BackgroundJob::Indexing, self.holder)
            .await?)
    }

    /// Does a step. It can take minutes, in which the lease is renewed.
    async fn step(
        &self,
        work: &mut IndexWork,
        lease: &mut Option<Timestamp>,
    ) -> Result<IndexStep, Fault> {
        let mut step = self.environment.store.index_next(work);
        let half = Duration::from_secs(LEASE_SECONDS.unsigned_abs() / 2);
        loop {
            match timeout(half, &mut step).await {
                Ok(step) => return Ok(step?),
                // Another process that takes over sees that the index is being built.
                Err(_) => self.hold_lease(lease).await.map(drop)?,
            }
        }
    }

    async fn hold_lease(&self, lease: &mut Option<Timestamp>) -> Result<bool, Fault> {
        let now = self.environment.now();
        let half = now.plus_seconds(LEASE_SECONDS / 2);
        let whole = now.plus_seconds(LEASE_SECONDS);
        if lease.is_some_and(|until| (half..=whole).contains(&until)) {
            return Ok(true);
        }
        let store = &self.environment.store;
        let is_ours = store
            .hold_lease(BackgroundJob::Indexing, self.holder, now, whole)
            .await?;
        *lease = is_ours.then_some(whole);
        Ok(is_ours)
    }

    async fn left(&self) -> Result<u64, Fault> {
        let summary = self.environment.store.installation_summary(0, 0).await?;
        Ok(summary.unindexed)
    }
}
